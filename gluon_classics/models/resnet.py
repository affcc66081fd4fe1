"""ResNet (He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385).

Source    `resnet`: the blog; its network is the ResNet-18 of the Gluon tutorials of early 2018.
          `resnet18_tutorial`: the tutorial itself, which uses 96x96 images.
          `resnet18_d2l`: Dive into Deep Learning (D2L), which grew out of the tutorials.
          `resnet18_v1` to `resnet152_v1`: the paper's table 1. Batch normalization after every convolution is from
          section 3.4. The paper does not say which convolution of a bottleneck has the stride, and it mentions neither
          biases nor the padding of the pool. The authors' models (github.com/KaimingHe/deep-residual-networks at
          a7026cb, prototxt/) do: the first, 1x1 convolution has the stride, and no convolution has a bias, except
          ResNet-50's first one.
          `resnet20_cifar10` to `resnet110_cifar10`: the paper's section 4.2 with n = 3, 5, 7, 9 and 18. All shortcuts
          are identities (option A). Table 6 has the numbers of parameters. No convolution has a bias.
          Training: section 3.4 for ImageNet, section 4.2 for CIFAR-10. The authors' README has the same batches of 256.
          Tests: their README has one crop of 224x224 from the middle of images whose shorter side has 256 pixels.
Departs   From the paper, `resnet` and `resnet18_tutorial`: the first convolution has no padding, no batch normalization
          and no ReLU; every convolution keeps its bias, which batch normalization makes useless; the projection has no
          batch normalization; 3x3 average pooling (paper: global), so 2048 features reach the classifier at 224 and 512
          at 96; 1 input channel.
          `resnet18_d2l`: biases and projections as in the tutorial; 1 input channel.
          `resnet*_v1`, from the authors' models: pool1 has a padding of 1; theirs has none and rounds up, which gives
          the same sizes from other windows. ResNet-50's first convolution has no bias; theirs has one, which batch
          normalization makes useless. `released=True` builds the networks of their weights, of 50 layers and more.
          `resnet*_v1`, `resnet*_cifar10`: the caller's initializer sets the initial weights (paper: He initialization).
          `resnet18_v1` and `resnet34_v1` project where the channels increase (the paper's option B, table 3; its
          table 2 pads with zeros, option A).
Open      - `resnet18_v1`, `resnet34_v1`: the authors released no models of these depths. Biases and the padding of the
            pool are those of the deeper networks here.
          - `resnet20_cifar10` to `resnet110_cifar10`: the border around the images before a crop is black. Code that
            pads after the mean is subtracted has a border of the mean color.
"""

from functools import partial
from typing import NamedTuple, Tuple

from mxnet.gluon import nn

from ._blocks import chain, conv_norm, hybrid_chain, print_output_shapes
from ._pixels import BLACK_BORDER, CENTERED, CIFAR_CENTERED, MEAN_COLOR, PATIENCE, SHORTER_256
from .network import Network
from .registry import register


class Stage(NamedTuple):
    """A stage of table 1 or of section 4.2: channels of its 3x3 convolutions, stride of its first block."""

    label: str
    channels: int
    strides: int


class Depths(NamedTuple):
    """Number of blocks in each stage of table 1."""

    conv2_x: int
    conv3_x: int
    conv4_x: int
    conv5_x: int


# shape after the stage at 224: with building blocks, with bottlenecks
STAGES: Tuple[Stage, ...] = (
    Stage("conv2_x", 64, strides=1),  # (N, 64, 56, 56)     (N, 256, 56, 56)
    Stage("conv3_x", 128, strides=2),  # (N, 128, 28, 28)   (N, 512, 28, 28)
    Stage("conv4_x", 256, strides=2),  # (N, 256, 14, 14)   (N, 1024, 14, 14)
    Stage("conv5_x", 512, strides=2),  # (N, 512, 7, 7)     (N, 2048, 7, 7)
)
# section 4.2
CIFAR_STAGES: Tuple[Stage, ...] = (
    Stage("stage1", 16, strides=1),  # (N, 16, 32, 32)
    Stage("stage2", 32, strides=2),  # (N, 32, 16, 16)
    Stage("stage3", 64, strides=2),  # (N, 64, 8, 8)
)
# table 1, by the number of layers
BLOCKS = {
    18: Depths(2, 2, 2, 2),
    34: Depths(3, 4, 6, 3),
    50: Depths(3, 4, 6, 3),
    101: Depths(3, 4, 23, 3),
    152: Depths(3, 8, 36, 3),
}
BOTTLENECK_EXPANSION = 4  # table 1: the last convolution of a bottleneck has four times the channels


# --- the blog, the tutorial, D2L


