"""What a network computes, layer by layer, and which layers feed which: read off its graph, no weights are made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
import json

import mxnet as mx
from mxnet.gluon import nn

from .summary import summarize

IMAGE = -1  # stands for the network's input among the inputs of a layer
# what blocks do between their layers, by MXNet's operators
OPERATIONS = {
    "Concat": "Concat",
    "elemwise_add": "Add",
    "broadcast_add": "Add",
    "elemwise_mul": "Multiply",
    "broadcast_mul": "Multiply",
}


@dataclass(frozen=True)
class Layer:
    """A layer, or an operation that a block does between its layers (then `path` is that block's).

    `kind` is the class of the layer, `text` describes it as a summary does. `settings` are the attributes of the MXNet
    operators it consists of, as in "Convolution kernel": "(3, 3)". `inputs` are the numbers of the layers that feed
    it, `IMAGE` for the image. `output_shape` is (C, H, W) or (units,); `params` and `macs` count as in `Summary`.
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
    """A block's forward pass: the nodes of the graph that it was given, and the one that it gave."""

    path: str
    block: nn.Block
    inputs: list[int]
    output: int


def layers(net: nn.Block, input_shape: tuple[int, ...]) -> list[Layer]:
    """The layers of `net` for one image of `input_shape`, (C, H, W); each comes after those that feed it.

    The order is that of the graph, which follows first inputs first, whatever the order of definition. The network has
    one output. Raises InputSizeError if the image is too small.
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
    """The nodes of the graph, their output shapes, the numbers of the image's and the output's node, and the calls."""
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
    """The blocks within `block`, with their paths, down to the layers."""
    for name, child in block._children.items():
        inner = f"{path}.{name}" if path else name
        yield inner, child
        if not _is_leaf(child):
            yield from _blocks(child, inner)


def _is_leaf(block):
    """Whether a block is one layer; a layer may contain its activation."""
    container = isinstance(block, (nn.Sequential, nn.HybridSequential))
    return not container and all(isinstance(child, nn.Activation) for child in block._children.values())


def _within(nodes, call):
    """The numbers of the nodes that compute `call.output` from `call.inputs`."""
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
    """The numbers of the nodes that count as layers, in the order of the graph."""
    needed, waiting = {image}, [output]
    while waiting:
        number = waiting.pop()
        if number not in needed:
            needed.add(number)
            waiting += sources(number)
    return sorted(needed - {image})


def _operation(node):
    """Kind and settings of a node outside of the layers; ReLU has two operators in MXNet."""
    if node["op"] == "relu":
        node = {"op": "Activation", "attrs": {"act_type": "relu"}}
    return OPERATIONS.get(node["op"], node["op"]), _settings([node])


def _settings(nodes):
    """The attributes of the operators among `nodes`; those of a second operator of its name have a number."""
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
