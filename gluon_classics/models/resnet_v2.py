"""ResNet v2 (He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks", arXiv:1603.05027).

Source    `resnet18_v2` to `resnet200_v2`: the paper's full pre-activation, figure 4(e). As in its appendix, conv1 has
          its own batch normalization and ReLU, which the first unit does not repeat, and the last sum is activated too.
          `resnet200_v2` is `resnet152_v2` with 16 more units in conv3_x. What the paper does not say is from
          models/preresnet.lua of github.com/facebookarchive/fb.resnet.torch (commit 985e569), which released the
          ResNet-200: the 3x3 convolution of a bottleneck has the stride, a projection sees the activated input,
          convolutions have no biases. Training: the paper's appendix; 90 epochs are the default of the same code.
Departs   From the paper: the caller's initializer sets the initial weights (paper: He initialization). The paper's
          networks for ImageNet have 152 and 200 layers; `resnet18_v2` to `resnet101_v2` have the depths of
          arXiv:1512.03385. MXNet's model zoo, which uses these names too, also normalizes the image, and repeats
          batch normalization and ReLU after the first pool.
Open      - `resnet*_v2`: the paper does not say where a bottleneck has its stride. In the authors' networks for
            CIFAR-10 it is the first 1x1 convolution.
          - `resnet*_v2`: the paper does not give the number of epochs.
          - `resnet200_v2`: the released one was trained with that code, which has Nesterov's momentum and random crops
            of various aspect ratios. The paper's own training has neither.
"""

from functools import partial

from mxnet.gluon import nn

from ._blocks import chain, hybrid_chain
from ._pixels import CENTERED, MEAN_COLOR, SHORTER_256
from .network import Network
from .registry import register
from .resnet import BLOCKS as FIRST_BLOCKS
from .resnet import BOTTLENECK_EXPANSION, STAGES, Depths

BLOCKS = {**FIRST_BLOCKS, 200: Depths(3, 24, 36, 3)}


