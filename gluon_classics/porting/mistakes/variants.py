"""The usual mistakes of ports as variants: named alternative results, from the same inputs as the right one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, NamedTuple

import numpy as np

from ..graph import Graph, Operation
from ..replay import replay


class Variant(NamedTuple):
    """A mistake.

    Attributes:
        name: What is wrong, as a sentence without its full stop.
        kinds: Kinds of operations, or roles of parameters, to which it applies; empty for all.
        result: Function that returns the result of the mistake, or None if the mistake is not possible here. For an
            operation it may return the `Operation` that the port computes instead. A tuple has details as its second
            item, a text that follows the name.
        is_fitted: Whether it takes a number from the port's own result, so that a fit says less.
    """

    name: str
    kinds: tuple
    result: Callable[[Any], Any]
    is_fitted: bool = False


class Case(NamedTuple):
    """An operation whose output in a port is not the defined one.

    Attributes:
        operation: The operation.
        values: Values of the port by name.
        training: Whether the mode is training.
        mask: The keep mask of a dropout.
        graph: The network.
        found: The port's output, if it recorded that of this operation.
    """

    operation: Operation
    values: Any
    training: bool
    mask: Any
    graph: Graph
    found: Any = None

    @property
    def x(self) -> np.ndarray:
        """The first input."""
        return self.values[self.operation.inputs[0]]

    def parameter(self, role):
        """Return the parameter of this role, or None."""
        name = self.operation.parameters.get(role)
        return None if name is None else self.values[name]

    def right(self) -> np.ndarray:
        """Return the defined output."""
        return replay.forward(self.operation, self.values, self.training, self.mask)

    def with_settings(self, **settings) -> Operation:
        """Return the operation with other settings."""
        return replace(self.operation, settings={**self.operation.settings, **settings})

    def with_parameters(self, **arrays) -> np.ndarray:
        """Return the output with other parameters, by role."""
        named = {self.operation.parameters[role]: array for role, array in arrays.items()}
        return replay.forward(self.operation, Overlay(self.values, named), self.training, self.mask)

    def with_input(self, x, operation: Operation | None = None) -> np.ndarray:
        """Return the output of the operation, or of another one, for another first input."""
        operation = operation or self.operation
        named = {operation.inputs[0]: x}
        return replay.forward(operation, Overlay(self.values, named), self.training, self.mask)

    def producer(self, position: int = 0) -> Operation | None:
        """Return the operation whose output is this input, or None if it is an input of the network."""
        name = self.operation.inputs[position]
        return next((row for row in self.graph.operations if row.name == name), None)

    def consumers(self) -> list:
        """Return the operations that take the output."""
        return [row for row in self.graph.operations if self.operation.name in row.inputs]


def other_settings(name, kinds, **settings):
    """Make the variant of other settings; it is impossible where they are the right ones."""

    def result(case):
        own = case.operation.settings
        values = {key: value(own, case) if callable(value) else value for key, value in settings.items()}
        if any(value is None for value in values.values()) or all(own.get(key) == v for key, v in values.items()):
            return None
        return case.with_settings(**values)

    return Variant(name, kinds, result)


class Overlay:
    """Values by name, some of them replaced.

    Args:
        values: Values by name.
        replaced: Values that come first.
    """

    def __init__(self, values, replaced):
        self.values, self.replaced = values, replaced

    def __getitem__(self, name):
        return self.replaced[name] if name in self.replaced else self.values[name]


def fitting(variants, kind: str) -> list:
    """Return the variants that apply to a kind or role."""
    return [variant for variant in variants if not variant.kinds or kind in variant.kinds]


def relative_error(found, expected) -> float:
    """Return the L2 norm of the difference relative to that of `expected`; inf if the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    difference = float(np.linalg.norm((found - expected).ravel()))
    norm = float(np.linalg.norm(np.ravel(expected)))
    return difference / norm if norm else difference


def scaled_to(found, expected) -> float:
    """Return the factor by which `expected` comes nearest to `found`."""
    square = float(np.vdot(expected, expected))
    return float(np.vdot(expected, found)) / square if square else 1.0


def to_bfloat16(array) -> np.ndarray:
    """Return the array rounded to bfloat16."""
    return _without_bits(array, 16)


def to_tf32(array) -> np.ndarray:
    """Return the array rounded to TF32, the 19-bit format of NVIDIA's matrix units."""
    return _without_bits(array, 13)


def _without_bits(array, bits):
    whole = np.ascontiguousarray(array, np.float32).view(np.uint32)
    half = np.uint32((1 << (bits - 1)) - 1) + ((whole >> np.uint32(bits)) & np.uint32(1))
    kept = (whole + half) >> np.uint32(bits) << np.uint32(bits)
    return kept.view(np.float32).astype(np.float64).reshape(np.shape(array))
