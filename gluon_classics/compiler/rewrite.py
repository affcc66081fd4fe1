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

Names and order of the network's parameters do not change, so parameter files are interchangeable. `benchmarks/NOTES.md`
lists what each step gains.
"""

from __future__ import annotations

from collections import Counter
import functools
from pathlib import Path

import mxnet as mx

from .graph_builder import GraphCopy

_CHANNELWISE = ("Activation", "Pooling")  # each output channel depends only on the input channel of the same number


def rewritten(
    graph: mx.sym.Symbol, arrays: dict[str, mx.nd.NDArray], for_inference: bool
) -> tuple[mx.sym.Symbol, dict[str, mx.nd.NDArray]]:
    """Return `graph` in operators that are faster on the CPU, with the same inputs and outputs.

    Args:
        graph: A graph that will run in float32.
        arrays: The value of each float32 parameter, by name.
        for_inference: Whether the parameters will not change and no gradients are needed.

    Returns:
        The new graph, and the arrays of its additional parameters by name. There are none unless `for_inference`.
    """
    return _Rewriting(graph, arrays, for_inference).result()


class _Rewriting(GraphCopy):
    def __init__(self, graph, arrays, for_inference):
        super().__init__(graph)
        self.arrays = arrays
        self.for_inference = for_inference
        self.constants: dict[str, mx.nd.NDArray] = {}
        self.constant_entries: dict[str, tuple] = {}
        self.deferred = set() if for_inference else _deferred(self.nodes, self.heads)
        self.own_channels: dict[tuple, int] = {}  # of each padded entry; the channels after these are zeros
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
        if node["op"] == "Convolution" and (number in self.paddable or inputs[0] in self.own_channels):
            return self._padded_convolution(number, node, inputs)
        if node["op"] in _CHANNELWISE:
            return self._channelwise(node["op"], node["name"], inputs, attributes)
        inputs = [self._unpadded(entry) for entry in inputs]
        if node["op"] == "relu":
            return self._add("Activation", node["name"], inputs, {"act_type": "relu"})
        return self._add(node["op"], node["name"], inputs, attributes, node.get("subgraphs"))

    def _channelwise(self, op, name, inputs, attributes):
        copy = self._add(op, name, inputs, attributes)
        if inputs[0] in self.own_channels:
            self.own_channels[copy] = self.own_channels[inputs[0]]
        return copy

    def _padded_convolution(self, number, node, inputs):
        maps, weight, *bias = inputs
        attributes, array = node["attrs"], self._array(weight)
        if array is None or int(attributes.get("num_group", 1)) > 1:
            return self._add("Convolution", node["name"], [self._unpadded(maps), weight, *bias], attributes)
        shape = array.shape
        own = shape[0]
        if maps in self.own_channels:
            weight = self._padded(weight, shape, axis=1)
            shape = (own, _rounded_up(shape[1]), *shape[2:])
        if number not in self.paddable or own == _rounded_up(own):
            return self._add("Convolution", node["name"], [maps, weight, *bias], attributes)
        weight = self._padded(weight, shape, axis=0)
        bias = [self._padded(entry, (own,), axis=0) for entry in bias]
        attributes = {**attributes, "num_filter": str(_rounded_up(own))}
        copy = self._add("Convolution", node["name"], [maps, weight, *bias], attributes)
        self.own_channels[copy] = own
        return copy

    def _padded(self, entry, shape, axis):
        """Append zeros to a parameter along `axis`, up to whole blocks."""
        name = f"{self.name_of(entry)}_padded{axis}"
        missing = list(shape)
        missing[axis] = _rounded_up(shape[axis]) - shape[axis]
        if self.for_inference and self._array(entry) is not None:
            return self._constant(name, self._array(entry), missing, axis)
        zeros = self._add("_zeros", f"{name}_zeros", [], {"shape": str(tuple(missing)), "dtype": "float32"})
        return self._add("Concat", name, [entry, zeros], {"dim": str(axis), "num_args": "2"})

    def _unpadded(self, entry):
        """Remove the padding from an entry, if it has any."""
        if entry not in self.own_channels:
            return entry
        attributes = {"axis": "1", "begin": "0", "end": str(self.own_channels[entry])}
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
    return -(-channels // _block()) * _block()


@functools.lru_cache(maxsize=None)
def _block():
    """Return the number of channels in a block of oneDNN: the float32 numbers in one vector of this processor."""
    try:
        return 16 if " avx512f " in Path("/proc/cpuinfo").read_text() else 8
    except OSError:
        return 8
