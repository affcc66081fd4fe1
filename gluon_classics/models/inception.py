"""Inception (Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2015, "Rethinking the Inception architecture for computer
vision", arXiv:1512.00567).

Source    `inception_v3`: the authors' code (github.com/tensorflow/models, commit 0231a2e,
          research/slim/nets/inception_v3.py), which says that it builds the paper's network. It gives what the paper
          leaves to supplementary files: the channels of each path, and dropout of .2. Names of stages are the code's.
          Training: the paper's section 8.
Departs   From the paper: table 1 leads from 73x73 to 35x35 maps with three 3x3 convolutions, one of them with stride 2;
          the code has a 1x1 convolution, a 3x3 one and a pool. No auxiliary classifier (paper: one, in training; code:
          after mixed_6e). From the code: batch normalization has a gamma, as in the paper that introduced it; the
          caller's initializer sets the initial weights (code: truncated normal).
Open      - `inception_v3`: the paper's table 1 has 288 channels before the first inception block, the code 192.
          - `inception_v3`: the paper prints no epsilon and no momentum of batch normalization. The epsilon is the
            code's, the momentum is Gluon's.
          - `inception_v3`: the paper's section 8 prints neither a momentum of RMSProp nor a weight decay. We use none;
            the defaults of research/slim/train_image_classifier.py (commit 07ed366) are .9 and 4e-5.
"""

from mxnet.gluon import nn

from ._blocks import chain, hybrid_chain
from .registry import register

EPSILON = 1e-3  # of batch normalization


