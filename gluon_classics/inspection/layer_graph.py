"""The layers of a network and their connections, read from its symbolic graph. No weights are allocated."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
import json

import mxnet as mx
from mxnet.gluon import nn

from .summary import summarize

IMAGE = -1  # the number of the network's input among the inputs of a layer
# the names of operations that blocks do between their layers, by MXNet's operators
OPERATIONS = {
    "Concat": "Concat",
    "elemwise_add": "Add",
    "broadcast_add": "Add",
    "elemwise_mul": "Multiply",
    "broadcast_mul": "Multiply",
}


@dataclass(frozen=True)
class Layer:
    """A layer, or an operation that a block does between its layers.

    Attributes:
        path: The path of the layer in the tree of blocks; for an operation, that of its block.
        kind: The class of the layer, or the name of the operation.
        text: A description, as in `Summary`.
        settings: The attributes of the layer's MXNet operators, such as "Convolution kernel": "(3, 3)".
        inputs: The numbers of the layers whose outputs it takes; `IMAGE` is the network's input.
        output_shape: (C, H, W) or (units,).
        params: The number of trainable parameters.
        macs: The number of multiply-accumulates.
    """

    path: str
    kind: str
    text: str
    settings: dict[str, str]
    inputs: tuple[int, ...]
    output_shape: tuple[int, ...]
    params: int
    macs: int


@dataclass(frozen=True)
class _Call:
    """A block's forward pass: the graph nodes of its inputs and its output."""

    path: str
    block: nn.Block
    inputs: list[int]
    output: int


def layers(net: nn.Block, input_shape: tuple[int, ...]) -> list[Layer]:
    """Return the layers of a network with one output, each one after the layers whose outputs it takes.

    The order is that of the graph, which follows the first input of each node first. It does not depend on the order
    in which blocks are defined.

    Args:
        net: The network, initialized or not.
        input_shape: The shape (C, H, W) of the image.

    Raises:
        InputSizeError: The image is too small.
    """
    counted = {row.path: row for row in summarize(net, input_shape).rows}
    nodes, shapes, image, output, calls = _traced(net, input_shape)
    leaves = {call.output: call for call in calls if _is_leaf(call.block)}
    composites = [(call, _within(nodes, call)) for call in calls if not _is_leaf(call.block)]
    from_image = _depending_on(nodes, image)

    def sources(number):
        given = leaves[number].inputs if number in leaves else [source for source, *_ in nodes[number]["inputs"]]
        return [source for source in given if source in from_image]

    found: list[Layer] = []
    numbers = {image: IMAGE}
    for number in _needed(output, image, sources):
        inputs = tuple(numbers[source] for source in sources(number))
        numbers[number] = len(found)
        if number in leaves:
            call = leaves[number]
            kind, path, row = type(call.block).__name__, call.path, counted.get(call.path)
            settings = _settings(nodes[inner] for inner in sorted(_within(nodes, call)))
        else:
            kind, settings = _operation(nodes[number])
            path = max((call.path for call, within in composites if number in within), key=len, default="")
            row = None
        text = row.layer if row else " ".join([kind, *(settings.values() if kind == "Activation" else ())])
        params, macs = (row.params, row.macs) if row else (0, 0)
        found.append(Layer(path, kind, text, settings, inputs, shapes[number], params, macs))
    return found


def _traced(net, input_shape):
    """Return the nodes of the graph, their output shapes, the numbers of the image and output nodes, and the calls."""
    seen: list[tuple] = []
    handles = [
        block.register_forward_hook(lambda block, given, gave, path=path: seen.append((path, block, given, gave)))
        for path, block in _blocks(net)
    ]
    data = mx.sym.var("data")
    try:
        output = net(data)
    finally:
        for handle in handles:
            handle.detach()
    graph = mx.sym.Group([output, data, *(symbol for _, _, given, gave in seen for symbol in (*given, gave))])
    description = json.loads(graph.tojson())
    heads = iter([head[0] for head in description["heads"]])
    output_number, image = next(heads), next(heads)
    calls = [_Call(path, block, [next(heads) for _ in given], next(heads)) for path, block, given, _ in seen]
    every = graph.get_internals()
    _, found, _ = every.infer_shape(data=(1, *input_shape))
    shapes = {head[0]: shape[1:] for head, shape in zip(json.loads(every.tojson())["heads"], found)}
    return description["nodes"], shapes, image, output_number, calls


def _blocks(block, path=""):
    """Yield the paths and blocks within `block`, down to the layers."""
    for name, child in block._children.items():
        inner = f"{path}.{name}" if path else name
        yield inner, child
        if not _is_leaf(child):
            yield from _blocks(child, inner)


def _is_leaf(block):
    """Return whether a block is a single layer; a layer may contain its activation."""
    container = isinstance(block, (nn.Sequential, nn.HybridSequential))
    return not container and all(isinstance(child, nn.Activation) for child in block._children.values())


def _within(nodes, call):
    """Return the numbers of the nodes that compute `call.output` from `call.inputs`."""
    within, waiting = set(), [call.output]
    while waiting:
        number = waiting.pop()
        if number not in within and number not in call.inputs:
            within.add(number)
            waiting += [source for source, *_ in nodes[number]["inputs"]]
    return within


def _depending_on(nodes, image):
    found = {image}
    for number, node in enumerate(nodes):
        if any(source in found for source, *_ in node["inputs"]):
            found.add(number)
    return found


def _needed(output, image, sources):
    """Return the numbers of the nodes that count as layers, in the order of the graph."""
    needed, waiting = {image}, [output]
    while waiting:
        number = waiting.pop()
        if number not in needed:
            needed.add(number)
            waiting += sources(number)
    return sorted(needed - {image})


def _operation(node):
    """Return the kind and the settings of a node outside of the layers. MXNet has two operators for ReLU."""
    if node["op"] == "relu":
        node = {"op": "Activation", "attrs": {"act_type": "relu"}}
    return OPERATIONS.get(node["op"], node["op"]), _settings([node])


def _settings(nodes):
    """Return the attributes of the operators among `nodes`. Names of repeated operators have a number."""
    settings = {}
    counts: Counter[str] = Counter()
    for node in nodes:
        operator = node["op"]
        if operator == "null":
            continue
        counts[operator] += 1
        label = operator if counts[operator] == 1 else f"{operator} {counts[operator]}"
        settings.update({f"{label} {name}": value for name, value in node.get("attrs", {}).items()})
    return settings
