"""EfficientNet (Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks",
arXiv:1905.11946).

Source    `efficientnet_b0`: the paper's table 1; swish, stochastic depth with a survival probability of .8, dropout of
          .2 and the momentum of batch normalization from its section 5. Where the paper says nothing, the authors'
          code: squeeze and excitation with a quarter of a block's input channels, the epsilon of batch normalization,
          no biases in the other convolutions, a survival probability that falls from 1 in equal steps.
          `efficientnet_b1` to `efficientnet_b7`: B0 scaled as in the paper's section 3.3. Factors, sides of the images,
          dropout and the rounding of channels (to multiples of 8) and layers (up) are from the authors' code.
          Training: the paper's section 5.2, and main.py, utils.py and preprocessing.py of the authors' code
          (github.com/tensorflow/tpu at 7dc921f, models/official/efficientnet).
Departs   From the authors' code: padding is the same on both sides, where TensorFlow's "SAME" pads one side only for
          stride 2 (sizes are equal); the caller's initializer sets the initial weights (authors: normal, by fan-out).
Open      - `efficientnet_*`: whether the paper's results use the details that only the authors' code defines.
          - `efficientnet_*`: the paper prints a rate of .256 and no batch size. The code's rate is .016 for each 256
            images of a batch, which gives 4096. Its default is a batch of 2048 images at a rate of .128.
          - `efficientnet_b2`: the paper prints 9.2 million parameters; the scaled network has 9.11 million.
"""

from functools import partial
import math
from typing import NamedTuple

from mxnet.gluon import nn

from . import _blocks
from ._blocks import chain
from ._pixels import BICUBIC, NORMALIZED, RESIZED_CROP
from .network import Network
from .registry import register
from .senet import SqueezeExcitation


class Stage(NamedTuple):
    """A row of table 1: `MBConv` blocks, of which the first has the stride."""

    label: str
    expansion: int
    kernel: int
    strides: int
    channels: int
    layers: int


# table 1, stages 2 to 8                                                 # shape after the stage at 224
STAGES = (
    Stage("stage2", expansion=1, kernel=3, strides=1, channels=16, layers=1),  # (N, 16, 112, 112)
    Stage("stage3", expansion=6, kernel=3, strides=2, channels=24, layers=2),  # (N, 24, 56, 56)
    Stage("stage4", expansion=6, kernel=5, strides=2, channels=40, layers=2),  # (N, 40, 28, 28)
    Stage("stage5", expansion=6, kernel=3, strides=2, channels=80, layers=3),  # (N, 80, 14, 14)
    Stage("stage6", expansion=6, kernel=5, strides=1, channels=112, layers=3),  # (N, 112, 14, 14)
    Stage("stage7", expansion=6, kernel=5, strides=2, channels=192, layers=4),  # (N, 192, 7, 7)
    Stage("stage8", expansion=6, kernel=3, strides=1, channels=320, layers=1),  # (N, 320, 7, 7)
)
STEM_WIDTH, HEAD_WIDTH = 32, 1280  # stages 1 and 9
DROPPED = 0.2  # share of the examples that one more block would drop; it grows from 0 in the first block in equal steps


class Scaling(NamedTuple):
    """Factors of the channels and of the number of layers of B0, and the dropout before the classifier."""

    width: float
    depth: float
    dropout: float


# shape after stage 8 at the network's own size
B0 = Scaling(width=1.0, depth=1.0, dropout=0.2)  # (N, 320, 7, 7)
B1 = Scaling(width=1.0, depth=1.1, dropout=0.2)  # (N, 320, 8, 8)
B2 = Scaling(width=1.1, depth=1.2, dropout=0.3)  # (N, 352, 9, 9)
B3 = Scaling(width=1.2, depth=1.4, dropout=0.3)  # (N, 384, 10, 10)
B4 = Scaling(width=1.4, depth=1.8, dropout=0.4)  # (N, 448, 12, 12)
B5 = Scaling(width=1.6, depth=2.2, dropout=0.4)  # (N, 512, 15, 15)
B6 = Scaling(width=1.8, depth=2.6, dropout=0.5)  # (N, 576, 17, 17)
B7 = Scaling(width=2.0, depth=3.1, dropout=0.5)  # (N, 640, 19, 19)


def scaled_channels(channels, width):
    """Multiply channels by a factor and round to a multiple of 8, but not down by more than a tenth.

    Args:
        channels: Channels in B0.
        width: Factor.
    """
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


class Swish(nn.HybridBlock):
    """x times its sigmoid: what `nn.Swish` computes, in operators that are faster on the CPU."""

    def hybrid_forward(self, F, x):
        return x * F.Activation(x, act_type="sigmoid")


conv_norm = partial(_blocks.conv_norm, momentum=0.99, epsilon=1e-3)


