"""Networks of one operation: each is followed by a dense layer, whose outputs enter the loss.

They show whether a framework's own layer, with the settings that a porter gives it, is MXNet's. Images are random in
0..1; operations that treat negative numbers differently get them minus 0.5.
"""

from __future__ import annotations

from typing import Any, Callable

from mxnet import nd, sym
import numpy as np

from ..network.sources import Source, from_symbol

SHAPE = (6, 9, 8)  # of an image; odd and even, so that rounding and "same" padding show
CLASSES = 10
NAME = "operation"  # of the operation in its network


def operation_source(name: str) -> Source:
    """Return the network of an operation, with random weights.

    Args:
        name: One of `OPERATIONS`.
    """
    output = OPERATIONS[name](sym.var("data"))
    logits = sym.FullyConnected(output, num_hidden=CLASSES, name="dense")
    shapes, _, running = logits.infer_shape(data=(1, *SHAPE))
    sizes = {**dict(zip(logits.list_arguments(), shapes)), **dict(zip(logits.list_auxiliary_states(), running))}
    del sizes["data"]
    generator = np.random.RandomState(0)
    weights = {key: nd.array(generator.uniform(0.5, 1.5, size)) for key, size in sizes.items()}
    return from_symbol(logits, weights, SHAPE, name)


Builder = Callable[[Any], Any]  # from the symbol of the images to that of the operation


def _convolution(**settings) -> Builder:
    return lambda x: sym.Convolution(x, num_filter=8, name=NAME, **{"kernel": (3, 3), **settings})


def _transposed(**settings) -> Builder:
    return lambda x: sym.Deconvolution(x, num_filter=4, name=NAME, no_bias=False, **{"kernel": (3, 3), **settings})


def _pool(kind, convention="valid", **settings) -> Builder:
    given = {"kernel": (3, 3), "stride": (2, 2), **settings}
    return lambda x: sym.Pooling(x, pool_type=kind, pooling_convention=convention, name=NAME, **given)


def _global_pool(kind) -> Builder:
    return lambda x: sym.Pooling(x, pool_type=kind, global_pool=True, kernel=(1, 1), name=NAME)


def _batch_norm(**settings) -> Builder:
    return lambda x: sym.BatchNorm(x, name=NAME, **{"fix_gamma": False, "eps": 1e-5, **settings})


def _response_norm(**settings) -> Builder:
    return lambda x: sym.LRN(x, name=NAME, **{"nsize": 5, "alpha": 0.5, "beta": 0.75, "knorm": 2, **settings})


def _of_negative(function, *arguments, **settings) -> Builder:
    """Return an operation on values between -0.5 and 0.5."""
    return lambda x: function(x - 0.5, *arguments, name=NAME, **settings)


def _of_positive(function, *arguments, **settings) -> Builder:
    """Return an operation on values between 0.5 and 1.5."""
    return lambda x: function(x + 0.5, *arguments, name=NAME, **settings)


def _of_images(function, **settings) -> Builder:
    return lambda x: function(x, name=NAME, **settings)


def _of_halves(function) -> Builder:
    """Return an operation on the first and the last three channels."""
    return lambda x: function(*_parts(x, 2), name=NAME)


def _of_halves_averaged(function) -> Builder:
    """Return an operation on three channels and the means of three others, which have one number per channel."""

    def build(x):
        first, second = _parts(x, 2)
        return function(first, sym.Pooling(second, pool_type="avg", global_pool=True, kernel=(1, 1)) + 0.5, name=NAME)

    return build


def _parts(x, count):
    size = SHAPE[0] // count
    return [sym.slice_axis(x, axis=1, begin=number * size, end=(number + 1) * size) for number in range(count)]


def _dense(**settings) -> Builder:
    return lambda x: sym.FullyConnected(x, num_hidden=7, name=NAME, **settings)


