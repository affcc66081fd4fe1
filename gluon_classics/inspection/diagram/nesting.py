"""Arrange the layers of a network for a picture: boxes in sequences, branches side by side, repeats drawn once."""

from __future__ import annotations

from dataclasses import dataclass
import re
from typing import Tuple, Union

from gluon_classics.errors import ClassicsError

from ..layer_graph import IMAGE, Layer

JOINS = {"Add": "add", "Multiply": "multiply", "Concat": "concatenate"}
POOLS = {"MaxPool2D": "max pool", "AvgPool2D": "average pool"}
GLOBAL_POOLS = {"GlobalMaxPool2D": "global max pool", "GlobalAvgPool2D": "global average pool"}
NORMS = {"BatchNorm": "BN", "ScratchBatchNorm": "BN", "LocalResponseNorm": "LRN"}
ACTIVATIONS = {"relu": "ReLU"}
TIMES = "\N{MULTIPLICATION SIGN}"
LISTED = 5  # a repeated box lists up to this many sizes, else only the smallest and the largest


@dataclass(frozen=True)
class Box:
    """Layers that are drawn as one box.

    Attributes:
        kind: input, convolution, pool, dense, normalization, gate, join or other.
        words: What the layers do, in order.
        shapes: The output shape of each repeat of the box.
    """

    kind: str
    words: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Branches:
    """Sequences side by side, between the part above and the part below. An empty sequence is a plain line."""

    sequences: tuple[Sequence, ...]


@dataclass(frozen=True)
class Repeat:
    """A sequence that occurs `times` times in a row."""

    sequence: Sequence
    times: int


Part = Union[Box, Branches, Repeat]
Sequence = Tuple[Part, ...]


def arrange(layers: list[Layer], input_shape: tuple[int, ...]) -> Sequence:
    """Arrange layers as they are drawn, from the image to the logits.

    Normalization, activation and dropout share the box of the layer before them. The layers of a gate, which work on
    1x1 feature maps, share one box. Equal neighbors are drawn once. Blocks with branches count as equal if they
    differ only in numbers of channels and dropout rates.

    Args:
        layers: The layers, as from `layer_graph.layers`.
        input_shape: The shape (C, H, W) of the image.

    Raises:
        ClassicsError: Branches cross each other.
    """
    boxes, inputs = _boxes(layers, input_shape)
    return _folded(_nested(list(boxes), inputs, boxes))


# --- boxes


def _boxes(layers, input_shape):
    """Return the boxes by number, and for each box the numbers of the boxes above it. The image is number `IMAGE`."""
    boxes = {IMAGE: Box("input", ("input",), (tuple(input_shape),))}
    inputs: dict[int, tuple[int, ...]] = {IMAGE: ()}
    home = {IMAGE: IMAGE}  # the number of the box that contains a layer
    consumers = [source for layer in layers for source in layer.inputs]
    for number, layer in enumerate(layers):
        source = layer.inputs[0]
        box = boxes[home[source]]
        kind = _shared_kind(box, layer) if consumers.count(source) == 1 else None
        if kind:
            home[number] = home[source]
            boxes[home[number]] = Box(kind, box.words + _words(layer), (layer.output_shape,))
        else:
            home[number] = number
            boxes[number] = Box(_kind(layer), _words(layer), (layer.output_shape,))
            inputs[number] = tuple(home[source] for source in layer.inputs)
    return boxes, inputs


def _kind(layer):
    for kind, members in (("join", JOINS), ("pool", {**POOLS, **GLOBAL_POOLS}), ("normalization", NORMS)):
        if layer.kind in members:
            return kind
    return {"Conv2D": "convolution", "Dense": "dense"}.get(layer.kind, "other")


def _shared_kind(box, layer):
    """Return the kind of `box` with `layer` added, or None if they are drawn separately.

    `layer` must be the only one that uses the output of `box`.
    """
    kind, global_pool = _kind(layer), box.words[0] in GLOBAL_POOLS.values()
    if box.kind == "input":
        return None
    if kind == "dense":
        return kind if box.words == ("flatten",) else None
    if kind == "convolution":
        return "gate" if global_pool and layer.output_shape[1:] == (1, 1) else None
    if kind == "normalization":
        return box.kind if box.kind in ("convolution", "dense", "pool") else None
    elementwise = kind == "other" and not layer.params and (layer.output_shape,) == box.shapes
    return box.kind if elementwise or (layer.kind == "Flatten" and global_pool) else None


def _words(layer):
    setting = layer.settings.get
    words = []
    if layer.kind == "Conv2D":
        groups, (channels, *side) = int(setting("Convolution num_group")), layer.output_shape
        words = [("depthwise " if groups == channels > 1 else "conv ") + _window(setting, "Convolution")]
        if 1 < groups < channels:
            words.append(f"{groups} groups")
        if words[0] == f"conv 1{TIMES}1" and side == [1, 1]:  # the box of a gate shows only the last shape
            words[0] += f" to {channels}"
    elif layer.kind in POOLS:
        words = [f"{POOLS[layer.kind]} {_window(setting, 'Pooling')}"]
    elif layer.kind == "Dropout":
        words = [f"dropout {float(setting('Dropout p')):g}"]
    elif layer.kind != "Activation":
        words = [{**JOINS, **GLOBAL_POOLS, **NORMS}.get(layer.kind) or _spaced(layer.kind)]
    if layer.kind in ("Conv2D", "Dense", "Activation") and setting("Activation act_type"):
        words.append(ACTIVATIONS.get(setting("Activation act_type"), setting("Activation act_type")))
    return tuple(words)


