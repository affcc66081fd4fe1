"""Mistakes between layers: activations, sums, concatenations, dropout, order, precision."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np

from ..operators import MASKED
from ..replay import replay
from ..replay.formulas import sigmoid
from .variants import Overlay, Variant, scaled_to, to_bfloat16, to_tf32

ACTIVATIONS = {
    "ReLU": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "leaky ReLU with slope 0.01": lambda x: np.where(x > 0, x, 0.01 * x),
    "leaky ReLU with slope 0.1": lambda x: np.where(x > 0, x, 0.1 * x),
    "leaky ReLU with slope 0.2": lambda x: np.where(x > 0, x, 0.2 * x),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "GELU": lambda x: replay.forward(_unary("gelu"), {"x": x}),
    "GELU (tanh approximation)": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "SiLU": lambda x: x * sigmoid(x),
    "softplus": lambda x: np.logaddexp(0, x),
    "hard sigmoid, clip(x / 6 + 1 / 2)": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard sigmoid, clip(0.2 x + 1 / 2)": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "softmax": lambda x: (
        np.exp(x - x.max(axis=1, keepdims=True)) / np.exp(x - x.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
    ),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "scaled tanh, 1.7159 tanh(2x / 3)": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "absolute value": np.abs,
}
_KINDS = (
    "relu",
    "sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "hard_sigmoid",
    "prelu",
)


def _unary(kind):
    return replay.Operation("y", kind, ("x",), {}, {}, ())


def _instead(function):
    return lambda case: function(case.x)


def _afterwards(function):
    return lambda case: function(case.right())


def _missing(case):
    """Return the input instead of the output."""
    return case.x if case.operation.kind not in ("zeros_like", "stop_gradient") else None


def _before_sum(case):
    """Return relu(a) + b, or a + relu(b), of a ReLU after a sum."""
    before = case.producer()
    if before is None or before.kind != "add":
        return None
    a, b = (case.values[name] for name in before.inputs)
    return np.maximum(a, 0) + b


def _activated(position):
    def result(case):
        terms = [case.values[name] for name in case.operation.inputs]
        terms[position] = np.maximum(terms[position], 0)
        return terms[0] + terms[1]

    return result


def _exchanged_with_next(case):
    """Return the output of the next operation, moved before this one: both with the other's input."""
    following = case.consumers()
    if len(following) != 1 or len(following[0].inputs) != 1 or following[0].kind == case.operation.kind:
        return None
    return case.with_input(case.with_input(case.x, replace(following[0], inputs=case.operation.inputs[:1])))


def _exchanged_with_previous(case):
    """Return the output of this operation and the one before it in the opposite order."""
    before = case.producer()
    if before is None or len(before.inputs) != 1 or before.kind == case.operation.kind:
        return None
    first = replay.forward(
        replace(case.operation, inputs=before.inputs), Overlay(case.values, {}), case.training, case.mask
    )
    return replay.forward(before, Overlay(case.values, {before.inputs[0]: first}), case.training)


def _previous_skipped(case):
    """Return the output for the input of the operation before it. If that was not recorded, it is a suspect itself."""
    before = case.producer()
    if before is None or not before.inputs or not case.values.recorded(before.name):
        return None
    return case.with_input(case.values[before.inputs[0]])


def _previous_twice(case):
    """Return the output for an input that went through the activation before it twice."""
    before = case.producer()
    if before is None or before.kind not in ("sigmoid", "tanh", "softmax"):
        return None
    return case.with_input(case.with_input(case.x, replace(before, inputs=case.operation.inputs[:1])))


def _term(position):
    return lambda case: case.values[case.operation.inputs[position]] + np.zeros_like(case.right())


def _of_pair(function):
    return lambda case: function(*(case.values[name] for name in case.operation.inputs))


def _in_order(order):
    def result(case):
        inputs = case.operation.inputs
        if len(inputs) != len(order):
            return None
        return replace(case.operation, inputs=tuple(inputs[position] for position in order))

    return result


def _repeated(source, target):
    def result(case):
        inputs = list(case.operation.inputs)
        if len(inputs) <= max(source, target):
            return None
        inputs[target] = inputs[source]
        return replace(case.operation, inputs=tuple(inputs))

    return result


def _order_name(order):
    if order == tuple(reversed(range(len(order)))):
        return "the inputs are in reverse order"
    return f"the inputs are in the order {', '.join(str(position + 1) for position in order)}"


# --- dropout


def _dropped(divisor):
    """Make the result of a dropout in training mode with another divisor."""

    def result(case):
        if not case.training or case.mask is None:
            return None
        return case.x * case.mask / divisor(case.operation.settings["drop"])

    return result


def _own_mask(case):
    """Return the output for the mask that the port's output shows."""
    if case.found is None or case.found.shape != case.x.shape:
        return None
    kept = case.found != 0
    nonzero = case.x != 0
    if not nonzero.any() or not 0 < kept[nonzero].mean() < 1:
        return None
    if not case.training or not case.operation.settings["shared_axes"]:
        return case.x * kept / (1 - case.operation.settings["drop"])
    axes = tuple(case.operation.settings["shared_axes"])
    whole = kept.any(axis=axes, keepdims=True)
    if (kept == (whole & nonzero)).all():
        return case.x * whole / (1 - case.operation.settings["drop"])
    return None


def _per_element(case):
    """Return the output for a mask without shared axes that the port's output shows."""
    if case.found is None or not case.operation.settings["shared_axes"] or not case.training:
        return None
    return case.x * (case.found != 0) / (1 - case.operation.settings["drop"])


