"""AlexNet (Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional networks", 2012).

Source    `alexnet`: the blog; its network is the one of the Gluon tutorials of early 2018.
          `alexnet_2012`: the paper; layers from section 3.5, local response normalization from 3.3, overlapping pools
          from 3.4, initial weights and training from section 5, the sizes of images from 2, crops, flips and lighting
          from 4.1.
Departs   `alexnet`, from the paper: one tower (no groups), no local response normalization, no padding in the first
          convolution (54x54 feature maps at 224; the paper's 55x55 need 227), pools without padding, 1 input channel
          and 10 classes. Xavier initialization; the paper draws N(0, .01) and sets some biases to 1.
          `alexnet_2012`: 227x227 input; the paper prints 224x224, which does not give 55x55 feature maps.
Open      - `alexnet_2012`: the paper prints an input of 224x224, but only 227x227 gives its 55x55 feature maps.
          - `alexnet_2012`: that local response normalization includes channels of both towers is not verified.
          - `alexnet_2012`: the paper subtracts the mean image from pixels in 0..255. Settings have only a mean color,
            that of the released VGG.
          - `alexnet_2012`: BVLC's replica (github.com/BVLC/caffe at 9b89154, models/bvlc_alexnet) did not train with
            biases of 1 and starts them from .1; we keep the paper's.
"""

from typing import NamedTuple

import mxnet as mx
from mxnet.gluon import nn

from ._blocks import LocalResponseNorm, dense_head
from ._pixels import CENTERED, MEAN_COLOR, PATIENCE, SHORTER_256
from .network import Network
from .registry import register


class Convolution(NamedTuple):
    """A convolution with ReLU, then local response normalization and 3x3 max pooling with stride 2 if asked for."""

    channels: int
    kernel: int
    strides: int
    padding: int
    groups: int
    normalized: bool
    pooled: bool


# conv1 to conv5                                          # shape after the pool     parameters
CONVOLUTIONS_2012 = (
    Convolution(96, 11, 4, 0, 1, normalized=True, pooled=True),  # (N, 96, 27, 27)       34,944
    Convolution(256, 5, 1, 2, 2, normalized=True, pooled=True),  # (N, 256, 13, 13)     307,456
    Convolution(384, 3, 1, 1, 1, normalized=False, pooled=False),  # (N, 384, 13, 13)   885,120; the towers meet
    Convolution(384, 3, 1, 1, 2, normalized=False, pooled=False),  # (N, 384, 13, 13)   663,936
    Convolution(256, 3, 1, 1, 2, normalized=False, pooled=True),  # (N, 256, 6, 6)      442,624
)
# section 5: the constant that the biases of each layer start from
BIASES_2012 = {"conv1": 0, "conv2": 1, "conv3": 0, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1, "fc8": 0}


class AlexNet(Network):
    """The blog's AlexNet: (N, 1, 224, 224) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels=96, kernel_size=11, strides=4, activation="relu")  # (N, 96, 54, 54)
            self.pool1 = nn.MaxPool2D(pool_size=3, strides=2)  # (N, 96, 26, 26)
            self.conv2 = nn.Conv2D(channels=256, kernel_size=5, padding=2, activation="relu")  # (N, 256, 26, 26)
            self.pool2 = nn.MaxPool2D(pool_size=3, strides=2)  # (N, 256, 12, 12)
            self.conv3 = nn.Conv2D(channels=384, kernel_size=3, padding=1, activation="relu")  # (N, 384, 12, 12)
            self.conv4 = nn.Conv2D(channels=384, kernel_size=3, padding=1, activation="relu")  # (N, 384, 12, 12)
            self.conv5 = nn.Conv2D(channels=256, kernel_size=3, padding=1, activation="relu")  # (N, 256, 12, 12)
            self.pool5 = nn.MaxPool2D(pool_size=3, strides=2)  # (N, 256, 5, 5)
            for name, layer in dense_head(classes).items():
                setattr(self, name, layer)


class AlexNet2012(Network):
    """The paper's AlexNet: (N, 3, 227, 227) images to (N, classes) logits.

    The two towers are groups of convolutions. The parameters carry the paper's initial values, and Gluon prefers a
    parameter's own initializer to the one that is passed to `net.initialize`: weights are always drawn from N(0, .01).
    For another initializer call `net.collect_params(".*weight").setattr("init", None)` first; biases keep their
    constants.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for number, row in enumerate(CONVOLUTIONS_2012, start=1):
                settings = {"padding": row.padding, "groups": row.groups, "activation": "relu"}
                setattr(self, f"conv{number}", nn.Conv2D(row.channels, row.kernel, row.strides, **settings))
                if row.normalized:
                    setattr(self, f"norm{number}", LocalResponseNorm())
                if row.pooled:
                    setattr(self, f"pool{number}", nn.MaxPool2D(pool_size=3, strides=2))
            for name, layer in dense_head(classes).items():
                setattr(self, name, layer)
        for name, bias in BIASES_2012.items():
            layer = getattr(self, name)
            layer.weight.init = mx.init.Normal(0.01)
            layer.bias.init = mx.init.Constant(bias)


@register(
    source="the blog (March 2018), after the Gluon tutorial",
    input_shape=(1, 224, 224),
    classes=10,
    params=46_764_746,
    macs=938_146_176,
    departures=(
        "one tower (paper: two, with groups of 2 in convolutions 2, 4 and 5)",
        "no local response normalization (paper: after convolutions 1 and 2)",
        "the first convolution gives 54x54 feature maps (paper: 55x55)",
    ),
)
def alexnet(classes=10, **kwargs):
    """Build the blog's AlexNet."""
    return AlexNet(classes, **kwargs)


@register(
    source="the paper (NIPS 2012), sections 3.3 to 3.5 and 5",
    input_shape=(3, 227, 227),
    classes=1000,
    params=60_965_224,
    macs=724_406_816,
    departures=("227x227 input (the paper prints 224x224, which does not give its 55x55 feature maps)",),
    # section 5, with 90 cycles through the training images; images from section 2, augmentation from section 4.1
    training={
        **{"epochs": 90, "batch_size": 128, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4},
        **{"init": "published", "schedule": "plateau:0.1:5:3", "augment": "crop flip lighting:0.1"},
        **SHORTER_256,
        **CENTERED,
    },
    not_done=(PATIENCE.format("validation error"), MEAN_COLOR),
)
def alexnet_2012(classes=1000, **kwargs):
    """Build the paper's AlexNet, with its initial weights."""
    return AlexNet2012(classes, **kwargs)
