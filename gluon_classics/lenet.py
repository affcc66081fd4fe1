"""LeNet (LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998).

Source    `lenet`: the blog; its network is the one of the Gluon tutorials of early 2018.
          `lenet_slides`: the slides "LeNet, AlexNet, VGG, NiN".
          `lenet_d2l`: Dive into Deep Learning (D2L), second edition.
          `lenet_bn_scratch`, `lenet_bn`: D2L 1.0, with batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167)
          written out and as Gluon's layer. `lenet_conv3`, `lenet_cifar10`: teaching material whose authors we do not
          know; that the convolutions of `lenet_conv3` have ReLU is a guess, it names none.
Departs   from the paper, all: full connections between the maps, plain pooling for trainable subsampling, softmax
          logits for the RBF output, and tanh, sigmoid or ReLU for scaled tanh.
          `lenet`, `lenet_slides`: 20 and 50 maps in place of 6 and 16, one hidden layer. `lenet`: a 3x3 second
          convolution. `lenet_bn`, `lenet_bn_scratch`: 28x28 images without padding, so that 4x4 maps are left of 5x5.
          `lenet_cifar10`: 3 input channels.
Open      - `lenet_conv3` names no activation: that its convolutions have ReLU is a guess.
          - `lenet_conv3`, `lenet_cifar10`: who wrote them is not known.
"""

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import nn

from ._registry import register

# (maps, kernel, padding, 2x2 pool) of each convolution, (units,) of each hidden dense layer
BLOG = (
    (20, 5, 0, nn.MaxPool2D),  # (N, 20, 12, 12) out of the pool, from 28x28 images
    (50, 3, 0, nn.MaxPool2D),  # (N, 50, 5, 5)
    (128,),
)
SLIDES = (
    (20, 5, 0, nn.AvgPool2D),  # (N, 20, 12, 12), from 28x28 images
    (50, 5, 0, nn.AvgPool2D),  # (N, 50, 4, 4)
    (500,),
)
D2L = (
    (6, 5, 2, nn.AvgPool2D),  # (N, 6, 14, 14), from 28x28 images
    (16, 5, 0, nn.AvgPool2D),  # (N, 16, 5, 5)
    (120,),
    (84,),
)
D2L_BN = (
    (6, 5, 0, nn.AvgPool2D),  # (N, 6, 12, 12), from 28x28 images
    (16, 5, 0, nn.AvgPool2D),  # (N, 16, 4, 4)
    (120,),
    (84,),
)
CONV3 = (
    (6, 5, 0, nn.MaxPool2D),  # (N, 6, 14, 14), from 32x32 images
    (16, 5, 0, nn.MaxPool2D),  # (N, 16, 5, 5)
    (120, 5, 0, None),  # (N, 120, 1, 1)
    (84,),
)
CIFAR10 = (
    (6, 5, 0, nn.MaxPool2D),  # (N, 6, 14, 14), from 32x32 images
    (16, 5, 0, nn.MaxPool2D),  # (N, 16, 5, 5)
    (120,),
    (84,),
)


class ScratchBatchNorm(nn.Block):
    """Batch normalisation written out, for (N, features) and, with `dimensions` 4, for (N, features, H, W).

    In training mode it normalises with the mean and the biased variance of the batch, over all axes but the features,
    and moves the running statistics by a tenth of the way to them: in the forward pass, where MXNet's operator does
    it in the backward pass. In prediction mode it normalises with the running statistics. Parameters are named as
    those of `nn.BatchNorm`, so that files interchange.

    A compiled graph cannot ask for the mode, so this is no `HybridBlock`: a network that contains it runs eagerly.
    """

    def __init__(self, features, dimensions, **kwargs):
        super().__init__(**kwargs)
        self._axes = (0,) if dimensions == 2 else (0, 2, 3)
        self._shape = (1, features) if dimensions == 2 else (1, features, 1, 1)
        constant = {"shape": (features,), "grad_req": "null", "differentiable": False}
        self.gamma = self.params.get("gamma", shape=(features,), init="ones")
        self.beta = self.params.get("beta", shape=(features,), init="zeros")
        self.running_mean = self.params.get("running_mean", init="zeros", **constant)
        self.running_var = self.params.get("running_var", init="ones", **constant)

    def forward(self, x):
        if isinstance(x, mx.sym.Symbol):  # only asked for shapes: as in prediction
            return self._normalised(mx.sym, x, *(p.var() for p in self._reg_params.values()))
        gamma, beta, *running = (p.data(x.context) for p in self._reg_params.values())
        if not autograd.is_training():
            return self._normalised(mx.nd, x, gamma, beta, *running)
        mean = x.mean(axis=self._axes, keepdims=True)
        variance = ((x - mean) ** 2).mean(axis=self._axes, keepdims=True)
        with autograd.pause():
            for old, batch in zip(running, (mean, variance)):
                old[:] = 0.9 * old + 0.1 * batch.reshape(-1)
        return self._normalised(mx.nd, x, gamma, beta, mean, variance)

    def _normalised(self, F, x, *parameters):
        gamma, beta, mean, variance = (F.reshape(p, shape=self._shape) for p in parameters)
        scaled = F.broadcast_div(F.broadcast_sub(x, mean), F.sqrt(variance + 1e-5))
        return F.broadcast_add(F.broadcast_mul(gamma, scaled), beta)


