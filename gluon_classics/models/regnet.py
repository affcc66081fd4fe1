"""RegNet (Radosavovic, Kosaraju, Girshick, He & Dollar 2020, "Designing network design spaces", arXiv:2003.13678).

Source    `regnetx_200mf` to `regnetx_800mf`: depth, w_0, w_a, w_m and group width of the paper's top RegNetX models;
          stem, X block and head of its figures 3 and 4. Rounding widths to multiples of 8, then of the group width, is
          from the authors' code, as are convolutions without bias.
          `regnety_200mf` to `regnety_800mf`: the same for the top RegNetY models, whose blocks have squeeze and
          excitation. Its place after the 3x3 convolution, and a quarter of the channels of the block's input for its
          first layer, are from the authors' code (github.com/facebookresearch/pycls, commit 5719de6).
          Training: configs/dds_baselines of the same code, MODEL_ZOO.md of which names the paper, and the defaults of
          pycls/core/config.py, such as Nesterov's momentum. Augmentation and tests: pycls/datasets/imagenet.py.
          `regnetx32_d2l`: Dive into Deep Learning (D2L) 1.0, the edition for PyTorch; the one for MXNet differs. D2L
          builds it from its ResNeXt blocks.
Departs   From the paper: the caller's initializer sets the initial weights (authors: normal, by fan-out).
          `regnetx32_d2l`: two stages (paper: four), biases in the convolutions, 1 input channel.
Open      - `regnetx32_d2l`: the editions for PyTorch and for MXNet differ; we follow the one for PyTorch.
"""

from functools import partial
from itertools import groupby
import math
from typing import NamedTuple

from mxnet.gluon import nn

from ._blocks import chain, conv_norm
from ._pixels import NORMALIZED, RESIZED_CROP, SHORTER_256
from .network import Network
from .registry import register
from .resnet import WithShortcut
from .senet import SqueezeExcitation

STEM_WIDTH = 32
EXCITATION = 1 / 4  # units of a Y block's squeeze and excitation, divided by the channels of the block's input


class Stage(NamedTuple):
    """A stage of `depth` blocks of `width` channels."""

    depth: int
    width: int


class Parameters(NamedTuple):
    """The paper's parameters of a network: block j of `depth` is w_0 + w_a j wide, before its quantization by w_m."""

    depth: int
    w_0: float
    w_a: float
    w_m: float
    group_width: int


REGNETX_200MF = Parameters(depth=13, w_0=24, w_a=36.44, w_m=2.49, group_width=8)
REGNETX_400MF = Parameters(depth=22, w_0=24, w_a=24.48, w_m=2.54, group_width=16)
REGNETX_800MF = Parameters(depth=16, w_0=56, w_a=35.73, w_m=2.28, group_width=16)
REGNETY_200MF = Parameters(depth=13, w_0=24, w_a=36.44, w_m=2.49, group_width=8)
REGNETY_400MF = Parameters(depth=16, w_0=48, w_a=27.89, w_m=2.09, group_width=8)
REGNETY_600MF = Parameters(depth=15, w_0=48, w_a=32.54, w_m=2.32, group_width=16)
REGNETY_800MF = Parameters(depth=14, w_0=56, w_a=38.84, w_m=2.4, group_width=16)
D2L_STAGES, D2L_GROUP_WIDTH = (Stage(4, 32), Stage(6, 80)), 16  # at 96: (N, 32, 24, 24), (N, 80, 12, 12)


def quantized(parameters):
    """Compute the stages of a network by the paper's equations 2 to 4.

    Args:
        parameters: The `Parameters` of the network.

    Returns:
        A tuple of `Stage`s.
    """
    widths = []
    for block in range(parameters.depth):
        linear = parameters.w_0 + parameters.w_a * block
        power = round(math.log(linear / parameters.w_0, parameters.w_m))
        width = _multiple(parameters.w_0 * parameters.w_m**power, of=8)
        widths.append(_multiple(width, of=min(width, parameters.group_width)))
    return tuple(Stage(len(list(blocks)), width) for width, blocks in groupby(widths))


def _multiple(number, of):
    return round(number / of) * of