def _window(setting, operator):
    kernel, stride = (re.findall(r"\d+", setting(f"{operator} {name}")) for name in ("kernel", "stride"))
    return TIMES.join(kernel) + (f" /{stride[0]}" if max(map(int, stride)) > 1 else "")


def _spaced(name):
    """Split a class name into words: "scaled tanh" from "ScaledTanh"."""
    return " ".join(word if word.isupper() else word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|.[^A-Z]*", name))


# --- branches


def _nested(numbers, inputs, boxes):
    """Return the boxes with these numbers, given in the order of the graph, as a sequence.

    A box that no line passes by is a part of the sequence. The boxes between two such boxes become branches.
    """
    position = {number: place for place, number in enumerate(numbers)}
    lines = [(position.get(source, -1), position[number]) for number in numbers for source in inputs[number]]
    used = {source for source, _ in lines}
    lines += [(place, len(numbers)) for place in range(len(numbers)) if place not in used]
    sequence: list[Part] = []
    start = -1
    for place in range(len(numbers) + 1):
        if any(source < place < target for source, target in lines):
            continue
        between = numbers[start + 1 : place]
        if between:
            below = inputs[numbers[place]] if place < len(numbers) else ()
            sequence.append(_branches(between, below, (start, place) in lines, inputs, boxes))
        if place < len(numbers):
            sequence.append(boxes[numbers[place]])
        start = place
    return tuple(sequence)


def _branches(numbers, below, bypassed, inputs, boxes):
    """Return the boxes with these numbers as branches, in the order of their ends in `below`."""
    groups: list[set[int]] = []
    for number in numbers:
        touched = [group for group in groups if group & set(inputs[number])]
        groups = [group for group in groups if group not in touched] + [{number}.union(*touched)]
    if len(groups) == 1 and not bypassed:
        raise ClassicsError("cannot draw this network: its branches cross")
    groups.sort(key=lambda group: min((below.index(end) for end in group if end in below), default=0))
    sequences = [_nested(sorted(group), inputs, boxes) for group in groups]
    return Branches((*sequences, *([()] if bypassed else [])))


# --- repeats


def _folded(sequence):
    parts = [Branches(tuple(map(_folded, part.sequences))) if isinstance(part, Branches) else part for part in sequence]
    found: list[Part] = []
    while parts:
        length, times = max(
            ((length, _repeats(parts, length)) for length in range(1, len(parts) // 2 + 1)),
            key=lambda repeat: (repeat[0] * repeat[1] * (repeat[1] > 1), -repeat[0]),
            default=(1, 1),
        )
        if times > 1:
            found.append(Repeat(_merged([parts[i * length : (i + 1) * length] for i in range(times)]), times))
        else:
            length = 1
            found.append(parts[0])
        parts = parts[length * times :]
    return tuple(found)


def _repeats(parts, length):
    """Return how many times in a row the first `length` parts occur. A repeat never starts with a join."""
    if isinstance(parts[0], Box) and parts[0].kind == "join":
        return 1
    loose = any(isinstance(part, Branches) for part in parts[:length])
    pattern = [_signature(part, loose) for part in parts[:length]]
    times = 1
    while [_signature(part, loose) for part in parts[times * length : (times + 1) * length]] == pattern:
        times += 1
    return times


def _signature(part, loose):
    """Return what must be equal in parts that are drawn once. `loose` ignores numbers of channels and dropout rates."""
    if isinstance(part, Branches):
        return [[_signature(inner, loose) for inner in sequence] for sequence in part.sequences]
    if isinstance(part, Repeat):
        return part.times, [_signature(inner, loose) for inner in part.sequence]
    if not loose:
        return part
    return part.kind, [_without_rate(word) for word in part.words], [shape[1:] for shape in part.shapes]


def _without_rate(word):
    return "dropout" if word.startswith("dropout ") else word


def _merged(repeats):
    """Merge sequences with equal signatures into one sequence."""
    return tuple(map(_merged_part, zip(*repeats)))


def _merged_part(parts):
    first = parts[0]
    if isinstance(first, Branches):
        return Branches(tuple(_merged(sequences) for sequences in zip(*(part.sequences for part in parts))))
    if isinstance(first, Repeat):
        return Repeat(_merged([part.sequence for part in parts]), first.times)
    words = [one if one == last else f"{one} to {last.split()[-1]}" for one, last in zip(first.words, parts[-1].words)]
    return Box(first.kind, tuple(words), tuple(shape for part in parts for shape in part.shapes))


def shape_text(shapes: tuple[tuple[int, ...], ...]) -> str:
    """Return the shapes of the repeats of a box in one line, such as "64, 128 x 28 x 28"."""
    return f" {TIMES} ".join(map(_sizes, zip(*shapes)))


def _sizes(sizes):
    if len(set(sizes)) == 1:
        return str(sizes[0])
    return ", ".join(map(str, sizes)) if len(sizes) <= LISTED else f"{min(sizes)} to {max(sizes)}"
