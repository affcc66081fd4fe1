"""The formulas of elementwise operations, reductions and changes of shape, with their gradients, in NumPy.

A formula is a pair of functions. `forward(call)` returns the output. `backward(call, gradient)` takes the gradient with
respect to the output and returns the gradients with respect to the inputs, a list, and to the parameters, by role.
"""

from __future__ import annotations

from math import erf
from typing import Any, NamedTuple

import numpy as np

from ..operators import MASKED


class Call(NamedTuple):
    """What an operation works on.

    Attributes:
        inputs: Arrays, in the operation's order.
        parameters: Arrays by role.
        settings: The operation's settings.
        training: Whether the mode is training.
        mask: The keep mask of a dropout or drop block, or None.
    """

    inputs: list
    parameters: dict
    settings: dict
    training: bool = False
    mask: Any = None


def sigmoid(x):
    """Return the logistic function of x, without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sum_to(gradient, shape):
    """Return the gradient with respect to an array of this shape that was repeated along axes of size 1."""
    extra = gradient.ndim - len(shape)
    gradient = gradient.sum(axis=tuple(range(extra)))
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1)
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient


def per_channel(parameter, x, axis=1):
    """Return a parameter with one value for each channel in a shape that broadcasts with x."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return parameter.reshape(shape)


# --- one input, elementwise: y of (x, settings), and the derivative of (x, y, settings)


def _gelu_cdf(x):
    return 0.5 * (1 + np.vectorize(erf, otypes=[x.dtype])(x / np.sqrt(2)))


SELU_SCALE, SELU_SLOPE = 1.0507009873554805, 1.6732632423543772