class PreActivation(nn.HybridBlock):
    """Sum of two paths, without ReLU after it: (N, C, H, W) to the output shape of `body`.

    Args:
        body: Layers of the residual path after the first activation.
        projection: Layers of the shortcut after the first activation, with the output shape of `body`. Without any,
            the input itself is added.
        activated: Whether batch normalization and ReLU come first.
    """

    def __init__(self, body, projection=(), activated=True, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.activation = hybrid_chain(*activation()) if activated else None
            self.body = hybrid_chain(*body)
            self.projection = hybrid_chain(*projection) if projection else None

    def hybrid_forward(self, F, x):
        activated = x if self.activation is None else self.activation(x)
        shortcut = x if self.projection is None else self.projection(activated)
        return self.body(activated) + shortcut


def activation():
    """Make batch normalization and ReLU. The shape stays.

    Returns:
        A tuple of layers.
    """
    return nn.BatchNorm(), nn.Activation("relu")


def conv(channels, kernel_size, strides=1):
    """Make a convolution without bias: (N, C, H, W) to (N, channels, H / strides, W / strides), rounded up.

    Args:
        channels: Channels of the output.
        kernel_size: Kernel; the padding is half of it.
        strides: Stride.
    """
    return nn.Conv2D(channels, kernel_size, strides, padding=kernel_size // 2, use_bias=False)


def building_block(channels, strides):
    """Make a residual path of two convolutions: (N, C, H, W) to (N, channels, H / strides, W / strides).

    Args:
        channels: Channels of both convolutions.
        strides: Stride of the first convolution.

    Returns:
        A tuple of layers.
    """
    return (conv(channels, 3, strides), *activation(), conv(channels, 3))


def bottleneck(channels, strides):
    """Make a residual path of three convolutions: (N, C, H, W) to (N, 4 channels, H / strides, W / strides).

    Args:
        channels: Channels of the first two convolutions.
        strides: Stride of the 3x3 convolution.

    Returns:
        A tuple of layers.
    """
    return (
        conv(channels, 1),
        *activation(),
        conv(channels, 3, strides),
        *activation(),
        conv(BOTTLENECK_EXPANSION * channels, 1),
    )


class ResNetV2(Network):
    """ResNet with pre-activation: (N, 3, 224, 224) images to (N, classes) logits.

    Args:
        body: Function from channels and a stride to the layers of a residual path.
        expansion: Channels of the output of `body`, divided by the channels that it is given.
        blocks: Number of units in each of the four stages.
        classes: Number of classes.
    """

    def __init__(self, body, expansion, blocks, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = chain(conv(64, 7, strides=2), *activation())  # (N, 64, 112, 112)
            self.pool1 = nn.MaxPool2D(pool_size=3, strides=2, padding=1)  # (N, 64, 56, 56)
            inputs = 64
            for stage, count in zip(STAGES, blocks):  # shapes as in resnet.STAGES
                outputs = expansion * stage.channels
                projection = [conv(outputs, 1, stage.strides)] if stage.strides > 1 or inputs != outputs else []
                first = PreActivation(body(stage.channels, stage.strides), projection, activated=stage is not STAGES[0])
                others = (PreActivation(body(stage.channels, 1)) for _ in range(count - 1))
                setattr(self, stage.label, chain(first, *others))
                inputs = outputs
            self.activation = chain(*activation())
            self.pool5 = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(classes)


INITIALIZATION = "the caller's initializer sets the initial weights (paper: He initialization)"
# appendix: as ResNet, and the rate falls after 30 and 60 epochs
TRAINING = {
    **{"epochs": 90, "batch_size": 256, "learning_rate": 0.1, "schedule": "30:0.1 60:0.01"},
    **{"momentum": 0.9, "weight_decay": 1e-4, "init": "he", "augment": "scale:256:480 flip lighting:0.1"},
    **SHORTER_256,
    **CENTERED,
}
NOT_DONE = (MEAN_COLOR, "tests on crops of 320x320 pixels (here: 224x224)")
paper = partial(
    register,
    source="arXiv:1603.05027, figure 4(e) and table 5",
    input_shape=(3, 224, 224),
    classes=1000,
    departures=(INITIALIZATION,),
    training=TRAINING,
    not_done=NOT_DONE,
)
shallower = partial(
    register,
    source="arXiv:1603.05027, figure 4(e), with the depths of arXiv:1512.03385",
    input_shape=(3, 224, 224),
    classes=1000,
    departures=(INITIALIZATION, "fewer than 152 layers (paper: 152 and 200 on ImageNet)"),
    training=TRAINING,
    not_done=NOT_DONE,
)


@shallower(params=11_687_720, macs=1_814_073_344)
def resnet18_v2(classes=1000, **kwargs):
    """Build ResNet-18 with pre-activation."""
    return ResNetV2(building_block, 1, BLOCKS[18], classes, **kwargs)


@shallower(params=21_795_880, macs=3_663_761_408)
def resnet34_v2(classes=1000, **kwargs):
    """Build ResNet-34 with pre-activation."""
    return ResNetV2(building_block, 1, BLOCKS[34], classes, **kwargs)


@shallower(params=25_549_352, macs=4_089_184_256)
def resnet50_v2(classes=1000, **kwargs):
    """Build ResNet-50 with pre-activation."""
    return ResNetV2(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[50], classes, **kwargs)


@shallower(params=44_541_480, macs=7_801_405_440)
def resnet101_v2(classes=1000, **kwargs):
    """Build ResNet-101 with pre-activation."""
    return ResNetV2(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[101], classes, **kwargs)


@paper(params=60_185_128, macs=11_513_626_624)
def resnet152_v2(classes=1000, **kwargs):
    """Build the paper's ResNet-152 with pre-activation."""
    return ResNetV2(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[152], classes, **kwargs)


@paper(params=64_666_152, macs=15_007_481_856)
def resnet200_v2(classes=1000, **kwargs):
    """Build the paper's ResNet-200 with pre-activation."""
    return ResNetV2(bottleneck, BOTTLENECK_EXPANSION, BLOCKS[200], classes, **kwargs)
