"""The kinds of operations of `operators` in ONNX opset 13.

Each writer adds the nodes of an operation to a model (`onnx_export`). The last node has the operation's name.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from ..graph import Operation
from ..operators import MASKED
from ..replay.window_formulas import interpolation_matrix

OPSET = 13

Writer = Callable[[Any, Operation], object]
WRITERS: dict[str, Writer] = {}


def _writes(kind):
    def enter(function):
        WRITERS[kind] = function
        return function

    return enter


def _rank(model, name):
    return len(model.shapes[name])


def _integers(model, step, values):
    return model.constant(step, values, np.int64)


def _weights(operation):
    return [operation.parameters[role] for role in ("weight", "bias") if role in operation.parameters]


@_writes("convolution")
def _convolution(model, operation):
    model.node("Conv", [*operation.inputs, *_weights(operation)], **_convolution_attributes(operation.settings))


@_writes("transposed_convolution")
def _transposed_convolution(model, operation):
    attributes = _convolution_attributes(operation.settings)
    attributes["output_padding"] = operation.settings["output_padding"]
    model.node("ConvTranspose", [*operation.inputs, *_weights(operation)], **attributes)


def _convolution_attributes(settings):
    return {
        "kernel_shape": settings["kernel"],
        "strides": settings["stride"],
        "pads": settings["padding"],
        "dilations": settings["dilation"],
        "group": settings["groups"],
    }


@_writes("dense")
def _dense(model, operation):
    x = operation.inputs[0]
    weight, *bias = _weights(operation)
    if operation.settings["flatten"] and _rank(model, x) > 2:
        x = model.node("Flatten", [x], "flattened", axis=1)
    if operation.settings["flatten"] or _rank(model, x) == 2:
        model.node("Gemm", [x, weight, *bias], transB=1)
        return
    transposed = model.node("Transpose", [weight], "weight", perm=[1, 0])
    product = model.node("MatMul", [x, transposed], "product" if bias else "")
    if bias:
        model.node("Add", [product, *bias])


@_writes("batch_norm")
def _batch_norm(model, operation):
    x, parameters, epsilon = operation.inputs[0], operation.parameters, operation.settings["eps"]
    gamma = parameters["gamma"]
    if operation.settings["fixed_gamma"]:
        gamma = model.constant("gamma", np.ones(model.shapes[gamma]))
    inputs = [gamma, parameters["beta"], parameters["running_mean"], parameters["running_var"]]
    order = list(range(_rank(model, x)))
    axis = operation.settings["axis"] % len(order)
    if axis == 1:
        model.node("BatchNormalization", [x, *inputs], epsilon=epsilon)
        return
    order[1], order[axis] = order[axis], order[1]
    x = model.node("Transpose", [x], "channels_first", perm=order)
    x = model.node("BatchNormalization", [x, *inputs], "normalized", epsilon=epsilon)
    model.node("Transpose", [x], perm=order)


@_writes("layer_norm")
def _layer_norm(model, operation):  # opset 17 has a node for it
    x = operation.inputs[0]
    axis = operation.settings["axis"] % _rank(model, x)
    mean = model.node("ReduceMean", [x], "mean", axes=[axis])
    centered = model.node("Sub", [x, mean], "centered")
    square = model.node("Mul", [centered, centered], "square")
    variance = model.node("ReduceMean", [square], "variance", axes=[axis])
    stable = model.node("Add", [variance, model.constant("eps", operation.settings["eps"])], "stable")
    normalized = model.node("Div", [centered, model.node("Sqrt", [stable], "deviation")], "normalized")
    gamma, beta = (_along(model, operation.parameters[role], axis, _rank(model, x), role) for role in ("gamma", "beta"))
    model.node("Add", [model.node("Mul", [normalized, gamma], "scaled"), beta])


def _along(model, vector, axis, rank, step):
    """Add a node that reshapes a vector so that it is repeated along all axes of a tensor but one."""
    shape = [-1] + [1] * (rank - axis - 1)
    return model.node("Reshape", [vector, _integers(model, f"{step}/shape", shape)], step)


@_writes("instance_norm")
def _instance_norm(model, operation):
    parameters = [operation.parameters[role] for role in ("gamma", "beta")]
    model.node("InstanceNormalization", [*operation.inputs, *parameters], epsilon=operation.settings["eps"])


@_writes("group_norm")
def _group_norm(model, operation):  # MXNet has one gamma and beta per group, so that a group is a channel
    x = operation.inputs[0]
    parameters = [operation.parameters[role] for role in ("gamma", "beta")]
    grouped = model.node("Reshape", [x, _integers(model, "groups", [0, operation.settings["groups"], -1])], "grouped")
    normalized = model.node(
        "InstanceNormalization", [grouped, *parameters], "normalized", epsilon=operation.settings["eps"]
    )
    model.node("Reshape", [normalized, _integers(model, "shape", [0, *model.shapes[x][1:]])])


@_writes("prelu")
def _prelu(model, operation):
    x = operation.inputs[0]
    model.node("PRelu", [x, _along(model, operation.parameters["slope"], 1, _rank(model, x), "slope")])


@_writes("max_pool")
def _max_pool(model, operation):
    settings = operation.settings
    x, padding = _padded_for_pooling(model, operation, -math.inf)
    model.node("MaxPool", [x], kernel_shape=settings["kernel"], strides=settings["stride"], pads=padding)


@_writes("average_pool")
def _average_pool(model, operation):
    settings = operation.settings
    window = {"kernel_shape": settings["kernel"], "strides": settings["stride"]}
    count = len(settings["kernel"])
    padding = settings["padding"]
    if not any(padding) and not any(_beyond(model, operation)):
        model.node("AveragePool", operation.inputs, **window)
        return
    # the mean over all of each window, with zeros outside of the map, then the divisor that the operation has
    x, pads = _padded_for_pooling(model, operation, 0.0)
    mean = model.node("AveragePool", [x], "mean", pads=pads, count_include_pad=1, **window)
    factor = np.ones([1] * count)
    for axis in range(count):
        size = model.shapes[operation.inputs[0]][2 + axis]
        kernel, stride = settings["kernel"][axis], settings["stride"][axis]
        before, after = padding[axis], padding[count + axis]
        low, high = (-before, size + after) if settings["include_pad"] else (0, size)
        starts = np.arange(operation.output_shape[2 + axis]) * stride - before
        counted = np.maximum(np.minimum(starts + kernel, high) - np.maximum(starts, low), 1)  # 0 is outside of all
        shape = [1] * count
        shape[axis] = -1
        factor = factor * (kernel / counted).reshape(shape)
    model.node("Mul", [mean, model.constant("kernel_by_counted", factor[None, None])])


def _beyond(model, operation):
    """Return how far the last window of each axis reaches beyond the padding, because of rounding up."""
    settings = operation.settings
    count = len(settings["kernel"])
    sizes = model.shapes[operation.inputs[0]][2:]
    return [
        max(0, (out - 1) * stride + kernel - size - before - after)
        for out, stride, kernel, size, before, after in zip(
            operation.output_shape[2:],
            settings["stride"],
            settings["kernel"],
            sizes,
            settings["padding"][:count],
            settings["padding"][count:],
        )
    ]


def _padded_for_pooling(model, operation, value):
    """Return the input of a pooling node and its padding, such that rounding down gives the operation's output.

    The padding is explicit because ONNX's ceil_mode leaves out a last window that starts in the padding, from some
    versions of onnxruntime on. A node cannot have padding as wide as its window: then the input is padded.
    """
    kernel, padding = operation.settings["kernel"], operation.settings["padding"]
    count = len(kernel)
    after = [pad + more for pad, more in zip(padding[count:], _beyond(model, operation))]
    x, pads = operation.inputs[0], [*padding[:count], *after]
    if all(pad < size for pad, size in zip(pads, kernel * 2)):
        return x, pads
    widths = _integers(model, "widths", [0, 0, *pads[:count], 0, 0, *after])
    return model.node("Pad", [x, widths, model.constant("outside", value)], "padded"), [0] * (2 * count)


@_writes("adaptive_average_pool")
def _adaptive_average_pool(model, operation):
    sizes = zip(model.shapes[operation.inputs[0]][2:], operation.settings["size"])
    _multiply_axes(model, operation, [_means(size, parts) for size, parts in sizes])


@_writes("resize_bilinear")
def _resize_bilinear(model, operation):  # runtimes differ in where a node Resize takes a value, and in its size
    sizes = zip(model.shapes[operation.inputs[0]][2:], operation.settings["size"])
    aligned = operation.settings["align_corners"]
    _multiply_axes(model, operation, [interpolation_matrix(size, outputs, aligned) for size, outputs in sizes])


def _multiply_axes(model, operation, matrices):
    """Add the products of the maps with a matrix (output, input) for each axis."""
    rows, columns = matrices
    x = model.node("MatMul", [model.constant("rows", rows), operation.inputs[0]], "of_rows")
    model.node("MatMul", [x, model.constant("columns", columns.T)])


def _means(size, parts):
    """Return (parts, size): the matrix that makes the means of `parts` windows, which cover an axis."""
    matrix = np.zeros((parts, size))
    for part in range(parts):
        start, end = part * size // parts, -(-(part + 1) * size // parts)
        matrix[part, start:end] = 1 / (end - start)
    return matrix


@_writes("local_response_norm")
def _local_response_norm(model, operation):
    settings = operation.settings
    alpha = settings["alpha"] * (1 if settings["alpha_divided_by_size"] else settings["size"])
    model.node("LRN", operation.inputs, size=settings["size"], alpha=alpha, beta=settings["beta"], bias=settings["k"])


@_writes("gelu")
def _gelu(model, operation):  # opset 20 has a node for it
    x = operation.inputs[0]
    error = model.node("Erf", [model.node("Mul", [x, model.constant("root", math.sqrt(0.5))], "over_root")], "erf")
    share = model.node("Add", [error, model.constant("one", 1)], "share")
    model.node("Mul", [model.node("Mul", [x, model.constant("half", 0.5)], "halved"), share])


@_writes("clip")
def _clip(model, operation):
    bounds = [model.constant(bound, operation.settings[bound]) for bound in ("low", "high")]
    model.node("Clip", [*operation.inputs, *bounds])


@_writes("pad")
def _pad(model, operation):
    settings = operation.settings
    widths = [before for before, _ in settings["widths"]] + [after for _, after in settings["widths"]]
    inputs = [*operation.inputs, _integers(model, "widths", widths)]
    if settings["mode"] == "constant":
        inputs.append(model.constant("value", settings["value"]))
    model.node("Pad", inputs, mode=settings["mode"])


@_writes("upsample_nearest")
def _upsample_nearest(model, operation):
    scale = operation.settings["scale"]
    scales = model.constant("scales", [1, 1] + [scale] * (_rank(model, operation.inputs[0]) - 2))
    rounding = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    model.node("Resize", [*operation.inputs, "", scales], mode="nearest", **rounding)


@_writes("flatten")
def _flatten(model, operation):
    model.node("Flatten", operation.inputs, axis=1)


@_writes("reshape")
def _reshape(model, operation):
    shape = [-1 if size is None else size for size in operation.settings["shape"]]
    model.node("Reshape", [*operation.inputs, _integers(model, "shape", shape)])


@_writes("slice")
def _slice(model, operation):
    parts = [_integers(model, part, [operation.settings[part]]) for part in ("begin", "end", "axis")]
    model.node("Slice", [*operation.inputs, *parts])


@_writes("crop")
def _crop(model, operation):
    parts = [_integers(model, part, operation.settings[part]) for part in ("begins", "ends", "axes")]
    model.node("Slice", [*operation.inputs, *parts])


@_writes("expand_dims")
def _expand_dims(model, operation):
    model.node("Unsqueeze", [*operation.inputs, _integers(model, "axis", [operation.settings["axis"]])])


@_writes("transpose")
def _transpose(model, operation):
    model.node("Transpose", operation.inputs, perm=operation.settings["order"])


@_writes("square")
def _square(model, operation):
    model.node("Mul", [*operation.inputs, *operation.inputs])


@_writes("zeros_like")
def _zeros_like(model, operation):  # not a product with 0, which would keep what is not a number
    model.node("ConstantOfShape", [model.node("Shape", operation.inputs, "shape")])


@_writes("ones_like")
def _ones_like(model, operation):
    from onnx import numpy_helper

    one = numpy_helper.from_array(np.ones(1, np.float32))
    model.node("ConstantOfShape", [model.node("Shape", operation.inputs, "shape")], value=one)


@_writes("matrix_product")
def _matrix_product(model, operation):
    order = [0, 2, 1]
    inputs = [
        model.node("Transpose", [name], f"transposed_{number}", perm=order) if transposed else name
        for number, (name, transposed) in enumerate(zip(operation.inputs, operation.settings["transposed"]), start=1)
    ]
    model.node("MatMul", inputs)


@_writes("sum")
def _sum(model, operation):  # the axes of this reduction alone are an input in opset 13
    settings = operation.settings
    axes = _integers(model, "axes", settings["axes"])
    model.node("ReduceSum", [*operation.inputs, axes], keepdims=int(settings["keepdims"]))


def _reduces(node):
    def write(model, operation):
        settings = operation.settings
        model.node(node, operation.inputs, axes=settings["axes"], keepdims=int(settings["keepdims"]))

    return write


def _computes(node, **names):
    """Return a writer of one node, whose attributes are settings of the operation: node's name = operation's name."""

    def write(model, operation):
        attributes = {attribute: operation.settings[name] for attribute, name in names.items()}
        model.node(node, operation.inputs, **attributes)

    return write


def _with_scalar(node, scalar_first=False):
    def write(model, operation):
        inputs = [*operation.inputs, model.constant("scalar", operation.settings["scalar"])]
        model.node(node, inputs[::-1] if scalar_first else inputs)

    return write


WRITERS.update(
    {
        **{
            kind: _computes(node)
            for kind, node in {
                "global_max_pool": "GlobalMaxPool",
                "global_average_pool": "GlobalAveragePool",
                **dict.fromkeys(MASKED, "Identity"),
                "relu": "Relu",
                "sigmoid": "Sigmoid",
                "tanh": "Tanh",
                "softplus": "Softplus",
                "softsign": "Softsign",
                "selu": "Selu",
                "add": "Add",
                "subtract": "Sub",
                "multiply": "Mul",
                "divide": "Div",
                "maximum": "Max",
                "sum_of_inputs": "Sum",
                "sqrt": "Sqrt",
                "exp": "Exp",
                "abs": "Abs",
                "stop_gradient": "Identity",
            }.items()
        },
        "leaky_relu": _computes("LeakyRelu", alpha="slope"),
        "elu": _computes("Elu", alpha="slope"),
        "hard_sigmoid": _computes("HardSigmoid", alpha="alpha", beta="beta"),
        "softmax": _computes("Softmax", axis="axis"),
        "concat": _computes("Concat", axis="axis"),
        "mean": _reduces("ReduceMean"),
        "max": _reduces("ReduceMax"),
        "add_scalar": _with_scalar("Add"),
        "subtract_scalar": _with_scalar("Sub"),
        "subtract_from_scalar": _with_scalar("Sub", scalar_first=True),
        "multiply_scalar": _with_scalar("Mul"),
        "divide_scalar": _with_scalar("Div"),
        "divide_scalar_by": _with_scalar("Div", scalar_first=True),
        "power_scalar": _with_scalar("Pow"),
        "maximum_scalar": _with_scalar("Max"),
        "minimum_scalar": _with_scalar("Min"),
    }
)
