"""DenseNet (Huang, Liu, van der Maaten & Weinberger 2016, "Densely connected convolutional networks",
arXiv:1608.06993).

Source    `densenet_tutorial`: the Gluon tutorials of early 2018, for 32x32 images. `densenet_d2l`: Dive into Deep
          Learning (D2L). `densenet121` to `densenet201`: DenseNet-BC of the paper's table 1. What the table does not
          show (no biases in convolutions, batch normalization and ReLU before the global pool, a growth rate of 48 for
          161 layers) is from the authors' models. Training: the paper's section 4.2; the authors' code
          (github.com/liuzhuang13/DenseNet at e3d24fb, opts.lua and train.lua) agrees. Augmentation and tests are from
          datasets/imagenet.lua of fb.resnet.torch (github.com/facebookarchive/fb.resnet.torch at 0c85640), which that
          code belongs to.
Departs   From the paper, `densenet_tutorial` and `densenet_d2l`: layers have no bottleneck, convolutions keep their
          biases, 1 input channel; `densenet_d2l` has 4 layers in each block. `densenet_tutorial` ends in 1x1 average
          pooling: images larger than 32x32 give the classifier more features.
          All: the caller's initializer sets the initial weights (paper: He initialization; the authors' code has its
          variant by fan-out). Each layer copies the feature maps that it concatenates, so memory grows with the square
          of the number of layers in a block.
Open      - `densenet121` to `densenet201`: table 1 does not show the biases, the batch normalization before the global
            pool and, for 161 layers, the growth rate.
          - `densenet161`: the paper's last version has one training for all networks. Its own training, with smaller
            batches for 100 epochs, is from an earlier version, of which we saw a translation only.
"""

from functools import partial
from typing import NamedTuple

from mxnet.gluon import nn

from ._blocks import chain
from ._pixels import BICUBIC, NORMALIZED, SHORTER_256, TORCH_AUGMENTATION
from .network import Network
from .registry import register


class Blocks(NamedTuple):
    """Number of layers in each dense block."""

    dense_block_1: int
    dense_block_2: int
    dense_block_3: int
    dense_block_4: int


# table 1, by the number of layers
# shapes after the blocks at 224, for growth rate 32: (N, 256, 56, 56), (N, 512, 28, 28), ...
BLOCKS = {
    121: Blocks(6, 12, 24, 16),  # ... (N, 1024, 14, 14), (N, 1024, 7, 7); also the tutorial's
    161: Blocks(6, 12, 36, 24),  # rate 48: (N, 384, 56, 56), (N, 768, 28, 28), (N, 2112, 14, 14), (N, 2208, 7, 7)
    169: Blocks(6, 12, 32, 32),  # ... (N, 1280, 14, 14), (N, 1664, 7, 7)
    201: Blocks(6, 12, 48, 32),  # ... (N, 1792, 14, 14), (N, 1920, 7, 7)
}
D2L_BLOCKS = Blocks(4, 4, 4, 4)  # at 96: (N, 192, 24, 24), (N, 224, 12, 12), (N, 240, 6, 6), (N, 248, 3, 3)