def _evaluated(factor):
    return lambda case: None if case.training else case.x * factor(case.operation.settings["drop"])


_DROPOUT = [
    Variant("it does not drop anything in training mode", MASKED, lambda case: case.x if case.training else None),
    Variant("what it keeps is not divided by the mean of the mask", ("drop_block",), _dropped(lambda drop: 1)),
    Variant(
        "what it keeps is divided by 1 - drop, not by the mean of the mask",
        ("drop_block",),
        _dropped(lambda drop: 1 - drop),
    ),
    Variant("what it keeps is not divided by 1 - drop", ("dropout",), _dropped(lambda drop: 1)),
    Variant(
        "what it keeps is divided by drop: the probabilities are swapped", ("dropout",), _dropped(lambda drop: drop)
    ),
    Variant("it multiplies by 1 - drop in prediction mode", ("dropout",), _evaluated(lambda drop: 1 - drop)),
    Variant("it divides by 1 - drop in prediction mode", ("dropout",), _evaluated(lambda drop: 1 / (1 - drop))),
    Variant("it is active in prediction mode", ("dropout",), lambda case: None if case.training else _own_mask(case)),
    Variant(
        "it draws a new mask: use the mask of the trace",
        ("dropout",),
        lambda case: _own_mask(case) if case.training else None,
    ),
    Variant("it drops single elements, not whole images", ("dropout",), _per_element),
]


# --- every kind


def _rounded_inputs(rounding):
    def result(case):
        names = (*case.operation.inputs, *case.operation.parameters.values())
        rounded = {name: rounding(case.values[name]) for name in names}
        return replay.forward(case.operation, rounded, case.training, case.mask)

    return result


def _to_half(array):
    return array.astype(np.float16).astype(np.float64)


def _scaled(case):
    if case.found is None:
        return None
    right = case.right()
    if right.shape != case.found.shape or right.size < 2:
        return None
    factor = scaled_to(case.found, right)
    return right * factor, f"{factor:.6g}"


def _shifted(case):
    """Return the result plus a constant."""
    if case.found is None:
        return None
    right = case.right()
    if right.shape != case.found.shape or right.size < 3:
        return None
    shift = float((case.found - right).mean())
    return right + shift, f"{shift:.6g}"


def _reversed_channels(case):
    return case.right()[:, ::-1] if case.right().ndim > 1 else None


def _image_axes_swapped(case):
    return case.right().swapaxes(2, 3) if case.right().ndim == 4 else None


_WIRING = [
    *(
        Variant(f"the activation is {name}", _KINDS, _instead(function))
        for name, function in ACTIVATIONS.items()
        if name != "softmax"
    ),
    Variant("the ReLU comes before the sum", ("relu",), _before_sum),
    Variant("a ReLU is applied to the first term", ("add",), _activated(0)),
    Variant("a ReLU is applied to the second term", ("add",), _activated(1)),
    *(
        Variant(f"the {name} term is missing", ("add", "subtract", "sum_of_inputs"), _term(position))
        for name, position in (("second", 0), ("first", 1))
    ),
    Variant("the factor is missing", ("multiply",), _term(0)),
    Variant("the first factor is missing", ("multiply",), _term(1)),
    Variant("it is a product", ("add",), _of_pair(np.multiply)),
    Variant("it is a sum", ("multiply",), _of_pair(np.add)),
    Variant("it is a difference", ("add",), _of_pair(np.subtract)),
    Variant("it is a mean", ("add",), _of_pair(lambda a, b: (a + b) / 2)),
    Variant("the factor is 1 plus the gate", ("multiply",), _of_pair(lambda a, b: a * (1 + b))),
    Variant("the sigmoid of the gate is applied twice", ("multiply",), _of_pair(lambda a, b: a * sigmoid(b))),
    *(
        Variant(_order_name(order), ("concat", "subtract", "divide"), _in_order(order))
        for count in (2, 3, 4)
        for order in permutations(range(count))
        if order != tuple(range(count))
    ),
    *(
        Variant(
            f"input {source + 1} is taken again for input {target + 1}", ("concat", "add"), _repeated(source, target)
        )
        for source, target in permutations(range(4), 2)
    ),
]
_GENERAL = [
    Variant("it is missing", (), _missing),
    *(
        Variant(f"a {name} is applied to the output", (), _afterwards(function))
        for name, function in ACTIVATIONS.items()
        if name in ("ReLU", "ReLU6", "softmax", "sigmoid", "tanh")
    ),
    Variant("it comes after the next operation", (), _exchanged_with_next),
    Variant("it comes before the previous operation", (), _exchanged_with_previous),
    Variant("the operation before it is skipped", (), _previous_skipped),
    Variant("the activation before it is applied twice", (), _previous_twice),
    Variant("its input and weights are rounded to bfloat16", (), _rounded_inputs(to_bfloat16)),
    Variant("its input and weights are rounded to TF32", (), _rounded_inputs(to_tf32)),
    Variant("its input and weights are rounded to half precision", (), _rounded_inputs(_to_half)),
    Variant("its output is rounded to half precision", (), _afterwards(_to_half)),
    Variant("its output is rounded to bfloat16", (), _afterwards(to_bfloat16)),
    Variant("the output channels are in reverse order", (), _reversed_channels),
    Variant("height and width of the output are swapped", (), _image_axes_swapped),
    Variant("the output is multiplied by a constant:", (), _scaled, True),
    Variant("a constant is added to the output:", (), _shifted, True),
]

WIRING_VARIANTS = [*_DROPOUT, *_WIRING, *_GENERAL]