class Residual(nn.HybridBlock):
    """Two 3x3 convolutions and a shortcut: (N, C, H, W) to (N, channels, H, W).

    Args:
        channels: Channels of the output. Without `halve` the input must have as many.
        halve: Whether the first convolution and a 1x1 convolution on the shortcut have stride 2. H and W are then
            halved, rounded up.
    """

    def __init__(self, channels, halve=False, **kwargs):
        super().__init__(**kwargs)
        strides = 2 if halve else 1
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, kernel_size=3, padding=1, strides=strides)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, kernel_size=3, padding=1)
            self.bn2 = nn.BatchNorm()
            self.conv3 = nn.Conv2D(channels, kernel_size=1, strides=strides) if halve else None

    def hybrid_forward(self, F, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x if self.conv3 is None else self.conv3(x)
        return F.relu(out + shortcut)


class ResNet(Network):
    """The blog's ResNet-18: (N, 1, 224, 224) images to (N, num_classes) logits.

    Args:
        num_classes: Number of classes.
        verbose: Whether each eager forward pass prints the output shape of each of the six blocks.
    """

    def __init__(self, num_classes=10, verbose=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.b1 = chain(nn.Conv2D(64, kernel_size=7, strides=2))  # (N, 64, 109, 109)
            self.b2 = chain(nn.MaxPool2D(pool_size=3, strides=2), Residual(64), Residual(64))  # (N, 64, 54, 54)
            self.b3 = chain(Residual(128, halve=True), Residual(128))  # (N, 128, 27, 27)
            self.b4 = chain(Residual(256, halve=True), Residual(256))  # (N, 256, 14, 14)
            self.b5 = chain(Residual(512, halve=True), Residual(512))  # (N, 512, 7, 7)
            self.b6 = chain(nn.AvgPool2D(pool_size=3), nn.Dense(num_classes))  # (N, num_classes), of 512 2x2 maps
        if verbose:
            print_output_shapes(self)


class ResNetD2L(Network):
    """D2L's ResNet-18: (N, 1, 96, 96) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.b1 = chain(  # (N, 64, 24, 24)
                nn.Conv2D(64, kernel_size=7, strides=2, padding=3),
                nn.BatchNorm(),
                nn.Activation("relu"),
                nn.MaxPool2D(pool_size=3, strides=2, padding=1),
            )
            self.b2 = chain(Residual(64), Residual(64))  # (N, 64, 24, 24)
            self.b3 = chain(Residual(128, halve=True), Residual(128))  # (N, 128, 12, 12)
            self.b4 = chain(Residual(256, halve=True), Residual(256))  # (N, 256, 6, 6)
            self.b5 = chain(Residual(512, halve=True), Residual(512))  # (N, 512, 3, 3)
            self.b6 = chain(nn.GlobalAvgPool2D(), nn.Dense(classes))  # (N, classes)


# --- the paper


class WithShortcut(nn.HybridBlock):
    """ReLU of the sum of two paths: (N, C, H, W) to the output shape of `body`.

    Args:
        body: Layers of the residual path.
        projection: Layers of the shortcut, with the output shape of `body`. Without any, the input itself is added.
    """

    def __init__(self, body, projection=(), **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.body = hybrid_chain(*body)
            self.projection = hybrid_chain(*projection) if projection else None

    def hybrid_forward(self, F, x):
        shortcut = x if self.projection is None else self.projection(x)
        return F.Activation(self.body(x) + shortcut, act_type="relu")


def building_block(channels, strides):
    """Make the residual path of two convolutions: (N, C, H, W) to (N, channels, H / strides, W / strides).

    Args:
        channels: Channels of both convolutions.
        strides: Stride of the first convolution.

    Returns:
        A tuple of layers.
    """
    return (*conv_norm(channels, 3, strides), nn.Activation("relu"), *conv_norm(channels, 3))


def bottleneck(channels, strides):
    """Make the residual path of three convolutions: (N, C, H, W) to (N, 4 channels, H / strides, W / strides).

    Args:
        channels: Channels of the first two convolutions.
        strides: Stride of the first convolution, as in the authors' models.

    Returns:
        A tuple of layers.
    """
    return (
        *conv_norm(channels, 1, strides),
        nn.Activation("relu"),
        *conv_norm(channels, 3),
        nn.Activation("relu"),
        *conv_norm(BOTTLENECK_EXPANSION * channels, 1),
    )


class ZeroChannels(nn.HybridBlock):
    """Append as many channels of zeros as there are channels: (N, C, H, W) to (N, 2 C, H, W)."""

    def hybrid_forward(self, F, x):
        return F.concat(x, F.zeros_like(x), dim=1)


def padded_identity(strides):
    """Make the shortcut of option A: (N, C, H, W) to (N, 2 C, H / strides, W / strides), rounded up.

    It has no parameters. The pool takes one pixel of each window: it is an identity with a stride.

    Args:
        strides: Stride.

    Returns:
        A tuple of layers.
    """
    return (nn.AvgPool2D(pool_size=1, strides=strides), ZeroChannels())


def residual_stage(body, blocks, inputs, channels, strides, shortcut=None):
    """Build a stage: (N, inputs, H, W) to (N, channels, H / strides, W / strides).

    The first block has the stride and, if the shape changes, its own shortcut.

    Args:
        body: Function from a stride to the layers of a residual path.
        blocks: Number of blocks.
        inputs: Channels of the input.
        channels: Channels of the output of each block.
        strides: Stride of the first block.
        shortcut: Function from a stride to the layers of that shortcut; a projection by default.
    """
    shortcut = shortcut or partial(conv_norm, channels, 1)
    changed = strides > 1 or inputs != channels
    return chain(
        WithShortcut(body(strides), shortcut(strides) if changed else ()),
        *(WithShortcut(body(1)) for _ in range(blocks - 1)),
    )


class ResNetV1(Network):
    """The paper's ResNet: (N, 3, 224, 224) images to (N, classes) logits.

    Args:
        body: Function from channels and a stride to the layers of a residual path.
        expansion: Channels of the output of `body`, divided by the channels that it is given.
        blocks: Number of blocks in each of the four stages.
        classes: Number of classes.
        released: Whether pool1 is the one of the authors' Caffe models: without padding, rounded up.
        stem_bias: Whether the first convolution has a bias, as in the authors' model of ResNet-50.
    """

    def __init__(self, body, expansion, blocks, classes=1000, released=False, stem_bias=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            # (N, 64, 112, 112)
            self.conv1 = chain(*conv_norm(64, 7, strides=2, use_bias=stem_bias), nn.Activation("relu"))
            padding = {"ceil_mode": True} if released else {"padding": 1}
            self.pool1 = nn.MaxPool2D(pool_size=3, strides=2, **padding)  # (N, 64, 56, 56)
            inputs = 64
            for stage, count in zip(STAGES, blocks):
                path = partial(body, stage.channels)
                outputs = expansion * stage.channels
                setattr(self, stage.label, residual_stage(path, count, inputs, outputs, stage.strides))
                inputs = outputs
            self.pool5 = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(classes)


class ResNetCIFAR(Network):
    """The paper's ResNet for CIFAR-10: (N, 3, 32, 32) images to (N, classes) logits.

    Args:
        blocks: Number of blocks in each of the three stages, n in the paper. There are 6 n + 2 layers with weights.
        classes: Number of classes.
    """

    def __init__(self, blocks, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = chain(*conv_norm(16, 3), nn.Activation("relu"))  # (N, 16, 32, 32)
            inputs = 16
            for stage in CIFAR_STAGES:
                path = partial(building_block, stage.channels)
                stack = residual_stage(path, blocks, inputs, stage.channels, stage.strides, padded_identity)
                setattr(self, stage.label, stack)
                inputs = stage.channels
            self.pool = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(classes)


BLOG_DEPARTURES = (
    "the first convolution has no padding, no batch normalization and no ReLU",
    "convolutions keep their biases; no batch normalization on the projections",
)
INITIALIZATION = "the caller's initializer sets the initial weights (paper: He initialization)"
POOL_1 = "pool1 has a padding of 1 (authors' models: none, and it rounds up, as with released=True)"
STEM_BIAS = "the first convolution has no bias (authors' model: one, as with released=True)"
OPTION_B = (
    INITIALIZATION,
    "projections where the channels increase, option B (paper's table 2: zeros, option A)",
)
# section 3.4; 600,000 batches of 256 images are 120 epochs of ImageNet
TRAINING = {
    **{"epochs": 120, "batch_size": 256, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
    **{"init": "he", "schedule": "plateau:0.1:5", "augment": "scale:256:480 flip lighting:0.1"},
    **SHORTER_256,
    **CENTERED,
}
paper = partial(
    register,
    source="arXiv:1512.03385, table 1",
    input_shape=(3, 224, 224),
    classes=1000,
    training=TRAINING,
    not_done=(
        PATIENCE.format("error"),
        MEAN_COLOR,
        "running statistics that are computed from training images after the training (authors' README)",
    ),
)
# section 4.2; 64,000 batches of 128 images, and the rate falls after 32,000 and 48,000
CIFAR_TRAINING = {
    **{"epochs": 164, "batch_size": 128, "learning_rate": 0.1, "schedule": "82:0.1 123:0.01"},
    **{"momentum": 0.9, "weight_decay": 1e-4, "init": "he", "augment": "crop:4 flip"},
    **CIFAR_CENTERED,
}
cifar10 = partial(
    register,
    source="arXiv:1512.03385, section 4.2",
    input_shape=(3, 32, 32),
    classes=10,
    departures=(INITIALIZATION,),
    training=CIFAR_TRAINING,
    not_done=(MEAN_COLOR, BLACK_BORDER),
)


@register(
    source="the blog (March 2018), after the Gluon tutorial",
    input_shape=(1, 224, 224),
    classes=10,
    params=11_193_610,
    macs=1_671_550_528,
    departures=(
        *BLOG_DEPARTURES,
        "3x3 average pooling: 2048 features reach the classifier (paper: global, 512)",
    ),
)
def resnet(classes=10, **kwargs):
    """Build the blog's ResNet-18; `verbose=True` prints output shapes."""
    return ResNet(classes, **kwargs)


@register(
    source="the Gluon tutorial (early 2018)",
    input_shape=(1, 96, 96),
    classes=10,
    params=11_178_250,
    macs=292_158_016,
    departures=(*BLOG_DEPARTURES, "3x3 average pooling (paper: global)"),
)
def resnet18_tutorial(classes=10, **kwargs):
    """Build the tutorial's ResNet-18: the blog's network, for smaller images."""
    return ResNet(classes, **kwargs)


@register(
    source="D2L",
    input_shape=(1, 96, 96),
    classes=10,
    params=11_178_378,
    macs=318_657_536,
    departures=("convolutions keep their biases; no batch normalization on the projections",),
)
def resnet18_d2l(classes=10, **kwargs):
    """Build D2L's ResNet-18: the tutorial's, with the paper's first stage and global average pooling."""
    return ResNetD2L(classes, **kwargs)


@paper(params=11_689_512, macs=1_814_073_344, departures=OPTION_B)
def resnet18_v1(classes=1000, **kwargs):
    """Build the paper's ResNet-18."""
    return ResNetV1(building_block, 1, BLOCKS[18], classes, **kwargs)


@paper(params=21_797_672, macs=3_663_761_408, departures=OPTION_B)
def resnet34_v1(classes=1000, **kwargs):
    """Build the paper's ResNet-34."""
    return ResNetV1(building_block, 1, BLOCKS[34], classes, **kwargs)


@paper(params=25_557_032, macs=3_857_973_248, departures=(INITIALIZATION, POOL_1, STEM_BIAS))
def resnet50_v1(classes=1000, released=False, **kwargs):
    """Build the paper's ResNet-50; `released=True` builds the network of the authors' weights."""
    return ResNetV1(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[50], classes, released, stem_bias=released, **kwargs)


@paper(params=44_549_160, macs=7_570_194_432, departures=(INITIALIZATION, POOL_1))
def resnet101_v1(classes=1000, released=False, **kwargs):
    """Build the paper's ResNet-101; `released=True` builds the network of the authors' weights."""
    return ResNetV1(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[101], classes, released, **kwargs)


@paper(params=60_192_808, macs=11_282_415_616, departures=(INITIALIZATION, POOL_1))
def resnet152_v1(classes=1000, released=False, **kwargs):
    """Build the paper's ResNet-152; `released=True` builds the network of the authors' weights."""
    return ResNetV1(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[152], classes, released, **kwargs)


@cifar10(params=269_722, macs=40_551_040)
def resnet20_cifar10(classes=10, **kwargs):
    """Build the paper's ResNet-20 for CIFAR-10."""
    return ResNetCIFAR(3, classes, **kwargs)


@cifar10(params=464_154, macs=68_862_592)
def resnet32_cifar10(classes=10, **kwargs):
    """Build the paper's ResNet-32 for CIFAR-10."""
    return ResNetCIFAR(5, classes, **kwargs)


@cifar10(params=658_586, macs=97_174_144)
def resnet44_cifar10(classes=10, **kwargs):
    """Build the paper's ResNet-44 for CIFAR-10."""
    return ResNetCIFAR(7, classes, **kwargs)


@cifar10(params=853_018, macs=125_485_696)
def resnet56_cifar10(classes=10, **kwargs):
    """Build the paper's ResNet-56 for CIFAR-10."""
    return ResNetCIFAR(9, classes, **kwargs)


@cifar10(
    params=1_727_962,
    macs=252_887_680,
    # a tenth of the rate in the first epoch, which has 391 batches
    training={**CIFAR_TRAINING, "schedule": "0:0.1 1:1 82:0.1 123:0.01"},
    not_done=(
        MEAN_COLOR,
        BLACK_BORDER,
        "a tenth of the rate until the training error is below 80 % (about 400 batches)",
    ),
)
def resnet110_cifar10(classes=10, **kwargs):
    """Build the paper's ResNet-110 for CIFAR-10."""
    return ResNetCIFAR(18, classes, **kwargs)
