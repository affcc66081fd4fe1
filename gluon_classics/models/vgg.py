"""VGG (Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", arXiv:1409.1556).

Source    `vgg`: the blog; `VGGNet` takes any architecture, and the printed one is configuration B (VGG-13).
          `vgg11`, `vgg13`, `vgg16`, `vgg19`: configurations A, B, D and E of the paper's table 1.
          `vgg11_tutorial`: the Gluon tutorials of early 2018. `vgg11_d2l`: Dive into Deep Learning (D2L).
Departs   from the paper: initial weights are whatever the user asks for, where the paper starts deep nets from
          trained shallow ones. `vgg`, `vgg11_tutorial`, `vgg11_d2l`: 1 input channel and 10 classes.
          `vgg11_tutorial`: 96x96 images. `vgg11_d2l`: convolutions of a quarter of the width.
"""

from mxnet.gluon import nn

from ._blocks import chain, dense_head
from .registry import register

# (convolutions, channels) of each block          # out of the block at 224
ARCHITECTURE = (
    (2, 64),  # (N, 64, 112, 112)
    (2, 128),  # (N, 128, 56, 56)
    (2, 256),  # (N, 256, 28, 28)
    (2, 512),  # (N, 512, 14, 14)
    (2, 512),  # (N, 512, 7, 7)
)
A = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))  # VGG-11
B = ARCHITECTURE  # VGG-13
D = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # VGG-16
E = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))  # VGG-19
QUARTER_A = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))


def vgg_block(convolutions, channels):
    """`convolutions` 3x3 convolutions of one width, then 2x2 max pooling: (N, C, H, W) to (N, channels, H/2, W/2)."""
    return chain(
        *(nn.Conv2D(channels, kernel_size=3, padding=1, activation="relu") for _ in range(convolutions)),
        nn.MaxPool2D(pool_size=2, strides=2),
    )


class VGGNet(nn.Sequential):
    """(N, 1, 224, 224) images to (N, classes) logits; `architecture` lists (convolutions, channels) a block."""

    def __init__(self, architecture=ARCHITECTURE, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for convolutions, channels in architecture:
                self.add(vgg_block(convolutions, channels))
            self.add(*dense_head(classes))


@register(
    source="the blog (March 2018); arXiv:1409.1556, table 1, column B",
    input_shape=(1, 224, 224),
    classes=10,
    params=128_990_666,
    macs=11_246_608_384,
    departures=("1 input channel and 10 classes (paper: 3 and 1000)",),
)
def vgg(classes=10, architecture=ARCHITECTURE, **kwargs):
    """The blog's VGG: as printed, VGG-13."""
    return VGGNet(architecture, classes, **kwargs)


@register(
    source="arXiv:1409.1556, table 1, column A",
    input_shape=(3, 224, 224),
    classes=1000,
    params=132_863_336,
    macs=7_609_090_048,
)
def vgg11(classes=1000, **kwargs):
    """The paper's configuration A."""
    return VGGNet(A, classes, **kwargs)


@register(
    source="arXiv:1409.1556, table 1, column B",
    input_shape=(3, 224, 224),
    classes=1000,
    params=133_047_848,
    macs=11_308_466_176,
    departures=("no layer starts from a trained one (paper: from configuration A)",),
)
def vgg13(classes=1000, **kwargs):
    """The paper's configuration B."""
    return VGGNet(B, classes, **kwargs)


@register(
    source="arXiv:1409.1556, table 1, column D",
    input_shape=(3, 224, 224),
    classes=1000,
    params=138_357_544,
    macs=15_470_264_320,
    departures=("no layer starts from a trained one (paper: from configuration A)",),
)
def vgg16(classes=1000, **kwargs):
    """The paper's configuration D."""
    return VGGNet(D, classes, **kwargs)


@register(
    source="arXiv:1409.1556, table 1, column E",
    input_shape=(3, 224, 224),
    classes=1000,
    params=143_667_240,
    macs=19_632_062_464,
    departures=("no layer starts from a trained one (paper: from configuration A)",),
)
def vgg19(classes=1000, **kwargs):
    """The paper's configuration E."""
    return VGGNet(E, classes, **kwargs)


@register(
    source="the Gluon tutorial (early 2018)",
    input_shape=(1, 96, 96),
    classes=10,
    params=44_920_074,
    macs=1_399_955_456,
    departures=("1 input channel, 96x96 images and 10 classes (paper: 3, 224x224 and 1000)",),
)
def vgg11_tutorial(classes=10, **kwargs):
    """Configuration A for Fashion-MNIST at 96."""
    return VGGNet(A, classes, **kwargs)


@register(
    source="D2L",
    input_shape=(1, 224, 224),
    classes=10,
    params=43_093_322,
    macs=512_155_648,
    departures=(
        "16 to 128 channels (paper: 64 to 512); the dense layers have the paper's width",
        "1 input channel and 10 classes (paper: 3 and 1000)",
    ),
)
def vgg11_d2l(classes=10, **kwargs):
    """Configuration A with convolutions of a quarter of the width."""
    return VGGNet(QUARTER_A, classes, **kwargs)
