"""A network as the list of its layers in the order of their definition, whatever framework it is of.

Two lists tell how two definitions differ, and where in one network the values of the other belong: by places, never by
names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = ("convolution", "dense", "norm", "max pool", "response norm")
STATISTICS = ("mean", "variance")  # running ones, not trained


@dataclass
class Layer:
    """A layer with what defines it, and its tensors by their roles, as the framework has them.

    `kind` is one of `KINDS`, of which "norm" is that of batches; the roles are weight and bias, or gamma, beta, mean
    and variance. `shapes` has the shapes of the tensors, `at` is the framework's layer.
    """

    kind: str
    settings: dict[str, Any]
    tensors: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    at: Any


def of_kind(layers, kind):
    return [layer for layer in layers if layer.kind == kind]


def pairs(ours, theirs):
    """The n-th layers of each kind of which both lists have the same number."""
    for kind in KINDS:
        mine, its = of_kind(ours, kind), of_kind(theirs, kind)
        if len(mine) == len(its):
            yield from zip(mine, its)


def differences(ours, theirs):
    """How many of the n-th layers of a kind differ in a setting: {(kind, setting, ours, theirs): layers}.

    A kind of which they have not the same number is one entry: {kind: (number of ours, number of theirs)}.
    """
    numbers = {kind: (len(of_kind(ours, kind)), len(of_kind(theirs, kind))) for kind in KINDS}
    settings = Counter(
        (mine.kind, name, value, its.settings[name])
        for mine, its in pairs(ours, theirs)
        for name, value in mine.settings.items()
        if value != its.settings[name]
    )
    return {**settings, **{kind: counts for kind, counts in numbers.items() if len(set(counts)) > 1}}


def count(layers):
    """Trainable parameters: all but the running statistics."""
    shapes = [shape for layer in layers for role, shape in layer.shapes.items() if role not in STATISTICS]
    return sum(int(np.prod(shape)) for shape in shapes)
