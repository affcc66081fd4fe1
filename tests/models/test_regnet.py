"""RegNetX and RegNetY have the stages of the paper's parameters, and groups of one width."""

from gluon_blocks import of_kind
from gluon_classics import get_model
from gluon_classics.models import regnet, resnet, senet
from mxnet.gluon import nn
import pytest


# (depth, width) of the paper's networks
@pytest.mark.parametrize(
    ("parameters", "stages"),
    [
        (regnet.REGNETX_200MF, ((1, 24), (1, 56), (4, 152), (7, 368))),
        (regnet.REGNETX_400MF, ((1, 32), (2, 64), (7, 160), (12, 384))),
        (regnet.REGNETX_800MF, ((1, 64), (3, 128), (7, 288), (5, 672))),
        (regnet.REGNETY_200MF, ((1, 24), (1, 56), (4, 152), (7, 368))),
        (regnet.REGNETY_400MF, ((1, 48), (3, 104), (6, 208), (6, 440))),
        (regnet.REGNETY_600MF, ((1, 48), (3, 112), (7, 256), (4, 608))),
        (regnet.REGNETY_800MF, ((1, 64), (3, 128), (8, 320), (2, 768))),
    ],
    ids=["X-200MF", "X-400MF", "X-800MF", "Y-200MF", "Y-400MF", "Y-600MF", "Y-800MF"],
)
def test_quantized_parameters_give_the_stages_of_the_paper(parameters, stages):
    assert regnet.quantized(parameters) == stages


@pytest.mark.parametrize(
    ("name", "group_width"),
    [
        *(("regnetx32_d2l", 16), ("regnetx_200mf", 8), ("regnetx_400mf", 16), ("regnetx_800mf", 16)),
        *(("regnety_200mf", 8), ("regnety_400mf", 8), ("regnety_600mf", 16), ("regnety_800mf", 16)),
    ],
)
def test_groups_of_regnet_have_one_width(name, group_width):
    for block in of_kind(get_model(name), resnet.WithShortcut):
        squeezed = [conv for each in of_kind(block, senet.SqueezeExcitation) for conv in of_kind(each, nn.Conv2D)]
        settings = [conv._kwargs for conv in of_kind(block.body, nn.Conv2D) if conv not in squeezed]
        assert [conv["kernel"][0] for conv in settings] == [1, 3, 1]
        assert [conv["num_filter"] // conv["num_group"] for conv in settings[1:2]] == [group_width]
        assert settings[0]["num_group"] == settings[2]["num_group"] == 1
        assert settings[0]["stride"] == settings[2]["stride"] == (1, 1)  # a stride is the 3x3 convolution's
