"""`gluon-classics diff`: a comparison of two networks as tables or JSON."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby

import gluon_classics
from gluon_classics import _console
from gluon_classics._format import format_shape
from gluon_classics.inspection.diff import Comparison, described


def as_dict(comparison: Comparison) -> dict:
    """Return `comparison` and the facts of both networks as a dictionary for JSON."""
    infos = [gluon_classics.model_info(name) for name in comparison.names]
    return {
        "networks": [{**asdict(info), "gmac": info.gmac} for info in infos],
        "input_shape": comparison.totals[0].input_shape,
        "totals": [{"params": total.params, "macs": total.macs} for total in comparison.totals],
        "equal_layers": not comparison.changes,
        "changes": [asdict(change) for change in comparison.changes],
    }


def show(comparison: Comparison) -> None:
    """Print the facts that differ, the layers that differ, and the departures from the paper that only one has."""
    infos = [gluon_classics.model_info(name) for name in comparison.names]
    facts = [(title, *both) for title, *both in zip(FACTS, *map(_facts, infos)) if both[0] != both[1]]
    if facts:
        _console.table(["", *comparison.names], facts)
    one, other = comparison.totals
    images = format_shape(one.input_shape)
    if comparison.changes:
        counts = (_numbers(one.params, other.params), _numbers(one.macs, other.macs))
        titles = ["layer", *comparison.names, "output", "parameters:", "MAC:"]
        _console.table(titles, _rows(comparison.changes), (f"total, {images} input", "", "", "", *counts))
    else:
        first, second = comparison.names
        _console.echo(f"{first} and {second} are equal{' in every layer' if facts else ''} at {images} input")
    for info, compared in (infos, infos[::-1]):
        for departure in info.departures:
            if departure not in compared.departures:
                _console.echo(f"only {info.name} has this difference from the paper: {departure}")


FACTS = ("input", "classes", "parameters", "GMAC", "source")


def _facts(info):
    params = "" if info.params is None else f"{info.params:,}"
    gmac = "" if info.gmac is None else f"{info.gmac:#.3g}"
    return format_shape(info.input_shape), info.classes, params, gmac, info.source


def _rows(changes):
    """Yield table rows. Equal layers of different sizes share a row, as do repeated blocks of only one network."""
    for (resized, side), group in groupby(changes, key=lambda change: (change.resized, _only_in(change))):
        run = list(group)
        if resized and len(run) > 1:
            yield _shared(run, f"{len(run)} equal layers of different sizes")
            continue
        length = _period(run) if side else len(run)
        if length == len(run):
            yield from map(_row, run)
            continue
        block = "; ".join(described(change)[SIDES.index(side)] for change in run[:length])
        what = f"{len(run) // length} times: {block}"
        yield _shared(run, *((what, "") if side == "first" else ("", what)))


def _only_in(change):
    """Return the side that has the layer if the other side has no counterpart, else None."""
    return None if change.first and change.second else "first" if change.first else "second"


def _period(run):
    """Return the length of the shortest sequence of layers that gives the run when repeated."""
    texts = [described(change) for change in run]
    lengths = range(1, len(run) + 1)
    return next(n for n in lengths if len(run) % n == 0 and texts == texts[:n] * (len(run) // n))


def _shared(run, first, second=""):
    paths = [(change.first or change.second).path for change in (run[0], run[-1])]
    sums = [[sum(_count(change, side, count) for change in run) for side in SIDES] for count in COUNTS]
    return (" to ".join(paths), first, second, "", *(_numbers(*both) for both in sums))


SIDES, COUNTS = ("first", "second"), ("params", "macs")


def _row(change):
    layers = (change.first, change.second)
    there = [layer for layer in layers if layer]
    path = _both(*(layer.path for layer in there))
    output = _both(*(format_shape(layer.output_shape) for layer in there))
    counts = [_numbers(*(_count(change, side, count) for side in SIDES)) for count in COUNTS]
    inputs = ", different inputs" if change.inputs_differ else ""
    return (path, *(text + inputs for text in described(change)), output, *counts)


def _count(change, side, count):
    layer = getattr(change, side)
    return getattr(layer, count) if layer else 0


def _both(one, other=None):
    return one if other in (None, one) else f"{one} -> {other}"


def _numbers(one, other):
    return _both(f"{one:,}", f"{other:,}") if one or other else ""
