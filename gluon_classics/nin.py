"""Network in Network (Lin, Chen & Yan 2013, arXiv:1312.4400).

Source    `nin`: the blog; its network is the one of the Gluon tutorials of early 2018, shaped after AlexNet.
Departs   from the paper, whose nets are for 32x32 images: AlexNet's widths, kernels and strides, one dropout only.
"""

from mxnet.gluon import nn

from ._blocks import chain
from ._registry import register


def mlpconv(channels, kernel_size, padding, strides=1, max_pooling=True):
    """A convolution and two 1x1 convolutions of one width, each with ReLU; then, unless told, 3x3 max pooling by 2."""
    return chain(
        nn.Conv2D(channels, kernel_size, strides, padding, activation="relu"),
        nn.Conv2D(channels, kernel_size=1, activation="relu"),
        nn.Conv2D(channels, kernel_size=1, activation="relu"),
        *([nn.MaxPool2D(pool_size=3, strides=2)] if max_pooling else []),
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
