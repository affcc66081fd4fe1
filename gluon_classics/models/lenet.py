"""LeNet (LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998).

Source    `lenet`: the blog; its network is the one of the Gluon tutorials of early 2018.
          `lenet_slides`: the slides "LeNet, AlexNet, VGG, NiN".
          `lenet_straight_dope`, `lenet_bn_straight_dope`: "MXNet: the straight dope" (2017), the forerunner of D2L,
          without and with batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167).
          `lenet_d2l_first`: Dive into Deep Learning (D2L) in Chinese, first edition. `lenet_d2l`: D2L in English, and
          the second edition in Chinese. `lenet_bn_scratch`, `lenet_bn`: D2L in English from 0.16.6 (June 2021) on, with
          batch normalisation written out and as Gluon's layer. `lenet_bn_scratch_first`, `lenet_bn_first`: the same
          before, with max pooling, and in the Chinese first edition. `lenet_conv3`, `lenet_cifar10`: teaching material
          whose authors we do not know.
Departs   from the paper, all: full connections between the maps, plain pooling for trainable subsampling, softmax
          logits for the RBF output, and tanh, sigmoid or ReLU for scaled tanh.
          `lenet`, `lenet_slides`, straight dope: 20 and 50 maps in place of 6 and 16, one hidden layer. `lenet`: a 3x3
          second convolution. `lenet_d2l_first` and those with batch normalisation: 28x28 images without padding, so
          that 4x4 maps are left of 5x5. `lenet_cifar10`: 3 input channels.
Open      - `lenet_conv3` names no activation: that its convolutions have ReLU is a guess.
          - `lenet_conv3`, `lenet_cifar10`: who wrote them is not known.
"""

from mxnet.gluon import nn

from ._batch_norm import ScratchBatchNorm
from .registry import register

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
STRAIGHT_DOPE = (
    (20, 5, 0, nn.MaxPool2D),  # (N, 20, 12, 12), from 28x28 images
    (50, 5, 0, nn.MaxPool2D),  # (N, 50, 4, 4)
    (512,),
)
D2L_FIRST = (
    (6, 5, 0, nn.MaxPool2D),  # (N, 6, 12, 12), from 28x28 images
    (16, 5, 0, nn.MaxPool2D),  # (N, 16, 4, 4)
    (120,),
    (84,),
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

# departures that several editions share
PAPER = "(paper: scaled tanh, trainable subsampling, RBF output)"
RELU_MAX = f"ReLU, max pooling and softmax {PAPER}"
SIGMOID_MAX = f"sigmoid, max pooling and softmax {PAPER}"
SIGMOID_AVERAGE = f"sigmoid, average pooling and softmax {PAPER}"
FULL = "full connections between the maps (paper: partial)"
MORE_MAPS = "20 and 50 maps (paper: 6 and 16, partial connections)"
ONE_HIDDEN = "one hidden layer of {} (paper: C5 of 120 maps and F6 of 84 units)"
UNPADDED = "28x28 images without padding, so that 4x4 maps are left (paper: 5x5)"
NORMALISED = "batch normalisation (not yet known to the paper)"
BY_HAND = f"{NORMALISED}, written out, so that the network cannot be compiled"


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
        RELU_MAX,
        ONE_HIDDEN.format(128),
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
        MORE_MAPS,
        f"tanh, average pooling and softmax {PAPER}",
        ONE_HIDDEN.format(500),
    ),
)
def lenet_slides(classes=10, **kwargs):
    """The LeNet of the slides."""
    return LeNetEdition(SLIDES, "tanh", classes, **kwargs)


@register(
    source="MXNet: the straight dope (2017)",
    input_shape=(1, 28, 28),
    classes=10,
    params=440_812,
    macs=2_302_720,
    departures=(MORE_MAPS, RELU_MAX, ONE_HIDDEN.format(512)),
)
def lenet_straight_dope(classes=10, **kwargs):
    """The straight dope's LeNet."""
    return LeNetEdition(STRAIGHT_DOPE, "relu", classes, **kwargs)


@register(
    source="MXNet: the straight dope (2017)",
    input_shape=(1, 28, 28),
    classes=10,
    params=441_976,
    macs=2_302_720,
    departures=(NORMALISED, MORE_MAPS, RELU_MAX, ONE_HIDDEN.format(512)),
)
def lenet_bn_straight_dope(classes=10, **kwargs):
    """The straight dope's LeNet with batch normalisation."""
    return LeNetEdition(STRAIGHT_DOPE, "relu", classes, norm=batch_norm, **kwargs)


@register(
    source="D2L in Chinese, first edition",
    input_shape=(1, 28, 28),
    classes=10,
    params=44_426,
    macs=281_640,
    departures=(FULL, UNPADDED, SIGMOID_MAX),
)
def lenet_d2l_first(classes=10, **kwargs):
    """The LeNet of D2L's first edition: no padding, max pooling."""
    return LeNetEdition(D2L_FIRST, "sigmoid", classes, **kwargs)


@register(
    source="D2L, second edition",
    input_shape=(1, 28, 28),
    classes=10,
    params=61_706,
    macs=416_520,
    departures=(FULL, SIGMOID_AVERAGE),
)
def lenet_d2l(classes=10, **kwargs):
    """D2L's LeNet: the 28x28 images are padded to 32x32 within the first convolution."""
    return LeNetEdition(D2L, "sigmoid", classes, **kwargs)


@register(
    source="D2L in Chinese, first edition; in English to 0.16.5",
    input_shape=(1, 28, 28),
    classes=10,
    params=44_878,
    macs=281_640,
    departures=(BY_HAND, FULL, UNPADDED, SIGMOID_MAX),
)
def lenet_bn_scratch_first(classes=10, **kwargs):
    """`lenet_bn_scratch` as it was at first, with max pooling; runs eagerly only."""
    return LeNetEdition(D2L_FIRST, "sigmoid", classes, norm=ScratchBatchNorm, **kwargs)


@register(
    source="D2L in Chinese, first edition; in English to 0.16.5",
    input_shape=(1, 28, 28),
    classes=10,
    params=44_878,
    macs=281_640,
    departures=(NORMALISED, FULL, UNPADDED, SIGMOID_MAX),
)
def lenet_bn_first(classes=10, **kwargs):
    """`lenet_bn` as it was at first, with max pooling."""
    return LeNetEdition(D2L_FIRST, "sigmoid", classes, norm=batch_norm, **kwargs)


@register(
    source="D2L in English, 0.16.6 to 1.0",
    input_shape=(1, 28, 28),
    classes=10,
    params=44_878,
    macs=281_640,
    departures=(BY_HAND, FULL, UNPADDED, SIGMOID_AVERAGE),
)
def lenet_bn_scratch(classes=10, **kwargs):
    """D2L's LeNet with batch normalisation written out by hand; runs eagerly only (see `ScratchBatchNorm`)."""
    return LeNetEdition(D2L_BN, "sigmoid", classes, norm=ScratchBatchNorm, **kwargs)


@register(
    source="D2L in English, 0.16.6 to 1.0",
    input_shape=(1, 28, 28),
    classes=10,
    params=44_878,
    macs=281_640,
    departures=(NORMALISED, FULL, UNPADDED, SIGMOID_AVERAGE),
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
    departures=(FULL, RELU_MAX),
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
        FULL,
        RELU_MAX,
    ),
)
def lenet_cifar10(classes=10, **kwargs):
    """LeNet for the colour images of CIFAR-10."""
    return LeNetEdition(CIFAR10, "relu", classes, **kwargs)
