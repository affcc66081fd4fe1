"""ResNeXt (Xie, Girshick, Dollar, Tu & He 2016, "Aggregated residual transformations for deep neural networks",
arXiv:1611.05431).

Source    `resnext50_32x4d`: the paper's table 1, with blocks of figure 3(c): the 3x3 convolution has as many groups as
          the cardinality. `resnext101_32x4d`, `resnext101_64x4d`: the same blocks in the depths of ResNet-101, as in
          the paper's section 5.1. The authors' code adds that the 3x3 convolution has the stride, and that convolutions
          have no biases (github.com/facebookresearch/ResNeXt, commit 1f59a2c). Training: section 4; 100 epochs and
          Nesterov's momentum are from opts.lua and train.lua of that code, augmentation and tests from
          datasets/imagenet.lua of fb.resnet.torch, which it is based on.
          Dive into Deep Learning (D2L) has a ResNeXt block, but builds no ResNeXt. D2L 1.0 builds its RegNet,
          `regnetx32_d2l`, from these blocks.
Departs   From the paper: the caller's initializer sets the initial weights (paper: He initialization; the code has its
          variant by fan-out).
"""

from functools import partial

from mxnet.gluon import nn

from ._blocks import conv_norm
from ._pixels import BICUBIC, NORMALIZED, SHORTER_256, TORCH_AUGMENTATION
from .registry import register
from .resnet import BLOCKS, BOTTLENECK_EXPANSION, ResNetV1

FIRST_CHANNELS = 64  # channels for which the width of a group is the d of "C x d"


def aggregated(cardinality, group_width, channels, strides):
    """Make the residual path of figure 3(c): (N, C, H, W) to (N, 4 channels, H / strides, W / strides).

    Args:
        cardinality: Groups of the 3x3 convolution.
        group_width: Channels in each group in the first stage. Later stages have more, in proportion to `channels`.
        channels: Channels of the output, divided by 4.
        strides: Stride of the 3x3 convolution.

    Returns:
        A tuple of layers.
    """
    width = cardinality * group_width * channels // FIRST_CHANNELS
    return (
        *conv_norm(width, 1),
        nn.Activation("relu"),
        *conv_norm(width, 3, strides, groups=cardinality),
        nn.Activation("relu"),
        *conv_norm(BOTTLENECK_EXPANSION * channels, 1),
    )


def _resnext(layers, cardinality, group_width, classes, **kwargs):
    # stages at 224, as in ResNet-50: (N, 256, 56, 56), (N, 512, 28, 28), (N, 1024, 14, 14), (N, 2048, 7, 7)
    body = partial(aggregated, cardinality, group_width)
    return ResNetV1(body, BOTTLENECK_EXPANSION, BLOCKS[layers], classes, **kwargs)


paper = partial(
    register,
    source="arXiv:1611.05431, table 1, figure 3(c) and section 5.1",
    input_shape=(3, 224, 224),
    classes=1000,
    departures=("the caller's initializer sets the initial weights (paper: He initialization)",),
    # section 4 (the rate falls three times) and the authors' code
    training={
        **{"epochs": 100, "batch_size": 256, "learning_rate": 0.1, "schedule": "30:0.1 60:0.01 90:0.001"},
        **{"optimizer": "nag", "momentum": 0.9, "weight_decay": 1e-4, "init": "he", "augment": TORCH_AUGMENTATION},
        **SHORTER_256,
        **NORMALIZED,
    },
    not_done=(BICUBIC,),
)


@paper(params=25_028_904, macs=4_230_479_872)
def resnext50_32x4d(classes=1000, **kwargs):
    """Build the paper's ResNeXt-50 with 32 groups of 4 channels."""
    return _resnext(50, 32, 4, classes, **kwargs)


@paper(params=44_177_704, macs=7_969_996_800)
def resnext101_32x4d(classes=1000, **kwargs):
    """Build the paper's ResNeXt-101 with 32 groups of 4 channels."""
    return _resnext(101, 32, 4, classes, **kwargs)


@paper(params=83_455_272, macs=15_460_270_080)
def resnext101_64x4d(classes=1000, **kwargs):
    """Build the paper's ResNeXt-101 with 64 groups of 4 channels."""
    return _resnext(101, 64, 4, classes, **kwargs)
