"""RegNet (Radosavovic, Kosaraju, Girshick, He & Dollar 2020, "Designing network design spaces", arXiv:2003.13678).

Source    `regnetx_200mf` to `regnetx_800mf`: depth, w_0, w_a, w_m and group width of the paper's top RegNetX models;
          stem, X block and head of its figures 3 and 4. Widths that are multiples of 8, then of the group width, are
          from the authors' code, as are convolutions without bias.
          `regnetx32_d2l`: "Dive into Deep Learning", the edition for PyTorch (that for MXNet differs).
Departs   from the paper: the initial weights are the user's (authors: normal, by the fan out). `regnetx32_d2l`: two
          stages in place of four, biases in the convolutions, 1 input channel.
Open      - `regnetx32_d2l`: the editions for PyTorch and for MXNet differ; that for PyTorch was followed.
"""

from functools import partial
from itertools import groupby
import math
from typing import NamedTuple

from mxnet.gluon import nn

from ._blocks import chain
from .registry import register
from .resnet import conv_norm, residual_stage

STEM_WIDTH = 32


class Stage(NamedTuple):
    """`depth` blocks of `width` maps."""

    depth: int
    width: int


class Parameters(NamedTuple):
    """What a network follows from: block j of `depth` is w_0 + w_a j wide, before quantisation to powers of w_m."""

    depth: int
    w_0: float
    w_a: float
    w_m: float
    group_width: int


REGNETX_200MF = Parameters(13, 24, 36.44, 2.49, 8)
REGNETX_400MF = Parameters(22, 24, 24.48, 2.54, 16)
REGNETX_800MF = Parameters(16, 56, 35.73, 2.28, 16)
# at 96: (N, 32, 24, 24), (N, 80, 12, 12)
D2L_STAGES, D2L_GROUP_WIDTH = (Stage(4, 32), Stage(6, 80)), 16


def quantised(parameters):
    """The stages of a network, by the paper's equations 2 to 4."""
    depth, w_0, w_a, w_m, group_width = parameters
    widths = []
    for block in range(depth):
        linear = w_0 + w_a * block
        power = round(math.log(linear / w_0, w_m))
        width = _multiple(w_0 * w_m**power, of=8)
        widths.append(_multiple(width, of=min(width, group_width)))
    return tuple(Stage(len(list(blocks)), width) for width, blocks in groupby(widths))


def _multiple(number, of):
    return round(number / of) * of


def x_block(width, group_width, use_bias, strides):
    """The layers of a block, a grouped bottleneck of ratio 1: (N, C, H, W) to (N, width, H / strides, W / strides)."""
    return (
        *conv_norm(width, 1, use_bias=use_bias),
        nn.Activation("relu"),
        *conv_norm(width, 3, strides, groups=width // group_width, use_bias=use_bias),
        nn.Activation("relu"),
        *conv_norm(width, 1, use_bias=use_bias),
    )


class RegNetX(nn.Sequential):
    """(N, C, H, W) images to (N, classes) logits; stem and stages halve H and W, rounded up."""

    def __init__(self, stages, group_width, use_bias=False, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(chain(*conv_norm(STEM_WIDTH, 3, strides=2, use_bias=use_bias), nn.Activation("relu")))
            inputs = STEM_WIDTH
            for depth, width in stages:
                body = partial(x_block, width, group_width, use_bias)
                self.add(residual_stage(body, depth, inputs, width, strides=2, use_bias=use_bias))
                inputs = width
            self.add(chain(nn.GlobalAvgPool2D(), nn.Dense(classes)))


paper = partial(
    register,
    source="arXiv:2003.13678, top RegNetX models",
    input_shape=(3, 224, 224),
    classes=1000,
    departures=("the initial weights are the user's (authors: normal, by the fan out)",),
)


@register(
    source="Dive into Deep Learning, the edition for PyTorch",
    input_shape=(1, 96, 96),
    classes=10,
    params=179_290,
    macs=40_293_152,
    departures=(
        "two stages, 4 blocks of 32 maps and 6 of 80 (paper: four)",
        "convolutions keep their biases (authors' code: none)",
    ),
)
def regnetx32_d2l(classes=10, **kwargs):
    """D2L's RegNetX-32."""
    return RegNetX(D2L_STAGES, D2L_GROUP_WIDTH, use_bias=True, classes=classes, **kwargs)


# at 224: (N, 24, 56, 56), (N, 56, 28, 28), (N, 152, 14, 14), (N, 368, 7, 7)
@paper(params=2_684_792, macs=199_039_872)
def regnetx_200mf(classes=1000, **kwargs):
    """The paper's RegNetX-200MF: 1, 1, 4 and 7 blocks."""
    return RegNetX(quantised(REGNETX_200MF), REGNETX_200MF.group_width, classes=classes, **kwargs)


# at 224: (N, 32, 56, 56), (N, 64, 28, 28), (N, 160, 14, 14), (N, 384, 7, 7)
@paper(params=5_157_512, macs=397_677_568)
def regnetx_400mf(classes=1000, **kwargs):
    """The paper's RegNetX-400MF: 1, 2, 7 and 12 blocks."""
    return RegNetX(quantised(REGNETX_400MF), REGNETX_400MF.group_width, classes=classes, **kwargs)


# at 224: (N, 64, 56, 56), (N, 128, 28, 28), (N, 288, 14, 14), (N, 672, 7, 7)
@paper(params=7_259_656, macs=799_699_712)
def regnetx_800mf(classes=1000, **kwargs):
    """The paper's RegNetX-800MF: 1, 3, 7 and 5 blocks."""
    return RegNetX(quantised(REGNETX_800MF), REGNETX_800MF.group_width, classes=classes, **kwargs)
