"""Network in Network (Lin, Chen & Yan 2013, arXiv:1312.4400).

Source    `nin`: the blog; its network is the one of the Gluon tutorials of early 2018, shaped after AlexNet.
          `nin_cifar10`: the paper's CIFAR-10 network (section 4.1); widths, pools and initial weights from the authors'
          cuda-convnet definition, NIN/cifar-10_def of github.com/mavenlin/cuda-convnet at 9f9e707. Its pools round up.
          `nin_cifar10_caffe`: the authors' later release for Caffe (gist e56253735ef32c3c296d of mavenlin, 10.4 % test
          error), as ported by github.com/Lasagne/Recipes, modelzoo/cifar10_nin.py at 6ab2de5.
          `nin_imagenet`: the authors' release for ImageNet (gist d802a5849de39225bcc6 of mavenlin).
          Training of `nin_cifar10*`: NIN/cifar-10_params at the same commit, README.md at f78ec36 (200 epochs, then 30
          at a tenth of the rate and 30 at a hundredth, 10.4 % test error) and the default batch of Python/convnet.py.
          That of `nin_imagenet` is the release's.
Departs   `nin` and `nin_imagenet`, from the paper, whose networks take 32x32 images: AlexNet's kernels and strides,
          a single dropout layer. `nin` also: pools rounded down, AlexNet's widths in the last blocks.
          `nin_cifar10_caffe`: average pooling after the second block (paper: max pooling). `nin_imagenet`: the caller's
          initializer sets the initial weights (release: normal, with a standard deviation of .01 in the first, the
          seventh and the last convolution, .05 in the others).
Open      - `nin_cifar10`: we assume that the paper's results come from the cuda-convnet definition, which the authors
            published after the paper.
          - `nin_cifar10_caffe`: the release's solver was not at hand; the training is the cuda-convnet definition's.
          - `nin_imagenet`: the release was read in copies by others. The solver is from models/nin_imagenet of
            github.com/stephenyan1231/caffe-public at a30fe3a.
"""

from functools import partial
from typing import Callable, NamedTuple, Optional

import mxnet as mx
from mxnet.gluon import nn

from ._blocks import chain
from ._pixels import CENTERED, MEAN_COLOR
from .network import Network
from .registry import register

CLASSES = None  # stands for the number of classes in a table

# the releases round up; a window over the border then averages only its pixels inside the feature map
max_pool = partial(nn.MaxPool2D, pool_size=3, strides=2, ceil_mode=True)
average_pool = partial(nn.AvgPool2D, pool_size=3, strides=2, ceil_mode=True, count_include_pad=False)


class MLPConv(NamedTuple):
    """A convolution, two 1x1 convolutions of the given `widths`, then pooling and dropout of .5 if asked for."""

    channels: int
    kernel: int
    strides: int
    padding: int
    widths: tuple
    pool: Optional[Callable]
    dropout: bool


# mlpconv1, mlpconv2, ...                                                         # shape after     parameters
CIFAR10 = (
    MLPConv(192, 5, 1, 2, (160, 96), max_pool, dropout=True),  # (N, 96, 16, 16)       60,928
    MLPConv(192, 5, 1, 2, (192, 192), max_pool, dropout=True),  # (N, 192, 8, 8)      535,104
    MLPConv(192, 3, 1, 1, (192, CLASSES), None, dropout=False),  # (N, 10, 8, 8)      370,954
)
CIFAR10_CAFFE = (CIFAR10[0], CIFAR10[1]._replace(pool=average_pool), CIFAR10[2])
IMAGENET = (
    MLPConv(96, 11, 4, 0, (96, 96), max_pool, dropout=False),  # (N, 96, 27, 27)         53,568
    MLPConv(256, 5, 1, 2, (256, 256), max_pool, dropout=False),  # (N, 256, 13, 13)     746,240
    MLPConv(384, 3, 1, 1, (384, 384), max_pool, dropout=True),  # (N, 384, 6, 6)      1,180,800
    MLPConv(1024, 3, 1, 1, (1024, CLASSES), None, dropout=False),  # (N, 1000, 6, 6)  5,614,568
)


def mlpconv(channels, kernel_size, padding, strides=1, max_pooling=True, widths=None, pool=None):
    """Build an mlpconv layer: (N, C, H, W) to (N, channels, H', W').

    It is a convolution and two 1x1 convolutions, each with ReLU, then a pool.

    Args:
        channels: Channels of the first convolution.
        kernel_size: Kernel of the first convolution.
        padding: Padding of the first convolution, in pixels.
        strides: Stride of the first convolution.
        max_pooling: Whether 3x3 max pooling with stride 2 follows, rounded down.
        widths: Channels of the two 1x1 convolutions; `channels` by default.
        pool: Layer that replaces the max pooling.
    """
    if pool is None and max_pooling:
        pool = nn.MaxPool2D(pool_size=3, strides=2)
    return chain(
        nn.Conv2D(channels, kernel_size, strides, padding, activation="relu"),
        *(nn.Conv2D(width, kernel_size=1, activation="relu") for width in widths or (channels, channels)),
        *([pool] if pool else []),
    )