def batch_norm(_features, _dimensions):
    """Gluon's layer, which finds out both by itself."""
    return nn.BatchNorm()


class LeNetEdition(nn.Sequential):
    """(N, C, H, W) images to (N, classes) logits, by a table of the convolutions and the hidden dense layers.

    `norm(features, dimensions)` makes the layer between each of these and its `activation`.
    """

    def __init__(self, table, activation, classes, norm=None, **kwargs):
        super().__init__(**kwargs)
        own = None if norm else activation  # with a norm in between the activation is a layer of its own
        with self.name_scope():
            for maps, kernel, padding, pool in (row for row in table if len(row) > 1):
                self.add(nn.Conv2D(maps, kernel, padding=padding, activation=own))
                if norm:
                    self.add(norm(maps, 4), nn.Activation(activation))
                if pool:
                    self.add(pool(pool_size=2, strides=2))
            self.add(nn.Flatten())
            for (units,) in (row for row in table if len(row) == 1):
                self.add(nn.Dense(units, activation=own))
                if norm:
                    self.add(norm(units, 2), nn.Activation(activation))
            self.add(nn.Dense(classes))


class LeNet(LeNetEdition):
    """(N, 1, 28, 28) images, or larger, to (N, classes) logits."""

    def __init__(self, classes=10, **kwargs):
        super().__init__(BLOG, "relu", classes, **kwargs)


@register(
    source="the blog (March 2018), after the Gluon tutorial",
    input_shape=(1, 28, 28),
    classes=10,
    params=170_988,
    macs=1_349_280,
    departures=(
        "20 and 50 maps (paper: 6 and 16), the second convolution 3x3 (paper: 5x5, partial connections)",
        "ReLU, max pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
        "one hidden layer of 128 (paper: C5 of 120 maps and F6 of 84 units)",
    ),
)
def lenet(classes=10, **kwargs):
    """The blog's LeNet."""
    return LeNet(classes, **kwargs)


@register(
    source='the slides "LeNet, AlexNet, VGG, NiN"',
    input_shape=(1, 28, 28),
    classes=10,
    params=431_080,
    macs=2_293_000,
    departures=(
        "20 and 50 maps (paper: 6 and 16, partial connections)",
        "tanh, average pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
        "one hidden layer of 500 (paper: C5 of 120 maps and F6 of 84 units)",
    ),
)
def lenet_slides(classes=10, **kwargs):
    """The LeNet of the slides."""
    return LeNetEdition(SLIDES, "tanh", classes, **kwargs)


@register(
    source="D2L, second edition",
    input_shape=(1, 28, 28),
    classes=10,
    params=61_706,
    macs=416_520,
    departures=(
        "full connections between the maps (paper: partial)",
        "sigmoid, average pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
    ),
)
def lenet_d2l(classes=10, **kwargs):
    """D2L's LeNet: the 28x28 images are padded to 32x32 within the first convolution."""
    return LeNetEdition(D2L, "sigmoid", classes, **kwargs)


@register(
    source="D2L 1.0",
    input_shape=(1, 28, 28),
    classes=10,
    params=44_878,
    macs=281_640,
    departures=(
        "batch normalisation (not yet known to the paper), written out, so that the network cannot be compiled",
        "28x28 images without padding, so that 4x4 maps are left (paper: 5x5)",
        "sigmoid, average pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
    ),
)
def lenet_bn_scratch(classes=10, **kwargs):
    """D2L's LeNet with batch normalisation written out by hand; runs eagerly only (see `ScratchBatchNorm`)."""
    return LeNetEdition(D2L_BN, "sigmoid", classes, norm=ScratchBatchNorm, **kwargs)


@register(
    source="D2L 1.0",
    input_shape=(1, 28, 28),
    classes=10,
    params=44_878,
    macs=281_640,
    departures=(
        "batch normalisation (not yet known to the paper)",
        "28x28 images without padding, so that 4x4 maps are left (paper: 5x5)",
        "sigmoid, average pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
    ),
)
def lenet_bn(classes=10, **kwargs):
    """D2L's LeNet with batch normalisation."""
    return LeNetEdition(D2L_BN, "sigmoid", classes, norm=batch_norm, **kwargs)


@register(
    source='a "modern LeNet" of teaching material, authors unknown',
    input_shape=(1, 32, 32),
    classes=10,
    params=61_706,
    macs=416_520,
    departures=(
        "full connections between the maps (paper: partial)",
        "ReLU, max pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
    ),
)
def lenet_conv3(classes=10, **kwargs):
    """LeNet with C5 as a third convolution, as in the paper."""
    return LeNetEdition(CONV3, "relu", classes, **kwargs)


@register(
    source="an exercise on CIFAR-10, authors unknown; the best accuracy it gives is 66.05 %",
    input_shape=(3, 32, 32),
    classes=10,
    params=62_006,
    macs=651_720,
    departures=(
        "3 input channels (paper: 1)",
        "full connections between the maps (paper: partial)",
        "ReLU, max pooling and softmax (paper: scaled tanh, trainable subsampling, RBF output)",
    ),
)
def lenet_cifar10(classes=10, **kwargs):
    """LeNet for the colour images of CIFAR-10."""
    return LeNetEdition(CIFAR10, "relu", classes, **kwargs)
