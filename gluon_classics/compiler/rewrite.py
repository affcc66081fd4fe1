"""Rewrite a network's graph before it is compiled for the CPU: the same function in faster operators.

MXNet's convolutions, pools and activations run in oneDNN, which stores feature maps in blocks of channels.

relu            The operator `relu` is MXNet's own, so the maps leave oneDNN's layout for it and return afterwards.
                `Activation` gives the same bits within that layout. One difference: it turns nan into 0, as every
                layer with activation="relu" does.
deferred ReLU   ReLU can be applied after max pooling instead of before it, where fewer numbers are left. Values and
                gradients are the same. Predictions do not need this: there ReLU is fused into the convolution.
padded channels Pooling and ReLU are slow if the number of channels is not a multiple of the block, like LeNet's 20
                and 50. Convolutions before a pool get extra channels of zeros up to the next multiple, and the next
                layer removes these channels. For training, the graph appends the zeros to the parameters, so that
                parameters and gradients keep their shapes. For predictions, the padded parameters are constants.
                Only the order of sums changes.
widened images  For the gradient of weights with one input channel, oneDNN without AVX-512 multiplies matrices, image by
                image. If the matrices are large enough for its threads to share one, they wait for each other at each
                image, which can take longer than the multiplication. Then grayscale images get two channels of zeros,
                since there is a kernel for three.

Names and order of the network's parameters do not change, so parameter files are interchangeable. `benchmarks/NOTES.md`
lists what each step gains.
"""

from __future__ import annotations

import ast
from collections import Counter
import math
from typing import Collection, NamedTuple

from gluon_classics import _runtime
import mxnet as mx

from .graph_builder import Entry, GraphCopy, nodes_of
from .processor import instruction_set

_CHANNELWISE = ("Activation", "Pooling")  # each output channel depends only on the input channel of the same number
_WIDENED = 3  # channels of widened images
_SHARED_PIXELS = 256  # of a map, for each thread: from here on, oneDNN's threads share the work on one image
_WORTH_WIDENING = 1.5e6  # multiply-accumulates per image; with more, the zeros cost more than waiting


def to_widen(graph: mx.sym.Symbol, arrays: dict[str, mx.nd.NDArray], shape: tuple[int, ...]) -> frozenset[int]:
    """Return the numbers of the convolutions that train faster on widened images.

    Args:
        graph: The graph.
        arrays: The value of each float32 parameter, by name.
        shape: The shape of a batch of images. The size of the batch does not matter.
    """
    if instruction_set().has_grayscale_gradient or len(shape) != 4 or shape[1] != 1:
        return frozenset()
    nodes = nodes_of(graph)
    return frozenset(
        number
        for number, node in enumerate(nodes)
        if node["op"] == "Convolution" and _gains_by_widening(node, nodes, arrays, shape[2:])
    )


def _gains_by_widening(convolution, nodes, arrays, sides):
    maps, weight = (nodes[entry[0]] for entry in convolution["inputs"][:2])
    if maps["op"] != "null" or weight["name"] not in arrays or maps["name"] in arrays:
        return False
    attributes = convolution["attrs"]
    kernel, stride, pad, dilate = (
        ast.literal_eval(attributes.get(name, default))
        for name, default in (("kernel", "(1, 1)"), ("stride", "(1, 1)"), ("pad", "(0, 0)"), ("dilate", "(1, 1)"))
    )
    pixels = math.prod(
        (side + 2 * p - d * (k - 1) - 1) // s + 1 for side, k, s, p, d in zip(sides, kernel, stride, pad, dilate)
    )
    threads = int(_runtime.given_threads() or 1)
    macs = pixels * arrays[weight["name"]].size
    return threads > 1 and pixels >= _SHARED_PIXELS * threads and macs <= _WORTH_WIDENING


def rewritten(
    graph: mx.sym.Symbol,
    arrays: dict[str, mx.nd.NDArray],
    for_inference: bool,
    widened: Collection[int] = (),
) -> tuple[mx.sym.Symbol, dict[str, mx.nd.NDArray]]:
    """Return `graph` in operators that are faster on the CPU, with the same inputs and outputs.

    Args:
        graph: A graph that will run in float32.
        arrays: The value of each float32 parameter, by name.
        for_inference: Whether the parameters will not change and no gradients are needed.
        widened: Numbers of convolutions whose images get more channels, from `to_widen`.

    Returns:
        The new graph, and the arrays of its additional parameters by name. There are none unless `for_inference`.
    """
    return _Rewriting(graph, arrays, for_inference, widened).result()


class _Channels(NamedTuple):
    """The number of channels of an entry that was padded: its own, and all. The channels after its own are zeros."""

    own: int
    all: int


