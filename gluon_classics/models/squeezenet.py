"""SqueezeNet (Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
size", arXiv:1602.07360).

Source    `squeezenet1_0`: the paper's table 1. `squeezenet1_1`: the authors' release of version 1.1
          (github.com/forresti/SqueezeNet, commit 51147dc). ReLU after every convolution, also the last one, and pools
          that round up, as in Caffe, are from the release. Training: its solver.prototxt and train_val.prototxt, which
          the paper refers to; both versions have the same. It has crops of 227x227 pixels, a mean color, and no flips.
Departs   `squeezenet1_0`: 227x227 input, as in the release (the table prints 224x224, which does not give its 111x111
          feature maps); no padding in conv10, as in the table (release: 1). `squeezenet1_1`: later than the paper.
          Both: the caller's initializer sets the initial weights (release: Caffe's Xavier initialization, which uses
          the fan-in only, and in conv10 a normal distribution with a standard deviation of .01).
Open      - `squeezenet1_0`: the table prints 224x224 images and 111x111 maps after conv1; only 227x227 gives them.
          - `squeezenet1_*`: how the images in the release's database got their size is not known. Here both sides are
            resized to 256 pixels, as Caffe's tools do. The mean color is that of the released VGG; the release rounds
            it.
          - `squeezenet1_0`: conv10 gives 13x13 maps in the table, 15x15 in the release, which pads it by 1.
"""

from functools import partial
from typing import NamedTuple, Tuple

from mxnet.gluon import nn

from ._pixels import CENTERED
from .network import Network
from .registry import register


class Row(NamedTuple):
    """A row of table 1: channels of a fire module's squeeze layer and of each of its two expand layers."""

    label: str
    squeeze: int
    expand: int


ROWS = (
    Row("fire2", 16, 64),
    Row("fire3", 16, 64),
    Row("fire4", 32, 128),
    Row("fire5", 32, 128),
    Row("fire6", 48, 192),
    Row("fire7", 48, 192),
    Row("fire8", 64, 256),
    Row("fire9", 64, 256),
)


class Version(NamedTuple):
    """Channels and kernel of conv1, and the number of each stage that a pool follows."""

    channels: int
    kernel: int
    pooled: Tuple[int, ...]


# shapes at 227: conv1, pools, fire9
V1_0 = Version(96, 7, pooled=(1, 4, 8))  # (N, 96, 111, 111); 96x55x55, 256x27x27, 512x13x13; (N, 512, 13, 13)
V1_1 = Version(64, 3, pooled=(1, 3, 5))  # (N, 64, 113, 113); 64x56x56, 128x28x28, 256x14x14; (N, 512, 14, 14)


class Fire(nn.HybridBlock):
    """Fire module: (N, C, H, W) to (N, 2 expand, H, W).

    Args:
        squeeze: Channels of the 1x1 convolution that comes first.
        expand: Channels of the 1x1 and of the 3x3 convolution, whose outputs are concatenated.
    """

    def __init__(self, squeeze, expand, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.squeeze1x1 = nn.Conv2D(squeeze, kernel_size=1, activation="relu")
            self.expand1x1 = nn.Conv2D(expand, kernel_size=1, activation="relu")
            self.expand3x3 = nn.Conv2D(expand, kernel_size=3, padding=1, activation="relu")

    def hybrid_forward(self, F, x):
        x = self.squeeze1x1(x)
        return F.concat(self.expand1x1(x), self.expand3x3(x), dim=1)


class SqueezeNet(Network):
    """SqueezeNet: (N, 3, 227, 227) images to (N, classes) logits. The last layer has a ReLU: logits are not negative.

    Args:
        version: `Version` of the network.
        classes: Number of classes.
    """

    def __init__(self, version, classes=1000, **kwargs):
        super().__init__(**kwargs)
        pool = partial(nn.MaxPool2D, pool_size=3, strides=2, ceil_mode=True)
        with self.name_scope():
            self.conv1 = nn.Conv2D(version.channels, version.kernel, strides=2, activation="relu")
            self.pool1 = pool()
            for number, row in enumerate(ROWS, start=2):
                setattr(self, row.label, Fire(row.squeeze, row.expand))
                if number in version.pooled:
                    setattr(self, f"pool{number}", pool())
            self.dropout9 = nn.Dropout(0.5)
            self.conv10 = nn.Conv2D(classes, kernel_size=1, activation="relu")
            self.pool10 = nn.GlobalAvgPool2D()
            self.flatten = nn.Flatten()


INITIALIZATION = "the caller's initializer sets the initial weights (release: Xavier by fan-in, conv10 normal)"


# 170,000 batches of 16 times 32 images
published = partial(
    register,
    training={
        **{"epochs": 68, "batch_size": 512, "learning_rate": 0.04, "momentum": 0.9, "weight_decay": 2e-4},
        **{"image_size": 256, "augment": "crop", **CENTERED},
    },
    not_done=(
        "the rate falls linearly to 0",
        "initial weights: uniform, by fan-in, and in conv10 normal, with a standard deviation of .01 "
        "(here: Xavier initialization, by fan-in and fan-out)",
    ),
)


@published(
    source="arXiv:1602.07360, table 1",
    input_shape=(3, 227, 227),
    classes=1000,
    params=1_248_424,
    macs=832_667_936,
    departures=("227x227 input (the paper prints 224x224, which does not give its 111x111 maps)", INITIALIZATION),
)
def squeezenet1_0(classes=1000, **kwargs):
    """Build the paper's SqueezeNet."""
    return SqueezeNet(V1_0, classes, **kwargs)


@published(
    source="the authors' release of version 1.1",
    input_shape=(3, 227, 227),
    classes=1000,
    params=1_235_496,
    macs=387_747_520,
    departures=(
        "conv1 is 3x3 with 64 channels (paper: 7x7, 96)",
        "pools after conv1, fire3 and fire5 (paper: after conv1, fire4 and fire8)",
        INITIALIZATION,
    ),
)
def squeezenet1_1(classes=1000, **kwargs):
    """Build the authors' SqueezeNet 1.1."""
    return SqueezeNet(V1_1, classes, **kwargs)
