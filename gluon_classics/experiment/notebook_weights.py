"""The initial weights of D2L's notebooks, whose processes do not seed MXNet."""

from __future__ import annotations

import warnings

import mxnet as mx
from mxnet import gluon

BATCH_NORM_BY_HAND = ("lenet_bn_scratch", "lenet_bn_scratch_first")
BATCH_NORM = ("lenet_bn", "lenet_bn_first")


def draw(net: gluon.nn.Block, model: str, init: mx.init.Initializer, input_shape, numpy_mode: bool) -> None:
    """Draw a network's parameters as its notebook does in a new process, which equals seed 0.

    The notebook of the BN-LeNets trains the network from scratch before Gluon's. All others draw an image, then Gluon's
    default weights to show the shapes of the layers, then the weights to train.

    Args:
        net: Network whose shapes are known.
        model: Name of the network.
        init: Initializer of the weights to train.
        input_shape: (C, H, W) of the image.
        numpy_mode: Whether to draw arrays of `mx.np`, as D2L since version 0.7. MXNet draws other numbers for these.
    """
    mx.random.seed(0)
    if model in BATCH_NORM:
        _draw(net, init, numpy_mode)
    elif model not in BATCH_NORM_BY_HAND:
        (mx.np if numpy_mode else mx.nd).random.uniform(0, 1, (1, *input_shape))
        _draw(net, mx.init.Uniform(), numpy_mode)
    _draw(net, init, numpy_mode)


def _draw(net, init, numpy_mode):
    for name, parameter in net.collect_params().items():
        with mx.util.np_array(numpy_mode), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # MXNet 1.6 uses a name that it deprecates
            values = (mx.np if numpy_mode else mx.nd).zeros(parameter.shape)
            init(mx.init.InitDesc(name, {"__init__": parameter.init or init}), values)
        parameter.set_data(values.as_nd_ndarray())
