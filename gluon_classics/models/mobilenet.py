"""MobileNet (v1: Howard et al. 2017, arXiv:1704.04861; v2: Sandler et al. 2018, arXiv:1801.04381).

Source    `mobilenet_v1`: table 1 of "MobileNets: efficient convolutional neural networks for mobile vision
          applications", with batch normalization and ReLU after every convolution (figure 3). `mobilenet_v2`: table 2
          of "MobileNetV2: inverted residuals and linear bottlenecks", with ReLU6 and blocks of its figure 4. Both at
          width 1. Not in the papers: no convolution has a bias, the classifier has one. A block of v2 with expansion 1
          has no first convolution, as in torchvision. Training of `mobilenet_v2`: the paper's section 6.1; the number
          of batches is from the authors' README (github.com/tensorflow/models at 0ba83cf,
          research/slim/nets/mobilenet/README.md), crops and pixels in -1..1 from TF-Slim's inception_preprocessing.py.
Departs   The caller's initializer sets the initial weights. The authors' code draws them from a truncated normal
          distribution with a standard deviation of .09 (research/slim/nets/mobilenet_v1.py of the same repository at
          0cf9932, mobilenet/mobilenet.py at 02c04f4). Padding is the same on both sides, where TensorFlow's "SAME" pads
          one side only for stride 2 (sizes are equal).
Open      - `mobilenet_v1`: table 1 prints stride 2 for the last depthwise convolution, but 7x7 maps before and after
            it. We follow the sizes.
          - `mobilenet_v2`: table 4 prints 3.4 million parameters; table 2 gives 3.50 million.
          - `mobilenet_*`: the papers print no epsilon and no momentum of batch normalization. We use Gluon's.
          - `mobilenet_v1`: the paper names RMSProp and Inception v3's asynchronous training, without any number. The
            paper of v2 says that its rate of .045 is v1's.
          - `mobilenet_v2`: the paper gives neither the number of epochs nor the epsilon of RMSProp. In the README's
            training, the rate decays after every 2.5 epochs, labels are smoothed, and 5.5 million batches are enough.
            The default epsilon of TF-Slim is 1; ours is .001.
"""

from typing import NamedTuple

from mxnet.gluon import nn

from ._blocks import chain, conv_norm
from ._pixels import SIGNED
from .network import Network
from .registry import register

STEM_WIDTH = 32


class Separable(NamedTuple):
    """Two rows of v1's table 1: a depthwise convolution with the stride, then a 1x1 convolution."""

    channels: int
    strides: int


# v1's table 1                                            # shape after the stage at 224
SEPARABLE = (
    Separable(64, strides=1),  # (N, 64, 112, 112)
    Separable(128, strides=2),  # (N, 128, 56, 56)
    Separable(128, strides=1),  # (N, 128, 56, 56)
    Separable(256, strides=2),  # (N, 256, 28, 28)
    Separable(256, strides=1),  # (N, 256, 28, 28)
    Separable(512, strides=2),  # (N, 512, 14, 14)
    *5 * (Separable(512, strides=1),),  # (N, 512, 14, 14)
    Separable(1024, strides=2),  # (N, 1024, 7, 7)
    Separable(1024, strides=1),  # (N, 1024, 7, 7)
)


class Bottlenecks(NamedTuple):
    """A row of v2's table 2: blocks of which the first has the stride."""

    expansion: int
    channels: int
    blocks: int
    strides: int


# v2's table 2                                                           # shape after the stage at 224
BOTTLENECKS = (
    Bottlenecks(expansion=1, channels=16, blocks=1, strides=1),  # (N, 16, 112, 112)
    Bottlenecks(expansion=6, channels=24, blocks=2, strides=2),  # (N, 24, 56, 56)
    Bottlenecks(expansion=6, channels=32, blocks=3, strides=2),  # (N, 32, 28, 28)
    Bottlenecks(expansion=6, channels=64, blocks=4, strides=2),  # (N, 64, 14, 14)
    Bottlenecks(expansion=6, channels=96, blocks=3, strides=1),  # (N, 96, 14, 14)
    Bottlenecks(expansion=6, channels=160, blocks=3, strides=2),  # (N, 160, 7, 7)
    Bottlenecks(expansion=6, channels=320, blocks=1, strides=1),  # (N, 320, 7, 7)
)
HEAD_WIDTH = 1280


class ReLU6(nn.HybridBlock):
    """Clip to 0..6. The shape stays."""

    def hybrid_forward(self, F, x):
        return F.clip(x, 0, 6)


# --- v1