class RegNet(Network):
    """RegNet: (N, C, H, W) images to (N, classes) logits. Stem and stages halve H and W, rounded up.

    Args:
        stages: A `Stage` for each stage.
        group_width: Channels in each group of the 3x3 convolutions.
        excited: Whether blocks have squeeze and excitation: RegNetY instead of RegNetX.
        use_bias: Whether the convolutions have biases.
        classes: Number of classes.
    """

    def __init__(self, stages, group_width, excited=False, use_bias=False, classes=1000, **kwargs):
        super().__init__(**kwargs)
        self._group_width, self._excited = group_width, excited
        self._conv_norm = partial(conv_norm, use_bias=use_bias)
        with self.name_scope():
            self.stem = chain(*self._conv_norm(STEM_WIDTH, 3, strides=2), nn.Activation("relu"))
            inputs = STEM_WIDTH
            for number, stage in enumerate(stages, start=1):
                blocks = [self._block(inputs, stage.width, strides=2)]
                blocks.extend(self._block(stage.width, stage.width) for _ in range(stage.depth - 1))
                setattr(self, f"stage{number}", chain(*blocks))
                inputs = stage.width
            self.head = chain(nn.GlobalAvgPool2D(), nn.Dense(classes))

    def _block(self, inputs, width, strides=1):
        """Build an X or a Y block: (N, inputs, H, W) to (N, width, H / strides, W / strides), rounded up."""
        hidden = round(inputs * EXCITATION)
        path = (
            *self._conv_norm(width, 1),
            nn.Activation("relu"),
            *self._conv_norm(width, 3, strides, groups=width // self._group_width),
            nn.Activation("relu"),
            *([SqueezeExcitation(width, hidden, nn.Activation("relu"))] if self._excited else []),
            *self._conv_norm(width, 1),
        )
        return WithShortcut(path, self._conv_norm(width, 1, strides) if strides > 1 else ())


def _regnety(parameters, classes, **kwargs):
    return RegNet(quantized(parameters), parameters.group_width, excited=True, classes=classes, **kwargs)


paper = partial(
    register,
    input_shape=(3, 224, 224),
    classes=1000,
    departures=("the caller's initializer sets the initial weights (authors: normal, by fan-out)",),
    # configs/dds_baselines/regnetx and regnety: all have the same
    training={
        **{"epochs": 100, "batch_size": 1024, "learning_rate": 0.8, "schedule": "cosine warmup:5"},
        **{"optimizer": "nag", "momentum": 0.9, "weight_decay": 5e-5, "augment": f"{RESIZED_CROP} flip lighting:0.1"},
        **SHORTER_256,
        **NORMALIZED,
    },
    not_done=(
        "running statistics that are computed from 8,192 images after each epoch",
        "initial weights: normal, by fan-out",
    ),
)
paper_x = partial(paper, source="arXiv:2003.13678, top RegNetX models")
paper_y = partial(paper, source="arXiv:2003.13678, top RegNetY models")


@register(
    source="D2L, the edition for PyTorch",
    input_shape=(1, 96, 96),
    classes=10,
    params=179_290,
    macs=40_293_152,
    departures=(
        "two stages: 4 blocks of 32 channels and 6 of 80 (paper: four stages)",
        "convolutions keep their biases (authors' code: none)",
    ),
)
def regnetx32_d2l(classes=10, **kwargs):
    """Build D2L's RegNetX-32."""
    return RegNet(D2L_STAGES, D2L_GROUP_WIDTH, use_bias=True, classes=classes, **kwargs)


# stages at 224: (N, 24, 56, 56), (N, 56, 28, 28), (N, 152, 14, 14), (N, 368, 7, 7)
@paper_x(params=2_684_792, macs=199_039_872)
def regnetx_200mf(classes=1000, **kwargs):
    """Build the paper's RegNetX-200MF: 1, 1, 4 and 7 blocks."""
    return RegNet(quantized(REGNETX_200MF), REGNETX_200MF.group_width, classes=classes, **kwargs)


# stages at 224: (N, 32, 56, 56), (N, 64, 28, 28), (N, 160, 14, 14), (N, 384, 7, 7)
@paper_x(params=5_157_512, macs=397_677_568)
def regnetx_400mf(classes=1000, **kwargs):
    """Build the paper's RegNetX-400MF: 1, 2, 7 and 12 blocks."""
    return RegNet(quantized(REGNETX_400MF), REGNETX_400MF.group_width, classes=classes, **kwargs)


# stages at 224: (N, 64, 56, 56), (N, 128, 28, 28), (N, 288, 14, 14), (N, 672, 7, 7)
@paper_x(params=7_259_656, macs=799_699_712)
def regnetx_800mf(classes=1000, **kwargs):
    """Build the paper's RegNetX-800MF: 1, 3, 7 and 5 blocks."""
    return RegNet(quantized(REGNETX_800MF), REGNETX_800MF.group_width, classes=classes, **kwargs)


# stages at 224: (N, 24, 56, 56), (N, 56, 28, 28), (N, 152, 14, 14), (N, 368, 7, 7)
@paper_y(params=3_162_996, macs=199_514_080)
def regnety_200mf(classes=1000, **kwargs):
    """Build the paper's RegNetY-200MF: 1, 1, 4 and 7 blocks."""
    return _regnety(REGNETY_200MF, classes, **kwargs)


# stages at 224: (N, 48, 56, 56), (N, 104, 28, 28), (N, 208, 14, 14), (N, 440, 7, 7)
@paper_y(params=4_344_144, macs=401_842_848)
def regnety_400mf(classes=1000, **kwargs):
    """Build the paper's RegNetY-400MF: 1, 3, 6 and 6 blocks."""
    return _regnety(REGNETY_400MF, classes, **kwargs)


# stages at 224: (N, 48, 56, 56), (N, 112, 28, 28), (N, 256, 14, 14), (N, 608, 7, 7)
@paper_y(params=6_055_160, macs=601_220_992)
def regnety_600mf(classes=1000, **kwargs):
    """Build the paper's RegNetY-600MF: 1, 3, 7 and 4 blocks."""
    return _regnety(REGNETY_600MF, classes, **kwargs)


# stages at 224: (N, 64, 56, 56), (N, 128, 28, 28), (N, 320, 14, 14), (N, 768, 7, 7)
@paper_y(params=6_263_168, macs=797_176_832)
def regnety_800mf(classes=1000, **kwargs):
    """Build the paper's RegNetY-800MF: 1, 3, 8 and 2 blocks."""
    return _regnety(REGNETY_800MF, classes, **kwargs)
