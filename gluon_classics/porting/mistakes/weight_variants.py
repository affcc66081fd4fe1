"""Mistakes in copied values: parameters, inputs, labels and masks."""

from __future__ import annotations

from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ..flattening import channels_last_order, moved_shape
from ..graph import Graph, Operation, Parameter
from .operation_variants import flipped
from .variants import Variant, relative_error, scaled_to, to_bfloat16

_KERNEL_AXES = ("out", "in", "height", "width")
_DEFAULTS = {"bias": 0.0, "beta": 0.0, "running_mean": 0.0, "gamma": 1.0, "running_var": 1.0}


class Copied(NamedTuple):
    """A parameter whose value in a port is not that of the trace.

    Attributes:
        parameter: The parameter, or None for an input, label or mask.
        reference: Its value in the trace.
        found: Its value in the port.
        others: Values of all parameters in the trace by name.
        graph: The network.
    """

    parameter: Parameter | None
    reference: np.ndarray
    found: np.ndarray
    others: Any
    graph: Graph | None

    def operation(self) -> Operation | None:
        """Return the operation whose parameter it is."""
        if self.graph is None or self.parameter is None:
            return None
        return next((row for row in self.graph.operations if self.parameter.name in row.parameters.values()), None)


def _changed(function, dimensions=None):
    """Make the result of a function of the reference, for parameters of this many axes."""
    return lambda case: function(case.reference) if dimensions in (None, case.reference.ndim) else None


def _square_swap(first, second):
    def result(case):
        shape = case.reference.shape
        if len(shape) <= max(first, second) or shape[first] != shape[second] or shape[first] == 1:
            return None
        return case.reference.swapaxes(first, second)

    return result


def _reshaped(order, back):
    """Make the result of reshaping where the axes must be transposed, in either direction."""

    def result(case):
        array = case.reference
        if array.ndim != len(order) or array.size in array.shape:
            return None
        if back:
            return array.reshape([array.shape[axis] for axis in order]).transpose(np.argsort(order))
        return array.transpose(order).reshape(array.shape)

    return result


def _order_name(order):
    return ", ".join(_KERNEL_AXES[axis] for axis in order)


def _flatten_order(back):
    """Make the weights of a dense layer for an input that was flattened in the order height, width, channel."""

    def result(case):
        row = case.operation()
        shape = moved_shape(case.graph, row) if row else None
        if case.parameter.role != "weight" or not shape:
            return None
        order = channels_last_order(shape)
        return case.reference[:, np.argsort(order) if back else order]

    return result


def _sibling(role):
    """Make the result of loading another parameter of the same layer."""

    def result(case):
        row = case.operation()
        name = row.parameters.get(role) if row else None
        return None if name in (None, case.parameter.name) else case.others[name]

    return result


def _other_layer(case):
    same = [row.name for row in case.graph.parameters if row.shape == case.reference.shape]
    for name in same:
        if name != case.parameter.name and relative_error(case.found, case.others[name]) < 1e-6:
            return case.others[name], name
    return None


def _default(case):
    value = _DEFAULTS.get(case.parameter.role)
    return None if value is None else (np.full(case.reference.shape, value), f"all {value:g}")


def _fixed(case):
    """Return the port's own gamma where the definition ignores it."""
    row = case.operation()
    is_fixed = row is not None and row.settings.get("fixed_gamma") and case.reference.shape == case.found.shape
    return case.found if is_fixed else None


def _constant(value):
    return lambda case: np.full(case.reference.shape, value)


def _rows_in_other_order(axis):
    """Make the result of exchanging channels along an axis."""

    def result(case):
        if case.reference.ndim <= axis or case.reference.shape[axis] < 2 or case.found.shape != case.reference.shape:
            return None
        rows, found = (
            np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1) for array in (case.reference, case.found)
        )
        if rows.shape[0] > 4096 or rows.shape[1] < 2:
            return None
        distances = (rows**2).sum(axis=1)[None] - 2 * found @ rows.T
        order = distances.argmin(axis=1)
        return np.take(case.reference, order, axis=axis) if len(set(order)) == len(order) else None

    return result


