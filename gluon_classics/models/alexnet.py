"""AlexNet (Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional networks", 2012).

Source    `alexnet`: the blog; its network is the one of the Gluon tutorials of early 2018.
          `alexnet_2012`: the paper; layers from section 3.5, local response normalisation from 3.3, overlapping pools
          from 3.4, initial weights from section 5.
Departs   `alexnet`, from the paper: one tower (no groups), no local response normalisation, no padding in the first
          convolution (54x54 maps at 224; the paper's 55x55 need 227), pools without padding, 1 input channel and 10
          classes; Xavier initialisation where the paper draws N(0, .01) and sets some biases to 1.
          `alexnet_2012`: 227x227 input where the paper prints 224x224, for the reason above.
Open      - `alexnet_2012`: 224x224 is printed, but does not give the 55x55 maps; 227x227 does.
          - `alexnet_2012`: that normalisation looks across the two towers is not verified.
"""

import mxnet as mx
from mxnet.gluon import nn

from ._blocks import LocalResponseNorm, dense_head
from .registry import register

# channels, kernel, stride, padding, groups, normalised, pooled    # out of the row    parameters
CONVOLUTIONS_2012 = (
    (96, 11, 4, 0, 1, True, True),  # (N, 96, 27, 27)       34,944
    (256, 5, 1, 2, 2, True, True),  # (N, 256, 13, 13)     307,456
    (384, 3, 1, 1, 1, False, False),  # (N, 384, 13, 13)   885,120: here the towers meet
    (384, 3, 1, 1, 2, False, False),  # (N, 384, 13, 13)   663,936
    (256, 3, 1, 1, 2, False, True),  # (N, 256, 6, 6)      442,624
)
# the constant that the biases of each convolution, then of each dense layer, start from
BIASES_2012 = (0, 1, 0, 1, 1, 1, 1, 0)


class AlexNet(nn.Sequential):
    """(N, 1, 224, 224) images to (N, classes) logits."""

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                nn.Conv2D(channels=96, kernel_size=11, strides=4, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                nn.Conv2D(channels=256, kernel_size=5, padding=2, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                nn.Conv2D(channels=384, kernel_size=3, padding=1, activation="relu"),
                nn.Conv2D(channels=384, kernel_size=3, padding=1, activation="relu"),
                nn.Conv2D(channels=256, kernel_size=3, padding=1, activation="relu"),
                nn.MaxPool2D(pool_size=3, strides=2),
                *dense_head(classes),
            )


class AlexNet2012(nn.Sequential):
    """(N, 3, 227, 227) images to (N, classes) logits; the two towers are groups of convolutions.

    Its parameters carry the paper's initial values, and Gluon lets a parameter's own initialiser win: whatever is
    passed to `net.initialize`, weights are drawn from N(0, .01). For another rule take these away beforehand, with
    `net.collect_params(".*weight").setattr("init", None)`; biases keep their constants.
    """

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for channels, kernel, strides, padding, groups, normalised, pooled in CONVOLUTIONS_2012:
                self.add(nn.Conv2D(channels, kernel, strides, padding, groups=groups, activation="relu"))
                if normalised:
                    self.add(LocalResponseNorm())
                if pooled:
                    self.add(nn.MaxPool2D(pool_size=3, strides=2))
            self.add(*dense_head(classes))
        layers = [layer for layer in self if isinstance(layer, (nn.Conv2D, nn.Dense))]
        for layer, bias in zip(layers, BIASES_2012):
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
        "no local response normalisation (paper: after convolutions 1 and 2)",
        "the first convolution gives 54x54 maps (paper: 55x55)",
    ),
)
def alexnet(classes=10, **kwargs):
    """The blog's AlexNet."""
    return AlexNet(classes, **kwargs)


@register(
    source="the paper (NIPS 2012), sections 3.3 to 3.5 and 5",
    input_shape=(3, 227, 227),
    classes=1000,
    params=60_965_224,
    macs=724_406_816,
    departures=("227x227 input (the paper prints 224x224, which does not give its 55x55 maps)",),
    training={"init": "published"},
)
def alexnet_2012(classes=1000, **kwargs):
    """The paper's AlexNet, with its initial weights."""
    return AlexNet2012(classes, **kwargs)