class NiNNet(Network):
    """The blog's NiN: (N, 1, 224, 224) images, or any size from 67 on, to (N, classes) logits.

    The last layer has a ReLU. Logits are therefore never negative, and a class whose feature map is 0 for all images
    gets no gradient.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.mlpconv1 = mlpconv(96, kernel_size=11, padding=0, strides=4)  # (N, 96, 26, 26)
            self.mlpconv2 = mlpconv(256, kernel_size=5, padding=2)  # (N, 256, 12, 12)
            self.mlpconv3 = mlpconv(384, kernel_size=3, padding=1)  # (N, 384, 5, 5)
            self.dropout3 = nn.Dropout(0.5)
            self.mlpconv4 = mlpconv(classes, kernel_size=3, padding=1, max_pooling=False)  # (N, classes, 5, 5)
            self.global_pool = nn.GlobalAvgPool2D()
            self.flatten = nn.Flatten()


class NiNEdition(Network):
    """NiN by a table: (N, C, H, W) images to (N, classes) logits. The last layer has a ReLU here too.

    Args:
        table: `MLPConv` rows.
        classes: Number of classes.
        sigma: Standard deviation of the published initial weights, which are normally distributed; None if there are
            none. Gluon prefers them to the initializer that is passed to `net.initialize`. For another one, call
            `net.collect_params(".*weight").setattr("init", None)` first.
    """

    def __init__(self, table, classes, sigma=None, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for number, row in enumerate(table, start=1):
                widths = [classes if width is CLASSES else width for width in row.widths]
                settings = {"max_pooling": False, "widths": widths, "pool": row.pool and row.pool()}
                layer = mlpconv(row.channels, row.kernel, row.padding, row.strides, **settings)
                setattr(self, f"mlpconv{number}", layer)
                if row.dropout:
                    setattr(self, f"dropout{number}", nn.Dropout(0.5))
            self.global_pool = nn.GlobalAvgPool2D()
            self.flatten = nn.Flatten()
        if sigma:
            self.collect_params(".*weight").setattr("init", mx.init.Normal(sigma))


@register(
    source="the blog (March 2018), after the Gluon tutorial",
    input_shape=(1, 224, 224),
    classes=10,
    params=1_992_166,
    macs=762_297_352,
    departures=(
        "four blocks with AlexNet's kernels and strides (paper: three, for 32x32 images)",
        "dropout only before the last block (paper: after every block but the last)",
    ),
)
def nin(classes=10, **kwargs):
    """Build the blog's NiN."""
    return NiNNet(classes, **kwargs)


# NIN/cifar-10_params: rate 1 of a cost with coefficient .1. cuda-convnet does not multiply the weight decay, 1e-5, by
# that coefficient; MXNet multiplies it by the rate, .1.
TRAINING = {
    **{"epochs": 260, "batch_size": 128, "learning_rate": 0.1, "schedule": "200:0.1 230:0.01"},
    **{"momentum": 0.9, "weight_decay": 1e-4, "init": "published"},
}
SIGMA = 0.05  # of the initial weights of both releases; biases start from 0

on_cifar10 = partial(
    register,
    input_shape=(3, 32, 32),
    classes=10,
    params=966_986,
    macs=222_486_528,
    training=TRAINING,
    not_done=(
        "the last convolution learns at a tenth of the rate, biases at twice the rate and without weight decay",
        "global contrast normalization and ZCA whitening",
    ),
)


@on_cifar10(source="arXiv:1312.4400, section 4.1; the authors' cuda-convnet definition")
def nin_cifar10(classes=10, **kwargs):
    """Build the paper's network for CIFAR-10, with its initial weights."""
    return NiNEdition(CIFAR10, classes, SIGMA, **kwargs)


@on_cifar10(
    source="the authors' release for Caffe",
    departures=("average pooling after the second block (paper: max pooling)",),
)
def nin_cifar10_caffe(classes=10, **kwargs):
    """Build the authors' later network for CIFAR-10, with its initial weights."""
    return NiNEdition(CIFAR10_CAFFE, classes, SIGMA, **kwargs)


@register(
    source="the authors' release for ImageNet",
    input_shape=(3, 224, 224),
    classes=1000,
    params=7_595_176,
    macs=1_100_188_800,
    departures=(
        "four blocks with AlexNet's kernels and strides (paper: three, for 32x32 images)",
        "dropout only before the last block (paper: after every block but the last)",
        "the caller's initializer sets the initial weights (release: normal)",
    ),
    # the release's solver: 450,000 batches of 64, and a tenth of the rate after every 200,000
    training={
        **{"epochs": 22, "learning_rate": 0.01, "schedule": "10:0.1 20:0.01", "momentum": 0.9, "weight_decay": 5e-4},
        **{"image_size": 256, "augment": "crop flip", **CENTERED},
    },
    not_done=(
        "biases learn at twice the rate and without weight decay",
        MEAN_COLOR,
        "initial weights: normal, with a standard deviation of .01 or .05",
    ),
)
def nin_imagenet(classes=1000, **kwargs):
    """Build the authors' network for ImageNet."""
    return NiNEdition(IMAGENET, classes, **kwargs)