def norm_conv(channels, kernel_size, use_bias):
    """Make batch normalization, ReLU and a convolution, in this order: (N, C, H, W) to (N, channels, H, W).

    Args:
        channels: Channels of the output.
        kernel_size: Kernel; the padding is half of it.
        use_bias: Whether the convolution has a bias.

    Returns:
        A tuple of layers.
    """
    return (
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.Conv2D(channels, kernel_size, padding=kernel_size // 2, use_bias=use_bias),
    )


def plain_layer(growth_rate):
    """Make a layer of one 3x3 convolution: (N, C, H, W) to (N, growth_rate, H, W).

    Args:
        growth_rate: Channels of the output.

    Returns:
        A tuple of Gluon layers.
    """
    return norm_conv(growth_rate, 3, use_bias=True)


def bottleneck_layer(growth_rate):
    """Make a layer with a 1x1 bottleneck before its 3x3 convolution: (N, C, H, W) to (N, growth_rate, H, W).

    Args:
        growth_rate: Channels of the output. The bottleneck has four times as many.

    Returns:
        A tuple of Gluon layers.
    """
    return (*norm_conv(4 * growth_rate, 1, use_bias=False), *norm_conv(growth_rate, 3, use_bias=False))


class DenseBlock(nn.HybridSequential):
    """Layers that each see the input and all earlier outputs: (N, C, H, W) to (N, C + count growth_rate, H, W).

    Args:
        layer: Function from a growth rate to the parts of one layer.
        count: Number of layers.
        growth_rate: Channels that each layer adds.
    """

    def __init__(self, layer, count, growth_rate, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for _ in range(count):
                parts = nn.HybridSequential()
                parts.add(*layer(growth_rate))
                self.add(parts)

    def hybrid_forward(self, F, x):
        for layer in self:
            x = F.concat(x, layer(x), dim=1)
        return x


def transition(channels, use_bias):
    """Build a transition layer: (N, C, H, W) to (N, channels, H/2, W/2), rounded down.

    Args:
        channels: Channels of the output.
        use_bias: Whether the 1x1 convolution has a bias.
    """
    return chain(*norm_conv(channels, 1, use_bias), nn.AvgPool2D(pool_size=2, strides=2))


class DenseNet(Network):
    """DenseNet: (N, C, H, W) images to (N, classes) logits.

    The first convolution has 2 growth_rate channels, and transitions halve the number of channels.

    Args:
        layer: Function from a growth rate to the parts of one layer.
        blocks: Number of layers in each dense block.
        growth_rate: Channels that each layer adds.
        use_bias: Whether the first convolution and the transitions have biases.
        pool: Function that makes the pool before the classifier.
        classes: Number of classes.
    """

    def __init__(self, layer, blocks, growth_rate=32, use_bias=False, pool=nn.GlobalAvgPool2D, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            channels = 2 * growth_rate
            self.convolution = chain(  # (N, 64, 112, 112) at 224 for growth rate 32
                nn.Conv2D(channels, kernel_size=7, strides=2, padding=3, use_bias=use_bias),
                nn.BatchNorm(),
                nn.Activation("relu"),
            )
            self.pooling = nn.MaxPool2D(pool_size=3, strides=2, padding=1)  # (N, 64, 56, 56)
            for number, count in enumerate(blocks, start=1):
                setattr(self, f"dense_block_{number}", DenseBlock(layer, count, growth_rate))
                channels += count * growth_rate
                if number < len(blocks):
                    channels //= 2
                    setattr(self, f"transition_{number}", transition(channels, use_bias))
            self.classification = chain(nn.BatchNorm(), nn.Activation("relu"), pool(), nn.Dense(classes))


INITIALIZATION = "the caller's initializer sets the initial weights (paper: He initialization)"
TUTORIAL_DEPARTURES = (
    "layers of one 3x3 convolution (paper: a 1x1 bottleneck before it)",
    "convolutions keep their biases (authors' models: none)",
)
# section 4.2: ImageNet
TRAINING = {
    **{"epochs": 90, "batch_size": 256, "learning_rate": 0.1, "schedule": "30:0.1 60:0.01"},
    **{"optimizer": "nag", "momentum": 0.9, "weight_decay": 1e-4, "init": "he", "augment": TORCH_AUGMENTATION},
    **SHORTER_256,
    **NORMALIZED,
}
paper = partial(
    register,
    source="arXiv:1608.06993, table 1",
    input_shape=(3, 224, 224),
    classes=1000,
    departures=(INITIALIZATION,),
    training=TRAINING,
    not_done=(BICUBIC,),
)


@register(
    source="the Gluon tutorial (early 2018)",
    input_shape=(1, 32, 32),
    classes=10,
    params=9_850_890,
    macs=60_557_312,
    departures=(*TUTORIAL_DEPARTURES, "1x1 average pooling at the end (paper: global)"),
)
def densenet_tutorial(classes=10, **kwargs):
    """Build the tutorial's DenseNet-121, without bottlenecks."""
    pool = partial(nn.AvgPool2D, pool_size=1)
    return DenseNet(plain_layer, BLOCKS[121], use_bias=True, pool=pool, classes=classes, **kwargs)


@register(
    source="D2L",
    input_shape=(1, 96, 96),
    classes=10,
    params=758_226,
    macs=129_077_168,
    departures=(*TUTORIAL_DEPARTURES, "four blocks of 4 layers (paper: 6, 12, 24 and 16 or more)"),
)
def densenet_d2l(classes=10, **kwargs):
    """Build D2L's DenseNet."""
    return DenseNet(plain_layer, D2L_BLOCKS, use_bias=True, classes=classes, **kwargs)


@paper(params=7_978_856, macs=2_834_161_664)
def densenet121(classes=1000, **kwargs):
    """Build the paper's DenseNet-121."""
    return DenseNet(bottleneck_layer, BLOCKS[121], classes=classes, **kwargs)


@paper(
    params=28_681_000,
    macs=7_727_907_072,
    training={**TRAINING, "epochs": 100, "batch_size": 128, "schedule": "30:0.1 60:0.01 90:0.001"},
)
def densenet161(classes=1000, **kwargs):
    """Build the paper's DenseNet-161."""
    return DenseNet(bottleneck_layer, BLOCKS[161], growth_rate=48, classes=classes, **kwargs)


@paper(params=14_149_480, macs=3_359_843_328)
def densenet169(classes=1000, **kwargs):
    """Build the paper's DenseNet-169."""
    return DenseNet(bottleneck_layer, BLOCKS[169], classes=classes, **kwargs)


@paper(params=20_013_928, macs=4_291_365_888)
def densenet201(classes=1000, **kwargs):
    """Build the paper's DenseNet-201."""
    return DenseNet(bottleneck_layer, BLOCKS[201], classes=classes, **kwargs)
