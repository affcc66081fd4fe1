"""The formulas of operations on windows of a feature map: convolutions, pooling, upsampling. See `formulas`.

All of them work in any number of spatial dimensions.
"""

from __future__ import annotations

import numpy as np


def output_sizes(sizes, kernel, stride, padding, dilation=None, rounding="floor"):
    """Return the sizes of the output of a convolution or pooling along the spatial axes."""
    count = len(kernel)
    dilation = dilation or [1] * count
    result = []
    for axis in range(count):
        free = sizes[axis] + padding[axis] + padding[count + axis] - dilation[axis] * (kernel[axis] - 1) - 1
        result.append((-(-free // stride[axis]) if rounding == "ceil" else free // stride[axis]) + 1)
    return result


def pad_space(x, padding, value=0.0):
    """Return x with padding [top, left, bottom, right] around its spatial axes."""
    count = len(padding) // 2
    widths = [(0, 0)] * (x.ndim - count) + [(padding[axis], padding[count + axis]) for axis in range(count)]
    return np.pad(x, widths, constant_values=value) if any(padding) else x


def remove_padding(padded, padding, sizes):
    """Return the part of a padded map that has these spatial sizes."""
    return padded[(..., *(slice(first, first + size) for first, size in zip(padding, sizes)))]


def window_positions(kernel, stride, outputs, dilation=None):
    """Yield each position in the kernel and the index of the elements of a padded map that it meets."""
    dilation = dilation or [1] * len(kernel)
    for position in np.ndindex(*kernel):
        index = tuple(
            slice(p * d, p * d + s * (size - 1) + 1, s) for p, d, s, size in zip(position, dilation, stride, outputs)
        )
        yield position, (..., *index)


# --- convolution


def _by_position(weight, groups):
    """Return weights (out, in / groups, ...) as (..., groups, out / groups, in / groups): one matrix per position."""
    parts = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return np.ascontiguousarray(np.moveaxis(parts, (0, 1, 2), (-3, -2, -1)))


def _grouped(x, groups):
    """Return (N, C, ...) as (N, groups, C / groups, positions)."""
    return np.ascontiguousarray(x).reshape(x.shape[0], groups, x.shape[1] // groups, -1)


def convolve(x, weight, settings):
    """Return the cross-correlation of (N, C, ...) with (out, C / groups, ...)."""
    s = settings
    groups, matrices = s["groups"], _by_position(weight, s["groups"])
    outputs = output_sizes(x.shape[2:], s["kernel"], s["stride"], s["padding"], s["dilation"])
    padded = pad_space(x, s["padding"])
    result = np.zeros((x.shape[0], groups, weight.shape[0] // groups, int(np.prod(outputs))), weight.dtype)
    for position, index in window_positions(s["kernel"], s["stride"], outputs, s["dilation"]):
        result += np.matmul(matrices[position], _grouped(padded[index], groups))
    return result.reshape(x.shape[0], weight.shape[0], *outputs)


def spread(y, weight, settings, sizes):
    """Return the gradient of a convolution with respect to its input, which has these spatial sizes."""
    s = settings
    count = len(s["kernel"])
    groups, matrices = s["groups"], np.swapaxes(_by_position(weight, s["groups"]), -1, -2)
    padded_sizes = [size + s["padding"][axis] + s["padding"][count + axis] for axis, size in enumerate(sizes)]
    result = np.zeros((y.shape[0], weight.shape[1] * groups, *padded_sizes), y.dtype)
    rows = _grouped(y, groups)
    for position, index in window_positions(s["kernel"], s["stride"], y.shape[2:], s["dilation"]):
        part = np.matmul(np.ascontiguousarray(matrices[position]), rows)
        result[index] += part.reshape(result[index].shape)
    return remove_padding(result, s["padding"], sizes)


def weight_gradient(x, y, weight, settings):
    """Return the gradient of a convolution from x to y with respect to its weights; y is the output's gradient."""
    s = settings
    groups, rows = s["groups"], _grouped(y, s["groups"])
    padded = pad_space(x, s["padding"])
    result = np.zeros((*s["kernel"], groups, weight.shape[0] // groups, weight.shape[1]), y.dtype)
    for position, index in window_positions(s["kernel"], s["stride"], y.shape[2:], s["dilation"]):
        columns = np.swapaxes(_grouped(padded[index], groups), -1, -2)
        result[position] = np.matmul(rows, columns).sum(axis=0)
    return np.moveaxis(result, (-3, -2, -1), (0, 1, 2)).reshape(weight.shape)


def _bias(parameters, y):
    return parameters["bias"].reshape(-1, *[1] * (y.ndim - 2)) if "bias" in parameters else 0


def _bias_gradient(gradient):
    return gradient.sum(axis=(0, *range(2, gradient.ndim)))


def _convolution(call):
    y = convolve(call.inputs[0], call.parameters["weight"], call.settings)
    return y + _bias(call.parameters, y)


def _convolution_backward(call, gradient):
    (x,) = call.inputs
    weight = call.parameters["weight"]
    parameters = {
        "weight": weight_gradient(x, gradient, weight, call.settings),
        "bias": _bias_gradient(gradient),
    }
    return [spread(gradient, weight, call.settings, x.shape[2:])], parameters


def _transposed_convolution(call):
    (x,) = call.inputs
    s = call.settings
    count = len(s["kernel"])
    sizes = [
        (size - 1) * s["stride"][axis]
        - s["padding"][axis]
        - s["padding"][count + axis]
        + s["dilation"][axis] * (s["kernel"][axis] - 1)
        + s["output_padding"][axis]
        + 1
        for axis, size in enumerate(x.shape[2:])
    ]
    y = spread(x, call.parameters["weight"], s, sizes)
    return y + _bias(call.parameters, y)


def _transposed_convolution_backward(call, gradient):
    (x,) = call.inputs
    weight = call.parameters["weight"]
    to_weight = weight_gradient(gradient, x, weight, call.settings)
    return [convolve(gradient, weight, call.settings)], {"weight": to_weight, "bias": _bias_gradient(gradient)}


# --- pooling


def _pool(call, value, x=None):
    """Return the padded input of a pooling and a list of the indices that its windows' positions meet."""
    x = call.inputs[0] if x is None else x
    s = call.settings
    count = len(s["kernel"])
    outputs = output_sizes(x.shape[2:], s["kernel"], s["stride"], s["padding"], rounding=s["rounding"])
    padded = pad_space(x, s["padding"], value)
    missing = [  # what lies beyond the padding because of rounding up
        max(0, (outputs[axis] - 1) * s["stride"][axis] + s["kernel"][axis] - padded.shape[axis - count])
        for axis in range(count)
    ]
    indices = [index for _, index in window_positions(s["kernel"], s["stride"], outputs)]
    return pad_space(padded, [0] * count + missing, value), indices


def _unpad(call, padded):
    return remove_padding(padded, call.settings["padding"], call.inputs[0].shape[2:])


def _max_pool(call):
    padded, indices = _pool(call, -np.inf)
    result = padded[indices[0]]
    for index in indices[1:]:
        result = np.maximum(result, padded[index])
    return result


def _max_pool_backward(call, gradient):
    padded, indices = _pool(call, -np.inf)
    largest, result = _max_pool(call), np.zeros_like(padded)
    free = np.ones(largest.shape, bool)
    for index in indices:  # the first one of equal elements gets the gradient
        hit = free & (padded[index] == largest)
        result[index] += gradient * hit
        free &= ~hit
    return [_unpad(call, result)], {}


def _counts(call):
    """Return how many elements of each window count in an average pooling, in a shape that broadcasts."""
    ones = np.ones((1, 1, *call.inputs[0].shape[2:]))
    if call.settings["include_pad"]:
        ones = pad_space(ones, call.settings["padding"], 1.0)
        inner = call._replace(settings={**call.settings, "padding": [0] * len(call.settings["padding"])})
        # rounding up sees the padded map here, so that only what lies beyond the padding is zero
        padded, indices = _pool(inner, 0.0, ones)
    else:
        padded, indices = _pool(call, 0.0, ones)
    return sum(padded[index] for index in indices)


def _average_pool(call):
    padded, indices = _pool(call, 0.0)
    return sum(padded[index] for index in indices) / _counts(call)


def _average_pool_backward(call, gradient):
    padded, indices = _pool(call, 0.0)
    result, share = np.zeros_like(padded), gradient / _counts(call)
    for index in indices:
        result[index] += share
    return [_unpad(call, result)], {}


def _space(x):
    return tuple(range(2, x.ndim))


def _global_average_pool_backward(call, gradient):
    (x,) = call.inputs
    return [gradient / np.prod(x.shape[2:]) + np.zeros_like(x)], {}


def _global_max_pool_backward(call, gradient):
    (x,) = call.inputs
    rows = x.reshape(*x.shape[:2], -1)
    result = np.zeros_like(rows)
    np.put_along_axis(result, rows.argmax(axis=2)[..., None], gradient.reshape(*x.shape[:2], 1), axis=2)
    return [result.reshape(x.shape)], {}


def _adaptive_matrices(call):
    """Return for each spatial axis the matrix (output, input) that averages its windows."""
    matrices = []
    for size, outputs in zip(call.inputs[0].shape[2:], call.settings["size"]):
        matrix = np.zeros((outputs, size))
        for row in range(outputs):
            first, last = row * size // outputs, -(-(row + 1) * size // outputs)
            matrix[row, first:last] = 1 / (last - first)
        matrices.append(matrix)
    return matrices


def _by_axis(matrices):
    """Return the formula that multiplies the maps with a matrix for each axis."""

    def forward(call):
        height, width = matrices(call)
        return np.einsum("ih,jw,nchw->ncij", height, width, call.inputs[0], optimize=True)

    def backward(call, gradient):
        height, width = matrices(call)
        return [np.einsum("ih,jw,ncij->nchw", height, width, gradient, optimize=True)], {}

    return forward, backward


# --- upsampling


def interpolation_matrix(size, outputs, align_corners):
    """Return the matrix (output, input) that interpolates an axis linearly."""
    numbers = np.arange(outputs)
    if outputs == 1:
        places = np.zeros(1)
    elif align_corners:
        places = numbers * (size - 1) / (outputs - 1)
    else:
        places = np.clip((numbers + 0.5) * size / outputs - 0.5, 0, size - 1)
    first = np.minimum(places.astype(int), size - 1)
    matrix = np.zeros((outputs, size))
    np.add.at(matrix, (numbers, first), 1 - (places - first))
    np.add.at(matrix, (numbers, np.minimum(first + 1, size - 1)), places - first)
    return matrix


def _interpolation_matrices(call):
    sizes = zip(call.inputs[0].shape[2:], call.settings["size"])
    return [interpolation_matrix(size, outputs, call.settings["align_corners"]) for size, outputs in sizes]


def _upsample_nearest(call):
    scale = call.settings["scale"]
    return call.inputs[0].repeat(scale, axis=2).repeat(scale, axis=3)


def _upsample_nearest_backward(call, gradient):
    n, c, height, width = call.inputs[0].shape
    scale = call.settings["scale"]
    return [gradient.reshape(n, c, height, scale, width, scale).sum(axis=(3, 5))], {}


WINDOW_FORMULAS = {
    "convolution": (_convolution, _convolution_backward),
    "transposed_convolution": (_transposed_convolution, _transposed_convolution_backward),
    "max_pool": (_max_pool, _max_pool_backward),
    "average_pool": (_average_pool, _average_pool_backward),
    "global_max_pool": (
        lambda call: call.inputs[0].max(axis=_space(call.inputs[0]), keepdims=True),
        _global_max_pool_backward,
    ),
    "global_average_pool": (
        lambda call: call.inputs[0].mean(axis=_space(call.inputs[0]), keepdims=True),
        _global_average_pool_backward,
    ),
    "adaptive_average_pool": _by_axis(_adaptive_matrices),
    "resize_bilinear": _by_axis(_interpolation_matrices),
    "upsample_nearest": (_upsample_nearest, _upsample_nearest_backward),
}
