"""ResNet (He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385).

Source    `resnet`: the blog; its network is the ResNet-18 of the Gluon tutorials of early 2018.
          `resnet18_tutorial`: the tutorial itself, which feeds 96x96 images.
          `resnet18_d2l`: "Dive into Deep Learning", which grew out of the tutorials.
          `resnet18_v1` to `resnet152_v1`: the paper's table 1. Batch normalisation after every convolution is from
          section 3.4. The paper does not say which convolution of a bottleneck has the stride; in the authors' models
          it is the first, 1x1. Nor does it speak of biases and of the padding of the pool: no convolution has a bias,
          and a padding of 1 gives table 1's sizes.
Departs   from the paper, `resnet` and `resnet18_tutorial`: the stem has no padding, no batch normalisation and no
          ReLU; every convolution keeps its bias, which batch normalisation makes useless; the projection has no batch
          normalisation; 3x3 average pooling in place of global (2048 features reach the classifier at 224, 512 at 96);
          1 input channel.
          `resnet18_d2l`: biases and projections as in the tutorial; 1 input channel.
          `resnet*_v1`: the initial weights are the user's (paper: He's). `resnet18_v1` and `resnet34_v1` project
          where widths grow (the paper's option B, table 3; its table 2 pads with zeros, option A).
Open      - `resnet*_v1`: the paper leaves open where a bottleneck has its stride, the biases of convolutions and the
            padding of the pool.
"""

from functools import partial

from mxnet.gluon import nn

from ._blocks import chain, print_output_shapes
from .registry import register

# table 1, conv2_x to conv5_x: width of the 3x3 convolutions, stride of the first block
# out of the stage at 224: with two convolutions a block, with bottlenecks
STAGES = (
    (64, 1),  # (N, 64, 56, 56)     (N, 256, 56, 56)
    (128, 2),  # (N, 128, 28, 28)   (N, 512, 28, 28)
    (256, 2),  # (N, 256, 14, 14)   (N, 1024, 14, 14)
    (512, 2),  # (N, 512, 7, 7)     (N, 2048, 7, 7)
)
# table 1: layers of the network, and its blocks in conv2_x, conv3_x, conv4_x and conv5_x
BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
BOTTLENECK_EXPANSION = 4  # table 1: the last convolution of a bottleneck is four times as wide


class Residual(nn.HybridBlock):
    """Two 3x3 convolutions beside a shortcut: (N, C, H, W) to (N, channels, H, W).

    With `halve` the first convolution and the shortcut's 1x1 convolution have stride 2, and H and W are halved,
    rounded up. Without it the input must have `channels` channels.
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


class ResNet(nn.Sequential):
    """(N, 1, 224, 224) images to (N, num_classes) logits; `verbose` prints each block's output shape (eagerly only)."""

    def __init__(self, num_classes=10, verbose=False, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                chain(nn.Conv2D(64, kernel_size=7, strides=2)),
                chain(nn.MaxPool2D(pool_size=3, strides=2), Residual(64), Residual(64)),
                *(chain(Residual(width, halve=True), Residual(width)) for width in (128, 256, 512)),
                chain(nn.AvgPool2D(pool_size=3), nn.Dense(num_classes)),
            )
        if verbose:
            print_output_shapes(self)


class ResNetD2L(nn.Sequential):
    """(N, 1, 96, 96) images to (N, classes) logits."""

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                chain(
                    nn.Conv2D(64, kernel_size=7, strides=2, padding=3),
                    nn.BatchNorm(),
                    nn.Activation("relu"),
                    nn.MaxPool2D(pool_size=3, strides=2, padding=1),
                ),
                chain(Residual(64), Residual(64)),
                *(chain(Residual(width, halve=True), Residual(width)) for width in (128, 256, 512)),
                chain(nn.GlobalAvgPool2D(), nn.Dense(classes)),
            )


