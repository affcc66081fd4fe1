"""Network in Network (Lin, Chen & Yan 2013, arXiv:1312.4400).

Source    `nin`: the blog; its network is the one of the Gluon tutorials of early 2018, shaped after AlexNet.
          `nin_cifar10`: the paper's CIFAR-10 net, `nin_imagenet`: its ImageNet net; widths and pools from the
          authors' release.
Departs   `nin` and `nin_imagenet`, from the paper, whose nets are for 32x32 images: AlexNet's kernels and strides,
          one dropout only. `nin` also: pools rounded down, AlexNet's widths in the last blocks.
          `nin_cifar10`: initial weights are whatever the user asks for, where the paper sets every layer by hand.
Open      - `nin_cifar10`: that the released network is the one that the paper's results are of is assumed.
"""

from functools import partial

from mxnet.gluon import nn

from ._blocks import chain
from .registry import register

# the release rounds up; a window over the border then averages what it holds of the image
max_pool = partial(nn.MaxPool2D, pool_size=3, strides=2, ceil_mode=True)
average_pool = partial(nn.AvgPool2D, pool_size=3, strides=2, ceil_mode=True, count_include_pad=False)

# channels, kernel, padding, stride, widths of the 1x1 convolutions (None: classes), pool, dropout behind it
CIFAR10 = (  # out of the block   parameters
    (192, 5, 2, 1, (160, 96), max_pool, True),  # (N, 96, 16, 16)       60,928
    (192, 5, 2, 1, (192, 192), average_pool, True),  # (N, 192, 8, 8)  535,104
    (192, 3, 1, 1, (192, None), None, False),  # (N, 10, 8, 8)         370,954
)
IMAGENET = (
    (96, 11, 0, 4, (96, 96), max_pool, False),  # (N, 96, 27, 27)         53,568
    (256, 5, 2, 1, (256, 256), max_pool, False),  # (N, 256, 13, 13)     746,240
    (384, 3, 1, 1, (384, 384), max_pool, True),  # (N, 384, 6, 6)      1,180,800
    (1024, 3, 1, 1, (1024, None), None, False),  # (N, 1000, 6, 6)     5,614,568
)


def mlpconv(channels, kernel_size, padding, strides=1, max_pooling=True, widths=None, pool=None):
    """A convolution and two 1x1 convolutions, each with ReLU; then, unless told, 3x3 max pooling by 2.

    `widths` are those of the 1x1 convolutions, if they are not `channels`; `pool` is a layer in place of the pooling.
    """
    if pool is None and max_pooling:
        pool = nn.MaxPool2D(pool_size=3, strides=2)
    return chain(
        nn.Conv2D(channels, kernel_size, strides, padding, activation="relu"),
        *(nn.Conv2D(width, kernel_size=1, activation="relu") for width in widths or (channels, channels)),
        *([pool] if pool else []),
    )


class NiNNet(nn.Sequential):
    """(N, 1, 224, 224) images, or any size from 67 on, to (N, classes) logits.

    The last layer has a ReLU, so logits are never negative, and a class whose map is 0 for all images gets no
    gradient any more.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                mlpconv(96, kernel_size=11, padding=0, strides=4),
                mlpconv(256, kernel_size=5, padding=2),
                mlpconv(384, kernel_size=3, padding=1),
                nn.Dropout(0.5),
                mlpconv(classes, kernel_size=3, padding=1, max_pooling=False),
                nn.GlobalAvgPool2D(),
                nn.Flatten(),
            )


class NiNEdition(nn.Sequential):
    """(N, C, H, W) images to (N, classes) logits, by a table of blocks; the last layer has a ReLU here too."""

    def __init__(self, blocks, classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for channels, kernel_size, padding, strides, widths, pool, dropout in blocks:
                widths = [width or classes for width in widths]
                pool = pool and pool()
                self.add(mlpconv(channels, kernel_size, padding, strides, max_pooling=False, widths=widths, pool=pool))
                if dropout:
                    self.add(nn.Dropout(0.5))
            self.add(nn.GlobalAvgPool2D(), nn.Flatten())


@register(
    source="the blog (March 2018), after the Gluon tutorial",
    input_shape=(1, 224, 224),
    classes=10,
    params=1_992_166,
    macs=762_297_352,
    departures=(
        "four blocks with AlexNet's kernels and strides (paper: three, for 32x32 images)",
        "dropout before the last block only (paper: after every block but the last)",
    ),
)
def nin(classes=10, **kwargs):
    """The blog's NiN."""
    return NiNNet(classes, **kwargs)


@register(
    source="arXiv:1312.4400, widths from the authors' release",
    input_shape=(3, 32, 32),
    classes=10,
    params=966_986,
    macs=222_486_528,
    departures=("no layer has initial weights of its own (paper: every layer's are set by hand)",),
)
def nin_cifar10(classes=10, **kwargs):
    """The paper's net for CIFAR-10."""
    return NiNEdition(CIFAR10, classes, **kwargs)


@register(
    source="the authors' release for ImageNet",
    input_shape=(3, 224, 224),
    classes=1000,
    params=7_595_176,
    macs=1_100_188_800,
    departures=(
        "four blocks with AlexNet's kernels and strides (paper: three, for 32x32 images)",
        "dropout before the last block only (paper: after every block but the last)",
    ),
)
def nin_imagenet(classes=1000, **kwargs):
    """The authors' net for ImageNet."""
    return NiNEdition(IMAGENET, classes, **kwargs)
