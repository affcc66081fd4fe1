"""The LeNets and the GoogLeNet of D2L's first edition and of its English builds up to 0.17, for MXNet 1.5 to 1.7.

As in `networks.py`, they are written independently of `gluon_classics.models`.
"""

import contextlib

import mxnet as mx
from mxnet import autograd, init, nd
from mxnet.gluon import nn
from networks import Inception, chain, conv


class BatchNormByHand(nn.Block):
    """Batch normalization written out: (N, features) or (N, features, H, W) to the same shape.

    Args:
        features: Size of axis 1.
        dimensions: Number of axes of the input: 2 or 4.
        eps: Number added to the variance.
        start: Moving variance at the start.
    """

    def __init__(self, features, dimensions, eps, start, **kwargs):
        super().__init__(**kwargs)
        shape = (1, features) if dimensions == 2 else (1, features, 1, 1)
        self._axes, self._eps = (0,) if dimensions == 2 else (0, 2, 3), eps
        with self.name_scope():
            self.gamma = self.params.get("gamma", shape=shape, init="ones")
            self.beta = self.params.get("beta", shape=shape, init="zeros")
            self.mean = self.params.get("running_mean", shape=shape, init="zeros", grad_req="null")
            self.var = self.params.get("running_var", shape=shape, init=start, grad_req="null")

    def forward(self, x):
        if autograd.is_training():
            mean = x.mean(axis=self._axes, keepdims=True)
            var = ((x - mean) ** 2).mean(axis=self._axes, keepdims=True)
            with autograd.pause():
                for parameter, batch in ((self.mean, mean), (self.var, var)):
                    parameter.set_data(0.9 * parameter.data() + 0.1 * batch)
        else:
            mean, var = self.mean.data(), self.var.data()
        return self.gamma.data() * (x - mean) / (var + self._eps) ** 0.5 + self.beta.data()


def lenet(pool, padding, norm):
    """Return a LeNet with 6 and 16 channels and sigmoid.

    Args:
        pool: Class of the pools.
        padding: Padding of the first convolution.
        norm: Function that makes the layer before each sigmoid, from the number of features and the number of axes;
            None leaves it out.
    """

    def activated(layer, features, dimensions):
        between = [norm(features, dimensions)] if norm else []
        return [layer, *between, nn.Activation("sigmoid")]

    convolutions = [
        *(*activated(nn.Conv2D(6, 5, padding=padding), 6, 4), pool(2, 2)),
        *(*activated(nn.Conv2D(16, 5), 16, 4), pool(2, 2)),
    ]
    dense = [*activated(nn.Dense(120), 120, 2), *activated(nn.Dense(84), 84, 2), nn.Dense(10)]
    return chain(*convolutions, nn.Flatten(), *dense)


def googlenet():
    """Return the GoogLeNet of all editions. The first edition's first build left out the ReLUs of the second stage."""

    def pool():
        return nn.MaxPool2D(3, 2, padding=1)

    def inceptions(*rows):
        return [Inception(*row, kernels=(3, 5)) for row in rows]

    return chain(
        chain(conv(64, 7, strides=2, padding=3), pool()),
        chain(conv(64, 1), conv(192, 3, padding=1), pool()),
        chain(*inceptions((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)), pool()),
        chain(
            *inceptions(
                (192, (96, 208), (16, 48), 64),
                (160, (112, 224), (24, 64), 64),
                (128, (128, 256), (24, 64), 64),
                (112, (144, 288), (32, 64), 64),
                (256, (160, 320), (32, 128), 128),
            ),
            pool(),
        ),
        chain(
            *inceptions((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)),
            nn.GlobalAvgPool2D(),
        ),
        nn.Dense(10),
    )


def _gluon(features, dimensions):
    return nn.BatchNorm()


def _by_hand(eps, start):
    return lambda features, dimensions: BatchNormByHand(features, dimensions, eps, start)


# D2L adds 1e-5 to the variance in its first edition and in English to 0.7, later 1e-12. The moving variance starts from
# 0 to 0.15.1, later from 1. Training does not use it, and after an epoch of 235 batches .9 ** 235 of its start is left:
# so `lenet_bn_scratch_first_english`, as in 0.8.0 to 0.15.1, stands for 0.16.0 to 0.16.5, too.
NETWORKS = {
    "lenet_d2l_first": lambda dropout: lenet(nn.MaxPool2D, 0, None),
    "lenet_bn_first": lambda dropout: lenet(nn.MaxPool2D, 0, _gluon),
    "lenet_bn_scratch_first": lambda dropout: lenet(nn.MaxPool2D, 0, _by_hand(1e-5, "zeros")),
    "lenet_bn_scratch_first_english": lambda dropout: lenet(nn.MaxPool2D, 0, _by_hand(1e-12, "zeros")),
    "lenet_d2l": lambda dropout: lenet(nn.AvgPool2D, 2, None),
    "lenet_bn": lambda dropout: lenet(nn.AvgPool2D, 0, _gluon),
    "lenet_bn_scratch": lambda dropout: lenet(nn.AvgPool2D, 0, _by_hand(1e-12, "ones")),
    "googlenet_d2l": lambda dropout: googlenet(),
}
# the network that the same notebook trains before this one; how it starts the moving variance changes no drawn weight
TRAINED_BEFORE = {"lenet_bn_first": "lenet_bn_scratch_first", "lenet_bn": "lenet_bn_scratch"}
# networks whose shapes the notebook shows before the training, with the height and width of the image for this
SHOWN = {"lenet_d2l_first": 28, "lenet_d2l": 28, "googlenet_d2l": 96}


@contextlib.contextmanager
def numpy_mode(active):
    """Use MXNet's NumPy arrays, as D2L does since 0.7. MXNet draws other random numbers for them."""
    if active:
        mx.npx.set_np()
    try:
        yield
    finally:
        if active:
            mx.npx.reset_np()


def notebook_weights(network, use_numpy_mode):
    """Return the initial values of all parameters, as D2L's notebook draws them in a process that does not seed MXNet.

    The notebooks of LeNet and GoogLeNet draw an image and default weights first, to show the shapes. That of the
    BN-LeNets trains the network from scratch before Gluon's.
    """
    with numpy_mode(use_numpy_mode):
        draw = mx.np.random.uniform if use_numpy_mode else nd.random.uniform
        for name in filter(None, [TRAINED_BEFORE.get(network), network]):
            net = NETWORKS[name](None)
            shape = (1, 1, *2 * [SHOWN.get(name, 28)])
            if name in SHOWN:
                image = draw(0, 1, shape)
                net.initialize()
                net(image)
            net.initialize(init.Xavier(), force_reinit=True)
            net((mx.np if use_numpy_mode else nd).zeros(shape))
        nd.waitall()  # a convolution reorders its weights in the background: MXNet fails where they are read meanwhile
        return [parameter.data().asnumpy() for parameter in net.collect_params().values()]