class MBConv(nn.HybridBlock):
    """Mobile inverted bottleneck: (N, inputs, H, W) to (N, channels, H / strides, W / strides), rounded up.

    If the shape stays, the input is added. In training the residual path is then dropped for random examples, and
    scaled up for the others so that its expectation stays (stochastic depth).

    Args:
        inputs: Channels of the input.
        channels: Channels of the output.
        expansion: Factor by which the first convolution increases the channels.
        kernel_size: Kernel of the depthwise convolution.
        strides: Stride of the depthwise convolution.
        dropped: Probability that the residual path of an example is dropped, from 0 to 1.
    """

    def __init__(self, inputs, channels, expansion, kernel_size, strides=1, dropped=0.0, **kwargs):
        super().__init__(**kwargs)
        width = expansion * inputs
        with self.name_scope():
            self.body = nn.HybridSequential()
            if expansion > 1:
                self.body.add(*conv_norm(width), Swish())
            self.body.add(
                *conv_norm(width, kernel_size, strides, groups=width),
                Swish(),
                SqueezeExcitation(width, inputs // 4, Swish()),
                *conv_norm(channels),
            )
            # one draw for all channels and positions of an example
            self.drop = nn.Dropout(dropped, axes=(1, 2, 3)) if strides == 1 and inputs == channels else None

    def hybrid_forward(self, F, x):
        out = self.body(x)
        return out if self.drop is None else x + self.drop(out)


class EfficientNet(Network):
    """EfficientNet: (N, 3, H, W) images to (N, classes) logits.

    Args:
        scaling: `Scaling` of B0's stages.
        classes: Number of classes.
    """

    def __init__(self, scaling=B0, classes=1000, **kwargs):
        super().__init__(**kwargs)
        layers = [math.ceil(stage.layers * scaling.depth) for stage in STAGES]
        with self.name_scope():
            inputs, number = scaled_channels(STEM_WIDTH, scaling.width), 0
            self.stage1 = chain(*conv_norm(inputs, 3, strides=2), Swish())  # (N, 32, 112, 112) in B0
            for stage, count in zip(STAGES, layers):
                channels, blocks = scaled_channels(stage.channels, scaling.width), []
                for layer in range(count):
                    strides = stage.strides if layer == 0 else 1
                    dropped = DROPPED * number / sum(layers)
                    blocks.append(MBConv(inputs, channels, stage.expansion, stage.kernel, strides, dropped))
                    inputs, number = channels, number + 1
                setattr(self, stage.label, chain(*blocks))
            self.stage9 = chain(
                *conv_norm(scaled_channels(HEAD_WIDTH, scaling.width)),
                Swish(),
                nn.GlobalAvgPool2D(),
                nn.Dropout(scaling.dropout),
                nn.Dense(classes),
            )


# section 5.2; the number of epochs, the warm-up, the ratio of rate and batch, and crops are from the authors' code
TRAINING = {
    **{"epochs": 350, "batch_size": 4096, "learning_rate": 0.256, "schedule": "decay:0.97:2.4 warmup:5"},
    **{"optimizer": "tfrmsprop", "momentum": 0.9, "weight_decay": 1e-5, "augment": f"{RESIZED_CROP} flip"},
    **{"validation_share": 0.0195, "reported": "best"},  # 25,000 training images
    **{"fit": "crop", **NORMALIZED},
}
CROP_PADDING = 32  # pixels by which the shorter side is longer than the crop, in tests
paper = partial(
    register,
    classes=1000,
    departures=(
        "the same padding on both sides (authors: TensorFlow's, on one side for stride 2)",
        "the caller's initializer sets the initial weights (authors: normal, by fan-out)",
    ),
    not_done=(
        "the rate changes within epochs, and the warm-up starts from 0",
        "averaged parameters for prediction, label smoothing of .1, no weight decay of batch normalization",
        "AutoAugment",
        BICUBIC,
        "initial weights: normal, by fan-out",
    ),
)
scaled = partial(paper, source="arXiv:1905.11946, section 3.3, and the authors' code")


def with_side(size):
    """Return the facts that depend on the height and width of the network's input."""
    return {"input_shape": (3, size, size), "training": {**TRAINING, "image_size": size + CROP_PADDING}}


@paper(
    source="arXiv:1905.11946, table 1, and the authors' code",
    **with_side(224),
    params=5_288_548,
    macs=385_814_752,
)
def efficientnet_b0(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B0."""
    return EfficientNet(B0, classes, **kwargs)


@scaled(**with_side(240), params=7_794_184, macs=686_802_832)
def efficientnet_b1(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B1."""
    return EfficientNet(B1, classes, **kwargs)


@scaled(**with_side(260), params=9_109_994, macs=993_561_872)
def efficientnet_b2(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B2."""
    return EfficientNet(B2, classes, **kwargs)


@scaled(**with_side(300), params=12_233_232, macs=1_827_141_392)
def efficientnet_b3(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B3."""
    return EfficientNet(B3, classes, **kwargs)


@scaled(**with_side(380), params=19_341_616, macs=4_393_771_024)
def efficientnet_b4(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B4."""
    return EfficientNet(B4, classes, **kwargs)


@scaled(**with_side(456), params=30_389_784, macs=10_266_384_752)
def efficientnet_b5(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B5."""
    return EfficientNet(B5, classes, **kwargs)


@scaled(**with_side(528), params=43_040_704, macs=19_067_593_536)
def efficientnet_b6(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B6."""
    return EfficientNet(B6, classes, **kwargs)


@scaled(**with_side(600), params=66_347_960, macs=37_745_884_192)
def efficientnet_b7(classes=1000, **kwargs):
    """Build the paper's EfficientNet-B7."""
    return EfficientNet(B7, classes, **kwargs)