class WithShortcut(nn.HybridBlock):
    """ReLU of the sum of two paths: (N, C, H, W) to the shape that the layers of `body` give.

    Those of `projection` must give the same one; without any the input itself is added.
    """

    def __init__(self, body, projection=(), **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.body = _joined(body)
            self.projection = _joined(projection) if projection else None

    def hybrid_forward(self, F, x):
        shortcut = x if self.projection is None else self.projection(x)
        return F.Activation(self.body(x) + shortcut, act_type="relu")


def _joined(layers):
    block = nn.HybridSequential()
    block.add(*layers)
    return block


def conv_norm(channels, kernel_size, strides=1, groups=1, use_bias=False):
    """Layers (N, C, H, W) to (N, channels, H / strides, W / strides), rounded up: convolution, batch normalisation."""
    return (
        nn.Conv2D(channels, kernel_size, strides, padding=kernel_size // 2, groups=groups, use_bias=use_bias),
        nn.BatchNorm(),
    )


def building_block(width, strides):
    """The layers of a block of two convolutions: (N, C, H, W) to (N, width, H / strides, W / strides)."""
    return (*conv_norm(width, 3, strides), nn.Activation("relu"), *conv_norm(width, 3))


def bottleneck(width, strides):
    """The layers of a block of three convolutions: (N, C, H, W) to (N, 4 width, H / strides, W / strides)."""
    return (
        *conv_norm(width, 1, strides),  # the stride stands here, as in the authors' models
        nn.Activation("relu"),
        *conv_norm(width, 3),
        nn.Activation("relu"),
        *conv_norm(BOTTLENECK_EXPANSION * width, 1),
    )


def residual_stage(body, blocks, inputs, channels, strides, use_bias=False):
    """`blocks` blocks, `inputs` to `channels` maps; the first has the strides, and projects if the shape changes.

    `body(strides)` makes the layers beside the shortcut; `use_bias` is for the projection.
    """
    projected = strides > 1 or inputs != channels
    return chain(
        WithShortcut(body(strides), conv_norm(channels, 1, strides, use_bias=use_bias) if projected else ()),
        *(WithShortcut(body(1)) for _ in range(blocks - 1)),
    )


class ResNetV1(nn.Sequential):
    """(N, 3, 224, 224) images to (N, classes) logits.

    `body(width, strides)` makes the layers of a block, `expansion` times `width` maps come out of it; `blocks` are
    counted for each of the four stages.
    """

    def __init__(self, body, expansion, blocks, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(
                chain(
                    *conv_norm(64, 7, strides=2),
                    nn.Activation("relu"),
                    nn.MaxPool2D(pool_size=3, strides=2, padding=1),
                )
            )
            inputs = 64
            for (width, strides), count in zip(STAGES, blocks):
                self.add(residual_stage(partial(body, width), count, inputs, expansion * width, strides))
                inputs = expansion * width
            self.add(chain(nn.GlobalAvgPool2D(), nn.Dense(classes)))


BLOG_DEPARTURES = (
    "the stem has no padding, no batch normalisation and no ReLU",
    "convolutions keep their biases; no batch normalisation on the projections",
)
INITIALISATION = "the initial weights are the user's (paper: He's)"
OPTION_B = (
    INITIALISATION,
    "projections where widths grow, option B (paper's table 2: zeros, option A)",
)
paper = partial(register, source="arXiv:1512.03385, table 1", input_shape=(3, 224, 224), classes=1000)


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
    """The blog's ResNet-18."""
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
    """The tutorial's ResNet-18: the blog's network, for smaller images."""
    return ResNet(classes, **kwargs)


@register(
    source="Dive into Deep Learning",
    input_shape=(1, 96, 96),
    classes=10,
    params=11_178_378,
    macs=318_657_536,
    departures=("convolutions keep their biases; no batch normalisation on the projections",),
)
def resnet18_d2l(classes=10, **kwargs):
    """D2L's ResNet-18: the tutorial's, with the paper's stem and global average pooling."""
    return ResNetD2L(classes, **kwargs)


@paper(params=11_689_512, macs=1_814_073_344, departures=OPTION_B)
def resnet18_v1(classes=1000, **kwargs):
    """The paper's ResNet-18."""
    return ResNetV1(building_block, 1, BLOCKS[18], classes, **kwargs)


@paper(params=21_797_672, macs=3_663_761_408, departures=OPTION_B)
def resnet34_v1(classes=1000, **kwargs):
    """The paper's ResNet-34."""
    return ResNetV1(building_block, 1, BLOCKS[34], classes, **kwargs)


@paper(params=25_557_032, macs=3_857_973_248, departures=(INITIALISATION,))
def resnet50_v1(classes=1000, **kwargs):
    """The paper's ResNet-50."""
    return ResNetV1(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[50], classes, **kwargs)


@paper(params=44_549_160, macs=7_570_194_432, departures=(INITIALISATION,))
def resnet101_v1(classes=1000, **kwargs):
    """The paper's ResNet-101."""
    return ResNetV1(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[101], classes, **kwargs)


@paper(params=60_192_808, macs=11_282_415_616, departures=(INITIALISATION,))
def resnet152_v1(classes=1000, **kwargs):
    """The paper's ResNet-152."""
    return ResNetV1(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[152], classes, **kwargs)
