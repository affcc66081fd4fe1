"""Inception (Ioffe & Szegedy 2015, "Batch normalization: Accelerating deep network training by reducing internal
covariate shift", arXiv:1502.03167; Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2015, "Rethinking the Inception
architecture for computer vision", arXiv:1512.00567).

Source    `inception_bn`: MXNet's example (github.com/apache/mxnet, commit 98ce5b0,
          example/image-classification/symbols/inception-bn.py). Its channels are the columns of figure 5 of the paper.
          Names of blocks are the paper's, those of other stages the example's. Training: the paper's section 4.2,
          network BN-x30.
          `inception_v3`: the authors' code (github.com/tensorflow/models, commit 0231a2e,
          research/slim/nets/inception_v3.py), which says that it builds the paper's network. It gives what the paper
          leaves to supplementary files: the channels of each path, and dropout of .2. Names of stages are the code's.
          Training: the paper's section 8; crops and pixels in -1..1 from the code's inception_preprocessing.py.
Departs   `inception_bn`, from the paper: the first convolution is not separable. The first two pools round down, which
          leaves 55x55 and 27x27 maps (figure 5: 56x56 and 28x28). Convolutions have biases, which section 3.2 leaves
          out. From the example: the last pool is global (7x7, which is the same for images of 224x224), and the
          caller's initializer sets the initial weights.
          `inception_v3`, from the paper: table 1 leads from 73x73 to 35x35 maps with three 3x3 convolutions, one of
          them with stride 2; the code has a 1x1 convolution, a 3x3 one and a pool. No auxiliary classifier (paper: one,
          in training; code: after mixed_6e). From the code: batch normalization has a gamma, as in the paper that
          introduced it; the caller's initializer sets the initial weights (code: truncated normal).
Open      - `inception_bn`: figure 5 contradicts itself. Its columns give 4c and 4d 608 channels and 4e 1056, but the
            outputs that it prints have 576, 576 and 1024. MXNet and Caffe follow the columns. The authors'
            inception_v2.py (commit 0231a2e) and Torch's googlenetbn.lua (github.com/soumith/imagenet-multiGPU.torch,
            commit e1d2f43) have 96 channels after the pools of 4c and 4d (figure 5: 128), which gives the outputs.
          - `inception_bn`: the paper prints 13.6 million parameters. The columns give 11.3, the outputs 11.2 million.
          - `inception_bn`: Caffe's network, as github.com/Cadene/pretrained-models.pytorch ports it (commit 181b05d),
            has the same convolutions. Its pools with stride 2 have no padding and round up, which gives the maps of
            figure 5.
          - `inception_bn`: MXNet's example publishes weights (imagenet1k-inception-bn, 72.45 % top-1). They have not
            been loaded into this network.
          - `inception_bn`: the paper prints no value of the momentum, of the weight decay or of the rate's decay, which
            is 6 times as fast as before. In GoogLeNet's paper they are .9, not printed, and .96 after every 8 epochs.
          - `inception_v3`: the paper's table 1 has 288 channels before the first inception block, the code 192.
          - `inception_v3`: the paper prints no epsilon and no momentum of batch normalization. The epsilon is the
            code's, the momentum is Gluon's.
          - `inception_v3`: the paper's section 8 prints neither a momentum of RMSProp nor a weight decay. We use none;
            the defaults of research/slim/train_image_classifier.py (commit 07ed366) are .9 and 4e-5.
"""

from functools import partial
from typing import NamedTuple

from mxnet.gluon import nn

from ._blocks import chain, hybrid_chain
from ._pixels import SIGNED
from .network import Network
from .registry import register

EPSILON = 1e-3  # of batch normalization


