"""The formulas of normalizations: batch, layer, instance, group and local response normalization. See `formulas`."""

from __future__ import annotations

import numpy as np

from .formulas import per_channel


def normalize(x, axes, eps):
    """Return x with mean 0 and variance 1 over the axes, and the divisor sqrt(variance + eps)."""
    mean = x.mean(axis=axes, keepdims=True)
    divisor = np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + eps)
    return (x - mean) / divisor, divisor


def _through_statistics(gradient, normalized, divisor, axes):
    """Return the gradient with respect to the input of `normalize`."""
    mean = gradient.mean(axis=axes, keepdims=True)
    share = (gradient * normalized).mean(axis=axes, keepdims=True)
    return (gradient - mean - normalized * share) / divisor


def _affine(call, normalized, axis):
    gamma, beta = (per_channel(call.parameters[role], normalized, axis) for role in ("gamma", "beta"))
    return normalized * gamma + beta


def _affine_backward(call, gradient, normalized, axis):
    """Return the gradient with respect to `normalized` and those of gamma and beta."""
    others = tuple(other for other in range(gradient.ndim) if other != axis)
    parameters = {"gamma": (gradient * normalized).sum(axis=others), "beta": gradient.sum(axis=others)}
    return gradient * per_channel(call.parameters["gamma"], normalized, axis), parameters


# --- batch normalization


def batch_axes(x, axis):
    """Return all axes but that of the channels."""
    return tuple(other for other in range(x.ndim) if other != axis % x.ndim)


def uses_batch(call):
    """Return whether a batch normalization takes the statistics of the batch."""
    return call.training and not call.settings["use_running"]


def _fixed(call):
    """Return the call with gamma 1 if gamma is fixed."""
    if not call.settings["fixed_gamma"]:
        return call
    ones = np.ones_like(call.parameters["gamma"])
    return call._replace(parameters={**call.parameters, "gamma": ones})


def _normalized(call):
    (x,) = call.inputs
    axis, eps = call.settings["axis"] % x.ndim, call.settings["eps"]
    if uses_batch(call):
        return normalize(x, batch_axes(x, axis), eps)
    divisor = np.sqrt(per_channel(call.parameters["running_var"], x, axis) + eps)
    return (x - per_channel(call.parameters["running_mean"], x, axis)) / divisor, divisor


def _batch_norm(call):
    normalized, _ = _normalized(call)
    return _affine(_fixed(call), normalized, call.settings["axis"] % normalized.ndim)


def _batch_norm_backward(call, gradient):
    normalized, divisor = _normalized(call)
    axis = call.settings["axis"] % normalized.ndim
    inner, parameters = _affine_backward(_fixed(call), gradient, normalized, axis)
    if call.settings["fixed_gamma"]:
        parameters["gamma"] = np.zeros_like(call.parameters["gamma"])
    if uses_batch(call):
        return [_through_statistics(inner, normalized, divisor, batch_axes(normalized, axis))], parameters
    return [inner / divisor], parameters


# --- the statistics of each image


def _per_image(axes_of):
    """Make the formula of a normalization over `axes_of(call)`, with gamma and beta along axis 1 or the call's axis."""

    def axis_of(call):
        return call.settings.get("axis", 1) % call.inputs[0].ndim

    def forward(call):
        normalized, _ = normalize(call.inputs[0], axes_of(call), call.settings["eps"])
        return _affine(call, normalized, axis_of(call))

    def backward(call, gradient):
        axes = axes_of(call)
        normalized, divisor = normalize(call.inputs[0], axes, call.settings["eps"])
        inner, parameters = _affine_backward(call, gradient, normalized, axis_of(call))
        return [_through_statistics(inner, normalized, divisor, axes)], parameters

    return forward, backward


def _in_groups(x, call):
    n, channels = x.shape[:2]
    groups = call.settings["groups"]
    return x.reshape(n, groups, channels // groups, *x.shape[2:])


def _group_norm_parts(call):
    parts = _in_groups(call.inputs[0], call)
    axes = tuple(range(2, parts.ndim))
    return (*normalize(parts, axes, call.settings["eps"]), axes)


def _per_group_to_channel(call):
    """Return the call with gamma and beta of each channel. MXNet 1.9.1 has one gamma and one beta for each group."""
    channels = call.inputs[0].shape[1]
    spread = {role: array.repeat(channels // array.size) for role, array in call.parameters.items()}
    return call._replace(parameters=spread)


def _group_norm(call):
    normalized, _, _ = _group_norm_parts(call)
    return _affine(_per_group_to_channel(call), normalized.reshape(call.inputs[0].shape), 1)


def _group_norm_backward(call, gradient):
    normalized, divisor, axes = _group_norm_parts(call)
    shape = call.inputs[0].shape
    inner, spread = _affine_backward(_per_group_to_channel(call), gradient, normalized.reshape(shape), 1)
    parameters = {role: array.reshape(call.parameters[role].size, -1).sum(axis=1) for role, array in spread.items()}
    result = _through_statistics(_in_groups(inner, call), normalized, divisor, axes)
    return [result.reshape(shape)], parameters


# --- local response normalization


def sum_of_neighbors(x, size):
    """Return the sum over `size` neighboring channels, fewer at the first and last ones. `size` is odd."""
    half, channels = size // 2, x.shape[1]
    sums = np.cumsum(np.pad(x, [(0, 0), (1, 0)] + [(0, 0)] * (x.ndim - 2)), axis=1)
    ends = np.minimum(np.arange(channels) + half + 1, channels)
    starts = np.maximum(np.arange(channels) - half, 0)
    return sums[:, ends] - sums[:, starts]


def _response_terms(call):
    s = call.settings
    alpha = s["alpha"] / s["size"] if s["alpha_divided_by_size"] else s["alpha"]
    return alpha, s["k"] + alpha * sum_of_neighbors(call.inputs[0] ** 2, s["size"])


def _local_response_norm(call):
    _, base = _response_terms(call)
    return call.inputs[0] * base ** -call.settings["beta"]


def _local_response_norm_backward(call, gradient):
    (x,) = call.inputs
    alpha, base = _response_terms(call)
    beta, size = call.settings["beta"], call.settings["size"]
    spread = sum_of_neighbors(gradient * x * base ** (-beta - 1), size)
    return [gradient * base**-beta - 2 * alpha * beta * x * spread], {}


NORMALIZATION_FORMULAS = {
    "batch_norm": (_batch_norm, _batch_norm_backward),
    "layer_norm": _per_image(lambda call: (call.settings["axis"] % call.inputs[0].ndim,)),
    "instance_norm": _per_image(lambda call: tuple(range(2, call.inputs[0].ndim))),
    "group_norm": (_group_norm, _group_norm_backward),
    "local_response_norm": (_local_response_norm, _local_response_norm_backward),
}
