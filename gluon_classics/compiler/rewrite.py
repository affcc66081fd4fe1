"""The same function in faster operators: a network's graph, rewritten before it is compiled for the CPU.

MXNet's convolutions, pools and activations run in oneDNN, which keeps maps in blocks of channels.

relu      The operator `relu` is MXNet's own: maps leave their blocks for it and come back. `Activation` computes the
          same bits inside of them, except that it makes 0 of a nan, as the layers with activation="relu" always do.
sinking   ReLU and the largest of a window can change places, ReLU and joining maps too: the same bits, and the same
          gradients. After a pool there is a quarter of the numbers left to rectify; after a joint there is one
          operator in place of many, whose gradients stay in blocks. Predictions need none of it: there ReLU is a part
          of the convolution.
widening  Pooling and ReLU of maps whose number is not a multiple of a block fall back to slow code: it is most of the
          time of LeNet with its 20 and 50 maps. Convolutions that feed a pool get maps of zeros up to the next block,
          from zeros joined to their parameters within the graph, and the next layer drops them again. Parameters and
          their gradients stay as they are; sums are the same, but for their order.

Names and order of the parameters, and so files, do not change. Speed: `benchmarks/NOTES.md`.
"""

from __future__ import annotations

import functools
from pathlib import Path

import mxnet as mx

from .graph_builder import GraphCopy

_CHANNELWISE = ("Activation", "Pooling")  # each output map depends on the input map of the same number alone


def rewritten(graph: mx.sym.Symbol, shapes: dict[str, tuple[int, ...]], widen: bool, sink: bool) -> mx.sym.Symbol:
    """`graph` in float32, with the same inputs, parameters and outputs, in operators that are faster on the CPU.

    `shapes` has the shape of each float32 parameter by its name; `widen` also fills up channels to whole blocks,
    `sink` moves ReLU behind pools and joints.
    """
    return _Rewriting(graph, shapes, widen, sink).result()


class _Rewriting(GraphCopy):
    def __init__(self, graph, shapes, widen, sink):
        super().__init__(graph)
        self.shapes = shapes
        self.sunk = _sunk(self.nodes, self.heads) if sink else set()
        self.own_channels: dict[tuple, int] = {}  # of the widened entries: all maps after these are zeros
        self.widenable = _convolutions_before_a_pool(self.nodes) if widen else set()
        for number, node in enumerate(self.nodes):
            self.copies.append(self._copied(number, node, [self.moved(old) for old in node["inputs"]]))

    def result(self):
        return self.symbol([self._narrowed(self.moved(old)) for old in self.heads])

    def _copied(self, number, node, inputs):
        if number in self.sunk and _is_relu(node):
            return inputs[0]
        copy = self._in_faster_operators(number, node, inputs)
        if number not in self.sunk and any(old[0] in self.sunk for old in node["inputs"]):
            return self._channelwise("Activation", f"{node['name']}_rectified", [copy], {"act_type": "relu"})
        return copy

    def _in_faster_operators(self, number, node, inputs):
        attributes = node.get("attrs", {})
        if node["op"] == "Convolution" and (number in self.widenable or inputs[0] in self.own_channels):
            return self._widened_convolution(number, node, inputs)
        if node["op"] in _CHANNELWISE:
            return self._channelwise(node["op"], node["name"], inputs, attributes)
        inputs = [self._narrowed(entry) for entry in inputs]
        if node["op"] == "relu":
            return self._add("Activation", node["name"], inputs, {"act_type": "relu"})
        return self._add(node["op"], node["name"], inputs, attributes, node.get("subgraphs"))

    def _channelwise(self, op, name, inputs, attributes):
        copy = self._add(op, name, inputs, attributes)
        if inputs[0] in self.own_channels:
            self.own_channels[copy] = self.own_channels[inputs[0]]
        return copy

    def _widened_convolution(self, number, node, inputs):
        maps, weight, *bias = inputs
        attributes, shape = node["attrs"], self._shape(weight)
        if shape is None or int(attributes.get("num_group", 1)) > 1:
            return self._add("Convolution", node["name"], [self._narrowed(maps), weight, *bias], attributes)
        if maps in self.own_channels:
            weight = self._filled_up(weight, shape, axis=1)
        own = shape[0]
        if number not in self.widenable or own == _whole_blocks(own):
            return self._add("Convolution", node["name"], [maps, weight, *bias], attributes)
        if maps in self.own_channels:
            shape = (own, _whole_blocks(shape[1]), *shape[2:])
        weight = self._filled_up(weight, shape, axis=0)
        bias = [self._filled_up(entry, (own,), axis=0) for entry in bias]
        attributes = {**attributes, "num_filter": str(_whole_blocks(own))}
        copy = self._add("Convolution", node["name"], [maps, weight, *bias], attributes)
        self.own_channels[copy] = own
        return copy

    def _filled_up(self, entry, shape, axis):
        """A parameter with zeros after its end on `axis`, up to whole blocks."""
        name = f"{self.name_of(entry)}_widened{axis}"
        missing = list(shape)
        missing[axis] = _whole_blocks(shape[axis]) - shape[axis]
        zeros = self._add("_zeros", f"{name}_zeros", [], {"shape": str(tuple(missing)), "dtype": "float32"})
        return self._add("Concat", name, [entry, zeros], {"dim": str(axis), "num_args": "2"})

    def _narrowed(self, entry):
        """The entry without maps that were added to it."""
        if entry not in self.own_channels:
            return entry
        attributes = {"axis": "1", "begin": "0", "end": str(self.own_channels[entry])}
        return self._add("slice_axis", f"{self.name_of(entry)}_narrowed", [entry], attributes)

    def _shape(self, entry):
        return self.shapes.get(self.name_of(entry)) if self.is_variable(entry) else None

    def _add(self, op, name, inputs, attributes, subgraphs=None):
        node = {"op": op, "name": name, "attrs": attributes}
        return self.add({**node, "subgraphs": subgraphs} if subgraphs else node, inputs)


def _sunk(nodes, heads):
    """Numbers of the nodes whose ReLU is taken later: ReLUs, and the pools and joints that they have sunk through."""
    users: list[list] = [[] for _ in nodes]
    for number, node in enumerate(nodes):
        for entry in node["inputs"]:
            users[entry[0]].append(number)
    for entry in heads:
        users[entry[0]].append(None)
    rectified: set[int] = set()
    for number, node in enumerate(nodes):
        inputs = [entry[0] for entry in node["inputs"]]
        commutes = _is_max_pool(node) or node["op"] == "Concat"
        if _is_relu(node) or (commutes and all(i in rectified and len(users[i]) == 1 for i in inputs)):
            rectified.add(number)
    through = {number for number in rectified if not _is_relu(nodes[number])}
    return {number for number in rectified if len(users[number]) == 1 and users[number][0] in through}


def _is_relu(node):
    return node["op"] == "relu" or (node["op"] == "Activation" and node["attrs"]["act_type"] == "relu")


def _is_max_pool(node):
    return node["op"] == "Pooling" and node["attrs"].get("pool_type", "max") == "max"


def _convolutions_before_a_pool(nodes):
    """Numbers of the 2-d convolutions whose output goes to a pool, straight or through activations."""
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


def _whole_blocks(channels):
    return -(-channels // _block()) * _block()


@functools.lru_cache(maxsize=None)
def _block():
    """Channels in one of oneDNN's blocks: float32 numbers in a vector of this processor."""
    try:
        return 16 if " avx512f " in Path("/proc/cpuinfo").read_text() else 8
    except OSError:
        return 8
