"""Compare two networks layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
import functools
from itertools import takewhile

import gluon_classics
from gluon_classics.errors import InputSizeError

from .layer_graph import IMAGE, Layer, layers
from .summary import Summary, summarize

# attributes that the description of a layer shows
SHOWN = {
    *("kernel", "num_filter", "num_group", "stride", "pad", "num_hidden", "pool_type", "act_type", "p"),
    *("pooling_convention", "count_include_pad", "eps", "momentum", "nsize", "alpha", "beta", "knorm"),
}
UNPAIRED = 2.0  # cost of a layer without a counterpart
ELSEWHERE = 0.01  # cost of a counterpart with a different path


@dataclass(frozen=True)
class LayerChange:
    """A layer of the first network and its counterpart in the second.

    Attributes:
        first: The layer of the first network, or None if it has none.
        second: The layer of the second network, or None if it has none.
        settings: The names of the settings that differ.
        inputs_differ: Whether the layers whose outputs they take do not correspond.
    """

    first: Layer | None
    second: Layer | None
    settings: tuple[str, ...]
    inputs_differ: bool

    @property
    def resized(self) -> bool:
        """Whether only the sizes differ, because another layer or the input differs."""
        return not self.settings and not self.inputs_differ and self.first is not None and self.second is not None


@dataclass(frozen=True)
class Comparison:
    """The comparison of two networks.

    Attributes:
        names: The names of the networks.
        totals: The summaries of both networks for the same input shape.
        changes: The layers that differ, in order.
    """

    names: tuple[str, str]
    totals: tuple[Summary, ...]
    changes: list[LayerChange]


def compare(first: str, second: str, input_shape: tuple[int, ...] | None = None) -> Comparison:
    """Compare two networks.

    Args:
        first: The name of a network.
        second: The name of another network.
        input_shape: The shape (C, H, W) of the image (default: the first network's own, or the second network's own
            if the first one's is too small for it).

    Raises:
        InputSizeError: The image is too small.
    """
    nets = [gluon_classics.get_model(name) for name in (first, second)]
    if input_shape is None:
        own = [gluon_classics.model_info(name).input_shape for name in (first, second)]
        try:
            summarize(nets[1], own[0])
            input_shape = own[0]
        except InputSizeError:
            input_shape = own[1]
    totals = tuple(summarize(net, input_shape) for net in nets)
    return Comparison((first, second), totals, differences(*(layers(net, input_shape) for net in nets)))


def differences(first: list[Layer], second: list[Layer]) -> list[LayerChange]:
    """Align two sequences of layers at the lowest cost and return the layers that differ, in order."""
    pairs = _aligned(first, second)
    counterparts = {i: j for i, j in pairs if i is not None and j is not None}
    paired = set(counterparts.values())
    found = []
    for i, j in pairs:
        if i is None or j is None:
            found.append(LayerChange(None if i is None else first[i], None if j is None else second[j], (), False))
            continue
        one, other = first[i], second[j]
        settings = _differing(one, other)
        feeders = [counterparts.get(source, IMAGE) for source in _sources(first, i, counterparts)]
        inputs_differ = feeders != _sources(second, j, paired)
        if settings or inputs_differ or _sizes(one) != _sizes(other):
            found.append(LayerChange(one, other, settings, inputs_differ))
    return found


def _sources(network, number, paired):
    """Return the numbers of the layers that a layer takes its inputs from.

    A layer without a counterpart is replaced by the layers that it takes its own inputs from.
    """
    found: dict[int, None] = {}
    for source in network[number].inputs:
        direct = source == IMAGE or source in paired
        found.update(dict.fromkeys([source] if direct else _sources(network, source, paired)))
    return list(found)


def _sizes(layer):
    return layer.output_shape, layer.params, layer.macs


def _differing(first, second):
    names = dict.fromkeys([*first.settings, *second.settings])
    kind = ("kind",) * (first.kind != second.kind)
    return kind + tuple(name for name in names if first.settings.get(name) != second.settings.get(name))


def _aligned(first, second):
    """Return pairs of layer numbers, None for no counterpart. Equal layers at both ends are always paired."""
    head = _equal_in_front(first, second)
    tail = _equal_in_front(first[head:][::-1], second[head:][::-1])
    ends = (len(first) - tail, len(second) - tail)
    between = _cheapest(first[head : ends[0]], second[head : ends[1]])
    return [
        *((i, i) for i in range(head)),
        *((None if i is None else head + i, None if j is None else head + j) for i, j in between),
        *((ends[0] + i, ends[1] + i) for i in range(tail)),
    ]


def _equal_in_front(first, second):
    pairs = takewhile(lambda pair: pair[0].path == pair[1].path and not _differing(*pair), zip(first, second))
    return sum(1 for _ in pairs)


def _cheapest(first, second):
    """Return pairs of layer numbers, those of the cheapest edit path from `first` to `second`."""
    cost = _costs(first, second)
    table = [[j * UNPAIRED for j in range(len(second) + 1)]]
    for i in range(len(first)):
        row = [(i + 1) * UNPAIRED]
        above = table[-1]
        for j in range(len(second)):
            row.append(min(above[j] + cost(i, j), above[j + 1] + UNPAIRED, row[j] + UNPAIRED))
        table.append(row)
    pairs: list[tuple] = []
    i, j = len(first), len(second)
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + cost(i - 1, j - 1):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif j and table[i][j] == table[i][j - 1] + UNPAIRED:
            j -= 1
            pairs.append((None, j))
        else:
            i -= 1
            pairs.append((i, None))
    return pairs[::-1]


def _costs(first, second):
    """Return a function from two layer numbers to the cost of pairing them.

    Pairing layers of different operators costs more than leaving both unpaired.
    """
    alike: dict[tuple, int] = {}  # layers that differ only in their paths share a key
    keys = [[alike.setdefault((x.kind, *x.settings.items()), len(alike)) for x in each] for each in (first, second)]
    examples = [dict(zip(numbers, each)) for numbers, each in zip(keys, (first, second))]

    @functools.lru_cache(maxsize=None)
    def between(key, other):
        return _cost(examples[0][key], examples[1][other])

    def cost(i, j):
        return between(keys[0][i], keys[1][j]) + ELSEWHERE * (first[i].path != second[j].path)

    return cost


def _cost(one, other):
    if one.kind != other.kind and _operator(one) != _operator(other):
        return 2 * UNPAIRED + 1
    changed = _differing(one, other)
    return 1 + min(len(changed), 9) / 10 if changed else 0


def _operator(layer):
    """Return the first operator of a layer, which is its main one, or its kind if it has no settings."""
    return next(iter(layer.settings), layer.kind).split()[0]


def described(change: LayerChange) -> tuple[str, str]:
    """Return the descriptions of both layers, "" for a missing one.

    If both layers are of the same kind, add the settings that differ but are not in the descriptions.
    """
    told = SHOWN if change.first and change.second and change.first.text != change.second.text else set()
    hidden = [name for name in change.settings if "kind" not in change.settings and name.split()[-1] not in told]

    def words(layer):
        if layer is None:
            return ""
        return " ".join([layer.text, *(f"{name.split()[-1]}={layer.settings.get(name, '-')}" for name in hidden)])

    return words(change.first), words(change.second)
