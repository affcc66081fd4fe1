"""AlexNet (Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional networks", 2012).

Source    `alexnet`: the blog; its network is the one of the Gluon tutorials of early 2018.
Departs   from the paper: one tower (no groups), no local response normalisation, no padding in the first
          convolution (54x54 maps at 224; the paper's 55x55 need 227), pools without padding, 1 input channel and 10
          classes; Xavier initialisation where the paper draws N(0, .01) and sets some biases to 1.
"""

from mxnet.gluon import nn

from ._blocks import dense_head
from ._registry import register


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