def _folded(case):
    """Return weights or a bias into which the following batch normalization is folded."""
    row = case.operation()
    after = [other for other in case.graph.operations if row and row.name in other.inputs]
    if not after or after[0].kind != "batch_norm" or case.parameter.role not in ("weight", "bias"):
        return None
    gamma, beta, mean, variance = (
        case.others[after[0].parameters[role]] for role in ("gamma", "beta", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(variance + after[0].settings["eps"])
    if case.parameter.role == "bias":
        return (case.reference - mean) * factor + beta
    return case.reference * factor.reshape(-1, *[1] * (case.reference.ndim - 1))


def _fresh(case):
    """Return the port's own values if they look freshly drawn: without correlation, and uniform or normal."""
    found, reference = case.found.ravel(), case.reference.ravel()
    if found.size < 64 or found.shape != reference.shape or not found.std():
        return None
    if abs(np.corrcoef(found, reference)[0, 1]) > 5 / np.sqrt(found.size):
        return None
    deviation = found.std()
    if abs(found.mean()) > 5 * deviation / np.sqrt(found.size):
        return None
    fan_in = int(np.prod(case.reference.shape[1:]))
    fan_out = case.reference.size // case.reference.shape[1] if case.reference.ndim > 1 else 1
    kurtosis = float(np.mean((found / deviation) ** 4))
    scales = {
        "PyTorch's default, uniform within 1 / sqrt(fan-in)": (1 / np.sqrt(3 * fan_in), 1.8),
        "He, normal": (np.sqrt(2 / fan_in), 3.0),
        "He, uniform": (np.sqrt(2 / fan_in), 1.8),
        "LeCun, truncated normal": (np.sqrt(1 / fan_in), 2.4),
        "Glorot, uniform": (np.sqrt(2 / (fan_in + fan_out)), 1.8),
        "Glorot, normal": (np.sqrt(2 / (fan_in + fan_out)), 3.0),
        "normal with deviation 0.01": (0.01, 3.0),
        "normal with deviation 0.02": (0.02, 3.0),
    }
    wide = 5 / np.sqrt(found.size)  # five standard errors, about, of a deviation and of a kurtosis
    matches = [
        name
        for name, (scale, shape) in scales.items()
        if abs(deviation / scale - 1) < 0.7 * wide + 0.01 and abs(kurtosis - shape) < 4 * wide + 0.05
    ]
    if not matches and abs(kurtosis - 1.8) > 4 * wide and abs(kurtosis - 3) > 4 * wide:
        return None
    return case.found, matches[0] if matches else f"standard deviation {deviation:.3g}"


def _scaled(case):
    if case.found.shape != case.reference.shape or case.found.size < 2:
        return None
    factor = scaled_to(case.found, case.reference)
    return factor * case.reference, f"{factor:.6g}"


WEIGHT_VARIANTS = [
    Variant("the kernel is flipped", ("weight",), _changed(flipped, 4)),
    Variant("the kernel is mirrored left to right", ("weight",), _changed(lambda w: np.flip(w, 3), 4)),
    Variant("the kernel is mirrored top to bottom", ("weight",), _changed(lambda w: np.flip(w, 2), 4)),
    Variant("height and width of the kernel are swapped", ("weight",), _square_swap(2, 3)),
    Variant("input and output channels are swapped", ("weight",), _square_swap(0, 1)),
    Variant(
        "the filters are for BGR images",
        ("weight",),
        lambda case: case.reference[:, ::-1] if case.reference.ndim == 4 and case.reference.shape[1] == 3 else None,
    ),
    *(
        Variant(
            f"the weights in the order ({_order_name(order)}) are reshaped, not transposed",
            ("weight",),
            _reshaped(order, back),
        )
        for order in sorted(permutations(range(4)), key=lambda order: order != (2, 3, 1, 0))
        if order != (0, 1, 2, 3)
        for back in (False, True)
    ),
    *(
        Variant("the weights (in, out) are reshaped, not transposed", ("weight",), _reshaped((1, 0), back))
        for back in (False, True)
    ),
    *(
        Variant(
            "its columns are for an input flattened in the order height, width, channel",
            ("weight",),
            _flatten_order(back),
        )
        for back in (False, True)
    ),
    *(
        Variant(f"it has the value of {role}", (), _sibling(role))
        for role in ("gamma", "beta", "running_mean", "running_var", "bias")
    ),
    Variant("it is not loaded: it has its initial value,", (), _default),
    Variant("it is fixed at 1, whatever the file of the weights has", ("gamma",), _fixed, True),
    Variant("it has the value of another layer's parameter:", (), _other_layer),
    Variant("it is zero", (), _constant(0.0)),
    Variant("it is one", (), _constant(1.0)),
    Variant("it is rounded to half precision", (), _changed(lambda w: w.astype(np.float16).astype(np.float64))),
    Variant("it is rounded to bfloat16", (), _changed(to_bfloat16)),
    Variant("the batch normalization after it is folded into it", (), _folded),
    Variant("its sign is reversed", (), _changed(np.negative)),
    Variant("its square root was loaded", ("running_var",), _changed(np.sqrt)),
    Variant("its square was loaded", ("running_var",), _changed(np.square)),
    Variant("its reciprocal square root was loaded", ("running_var",), _changed(lambda v: 1 / np.sqrt(v))),
    Variant("its output channels are in another order", (), _rows_in_other_order(0), True),
    Variant("its input channels are in another order", (), _rows_in_other_order(1), True),
    Variant("it is multiplied by", (), _scaled, True),
    Variant("it looks freshly initialized:", (), _fresh, True),
]


# --- inputs, labels and masks


def _affine(reverse):
    """Make the result of a scale and shift of each channel that the port's images show."""

    def result(case):
        reference = case.reference[:, ::-1] if reverse else case.reference
        if case.found.shape != reference.shape or reference.ndim != 4:
            return None
        over = (0, 2, 3)
        centered = reference - reference.mean(axis=over, keepdims=True)
        square = (centered**2).sum(axis=over, keepdims=True)
        scale = (centered * case.found).sum(axis=over, keepdims=True) / np.where(square == 0, 1, square)
        shift = case.found.mean(axis=over, keepdims=True) - scale * reference.mean(axis=over, keepdims=True)
        if not scale.all():
            return None
        deviations, means = (1 / scale).ravel(), (-shift / scale).ravel()
        texts = (", ".join(f"{number:.4g}" for number in numbers) for numbers in (means, deviations))
        return scale * reference + shift, "mean {}, standard deviation {}".format(*texts)

    return result


def _layout(back):
    def result(case):
        n, c, height, width = case.reference.shape
        if back:
            return case.reference.reshape(n, height, width, c).transpose(0, 3, 1, 2)
        return case.reference.transpose(0, 2, 3, 1).reshape(case.reference.shape) if c > 1 else None

    return result


def _images_in_other_order(case):
    order = [int(np.argmin([np.abs(a - b).sum() for b in case.reference])) for a in case.found]
    return case.reference[order]


INPUT_VARIANTS = [
    Variant("the pixels are multiplied by 255", (), _changed(lambda x: 255 * x)),
    Variant("the pixels are divided by 255", (), _changed(lambda x: x / 255)),
    Variant(
        "the channels are in the order blue, green, red",
        (),
        lambda case: case.reference[:, ::-1] if case.reference.shape[1] > 1 else None,
    ),
    Variant("the layout (N, H, W, C) is reshaped, not transposed", (), _layout(False)),
    Variant("the layout (N, C, H, W) is read as (N, H, W, C)", (), _layout(True)),
    Variant("height and width are swapped", (), lambda case: case.reference.swapaxes(2, 3)),
    Variant("the images are mirrored left to right", (), _changed(lambda x: x[..., ::-1], 4)),
    Variant("the images are upside down", (), _changed(lambda x: x[..., ::-1, :], 4)),
    Variant("the pixels are rounded to whole numbers of 1/255", (), _changed(lambda x: np.round(255 * x) / 255)),
    Variant("the pixels are cut to whole numbers of 1/255", (), _changed(lambda x: np.floor(255 * x) / 255)),
    Variant("the pixels are mapped from 0..1 to -1..1", (), _changed(lambda x: 2 * x - 1)),
    Variant(
        "the pixels are rounded to half precision", (), _changed(lambda x: x.astype(np.float16).astype(np.float64))
    ),
    Variant("the pixels are rounded to bfloat16", (), _changed(to_bfloat16)),
    Variant("the images are in another order", (), _images_in_other_order),
    Variant("the images are normalized once more:", (), _affine(False), True),
    Variant("the channels are reversed and normalized:", (), _affine(True), True),
]
LABEL_VARIANTS = [
    Variant("the labels are 1 too large", (), _changed(lambda y: y + 1)),
    Variant("the labels are 1 too small", (), _changed(lambda y: y - 1)),
    Variant("the labels are in reverse order", (), _changed(lambda y: y[::-1])),
]
MASK_VARIANTS = [
    Variant("the mask is 1 where it must be 0", (), _changed(lambda mask: 1 - mask)),
]
