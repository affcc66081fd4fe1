"""Represent a network of any framework as the list of its layers, in the order of their definition.

Layers of two networks are matched by position, not by name, to compare the definitions and to copy values.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = ("convolution", "dense", "norm", "max pool", "response norm")
STATISTICS = ("mean", "variance")  # running statistics, not trained


@dataclass
class Layer:
    """A layer of a network.

    Attributes:
        kind: One of `KINDS`; "norm" is batch normalization.
        settings: What defines the layer, such as its channels and its stride.
        tensors: The framework's tensors by role: weight and bias, or gamma, beta, mean and variance.
        shapes: Shapes of the tensors by role.
        at: The framework's layer.
    """

    kind: str
    settings: dict[str, Any]
    tensors: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    at: Any


def of_kind(layers, kind):
    return [layer for layer in layers if layer.kind == kind]


def pairs(ours, theirs):
    """Yield the corresponding layers of each kind, if both lists have equally many of that kind."""
    for kind in KINDS:
        mine, its = of_kind(ours, kind), of_kind(theirs, kind)
        if len(mine) == len(its):
            yield from zip(mine, its)


def differences(ours, theirs):
    """Return the differences between two lists of layers.

    Corresponding layers are counted by the setting that differs: {(kind, setting, ours, theirs): number of layers}.
    A kind whose numbers of layers differ is one entry: {kind: (number of ours, number of theirs)}.
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
    """Return the number of trainable parameters: all except the running statistics."""
    shapes = [shape for layer in layers for role, shape in layer.shapes.items() if role not in STATISTICS]
    return sum(int(np.prod(shape)) for shape in shapes)