def separable(inputs, channels, strides):
    """Build a depthwise separable convolution: (N, inputs, H, W) to (N, channels, H / strides, W / strides).

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        strides: Stride of the depthwise convolution.
    """
    return chain(
        *conv_norm(inputs, 3, strides, groups=inputs),
        nn.Activation("relu"),
        *conv_norm(channels),
        nn.Activation("relu"),
    )


class MobileNetV1(Network):
    """MobileNet: (N, 3, 224, 224) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = chain(*conv_norm(STEM_WIDTH, 3, strides=2), nn.Activation("relu"))  # (N, 32, 112, 112)
            inputs = STEM_WIDTH
            for number, row in enumerate(SEPARABLE, start=2):
                setattr(self, f"conv{number}", separable(inputs, row.channels, row.strides))
                inputs = row.channels
            self.pool = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(classes)


# --- v2


class InvertedResidual(nn.HybridBlock):
    """Inverted residual: (N, inputs, H, W) to (N, channels, H / strides, W / strides), rounded up.

    If the shape stays, the input is added. The last convolution has no activation.

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        expansion: Factor by which the first convolution increases the channels.
        strides: Stride of the depthwise convolution.
    """

    def __init__(self, inputs, channels, expansion, strides=1, **kwargs):
        super().__init__(**kwargs)
        self._added = strides == 1 and inputs == channels
        width = expansion * inputs
        with self.name_scope():
            self.body = nn.HybridSequential()
            if expansion > 1:
                self.body.add(*conv_norm(width), ReLU6())
            self.body.add(*conv_norm(width, 3, strides, groups=width), ReLU6(), *conv_norm(channels))

    def hybrid_forward(self, F, x):
        out = self.body(x)
        return x + out if self._added else out


class MobileNetV2(Network):
    """MobileNet v2: (N, 3, 224, 224) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv1 = chain(*conv_norm(STEM_WIDTH, 3, strides=2), ReLU6())  # (N, 32, 112, 112)
            inputs = STEM_WIDTH
            for number, row in enumerate(BOTTLENECKS, start=1):
                blocks = []
                for block in range(row.blocks):
                    strides = row.strides if block == 0 else 1
                    blocks.append(InvertedResidual(inputs, row.channels, row.expansion, strides))
                    inputs = row.channels
                setattr(self, f"bottleneck{number}", chain(*blocks))
            self.conv2 = chain(*conv_norm(HEAD_WIDTH), ReLU6())  # (N, 1280, 7, 7)
            self.pool = nn.GlobalAvgPool2D()
            self.fc = nn.Dense(classes)


PADDING = "the same padding on both sides (authors: TensorFlow's, on one side for stride 2)"
INITIALIZATION = "the caller's initializer sets the initial weights (authors' code: truncated normal)"
WEIGHTS = "initial weights: truncated normal, with a standard deviation of .09 (here: Xavier initialization)"


@register(
    source="arXiv:1704.04861, table 1",
    input_shape=(3, 224, 224),
    classes=1000,
    not_done=(
        "the paper's training: RMSProp with asynchronous updates (it prints no numbers; the blog's settings are used)",
        "little or no weight decay of depthwise convolutions, random crops",
        WEIGHTS,
    ),
    params=4_231_976,
    macs=568_740_352,
    departures=(PADDING, INITIALIZATION),
)
def mobilenet_v1(classes=1000, **kwargs):
    """Build the paper's MobileNet of width 1."""
    return MobileNetV1(classes, **kwargs)


@register(
    source="arXiv:1801.04381, table 2",
    input_shape=(3, 224, 224),
    classes=1000,
    # section 6.1; 5.5 million batches of 96 images
    training={
        **{"epochs": 412, "batch_size": 96, "learning_rate": 0.045, "schedule": "decay:0.98:1"},
        **{"optimizer": "tfrmsprop", "momentum": 0.9, "weight_decay": 4e-5, "augment": "resized-crop:0.05:0.75 flip"},
        **{"image_size": 256, **SIGNED},  # the middle seven eighths of both sides
    },
    not_done=(
        "16 asynchronous workers",
        "no weight decay of depthwise convolutions and batch normalization (authors' code)",
        "random changes of colors (TF-Slim: with hue, and brightness that is added)",
        WEIGHTS,
    ),
    params=3_504_872,
    macs=300_774_272,
    departures=(PADDING, INITIALIZATION),
)
def mobilenet_v2(classes=1000, **kwargs):
    """Build the paper's MobileNet v2 of width 1."""
    return MobileNetV2(classes, **kwargs)