OPERATIONS: dict[str, Builder] = {
    "convolution": _convolution(),
    "convolution_padded": _convolution(pad=(1, 1)),
    "convolution_stride_2": _convolution(stride=(2, 2), pad=(1, 1)),
    "convolution_stride_2_kernel_2": _convolution(kernel=(2, 2), stride=(2, 2)),
    "convolution_1x1_stride_2": _convolution(kernel=(1, 1), stride=(2, 2)),
    "convolution_without_bias": _convolution(no_bias=True),
    "convolution_1x7": _convolution(kernel=(1, 7), pad=(0, 3)),
    "convolution_dilated": _convolution(dilate=(2, 2), pad=(2, 2)),
    "convolution_groups": _convolution(num_group=2, pad=(1, 1)),
    "convolution_depthwise": lambda x: sym.Convolution(
        x, num_filter=6, num_group=6, kernel=(3, 3), pad=(1, 1), name=NAME
    ),
    "convolution_depthwise_2_per_channel": lambda x: sym.Convolution(
        x, num_filter=12, num_group=6, kernel=(3, 3), name=NAME
    ),
    "transposed_convolution": _transposed(),
    "transposed_convolution_stride_2": _transposed(stride=(2, 2), pad=(1, 1), adj=(1, 1)),
    "transposed_convolution_groups": _transposed(stride=(2, 2), num_group=2),
    "dense": _dense(),
    "dense_without_bias": _dense(no_bias=True),
    "dense_on_the_last_axis": _dense(flatten=False),
    "batch_norm": _batch_norm(),
    "batch_norm_eps_1e-3_momentum_.99": _batch_norm(eps=1e-3, momentum=0.99),
    "batch_norm_fixed_gamma": _batch_norm(fix_gamma=True),
    "batch_norm_with_running_statistics": _batch_norm(use_global_stats=True),
    "batch_norm_of_vectors": lambda x: sym.BatchNorm(
        sym.FullyConnected(x, num_hidden=12, name="first"), fix_gamma=False, eps=1e-5, name=NAME
    ),
    "layer_norm": lambda x: sym.LayerNorm(x, axis=-1, name=NAME),
    "layer_norm_of_channels": lambda x: sym.LayerNorm(x, axis=1, name=NAME),
    "instance_norm": _of_images(sym.InstanceNorm, eps=1e-3),
    "group_norm": _of_images(sym.GroupNorm, num_groups=2),
    "local_response_norm": _response_norm(),
    "local_response_norm_size_3": _response_norm(nsize=3, beta=0.5, knorm=1),
    "max_pool": _pool("max"),
    "max_pool_ceil": _pool("max", "full"),
    "max_pool_padded": _pool("max", pad=(1, 1)),
    "max_pool_padded_ceil": _pool("max", "full", pad=(1, 1)),
    "max_pool_2x2": _pool("max", kernel=(2, 2)),
    "max_pool_2x2_ceil": _pool("max", "full", kernel=(2, 2)),
    "max_pool_of_negative": lambda x: sym.Pooling(
        x - 2, pool_type="max", kernel=(3, 3), stride=(2, 2), pad=(1, 1), name=NAME
    ),
    "average_pool": _pool("avg"),
    "average_pool_ceil": _pool("avg", "full"),
    "average_pool_padded": _pool("avg", pad=(1, 1)),
    "average_pool_padded_not_counted": _pool("avg", pad=(1, 1), count_include_pad=False),
    "average_pool_padded_ceil": _pool("avg", "full", pad=(1, 1)),
    "global_max_pool": _global_pool("max"),
    "global_average_pool": _global_pool("avg"),
    "adaptive_average_pool": _of_images(sym.contrib.AdaptiveAvgPooling2D, output_size=(4, 3)),
    "relu": _of_negative(sym.relu),
    "sigmoid": _of_negative(sym.sigmoid),
    "tanh": _of_negative(sym.tanh),
    "softplus": _of_negative(sym.Activation, act_type="softrelu"),
    "softsign": _of_negative(sym.Activation, act_type="softsign"),
    "leaky_relu": _of_negative(sym.LeakyReLU, act_type="leaky", slope=0.25),
    "prelu": lambda x: sym.LeakyReLU(x - 0.5, sym.var("slope", shape=(SHAPE[0],)), act_type="prelu", name=NAME),
    "elu": _of_negative(sym.LeakyReLU, act_type="elu", slope=0.5),
    "selu": _of_negative(sym.LeakyReLU, act_type="selu"),
    "gelu": _of_negative(sym.LeakyReLU, act_type="gelu"),
    "hard_sigmoid": lambda x: sym.hard_sigmoid(8 * (x - 0.5), alpha=0.2, beta=0.5, name=NAME),
    "softmax_of_channels": lambda x: sym.softmax(4 * x, axis=1, name=NAME),
    "clip": _of_negative(sym.clip, a_min=-0.25, a_max=0.3),
    "dropout": _of_images(sym.Dropout, p=0.25),
    "dropout_of_channels": _of_images(sym.Dropout, p=0.25, axes=(2, 3)),
    "dropout_of_images": _of_images(sym.Dropout, p=0.5, axes=(1, 2, 3)),
    "pad_constant": _of_images(sym.pad, mode="constant", pad_width=(0, 0, 0, 0, 1, 2, 0, 1), constant_value=0.5),
    "pad_edge": _of_images(sym.pad, mode="edge", pad_width=(0, 0, 0, 0, 1, 2, 0, 1)),
    "pad_reflect": _of_images(sym.pad, mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 0, 1)),
    "resize_bilinear": _of_images(sym.contrib.BilinearResize2D, height=12, width=5),
    "resize_bilinear_half_pixels": _of_images(sym.contrib.BilinearResize2D, height=12, width=5, align_corners=False),
    "upsample_nearest": lambda x: sym.UpSampling(x, scale=2, sample_type="nearest", name=NAME),
    "concat": _of_halves(lambda x, y, name: sym.concat(y, x, dim=1, name=name)),
    "concat_of_heights": _of_halves(lambda x, y, name: sym.concat(x, y, dim=2, name=name)),
    "add": _of_halves(sym.elemwise_add),
    "add_repeated": _of_halves_averaged(sym.broadcast_add),
    "subtract": _of_halves(sym.elemwise_sub),
    "multiply": _of_halves(sym.elemwise_mul),
    "multiply_repeated": _of_halves_averaged(sym.broadcast_mul),
    "divide": _of_halves_averaged(sym.broadcast_div),
    "maximum": _of_halves(sym.broadcast_maximum),
    "sum_of_inputs": lambda x: sym.add_n(*_parts(x, 3), name=NAME),
    "flatten": _of_images(sym.flatten),
    "reshape": _of_images(sym.reshape, shape=(0, 3, -1)),
    "matrix_product": lambda x: sym.batch_dot(
        *(sym.reshape(part, shape=(0, 0, -1)) for part in _parts(x, 2)), transpose_b=True, name=NAME
    ),
    "crop": _of_images(sym.slice, begin=(None, 1, 2, 3), end=(None, 5, -1, None)),
    "slice": _of_images(sym.slice_axis, axis=1, begin=1, end=4),
    "expand_dims": _of_images(sym.expand_dims, axis=1),
    "transpose": _of_images(sym.transpose, axes=(0, 2, 3, 1)),
    "shuffle_of_channels": lambda x: sym.reshape(
        sym.transpose(sym.reshape(x, shape=(0, 2, 3, 9, 8)), axes=(0, 2, 1, 3, 4)), shape=(0, 6, 9, 8), name=NAME
    ),
    "square": _of_negative(sym.square),
    "sqrt": _of_positive(sym.sqrt),
    "exp": _of_negative(sym.exp),
    "abs": _of_negative(sym.abs),
    "zeros_like": lambda x: sym.concat(x, sym.zeros_like(x, name=NAME), dim=1),
    "ones_like": lambda x: sym.concat(x, sym.ones_like(x, name=NAME), dim=1),
    "stop_gradient": lambda x: sym.concat(x, sym.BlockGrad(_convolution(pad=(1, 1))(x), name="stop"), dim=1),
    "mean": _of_images(sym.mean, axis=(2, 3), keepdims=True),
    "sum": _of_images(sym.sum, axis=1),
    "max": _of_images(sym.max, axis=(2, 3)),
    "add_scalar": lambda x: x + 0.3,
    "subtract_scalar": lambda x: x - 0.3,
    "subtract_from_scalar": lambda x: 0.3 - x,
    "multiply_scalar": lambda x: x * 0.3,
    "divide_scalar": lambda x: x / 0.3,
    "divide_scalar_by": lambda x: 0.3 / (x + 0.5),
    "power_scalar": lambda x: (x + 0.5) ** 2.5,
    "maximum_scalar": lambda x: sym.maximum(x, 0.3),
    "minimum_scalar": lambda x: sym.minimum(x, 0.3),
}