_ELEMENTWISE = {
    "relu": (lambda x, s: np.maximum(x, 0), lambda x, y, s: x > 0),
    "sigmoid": (lambda x, s: sigmoid(x), lambda x, y, s: y * (1 - y)),
    "tanh": (lambda x, s: np.tanh(x), lambda x, y, s: 1 - y * y),
    "softplus": (lambda x, s: np.logaddexp(0, x), lambda x, y, s: sigmoid(x)),
    "softsign": (lambda x, s: x / (1 + np.abs(x)), lambda x, y, s: 1 / (1 + np.abs(x)) ** 2),
    "leaky_relu": (lambda x, s: np.where(x > 0, x, s["slope"] * x), lambda x, y, s: np.where(x > 0, 1, s["slope"])),
    "elu": (
        lambda x, s: np.where(x > 0, x, s["slope"] * np.expm1(np.minimum(x, 0))),
        lambda x, y, s: np.where(x > 0, 1, y + s["slope"]),
    ),
    "selu": (
        lambda x, s: SELU_SCALE * np.where(x > 0, x, SELU_SLOPE * np.expm1(np.minimum(x, 0))),
        lambda x, y, s: np.where(x > 0, SELU_SCALE, y + SELU_SCALE * SELU_SLOPE),
    ),
    "gelu": (
        lambda x, s: x * _gelu_cdf(x),
        lambda x, y, s: _gelu_cdf(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
    ),
    "hard_sigmoid": (
        lambda x, s: np.clip(s["alpha"] * x + s["beta"], 0, 1),
        lambda x, y, s: np.where((y > 0) & (y < 1), s["alpha"], 0),
    ),
    "clip": (lambda x, s: np.clip(x, s["low"], s["high"]), lambda x, y, s: (x >= s["low"]) & (x <= s["high"])),
    "square": (lambda x, s: x * x, lambda x, y, s: 2 * x),
    "sqrt": (lambda x, s: np.sqrt(x), lambda x, y, s: 0.5 / y),
    "exp": (lambda x, s: np.exp(x), lambda x, y, s: y),
    "abs": (lambda x, s: np.abs(x), lambda x, y, s: np.sign(x)),
    "zeros_like": (lambda x, s: np.zeros_like(x), lambda x, y, s: 0),
    "ones_like": (lambda x, s: np.ones_like(x), lambda x, y, s: 0),
    "stop_gradient": (lambda x, s: x, lambda x, y, s: 0),
    "add_scalar": (lambda x, s: x + s["scalar"], lambda x, y, s: 1),
    "subtract_scalar": (lambda x, s: x - s["scalar"], lambda x, y, s: 1),
    "subtract_from_scalar": (lambda x, s: s["scalar"] - x, lambda x, y, s: -1),
    "multiply_scalar": (lambda x, s: x * s["scalar"], lambda x, y, s: s["scalar"]),
    "divide_scalar": (lambda x, s: x / s["scalar"], lambda x, y, s: 1 / s["scalar"]),
    "divide_scalar_by": (lambda x, s: s["scalar"] / x, lambda x, y, s: -y / x),
    "power_scalar": (lambda x, s: x ** s["scalar"], lambda x, y, s: s["scalar"] * x ** (s["scalar"] - 1)),
    "maximum_scalar": (lambda x, s: np.maximum(x, s["scalar"]), lambda x, y, s: x >= s["scalar"]),
    "minimum_scalar": (lambda x, s: np.minimum(x, s["scalar"]), lambda x, y, s: x <= s["scalar"]),
}


def _elementwise(function, derivative):
    def forward(call):
        return function(call.inputs[0], call.settings)

    def backward(call, gradient):
        (x,) = call.inputs
        slope = derivative(x, function(x, call.settings), call.settings)
        return [gradient * slope + np.zeros_like(x)], {}

    return forward, backward


# --- two inputs, elementwise: y of (a, b), and the derivatives

_PAIRS = {
    "add": (np.add, lambda a, b: (1, 1)),
    "subtract": (np.subtract, lambda a, b: (1, -1)),
    "multiply": (np.multiply, lambda a, b: (b, a)),
    "divide": (np.divide, lambda a, b: (1 / b, -a / (b * b))),
    "maximum": (np.maximum, lambda a, b: (a >= b, a < b)),
}


def _pair(function, derivatives):
    def forward(call):
        return function(*call.inputs)

    def backward(call, gradient):
        slopes = derivatives(*call.inputs)
        return [sum_to(gradient * slope, x.shape) for slope, x in zip(slopes, call.inputs)], {}

    return forward, backward


# --- the others


def _prelu(call):
    (x,) = call.inputs
    return np.where(x > 0, x, _slope(call) * x)


def _prelu_backward(call, gradient):
    (x,) = call.inputs
    negative = sum_to(np.where(x > 0, 0, gradient * x), _slope(call).shape)
    return [gradient * np.where(x > 0, 1, _slope(call))], {"slope": negative.reshape(call.parameters["slope"].shape)}


def _slope(call):
    return per_channel(call.parameters["slope"], call.inputs[0])


def _softmax(call):
    (x,) = call.inputs
    axis = call.settings["axis"]
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _softmax_backward(call, gradient):
    y = _softmax(call)
    return [y * (gradient - (gradient * y).sum(axis=call.settings["axis"], keepdims=True))], {}


def mask_factor(kind, settings, mask):
    """Return the factor of what the mask of a dropout or drop block keeps."""
    return 1 / (1 - settings["drop"]) if kind == "dropout" else mask.size / mask.sum()


def _masked(kind):
    def factor(call):
        if not call.training:
            return 1
        if call.mask is None:
            raise ValueError(f"a {kind} in training mode needs its mask")
        return call.mask * mask_factor(kind, call.settings, call.mask)

    return (
        lambda call: call.inputs[0] * factor(call),
        lambda call, gradient: ([gradient * factor(call)], {}),
    )


def _matrix_product(call):
    a, b = (_turned(x, turn) for x, turn in zip(call.inputs, call.settings["transposed"]))
    return a @ b


def _matrix_product_backward(call, gradient):
    turns = call.settings["transposed"]
    a, b = (_turned(x, turn) for x, turn in zip(call.inputs, turns))
    found = (gradient @ _turned(b, True), _turned(a, True) @ gradient)
    return [_turned(array, turn) for array, turn in zip(found, turns)], {}


def _turned(matrices, transposed):
    return matrices.swapaxes(-1, -2) if transposed else matrices


def _sum_of_inputs(call):
    return sum(call.inputs[1:], call.inputs[0])


def _concat_backward(call, gradient):
    axis = call.settings["axis"]
    ends = np.cumsum([x.shape[axis] for x in call.inputs])[:-1]
    return np.split(gradient, ends, axis=axis), {}


def _part(call):
    row = call.settings
    rows = [(row["axis"], row["begin"], row["end"])] if "axis" in row else zip(row["axes"], row["begins"], row["ends"])
    parts = [slice(None)] * call.inputs[0].ndim
    for axis, begin, end in rows:
        parts[axis] = slice(begin, end)
    return tuple(parts)


def _slice_backward(call, gradient):
    result = np.zeros_like(call.inputs[0])
    result[_part(call)] = gradient
    return [result], {}


def _flat(call):
    return call.inputs[0].reshape(call.inputs[0].shape[0], -1)


def _reshape(call):
    (x,) = call.inputs
    return x.reshape([x.shape[0] if size is None else size for size in call.settings["shape"]])


def _back_to_shape(call, gradient):
    return [gradient.reshape(call.inputs[0].shape)], {}


def _pad(call, x=None):
    x = call.inputs[0] if x is None else x
    mode = call.settings["mode"]
    value = {"constant_values": call.settings.get("value", 0)} if mode == "constant" else {}
    return np.pad(x, call.settings["widths"], mode=mode, **value)


def _pad_backward(call, gradient):
    shape = call.inputs[0].shape
    numbers = np.arange(1, call.inputs[0].size + 1).reshape(shape)  # padding with a constant gets the number 0
    zero = call._replace(settings={**call.settings, "value": 0})
    sums = np.bincount(_pad(zero, numbers).ravel(), weights=gradient.ravel(), minlength=numbers.size + 1)
    return [sums[1:].reshape(shape)], {}


def _over_axes(call, array):
    """Return a reduced array with the axes of size 1 that the reduction removed."""
    shape = [1 if axis in call.settings["axes"] else size for axis, size in enumerate(call.inputs[0].shape)]
    return array.reshape(shape)


def _reduction(function, backward):
    def forward(call):
        return function(call.inputs[0], axis=tuple(call.settings["axes"]), keepdims=call.settings["keepdims"])

    def to_inputs(call, gradient):
        return [backward(call.inputs[0], _over_axes(call, forward(call)), _over_axes(call, gradient))], {}

    return forward, to_inputs


def _dense(call):
    (x,) = call.inputs
    x = _flat(call) if call.settings["flatten"] else x
    y = x @ call.parameters["weight"].T
    return y + call.parameters["bias"] if "bias" in call.parameters else y


def _dense_backward(call, gradient):
    x = _flat(call) if call.settings["flatten"] else call.inputs[0]
    rows, gradient_rows = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    parameters = {"weight": gradient_rows.T @ rows, "bias": gradient_rows.sum(axis=0)}
    return [(gradient @ call.parameters["weight"]).reshape(call.inputs[0].shape)], parameters


FORMULAS = {
    **{kind: _elementwise(*functions) for kind, functions in _ELEMENTWISE.items()},
    **{kind: _pair(*functions) for kind, functions in _PAIRS.items()},
    "dense": (_dense, _dense_backward),
    "prelu": (_prelu, _prelu_backward),
    "softmax": (_softmax, _softmax_backward),
    **{kind: _masked(kind) for kind in MASKED},
    "matrix_product": (_matrix_product, _matrix_product_backward),
    "sum_of_inputs": (_sum_of_inputs, lambda call, gradient: ([gradient] * len(call.inputs), {})),
    "concat": (lambda call: np.concatenate(call.inputs, axis=call.settings["axis"]), _concat_backward),
    **dict.fromkeys(("slice", "crop"), (lambda call: call.inputs[0][_part(call)], _slice_backward)),
    "flatten": (_flat, _back_to_shape),
    "reshape": (_reshape, _back_to_shape),
    "expand_dims": (lambda call: np.expand_dims(call.inputs[0], call.settings["axis"]), _back_to_shape),
    "transpose": (
        lambda call: call.inputs[0].transpose(call.settings["order"]),
        lambda call, gradient: ([gradient.transpose(np.argsort(call.settings["order"]))], {}),
    ),
    "pad": (_pad, _pad_backward),
    "sum": _reduction(np.sum, lambda x, y, gradient: gradient + np.zeros_like(x)),
    "mean": _reduction(np.mean, lambda x, y, gradient: gradient * (y.size / x.size) + np.zeros_like(x)),
    "max": _reduction(np.max, lambda x, y, gradient: gradient * (x == y)),
}
