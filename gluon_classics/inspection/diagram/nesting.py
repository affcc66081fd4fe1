"""The layers of a network arranged for a picture: boxes one below the other, branches side by side, repeats once."""

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
LISTED = 5  # a box that is repeated lists so many sizes; of more it says the smallest and the largest


@dataclass(frozen=True)
class Box:
    """Layers that are drawn as one: `words` say what they do, `shapes` what comes out of each of the repeats.

    `kind` is one of input, convolution, pool, dense, normalisation, gate, join and other.
    """

    kind: str
    words: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Branches:
    """Sequences side by side, fed by what stands above, feeding what stands below; an empty one is a plain line."""

    sequences: tuple[Sequence, ...]


@dataclass(frozen=True)
class Repeat:
    """A sequence that stands `times` times, one below the other."""

    sequence: Sequence
    times: int


Part = Union[Box, Branches, Repeat]
Sequence = Tuple[Part, ...]


def arrange(layers: list[Layer], input_shape: tuple[int, ...]) -> Sequence:
    """The layers as they are drawn, from the image to the logits.

    What is done to the output of a layer alone (normalisation, activation, dropout) shares its box, and so do the
    layers of a gate, which work on 1x1 maps. Equal neighbours are drawn once; blocks with branches count as equal if
    they differ in numbers of maps and dropout rates alone.
    Raises ClassicsError if branches cross each other.
    """
    boxes, feeds = _boxes(layers, input_shape)
    return _folded(_nested(list(boxes), feeds, boxes))


# --- boxes


def _boxes(layers, input_shape):
    """Boxes by number, and the numbers of the boxes that feed each; the image has the number `IMAGE`."""
    boxes = {IMAGE: Box("input", ("input",), (tuple(input_shape),))}
    feeds: dict[int, tuple[int, ...]] = {IMAGE: ()}
    home = {IMAGE: IMAGE}  # number of the box that a layer is in
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
            feeds[number] = tuple(home[source] for source in layer.inputs)
    return boxes, feeds


def _kind(layer):
    for kind, members in (("join", JOINS), ("pool", {**POOLS, **GLOBAL_POOLS}), ("normalisation", NORMS)):
        if layer.kind in members:
            return kind
    return {"Conv2D": "convolution", "Dense": "dense"}.get(layer.kind, "other")


def _shared_kind(box, layer):
    """The kind of `box` with `layer`, which alone uses its output, as a part of it; None if they are drawn apart."""
    kind, global_pool = _kind(layer), box.words[0] in GLOBAL_POOLS.values()
    if box.kind == "input":
        return None
    if kind == "dense":
        return kind if box.words == ("flatten",) else None
    if kind == "convolution":
        return "gate" if global_pool and layer.output_shape[1:] == (1, 1) else None
    if kind == "normalisation":
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
        if words[0] == f"conv 1{TIMES}1" and side == [1, 1]:  # in a gate the shape is the last one's
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
    """ScaledTanh: scaled tanh."""
    return " ".join(word if word.isupper() else word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|.[^A-Z]*", name))


# --- branches


def _nested(numbers, feeds, boxes):
    """The boxes of these numbers, which are in the order of the graph, as a sequence; other boxes stand above it.

    A box that no line passes by stands in the sequence itself, all between two such boxes is in branches.
    """
    position = {number: place for place, number in enumerate(numbers)}
    lines = [(position.get(source, -1), position[number]) for number in numbers for source in feeds[number]]
    used = {source for source, _ in lines}
    lines += [(place, len(numbers)) for place in range(len(numbers)) if place not in used]
    sequence: list[Part] = []
    start = -1
    for place in range(len(numbers) + 1):
        if any(source < place < target for source, target in lines):
            continue
        between = numbers[start + 1 : place]
        if between:
            below = feeds[numbers[place]] if place < len(numbers) else ()
            sequence.append(_branches(between, below, (start, place) in lines, feeds, boxes))
        if place < len(numbers):
            sequence.append(boxes[numbers[place]])
        start = place
    return tuple(sequence)


def _branches(numbers, below, bypassed, feeds, boxes):
    """The boxes of these numbers in branches, in the order in which `below` names their ends."""
    groups: list[set[int]] = []
    for number in numbers:
        touched = [group for group in groups if group & set(feeds[number])]
        groups = [group for group in groups if group not in touched] + [{number}.union(*touched)]
    if len(groups) == 1 and not bypassed:
        raise ClassicsError("cannot draw this network: its branches cross")
    groups.sort(key=lambda group: min((below.index(end) for end in group if end in below), default=0))
    sequences = [_nested(sorted(group), feeds, boxes) for group in groups]
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
    """How many times the first `length` parts stand there, one time after another; what they join belongs to them."""
    if isinstance(parts[0], Box) and parts[0].kind == "join":
        return 1
    loose = any(isinstance(part, Branches) for part in parts[:length])
    pattern = [_signature(part, loose) for part in parts[:length]]
    times = 1
    while [_signature(part, loose) for part in parts[times * length : (times + 1) * length]] == pattern:
        times += 1
    return times


def _signature(part, loose):
    """What has to be equal in parts that are drawn once; `loose` leaves out numbers of maps and dropout rates."""
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
    """One sequence for sequences of one signature."""
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
    """The shapes of the repeats of a box in one line, as in "64, 128 x 28 x 28"."""
    return f" {TIMES} ".join(map(_sizes, zip(*shapes)))


def _sizes(sizes):
    if len(set(sizes)) == 1:
        return str(sizes[0])
    return ", ".join(map(str, sizes)) if len(sizes) <= LISTED else f"{min(sizes)} to {max(sizes)}"