class _Rewriting(GraphCopy):
    def __init__(self, graph, arrays, for_inference, widened):
        super().__init__(graph)
        self.arrays = arrays
        self.widened = widened
        self.for_inference = for_inference
        self.constants: dict[str, mx.nd.NDArray] = {}
        self.constant_entries: dict[str, tuple] = {}
        self.deferred = set() if for_inference else _deferred(self.nodes, self.heads)
        self.padded: dict[Entry, _Channels] = {}
        self.paddable = _convolutions_before_a_pool(self.nodes)
        for number, node in enumerate(self.nodes):
            self.copies.append(self._copied(number, node, [self.moved(old) for old in node["inputs"]]))

    def result(self):
        return self.symbol([self._unpadded(self.moved(old)) for old in self.heads]), self.constants

    def _copied(self, number, node, inputs):
        if number in self.deferred and _is_relu(node):
            return inputs[0]
        copy = self._in_faster_operators(number, node, inputs)
        if number not in self.deferred and any(old[0] in self.deferred for old in node["inputs"]):
            return self._channelwise("Activation", f"{node['name']}_rectified", [copy], {"act_type": "relu"})
        return copy

    def _in_faster_operators(self, number, node, inputs):
        attributes = node.get("attrs", {})
        if number in self.widened:
            inputs = [self._widened(inputs[0]), *inputs[1:]]
        if node["op"] == "Convolution" and (number in self.paddable or inputs[0] in self.padded):
            return self._padded_convolution(number, node, inputs)
        if node["op"] in _CHANNELWISE:
            return self._channelwise(node["op"], node["name"], inputs, attributes)
        inputs = [self._unpadded(entry) for entry in inputs]
        if node["op"] == "relu":
            return self._add("Activation", node["name"], inputs, {"act_type": "relu"})
        return self._add(node["op"], node["name"], inputs, attributes, node.get("subgraphs"))

    def _channelwise(self, op, name, inputs, attributes):
        copy = self._add(op, name, inputs, attributes)
        if inputs[0] in self.padded:
            self.padded[copy] = self.padded[inputs[0]]
        return copy

    def _padded_convolution(self, number, node, inputs):
        maps, weight, *bias = inputs
        attributes, array = node["attrs"], self._array(weight)
        if array is None or int(attributes.get("num_group", 1)) > 1:
            return self._add("Convolution", node["name"], [self._unpadded(maps), weight, *bias], attributes)
        shape = array.shape
        own = shape[0]
        if maps in self.padded:
            channels = self.padded[maps].all
            weight = self._with_zeros(weight, shape, 1, channels)
            shape = (own, channels, *shape[2:])
        channels = _rounded_up(own)
        if number not in self.paddable or own == channels:
            return self._add("Convolution", node["name"], [maps, weight, *bias], attributes)
        weight = self._with_zeros(weight, shape, 0, channels)
        bias = [self._with_zeros(entry, (own,), 0, channels) for entry in bias]
        attributes = {**attributes, "num_filter": str(channels)}
        copy = self._add("Convolution", node["name"], [maps, weight, *bias], attributes)
        self.padded[copy] = _Channels(own, channels)
        return copy

    def _with_zeros(self, entry, shape, axis, length):
        """Append zeros to a parameter along `axis`, up to `length`."""
        name = f"{self.name_of(entry)}_padded{axis}"
        missing = list(shape)
        missing[axis] = length - shape[axis]
        if self.for_inference and self._array(entry) is not None:
            return self._constant(name, self._array(entry), missing, axis)
        zeros = self._add("_zeros", f"{name}_zeros", [], {"shape": str(tuple(missing)), "dtype": "float32"})
        return self._add("Concat", name, [entry, zeros], {"dim": str(axis), "num_args": "2"})

    def _widened(self, images):
        """Append channels of zeros to grayscale images."""
        name = f"{self.name_of(images)}_widened"
        zeros = self._add("zeros_like", f"{name}_zeros", [images], {})
        entries = [images, *[zeros] * (_WIDENED - 1)]
        copy = self._add("Concat", name, entries, {"dim": "1", "num_args": str(_WIDENED)})
        self.padded[copy] = _Channels(1, _WIDENED)
        return copy

    def _unpadded(self, entry):
        """Remove the padding from an entry, if it has any."""
        if entry not in self.padded:
            return entry
        attributes = {"axis": "1", "begin": "0", "end": str(self.padded[entry].own)}
        return self._add("slice_axis", f"{self.name_of(entry)}_unpadded", [entry], attributes)

    def _constant(self, name, array, missing, axis):
        if name not in self.constants:
            self.constants[name] = mx.nd.concat(array, mx.nd.zeros(missing, array.context), dim=axis)
            self.constant_entries[name] = self.add({"op": "null", "name": name}, [])
        return self.constant_entries[name]

    def _array(self, entry):
        """Return the value of an entry, or None if it is not a float32 parameter."""
        if not self.is_variable(entry):
            return None
        name = self.name_of(entry)
        return self.constants[name] if name in self.constants else self.arrays.get(name)

    def _add(self, op, name, inputs, attributes, subgraphs=None):
        node = {"op": op, "name": name, "attrs": attributes}
        return self.add({**node, "subgraphs": subgraphs} if subgraphs else node, inputs)


def _deferred(nodes, heads):
    """Return the numbers of the nodes whose ReLU is applied later: ReLUs, and max pools before another max pool."""
    uses = Counter(entry[0] for entry in [*(entry for node in nodes for entry in node["inputs"]), *heads])
    rectified: set[int] = set()
    deferred: set[int] = set()
    for number, node in enumerate(nodes):
        if _is_relu(node):
            rectified.add(number)
        elif _is_max_pool(node):
            before = node["inputs"][0][0]
            if before in rectified and uses[before] == 1:
                deferred.add(before)
                rectified.add(number)
    return deferred


def _is_relu(node):
    return node["op"] == "relu" or (node["op"] == "Activation" and node["attrs"]["act_type"] == "relu")


def _is_max_pool(node):
    return node["op"] == "Pooling" and node["attrs"].get("pool_type", "max") == "max"


def _convolutions_before_a_pool(nodes):
    """Return the numbers of the 2-d convolutions whose output goes to a pool, directly or through activations."""
    found = set()
    for node in nodes:
        if node["op"] == "Pooling":
            number = node["inputs"][0][0]
            while nodes[number]["op"] in ("Activation", "relu"):
                number = nodes[number]["inputs"][0][0]
            if nodes[number]["op"] == "Convolution" and _is_2d(nodes[number]):
                found.add(number)
    return found


def _is_2d(convolution):
    return convolution["attrs"]["kernel"].strip("(,)").count(",") == 1


def _rounded_up(channels):
    block = instruction_set().block
    return -(-channels // block) * block
