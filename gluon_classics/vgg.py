"""VGG (Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", arXiv:1409.1556).

Source    `vgg`: the blog; `VGGNet` takes any architecture, and the printed one is configuration B (VGG-13).
Departs   from the paper: 1 input channel and 10 classes; Xavier initialisation where the paper starts deep nets
          from trained shallow ones.
"""

from mxnet.gluon import nn

from ._blocks import chain, dense_head
from ._registry import register

# (convolutions, channels) of each block          # out of the block at 224
ARCHITECTURE = (
    (2, 64),  # (N, 64, 112, 112)
    (2, 128),  # (N, 128, 56, 56)
    (2, 256),  # (N, 256, 28, 28)
    (2, 512),  # (N, 512, 14, 14)
    (2, 512),  # (N, 512, 7, 7)
)


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