def conv(channels, kernel_size=1, strides=1, padding=None):
    """Build a convolution with batch normalization and ReLU.

    Args:
        channels: Channels of the output.
        kernel_size: Kernel, or (height, width) of the kernel.
        strides: Stride.
        padding: Padding of both axes. By default it is half of the kernel, so that the size stays for stride 1.
    """
    kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    pad = tuple(side // 2 for side in kernel) if padding is None else padding
    return hybrid_chain(
        nn.Conv2D(channels, kernel, strides, pad, use_bias=False),
        nn.BatchNorm(epsilon=EPSILON),
        nn.Activation("relu"),
    )


def reducing(channels):
    """Build an unpadded 3x3 convolution with stride 2, batch normalization and ReLU.

    Args:
        channels: Channels of the output.
    """
    return conv(channels, 3, strides=2, padding=0)


def average_pool():
    """Build the pool of an inception block: 3x3 with stride 1. What lies outside of the map does not count."""
    return nn.AvgPool2D(pool_size=3, strides=1, padding=1, count_include_pad=False)


class Paths(nn.HybridBlock):
    """Paths that see the same input; their outputs are concatenated along the channels.

    Args:
        paths: Blocks by name, in order.
    """

    def __init__(self, **paths):
        super().__init__()
        for name, path in paths.items():
            setattr(self, name, path)

    def hybrid_forward(self, F, x):
        return F.concat(*(path(x) for path in self._children.values()), dim=1)


def inception_a(projected):
    """Build a block of figure 5: (N, C, H, W) to (N, 224 + projected, H, W).

    Args:
        projected: Channels of the path with the pool.
    """
    return Paths(
        conv1x1=conv(64),
        conv5x5=hybrid_chain(conv(48), conv(64, 5)),
        double3x3=hybrid_chain(conv(64), conv(96, 3), conv(96, 3)),
        pool=hybrid_chain(average_pool(), conv(projected)),
    )


def reduction_a():
    """Build the block between figures 5 and 6: (N, 288, H, W) to (N, 768, (H - 1) / 2, (W - 1) / 2)."""
    return Paths(
        conv3x3=reducing(384),
        double3x3=hybrid_chain(conv(64), conv(96, 3), reducing(96)),
        pool=nn.MaxPool2D(pool_size=3, strides=2),
    )


def inception_b(width):
    """Build a block of figure 6, with n = 7: (N, C, H, W) to (N, 768, H, W).

    Args:
        width: Channels of the convolutions inside a path.
    """
    row, column = (1, 7), (7, 1)
    return Paths(
        conv1x1=conv(192),
        conv7x7=hybrid_chain(conv(width), conv(width, row), conv(192, column)),
        double7x7=hybrid_chain(conv(width), conv(width, column), conv(width, row), conv(width, column), conv(192, row)),
        pool=hybrid_chain(average_pool(), conv(192)),
    )


def reduction_b():
    """Build the block between figures 6 and 7: (N, 768, H, W) to (N, 1280, (H - 1) / 2, (W - 1) / 2)."""
    return Paths(
        conv3x3=hybrid_chain(conv(192), reducing(320)),
        conv7x7=hybrid_chain(conv(192), conv(192, (1, 7)), conv(192, (7, 1)), reducing(192)),
        pool=nn.MaxPool2D(pool_size=3, strides=2),
    )


def inception_c():
    """Build a block of figure 7, whose paths split into 1x3 and 3x1 convolutions: (N, C, H, W) to (N, 2048, H, W)."""

    def split():
        return Paths(conv1x3=conv(384, (1, 3)), conv3x1=conv(384, (3, 1)))

    return Paths(
        conv1x1=conv(320),
        conv3x3=hybrid_chain(conv(384), split()),
        double3x3=hybrid_chain(conv(448), conv(384, 3), split()),
        pool=hybrid_chain(average_pool(), conv(192)),
    )


class InceptionV3(nn.Sequential):
    """Inception v3: (N, 3, 299, 299) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv2d_1a = reducing(32)  # (N, 32, 149, 149)
            self.conv2d_2a = conv(32, 3, padding=0)  # (N, 32, 147, 147)
            self.conv2d_2b = conv(64, 3)  # (N, 64, 147, 147)
            self.maxpool_3a = nn.MaxPool2D(pool_size=3, strides=2)  # (N, 64, 73, 73)
            self.conv2d_3b = conv(80)  # (N, 80, 73, 73)
            self.conv2d_4a = conv(192, 3, padding=0)  # (N, 192, 71, 71)
            self.maxpool_5a = nn.MaxPool2D(pool_size=3, strides=2)  # (N, 192, 35, 35)
            self.mixed_5b = inception_a(32)  # (N, 256, 35, 35)
            self.mixed_5c = inception_a(64)  # (N, 288, 35, 35)
            self.mixed_5d = inception_a(64)  # (N, 288, 35, 35)
            self.mixed_6a = reduction_a()  # (N, 768, 17, 17)
            self.mixed_6b = inception_b(128)  # (N, 768, 17, 17)
            self.mixed_6c = inception_b(160)  # (N, 768, 17, 17)
            self.mixed_6d = inception_b(160)  # (N, 768, 17, 17)
            self.mixed_6e = inception_b(192)  # (N, 768, 17, 17)
            self.mixed_7a = reduction_b()  # (N, 1280, 8, 8)
            self.mixed_7b = inception_c()  # (N, 2048, 8, 8)
            self.mixed_7c = inception_c()  # (N, 2048, 8, 8)
            self.logits = chain(nn.GlobalAvgPool2D(), nn.Dropout(0.2), nn.Dense(classes))


@register(
    # section 8
    training={
        **{"epochs": 100, "batch_size": 32, "learning_rate": 0.045, "schedule": "decay:0.94:2"},
        **{"optimizer": "tfrmsprop", "augment": "flip"},
    },
    not_done=(
        "50 workers; an epsilon of 1 in RMSProp (here .001); gradients clipped at 2",
        "label smoothing of .1, the auxiliary classifier, averaged parameters for prediction",
        "random crops and changes of colors",
    ),
    source="arXiv:1512.00567 and the authors' code",
    input_shape=(3, 299, 299),
    classes=1000,
    params=23_834_568,
    macs=5_713_216_096,
    departures=(
        "a 1x1, a 3x3 convolution and a pool lead to the 35x35 maps (paper's table 1: three 3x3 convolutions)",
        "no auxiliary classifier (paper: one, in training)",
        "the caller's initializer sets the initial weights (authors: truncated normal)",
    ),
)
def inception_v3(classes=1000, **kwargs):
    """Build the authors' Inception v3, without its auxiliary classifier."""
    return InceptionV3(classes, **kwargs)