def conv(channels, kernel_size=1, strides=1, padding=None, use_bias=False, epsilon=EPSILON):
    """Build a convolution with batch normalization and ReLU.

    Args:
        channels: Channels of the output.
        kernel_size: Kernel, or (height, width) of the kernel.
        strides: Stride.
        padding: Padding of both axes. By default it is half of the kernel, so that the size stays for stride 1.
        use_bias: Whether the convolution has a bias.
        epsilon: Epsilon of the batch normalization.
    """
    kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    pad = tuple(side // 2 for side in kernel) if padding is None else padding
    return hybrid_chain(
        nn.Conv2D(channels, kernel, strides, pad, use_bias=use_bias),
        nn.BatchNorm(epsilon=epsilon),
        nn.Activation("relu"),
    )


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


# --- Inception-BN

# the epsilon is the example's
biased_conv = partial(conv, use_bias=True, epsilon=1e-10 + 1e-5)


class Widths(NamedTuple):
    """Channels of an inception block's convolutions, by the columns of figure 5."""

    n1x1: int  # "#1x1"
    n3x3_reduce: int  # "#3x3 reduce"
    n3x3: int  # "#3x3"
    double_reduce: int  # "double #3x3 reduce"
    double: int  # "double #3x3"
    projected: int  # "Pool + proj"


class ReductionWidths(NamedTuple):
    """Channels of a block with stride 2, whose "#1x1" is 0 and whose pool passes its input through."""

    n3x3_reduce: int
    n3x3: int
    double_reduce: int
    double: int


# figure 5; shapes after the blocks at 224
INCEPTION_3A = Widths(64, 64, 64, 64, 96, 32)  # (N, 256, 27, 27)
INCEPTION_3B = Widths(64, 64, 96, 64, 96, 64)  # (N, 320, 27, 27)
INCEPTION_3C = ReductionWidths(128, 160, 64, 96)  # (N, 576, 14, 14)
INCEPTION_4A = Widths(224, 64, 96, 96, 128, 128)  # (N, 576, 14, 14)
INCEPTION_4B = Widths(192, 96, 128, 96, 128, 128)  # (N, 576, 14, 14)
INCEPTION_4C = Widths(160, 128, 160, 128, 160, 128)  # (N, 608, 14, 14)
INCEPTION_4D = Widths(96, 128, 192, 160, 192, 128)  # (N, 608, 14, 14)
INCEPTION_4E = ReductionWidths(128, 192, 192, 256)  # (N, 1056, 7, 7)
INCEPTION_5A = Widths(352, 192, 320, 160, 224, 128)  # (N, 1024, 7, 7)
INCEPTION_5B = Widths(352, 192, 320, 192, 224, 128)  # (N, 1024, 7, 7)


def inception(widths, pool=nn.AvgPool2D):
    """Build a block of figure 5: (N, C, H, W) to (N, n1x1 + n3x3 + double + projected, H, W).

    Args:
        widths: Row of the figure.
        pool: Kind of the 3x3 pool with stride 1. An average counts what lies outside of the map as 0.
    """
    return Paths(
        conv1x1=biased_conv(widths.n1x1),
        conv3x3=hybrid_chain(biased_conv(widths.n3x3_reduce), biased_conv(widths.n3x3, 3)),
        double3x3=hybrid_chain(
            biased_conv(widths.double_reduce), biased_conv(widths.double, 3), biased_conv(widths.double, 3)
        ),
        pool=hybrid_chain(pool(pool_size=3, strides=1, padding=1), biased_conv(widths.projected)),
    )


def reduction(widths):
    """Build a block of figure 5 with stride 2: (N, C, H, W) to (N, n3x3 + double + C, H / 2, W / 2), rounded up.

    Args:
        widths: Row of the figure.
    """
    return Paths(
        conv3x3=hybrid_chain(biased_conv(widths.n3x3_reduce), biased_conv(widths.n3x3, 3, strides=2)),
        double3x3=hybrid_chain(
            biased_conv(widths.double_reduce), biased_conv(widths.double, 3), biased_conv(widths.double, 3, strides=2)
        ),
        pool=nn.MaxPool2D(pool_size=3, strides=2, padding=1),
    )


class InceptionBN(Network):
    """Inception with batch normalization: (N, 3, 224, 224) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = biased_conv(64, 7, strides=2)  # (N, 64, 112, 112)
            self.pool1 = nn.MaxPool2D(pool_size=3, strides=2)  # (N, 64, 55, 55)
            self.conv2_reduce = biased_conv(64)  # (N, 64, 55, 55)
            self.conv2 = biased_conv(192, 3)  # (N, 192, 55, 55)
            self.pool2 = nn.MaxPool2D(pool_size=3, strides=2)  # (N, 192, 27, 27)
            self.inception_3a = inception(INCEPTION_3A)
            self.inception_3b = inception(INCEPTION_3B)
            self.inception_3c = reduction(INCEPTION_3C)
            self.inception_4a = inception(INCEPTION_4A)
            self.inception_4b = inception(INCEPTION_4B)
            self.inception_4c = inception(INCEPTION_4C)
            self.inception_4d = inception(INCEPTION_4D)
            self.inception_4e = reduction(INCEPTION_4E)
            self.inception_5a = inception(INCEPTION_5A)
            self.inception_5b = inception(INCEPTION_5B, pool=nn.MaxPool2D)
            self.global_pool = nn.GlobalAvgPool2D()  # (N, 1024, 1, 1)
            self.flatten = nn.Flatten()
            self.fc1 = nn.Dense(classes)


# --- Inception v3


def reducing(channels):
    """Build an unpadded 3x3 convolution with stride 2, batch normalization and ReLU.

    Args:
        channels: Channels of the output.
    """
    return conv(channels, 3, strides=2, padding=0)


def average_pool():
    """Build the pool of an inception block: 3x3 with stride 1. What lies outside of the map does not count."""
    return nn.AvgPool2D(pool_size=3, strides=1, padding=1, count_include_pad=False)


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


class InceptionV3(Network):
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


# --- the editions


@register(
    # section 4.2, BN-x30: 6 million steps
    training={"epochs": 150, "batch_size": 32, "learning_rate": 0.045},
    not_done=(
        "momentum, weight decay and the decay of the rate, whose values the paper does not print (none are used)",
        "a distributed architecture",
        "photometric distortions",
    ),
    source="MXNet's example, and arXiv:1502.03167, figure 5",
    input_shape=(3, 224, 224),
    classes=1000,
    params=11_295_240,
    macs=1_987_204_096,
    departures=(
        "the first convolution is not separable (paper: with depth multiplier 8)",
        "the first two pools round down, to 55x55 and 27x27 maps (paper: 56x56 and 28x28)",
        "biases before batch normalization (paper: none)",
    ),
)
def inception_bn(classes=1000, **kwargs):
    """Build MXNet's Inception-BN."""
    return InceptionBN(classes, **kwargs)


@register(
    # section 8
    training={
        **{"epochs": 100, "batch_size": 32, "learning_rate": 0.045, "schedule": "decay:0.94:2"},
        **{"optimizer": "tfrmsprop", "augment": "resized-crop:0.05:0.75 flip"},
        **{"image_size": 342, **SIGNED},  # the middle seven eighths of both sides
    },
    not_done=(
        "50 workers; an epsilon of 1 in RMSProp (here .001); gradients clipped at 2",
        "label smoothing of .1, the auxiliary classifier, averaged parameters for prediction",
        "random changes of colors (TF-Slim: with hue, and brightness that is added)",
        "initial weights: truncated normal (here: Xavier initialization)",
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
