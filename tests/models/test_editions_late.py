"""Tutorial, D2L and paper editions from ResNet on: shapes, counts, what blocks compute, where biases are."""

from functools import partial

from arrays import assert_close, assert_gradients_close, rounding, terms_of, terms_of_gradients
from gluon_classics import get_model, utils
from gluon_classics.compiler import compiled
from gluon_classics.models import (
    _blocks,
    densenet,
    efficientnet,
    inception,
    mobilenet,
    registry,
    regnet,
    resnet,
    resnet_v2,
    resnext,
    senet,
    squeezenet,
)
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np
import pytest
from test_numeric import Plain as PlainWithBiases
from test_numeric import backpropagated, filled, formula, max_pool, mean_pool, trained_parameters, windows

FAMILIES = (inception, resnet, squeezenet, resnet_v2, densenet, resnext, mobilenet, senet, regnet, efficientnet)
COLOR_224 = (3, 224, 224)


def stages(classifier, classes, **channels_and_sides):
    """The names of the stages, in order, and the shapes of their outputs: feature maps, then the logits."""
    return {
        **{name: (channels, side, side) for name, (channels, side) in channels_and_sides.items()},
        classifier: classes,
    }


def blog_blocks(*channels_and_sides):
    """Blocks b1 to b6, of which the last one is the classifier."""
    names = [f"b{number}" for number in range(1, 6)]
    return stages("b6", (10,), **dict(zip(names, channels_and_sides)))


def paper_resnet(conv2_x, conv3_x, conv4_x, conv5_x):
    """Table 1; its pools have the names of the authors' models."""
    convolutions = {
        "conv2_x": (conv2_x, 56),
        "conv3_x": (conv3_x, 28),
        "conv4_x": (conv4_x, 14),
        "conv5_x": (conv5_x, 7),
    }
    return COLOR_224, stages("fc", (1000,), conv1=(64, 112), pool1=(64, 56), **convolutions, pool5=(conv5_x, 1))


def cifar_resnet():
    """Section 4.2: the paper gives sides and channels of its stages, and no names."""
    shapes = {"conv1": (16, 32), "stage1": (16, 32), "stage2": (32, 16), "stage3": (64, 8), "pool": (64, 1)}
    return (3, 32, 32), stages("fc", (10,), **shapes)


def resnet_with_pre_activation(*channels):
    """The same stages, and the activation of the last sum before the global pool."""
    shape, found = paper_resnet(*channels)
    last = {name: found.pop(name) for name in ("pool5", "fc")}
    return shape, {**found, "activation": found["conv5_x"], **last}


def squeezenet_stages(conv1, *pooled):
    """Table 1: the output of conv1, then the number of the stage before each pool and the side after it."""
    found, (channels, side) = {"conv1": conv1}, conv1
    pools = dict(pooled)
    fires = dict(zip(range(2, 10), (128, 128, 256, 256, 384, 384, 512, 512)))
    for number in range(1, 10):
        if number in fires:
            channels = fires[number]
            found[f"fire{number}"] = (channels, side)
        if number in pools:
            side = pools[number]
            found[f"pool{number}"] = (channels, side)
    found.update(dropout9=(512, side), conv10=(1000, side), pool10=(1000, 1))
    return (3, 227, 227), stages("flatten", (1000,), **found)


def paper_mobilenet(conv1, *others, **last):
    """`others` are the channels and sides of the blocks, by the beginning of their names."""
    return COLOR_224, stages("fc", (1000,), conv1=conv1, **dict(others), **last)


def densenet_stages(classes, stem, blocks, side):
    """Table 1; `side` is that of the feature maps in the first dense block. Transitions halve them and the channels."""
    found = {"convolution": (stem, 2 * side), "pooling": (stem, side)}
    for number, channels in enumerate(blocks, start=1):
        found[f"dense_block_{number}"] = (channels, side)
        if number < len(blocks):
            side //= 2
            found[f"transition_{number}"] = (channels // 2, side)
    return stages("classification", classes, **found)


def paper_densenet(stem, *blocks):
    return COLOR_224, densenet_stages((1000,), stem, blocks, side=56)


def paper_regnet(*channels):
    bodies = {f"stage{number}": each for number, each in enumerate(zip(channels, (56, 28, 14, 7)), start=1)}
    return COLOR_224, stages("head", (1000,), stem=(32, 112), **bodies)


def paper_efficientnet(side, *channels):
    """Table 1: stages 1, 3, 4, 5 and 7 halve the sides, rounding up."""
    found = {}
    for number, each in enumerate(channels, start=1):
        side = -(-side // 2) if number in (1, 3, 4, 5, 7) else side
        found[f"stage{number}"] = (each, side)
    return stages("stage9", (1000,), **found)


MOBILENET_V1 = (64, 112), (128, 56), (128, 56), (256, 28), (256, 28), *[(512, 14)] * 6, (1024, 7), (1024, 7)
MOBILENET_V2 = (16, 112), (24, 56), (32, 28), (64, 14), (96, 14), (160, 7), (320, 7)
INCEPTION_V3 = {
    **{"conv2d_1a": (32, 149), "conv2d_2a": (32, 147), "conv2d_2b": (64, 147), "maxpool_3a": (64, 73)},
    **{"conv2d_3b": (80, 73), "conv2d_4a": (192, 71), "maxpool_5a": (192, 35)},
    **{"mixed_5b": (256, 35), "mixed_5c": (288, 35), "mixed_5d": (288, 35)},
    **{f"mixed_6{letter}": (768, 17) for letter in "abcde"},
    **{"mixed_7a": (1280, 8), "mixed_7b": (2048, 8), "mixed_7c": (2048, 8)},
}
EFFICIENTNET_SIDES = (224, 240, 260, 300, 380, 456, 528, 600)
# stages 1 to 8
EFFICIENTNET_CHANNELS = (
    (32, 16, 24, 40, 80, 112, 192, 320),
    (32, 16, 24, 40, 80, 112, 192, 320),
    (32, 16, 24, 48, 88, 120, 208, 352),
    (40, 24, 32, 48, 96, 136, 232, 384),
    (48, 24, 32, 56, 112, 160, 272, 448),
    (48, 24, 40, 64, 128, 176, 304, 512),
    (56, 32, 40, 72, 144, 200, 344, 576),
    (64, 32, 48, 80, 160, 224, 384, 640),
)

# edition -> its own input, and its stages
STAGES = {
    "resnet18_tutorial": ((1, 96, 96), blog_blocks((64, 45), (64, 22), (128, 11), (256, 6), (512, 3))),
    "resnet18_d2l": ((1, 96, 96), blog_blocks((64, 24), (64, 24), (128, 12), (256, 6), (512, 3))),
    "resnet18_v1": paper_resnet(64, 128, 256, 512),
    "resnet34_v1": paper_resnet(64, 128, 256, 512),
    "resnet50_v1": paper_resnet(256, 512, 1024, 2048),
    "resnet101_v1": paper_resnet(256, 512, 1024, 2048),
    "resnet152_v1": paper_resnet(256, 512, 1024, 2048),
    "densenet_tutorial": ((1, 32, 32), densenet_stages((10,), 64, (256, 512, 1024, 1024), side=8)),
    "densenet_d2l": ((1, 96, 96), densenet_stages((10,), 64, (192, 224, 240, 248), side=24)),
    "densenet121": paper_densenet(64, 256, 512, 1024, 1024),
    "densenet161": paper_densenet(96, 384, 768, 2112, 2208),
    "densenet169": paper_densenet(64, 256, 512, 1280, 1664),
    "densenet201": paper_densenet(64, 256, 512, 1792, 1920),
    "se_resnet18": paper_resnet(64, 128, 256, 512),
    "se_resnet50": paper_resnet(256, 512, 1024, 2048),
    "regnetx32_d2l": ((1, 96, 96), stages("head", (10,), stem=(32, 48), stage1=(32, 24), stage2=(80, 12))),
    "regnetx_200mf": paper_regnet(24, 56, 152, 368),
    "regnetx_400mf": paper_regnet(32, 64, 160, 384),
    "regnetx_800mf": paper_regnet(64, 128, 288, 672),
    **{
        f"efficientnet_b{number}": ((3, side, side), paper_efficientnet(side, *channels))
        for number, (side, channels) in enumerate(zip(EFFICIENTNET_SIDES, EFFICIENTNET_CHANNELS))
    },
    **{f"resnet{layers}_cifar10": cifar_resnet() for layers in (20, 32, 44, 56, 110)},
    **{f"resnet{layers}_v2": resnet_with_pre_activation(64, 128, 256, 512) for layers in (18, 34)},
    **{f"resnet{layers}_v2": resnet_with_pre_activation(256, 512, 1024, 2048) for layers in (50, 101, 152, 200)},
    "squeezenet1_0": squeezenet_stages((96, 111), (1, 55), (4, 27), (8, 13)),
    "squeezenet1_1": squeezenet_stages((64, 113), (1, 56), (3, 28), (5, 14)),
    "resnext50_32x4d": paper_resnet(256, 512, 1024, 2048),
    "resnext101_32x4d": paper_resnet(256, 512, 1024, 2048),
    "resnext101_64x4d": paper_resnet(256, 512, 1024, 2048),
    "mobilenet_v1": paper_mobilenet(
        (32, 112),
        *((f"conv{number}", each) for number, each in enumerate(MOBILENET_V1, start=2)),
        pool=(1024, 1),
    ),
    "mobilenet_v2": paper_mobilenet(
        (32, 112),
        *((f"bottleneck{number}", each) for number, each in enumerate(MOBILENET_V2, start=1)),
        conv2=(1280, 7),
        pool=(1280, 1),
    ),
    "inception_v3": ((3, 299, 299), stages("logits", (1000,), **INCEPTION_V3)),
    "se_resnet101": paper_resnet(256, 512, 1024, 2048),
    "se_resnet152": paper_resnet(256, 512, 1024, 2048),
    "regnety_200mf": paper_regnet(24, 56, 152, 368),
    "regnety_400mf": paper_regnet(48, 104, 208, 440),
    "regnety_600mf": paper_regnet(48, 112, 256, 608),
    "regnety_800mf": paper_regnet(64, 128, 320, 768),
}

# trainable parameters
PARAMS = {
    "resnet18_tutorial": 11_178_250,
    "resnet18_d2l": 11_178_378,
    "resnet18_v1": 11_689_512,
    "resnet34_v1": 21_797_672,
    "resnet50_v1": 25_557_032,
    "resnet101_v1": 44_549_160,
    "resnet152_v1": 60_192_808,
    "densenet_tutorial": 9_850_890,
    "densenet_d2l": 758_226,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "se_resnet18": 11_778_592,
    "se_resnet50": 28_088_024,
    "regnetx32_d2l": 179_290,
    "regnetx_200mf": 2_684_792,
    "regnetx_400mf": 5_157_512,
    "regnetx_800mf": 7_259_656,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "resnet20_cifar10": 269_722,
    "resnet32_cifar10": 464_154,
    "resnet44_cifar10": 658_586,
    "resnet56_cifar10": 853_018,
    "resnet110_cifar10": 1_727_962,
    "resnet18_v2": 11_687_720,
    "resnet34_v2": 21_795_880,
    "resnet50_v2": 25_549_352,
    "resnet101_v2": 44_541_480,
    "resnet152_v2": 60_185_128,
    "resnet200_v2": 64_666_152,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x4d": 44_177_704,
    "resnext101_64x4d": 83_455_272,
    "inception_v3": 23_834_568,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "se_resnet101": 49_326_872,
    "se_resnet152": 66_821_848,
    "regnety_200mf": 3_162_996,
    "regnety_400mf": 4_344_144,
    "regnety_600mf": 6_055_160,
    "regnety_800mf": 6_263_168,
}
# the numbers that papers print, in millions
PRINTED = {
    **{"resnet20_cifar10": 0.27, "resnet32_cifar10": 0.46, "resnet44_cifar10": 0.66, "resnet56_cifar10": 0.85},
    **{"resnet110_cifar10": 1.7, "resnext50_32x4d": 25.0, "mobilenet_v1": 4.2},
    **{"regnety_200mf": 3.2, "regnety_400mf": 4.3, "regnety_600mf": 6.1, "regnety_800mf": 6.3},
    **{"efficientnet_b1": 7.8, "efficientnet_b3": 12, "efficientnet_b4": 19, "efficientnet_b5": 30},
    **{"efficientnet_b6": 43, "efficientnet_b7": 66},
}
# Multiply-accumulates of convolutions and dense layers, in units of 1e9. A published 3.878 for ResNet-50 and .203, .403
# and .809 for RegNetX count each value out of batch normalization and ReLU as one more.
GMAC = {
    "resnet18_v1": 1.814,
    "resnet34_v1": 3.664,
    "resnet50_v1": 3.858,
    "regnetx_200mf": 0.199,
    "regnetx_400mf": 0.398,
    "regnetx_800mf": 0.800,
    "efficientnet_b0": 0.386,
    "efficientnet_b1": 0.687,
    "efficientnet_b3": 1.827,
    "efficientnet_b4": 4.394,
    "efficientnet_b5": 10.266,
    "efficientnet_b6": 19.068,
    "efficientnet_b7": 37.746,
    "inception_v3": 5.713,
    "mobilenet_v1": 0.569,
    "mobilenet_v2": 0.301,
    "resnext50_32x4d": 4.230,
    "resnext101_64x4d": 15.460,
    "regnety_400mf": 0.402,
}

# Parameters named bias: of the classifier; of all convolutions; of the two dense layers of each squeeze and excitation.
BIASES = {
    "resnet18_tutorial": 1 + 20,
    "resnet18_d2l": 1 + 20,
    "densenet_tutorial": 1 + (1 + 58 + 3),
    "densenet_d2l": 1 + (1 + 16 + 3),
    "se_resnet18": 1 + 2 * 8,
    "se_resnet50": 1 + 2 * 16,
    "regnetx32_d2l": 1 + (1 + 3 * 10 + 2),
    **{f"efficientnet_b{n}": 1 + 2 * blocks for n, blocks in enumerate((16, 23, 23, 26, 32, 39, 45, 55))},
    "squeezenet1_0": 2 + 3 * 8,
    "squeezenet1_1": 2 + 3 * 8,
    "se_resnet101": 1 + 2 * 33,
    "se_resnet152": 1 + 2 * 50,
    "regnety_200mf": 1 + 2 * 13,
    "regnety_400mf": 1 + 2 * 16,
    "regnety_600mf": 1 + 2 * 15,
    "regnety_800mf": 1 + 2 * 14,
}

# those that repeat the claim of another edition with more layers
LARGER = {
    *(f"resnet{layers}_cifar10" for layers in (32, 44, 56)),
    *(f"resnet{layers}_v2" for layers in (34, 101, 152)),
    *("resnext101_32x4d", "se_resnet101", "regnety_400mf", "regnety_600mf"),
    *(f"efficientnet_b{number}" for number in (2, 3, 4, 5, 6)),
}
every_edition = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGER else ()) for name in STAGES]
)


def of_kind(net, kind):
    """All blocks of one class in `net`, in the order of their definition."""
    found = []
    net.apply(lambda block: found.append(block) if isinstance(block, kind) else None)
    return found


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu6(x):
    return np.clip(x, 0, 6)


def swish(x):
    return x * sigmoid(x)


def test_every_edition_of_these_families_is_tested_here():
    families = {family.__name__.rpartition(".")[2] for family in FAMILIES}
    registered = {name for name, info in registry._infos.items() if info.family in families}
    assert registered == {"resnet", "inception_bn", *STAGES}  # test_inception_bn.py has that one
    assert set(PARAMS) == set(STAGES)


# --- shapes and counts


@every_edition
def test_the_stages_have_the_names_and_shapes_and_the_network_the_counts_of_the_tables(name):
    input_shape, expected = STAGES[name]
    summary = utils.summarize(get_model(name), input_shape)
    assert [(row.path, row.output_shape) for row in summary.rows if row.depth == 0] == list(expected.items())
    assert summary.params == PARAMS[name]
    if name in GMAC:
        assert round(summary.macs / 1e9, 3) == GMAC[name]
    info = registry._infos[name]
    assert (info.input_shape, info.classes) == (input_shape, *list(expected.values())[-1])
    assert (info.params, info.macs) == (summary.params, summary.macs)
    assert info.source
    assert info.departures


def test_the_numbers_of_parameters_are_those_that_papers_print():
    decimals = {name: len(str(number).partition(".")[2]) for name, number in PRINTED.items()}
    assert {name: round(PARAMS[name] / 1e6, decimals[name]) for name in PRINTED} == PRINTED


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18_v1", "densenet121", "se_resnet18", "regnetx_200mf", "efficientnet_b0"),
        *("resnet20_cifar10", "resnet18_v2", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2"),
    ],
)
def test_paper_editions_take_other_channels_and_classes(name):
    summary = utils.summarize(get_model(name, classes=7), (1, 64, 64))
    assert summary.rows[-1].output_shape == (7,)


@every_edition
def test_biases_are_where_the_counts_say(name):
    biases = [parameter for parameter in get_model(name).collect_params() if parameter.endswith("bias")]
    assert len(biases) == BIASES.get(name, 1)


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet101_v1", "resnet152_v1", "se_resnet50"])
def test_the_first_convolution_of_a_bottleneck_has_the_stride(name):
    blocks = of_kind(get_model(name), resnet.WithShortcut)
    strides = [[conv._kwargs["stride"][0] for conv in of_kind(block.body, nn.Conv2D)[:3]] for block in blocks]
    halving = [number for number, block in enumerate(strides) if block != [1, 1, 1]]
    first, second, third, _ = resnet.BLOCKS[int(name[:-3].partition("resnet")[2] if name.endswith("v1") else 50)]
    assert halving == [first, first + second, first + second + third]
    assert [strides[number] for number in halving] == [[2, 1, 1]] * 3


# network -> additional parameters: the bias of ResNet-50's first convolution
@pytest.mark.parametrize(
    ("name", "more"), [("resnet50_v1", 64), ("resnet101_v1", 0), ("resnet152_v1", 0), ("se_resnet50", 0)]
)
def test_released_networks_have_the_stem_of_the_authors_models(name, more):
    """The pool of the authors' prototxts has no padding and rounds up, which leaves 56x56 feature maps as well."""
    ours, released = (utils.summarize(get_model(name, **kind), COLOR_224) for kind in ({}, {"released": True}))
    assert released.params == ours.params + more
    assert [row.output_shape for row in released.rows] == [row.output_shape for row in ours.rows]
    different = [pair for pair in zip(ours.rows, released.rows) if pair[0].layer != pair[1].layer]
    assert [tuple(row.layer for row in pair) for pair in different] == [
        ("MaxPool2D 3x3 /2 pad 1", "MaxPool2D 3x3 /2 ceil")
    ]
    biases = [row.path for row, plain in zip(released.rows, ours.rows) if row.params != plain.params]
    assert biases == ["conv1", "conv1.0"][: 2 * (more > 0)]


@pytest.mark.parametrize(
    ("name", "kind"), [("resnet50_v2", resnet_v2.PreActivation), ("resnext50_32x4d", resnet.WithShortcut)]
)
def test_the_3x3_convolution_of_a_later_bottleneck_has_the_stride(name, kind):
    blocks = of_kind(get_model(name), kind)
    settings = [[conv._kwargs for conv in of_kind(block.body, nn.Conv2D)] for block in blocks]
    assert all([conv["kernel"][0] for conv in block] == [1, 3, 1] for block in settings)
    strides = [[conv["stride"][0] for conv in block] for block in settings]
    assert [number for number, block in enumerate(strides) if block == [1, 2, 1]] == [3, 7, 13]
    assert strides.count([1, 1, 1]) == 13


@pytest.mark.parametrize(("name", "groups"), [("resnext50_32x4d", 32), ("resnext101_64x4d", 64)])
def test_the_width_of_resnexts_groups_grows_with_the_channels(name, groups):
    blocks = of_kind(get_model(name), resnet.WithShortcut)
    convolutions = [of_kind(block.body, nn.Conv2D)[1]._kwargs for block in blocks]
    assert {conv["num_group"] for conv in convolutions} == {groups}
    widths = [conv["num_filter"] // groups for conv in convolutions]
    assert list(dict.fromkeys(widths)) == [4, 8, 16, 32]


def test_the_first_unit_of_resnet_v2_does_not_repeat_the_activation_of_conv1():
    for name, projected in (("resnet50_v2", [0, 3, 7, 13]), ("resnet34_v2", [3, 7, 13])):
        units = of_kind(get_model(name), resnet_v2.PreActivation)
        assert [unit.activation is None for unit in units] == [True] + 15 * [False]
        assert [number for number, unit in enumerate(units) if unit.projection is not None] == projected


def test_option_a_keeps_every_second_pixel_and_appends_channels_of_zeros():
    x = formula(2, 3, 5, 4)
    shortcut = nn.HybridSequential()
    shortcut.add(*resnet.padded_identity(strides=2))
    assert len(shortcut.collect_params().keys()) == 0
    data = nd.array(x)
    data.attach_grad()
    with autograd.record():
        out = shortcut(data)
    assert out.shape == (2, 6, 3, 2)
    np.testing.assert_array_equal(out[:, :3].asnumpy(), x[:, :, ::2, ::2])
    assert not out[:, 3:].asnumpy().any()
    out.backward(out)
    kept = np.zeros_like(x)
    kept[:, :, ::2, ::2] = x[:, :, ::2, ::2]
    np.testing.assert_array_equal(data.grad.asnumpy(), kept)


def test_channels_of_efficientnet_are_multiples_of_8_and_lose_at_most_a_tenth():
    for width in (1.1, 1.2, 1.4, 1.6, 1.8, 2.0):
        for channels in (16, 24, 32, 40, 80, 112, 192, 320, 1280):
            scaled = efficientnet.scaled_channels(channels, width)
            assert scaled % 8 == 0
            assert 0.9 * width * channels <= scaled < width * channels + 8
    assert efficientnet.scaled_channels(8, 1.45) == 16  # 11.6 would become 8, which is less than nine tenths


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


def test_average_pools_of_inception_v3_do_not_count_the_padding():
    ones = nd.ones((1, 1, 3, 3))
    np.testing.assert_array_equal(inception.average_pool()(ones).asnumpy(), ones.asnumpy())


# --- what they compute: all of it in NumPy, which shows the activations and orders that counts do not


class Plain(PlainWithBiases):
    """As there, with convolutions that keep the size of their maps, in groups, most of them without bias."""

    def convolve(self, x, stride=1, groups=1, bias=False):
        weight = next(self._parameters)
        outputs, inputs, size, _ = weight.shape
        weight = weight.reshape(groups, outputs // groups, inputs, size, size)
        out = 0
        for (i, j), window in windows(x, size, stride, pad=size // 2, fill=0):
            n, _, height, width = window.shape
            grouped = window.reshape(n, groups, inputs, height * width)
            out = out + (weight[..., i, j] @ grouped).reshape(n, outputs, height, width)
        return out + next(self._parameters)[:, None, None] if bias else out

    def norm(self, x, epsilon=1e-5):
        gamma, beta, mean, variance = (next(self._parameters)[:, None, None] for _ in range(4))
        if self._training:
            mean = x.mean(axis=(0, 2, 3), keepdims=True)[0]
            variance = x.var(axis=(0, 2, 3), keepdims=True)[0]
        return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta

    def conv_norm(self, x, stride=1, groups=1, bias=False):
        return self.norm(self.convolve(x, stride, groups, bias))

    def excite(self, x, activation):
        means = x.mean(axis=(2, 3), keepdims=True)
        return x * sigmoid(self.convolve(activation(self.convolve(means, bias=True)), bias=True))

    def add(self, x, out, stride, projected, bias=False):
        return relu(out + (self.conv_norm(x, stride, bias=bias) if projected else x))

    def padded_block(self, x, stride=1):
        """A building block with option A."""
        out = self.conv_norm(relu(self.conv_norm(x, stride)))
        kept = x[:, :, ::stride, ::stride]
        return relu(out + (np.concatenate([kept, 0 * kept], axis=1) if stride > 1 else kept))

    def pre_activated(self, x, stride=1, projected=False, activated=True, bottleneck=False):
        activation = relu(self.norm(x)) if activated else x
        if bottleneck:
            out = self.convolve(relu(self.norm(self.convolve(activation))), stride)
        else:
            out = self.convolve(activation, stride)
        out = self.convolve(relu(self.norm(out)))
        return out + (self.convolve(activation, stride) if projected else x)

    def separable(self, x, stride=1):
        return relu(self.conv_norm(relu(self.conv_norm(x, stride, groups=x.shape[1]))))

    def inverted_residual(self, x, expansion, stride=1, added=False):
        out = x if expansion == 1 else relu6(self.conv_norm(x))
        out = self.conv_norm(relu6(self.conv_norm(out, stride, groups=out.shape[1])))
        return x + out if added else out

    def fire(self, x):
        x = relu(self.convolve(x, bias=True))
        return np.concatenate([relu(self.convolve(x, bias=True)) for _ in range(2)], axis=1)

    def building_block(self, x, stride=1, projected=False, excited=False):
        out = self.conv_norm(relu(self.conv_norm(x, stride)))
        return self.add(x, self.excite(out, relu) if excited else out, stride, projected)

    def bottleneck(self, x, stride=1, projected=False, excited=False):
        out = self.conv_norm(relu(self.conv_norm(relu(self.conv_norm(x, stride)))))
        return self.add(x, self.excite(out, relu) if excited else out, stride, projected)

    def x_block(self, x, groups, stride=1, bias=False, excited=False, projected=None):
        out = relu(self.conv_norm(x, bias=bias))
        out = relu(self.conv_norm(out, stride, groups, bias))
        out = self.conv_norm(self.excite(out, relu) if excited else out, bias=bias)
        return self.add(x, out, stride, projected=stride > 1 if projected is None else projected, bias=bias)

    def dense_block(self, x, count, bottleneck):
        for _ in range(count):
            out = self.convolve(relu(self.norm(x))) if bottleneck else x
            out = self.convolve(relu(self.norm(out)), bias=not bottleneck)
            x = np.concatenate([x, out], axis=1)
        return x

    def inverted(self, x, expansion, stride=1, added=False):
        norm = partial(self.norm, epsilon=1e-3)
        out = x if expansion == 1 else swish(norm(self.convolve(x)))
        out = swish(norm(self.convolve(out, stride, groups=out.shape[1])))
        out = norm(self.convolve(self.excite(out, swish)))
        return x + out if added else out


def plain_resnet18_d2l(net, x):
    x = max_pool(relu(net.conv_norm(x, 2, bias=True)), 3, 2, pad=1)
    x = net.residual(net.residual(x))
    for _ in range(3):
        x = net.residual(net.residual(x, halve=True))
    return net.dense(x.mean(axis=(2, 3)))


def plain_resnet18(net, x, excited=False):
    x = max_pool(relu(net.conv_norm(x, 2)), 3, 2, pad=1)
    for stage in range(4):
        stride = 2 if stage else 1
        x = net.building_block(x, stride, projected=stage > 0, excited=excited)
        x = net.building_block(x, excited=excited)
    return net.dense(x.mean(axis=(2, 3)))


def plain_resnet20_cifar10(net, x):
    x = relu(net.conv_norm(x))
    for stride in (1, 2, 2):
        x = net.padded_block(net.padded_block(net.padded_block(x, stride)))
    return net.dense(x.mean(axis=(2, 3)))


def plain_resnet18_v2(net, x):
    x = max_pool(relu(net.conv_norm(x, 2)), 3, 2, pad=1)
    x = net.pre_activated(net.pre_activated(x, activated=False))
    for _ in range(3):
        x = net.pre_activated(net.pre_activated(x, 2, projected=True))
    return net.dense(relu(net.norm(x)).mean(axis=(2, 3)))


def plain_squeezenet1_1(net, x):
    """Pools round up: the last window may reach over the border."""
    x = net.conv(x, stride=2)
    for fires in (2, 2, 4):
        x = max_pool(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-np.inf), 3, 2)
        for _ in range(fires):
            x = net.fire(x)
    return relu(net.convolve(x, bias=True)).mean(axis=(2, 3))


def plain_mobilenet_v1(net, x):
    x = relu(net.conv_norm(x, 2))
    for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        x = net.separable(x, stride)
    return net.dense(x.mean(axis=(2, 3)))


def plain_mobilenet_v2(net, x):
    x = relu6(net.conv_norm(x, 2))
    x = net.inverted_residual(x, 1)
    for stride, repeats in [(2, 1), (2, 2), (2, 3), (1, 2), (2, 2), (1, 0)]:
        x = net.inverted_residual(x, 6, stride)
        for _ in range(repeats):
            x = net.inverted_residual(x, 6, added=True)
    return net.dense(relu6(net.conv_norm(x)).mean(axis=(2, 3)))


def plain_densenet(net, x, blocks, bottleneck):
    x = max_pool(relu(net.conv_norm(x, 2, bias=not bottleneck)), 3, 2, pad=1)
    for count in blocks[:-1]:
        x = net.dense_block(x, count, bottleneck)
        x = mean_pool(net.convolve(relu(net.norm(x)), bias=not bottleneck), 2)
    x = relu(net.norm(net.dense_block(x, blocks[-1], bottleneck)))
    return net.dense(x.mean(axis=(2, 3)))


def plain_regnet(net, x, stages, group_width, bias=False, excited=False):
    x = relu(net.conv_norm(x, 2, bias=bias))
    for depth, width in stages:
        for block in range(depth):
            x = net.x_block(x, width // group_width, stride=1 if block else 2, bias=bias, excited=excited)
    return net.dense(x.mean(axis=(2, 3)))


def plain_efficientnet_b0(net, x):
    """Its 16 blocks by their strides and expansion: the kernels stand in the parameters."""
    x = swish(net.norm(net.convolve(x, 2), epsilon=1e-3))
    x = net.inverted(x, expansion=1)
    for stride, repeats in [(2, 1), (2, 1), (2, 2), (1, 2), (2, 3), (1, 0)]:
        x = net.inverted(x, 6, stride)
        for _ in range(repeats):
            x = net.inverted(x, 6, added=True)
    x = swish(net.norm(net.convolve(x), epsilon=1e-3))
    return net.dense(x.mean(axis=(2, 3)))


# edition -> shape of its input here (odd maps on the way, more than one pixel at the end), and its layers in NumPy
PLAIN = {
    "resnet18_d2l": ((1, 48, 48), plain_resnet18_d2l),
    "resnet18_v1": ((3, 48, 48), plain_resnet18),
    "densenet_d2l": ((1, 72, 72), partial(plain_densenet, blocks=(4, 4, 4, 4), bottleneck=False)),
    "densenet121": ((3, 72, 72), partial(plain_densenet, blocks=(6, 12, 24, 16), bottleneck=True)),
    "se_resnet18": ((3, 48, 48), partial(plain_resnet18, excited=True)),
    "regnetx32_d2l": ((1, 36, 36), partial(plain_regnet, stages=((4, 32), (6, 80)), group_width=16, bias=True)),
    "regnetx_200mf": (
        (3, 48, 48),
        partial(plain_regnet, stages=((1, 24), (1, 56), (4, 152), (7, 368)), group_width=8),
    ),
    "efficientnet_b0": ((3, 48, 48), plain_efficientnet_b0),
    "resnet20_cifar10": ((3, 14, 14), plain_resnet20_cifar10),
    "resnet18_v2": ((3, 48, 48), plain_resnet18_v2),
    "squeezenet1_1": ((3, 41, 41), plain_squeezenet1_1),
    "mobilenet_v1": ((3, 48, 48), plain_mobilenet_v1),
    "mobilenet_v2": ((3, 48, 48), plain_mobilenet_v2),
    "regnety_200mf": (
        (3, 48, 48),
        partial(plain_regnet, stages=((1, 24), (1, 56), (4, 152), (7, 368)), group_width=8, excited=True),
    ),
}


@pytest.fixture(scope="module", params=PLAIN)
def member(request):
    """One edition with parameters from a formula, two images, and its logits in eager execution."""
    shape, plain = PLAIN[request.param]
    x = formula(2, *shape)
    net = filled(get_model(request.param, classes=2), x)
    if request.param == "efficientnet_b0":  # swish and the factors below 1 leave little of the images to the classifier
        for parameter in trained_parameters(net):
            if parameter.name.endswith("gamma"):
                parameter.set_data(1.1 * parameter.data())
    return net, plain, x, net(nd.array(x)).asnumpy()


def test_an_edition_computes_what_its_table_says(member):
    net, plain, x, actual = member
    numpy_net = Plain(net)
    expected = plain(numpy_net, x)
    assert numpy_net.is_done()
    assert expected.shape == (2, 2)
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.ptp(expected)  # images, not biases, decide
    assert_close(actual, expected, terms_of(net))


def test_compiled_editions_predict_the_same(member):
    net, _, x, expected = member
    assert expected.shape == (2, 2)
    assert np.isfinite(expected).all()
    twin = utils.hybridized(net)
    assert_close(twin(nd.array(x)).asnumpy(), expected, terms_of(net))
    assert_close(compiled.for_inference(net)(nd.array(x)).asnumpy(), expected, terms_of(net))


@pytest.mark.slow
def test_compiled_inception_v3_predicts_the_same():
    x = formula(1, 3, 75, 75)  # the smallest: one pixel after mixed_7c
    net = filled(get_model("inception_v3", classes=2), x)
    expected = net(nd.array(x)).asnumpy()
    for compiled_net in (utils.hybridized(net), compiled.for_inference(net)):
        assert_close(compiled_net(nd.array(x)).asnumpy(), expected, terms_of(net))


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18_v1", "densenet_d2l", "se_resnet18", "regnetx_200mf", "efficientnet_b0"),
        *("resnet20_cifar10", "mobilenet_v2", "squeezenet1_1"),
        pytest.param("resnet18_v2", marks=pytest.mark.slow),
    ],
)
def test_a_compiled_edition_trains_as_it_trains_eagerly(name):
    net = get_model(name, classes=2)
    net.initialize(mx.init.Xavier())
    data, labels = nd.random.normal(shape=(4, PLAIN[name][0][0], 48, 48)), nd.array([0, 1, 1, 0])
    net(data)
    twin = utils.hybridized(net)
    terms = terms_of_gradients(net, data)
    names = ["images", *(parameter.name for parameter in trained_parameters(net))]
    # the bias of a convolution before batch normalization changes nothing: its gradient is rounding
    useless = [name == "densenet_d2l" and "conv" in own and own.endswith("bias") for own in names]

    def drawn():
        images = nd.random.normal(shape=data.shape)
        output, running, gradients = backpropagated(net, net, images, labels)
        twin_output, twin_running, twin_gradients = backpropagated(twin, net, images, labels)
        assert_close(twin_output, output, terms)
        for twins, own in zip(twin_running, running):  # all alike where a deep map vanishes
            np.testing.assert_allclose(twins, own, rtol=0, atol=rounding(terms) * np.abs(own).max())
        assert len(running) == 2 * len(of_kind(net, nn.BatchNorm))
        assert all(np.isfinite(own).all() for own in gradients)
        return tuple([a for a, idle in zip(arrays, useless) if not idle] for arrays in (twin_gradients, gradients))

    assert_gradients_close(drawn, terms)
    weights = [parameter for parameter in trained_parameters(net) if parameter.name.endswith("weight")]
    assert all(np.abs(weight.grad().asnumpy()).max() > 0 for weight in weights)


in_both_modes = pytest.mark.parametrize("training", [False, True], ids=["predicting", "training"])


def computed(block, x, training):
    with autograd.train_mode() if training else autograd.predict_mode():
        return block(nd.array(x)).asnumpy()


@in_both_modes
@pytest.mark.parametrize("excited", [False, True], ids=["plain", "excited"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_bottleneck_is_three_convolutions_beside_a_shortcut(stride, excited, training):
    x = formula(2, 64, 7, 5)
    body = partial(senet.excited, resnet.bottleneck, 4) if excited else resnet.bottleneck
    # with a stride the block projects, without it the input is added as it is
    projection = _blocks.conv_norm(64, 1, strides=2) if stride == 2 else ()
    block = filled(resnet.WithShortcut(body(16, stride), projection), x)
    plain = Plain(block, training)
    expected = plain.bottleneck(x, stride, projected=stride == 2, excited=excited)
    assert plain.is_done()
    assert expected.shape == ((2, 64, 4, 3) if stride == 2 else x.shape)
    assert_close(computed(block, x, training), expected, terms_of(block))


@in_both_modes
@pytest.mark.parametrize("bottleneck", [False, True], ids=["two", "three"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_unit_with_pre_activation_adds_its_input_as_it_is_or_projects_the_activated_one(stride, bottleneck, training):
    x = formula(2, 64, 7, 5)
    body = resnet_v2.bottleneck(16, stride) if bottleneck else resnet_v2.building_block(64, stride)
    projection = [resnet_v2.conv(64, 1, 2)] if stride == 2 else []
    block = filled(resnet_v2.PreActivation(body, projection), x)
    plain = Plain(block, training)
    expected = plain.pre_activated(x, stride, projected=stride == 2, bottleneck=bottleneck)
    assert plain.is_done()
    assert expected.shape == ((2, 64, 4, 3) if stride == 2 else x.shape)
    assert_close(computed(block, x, training), expected, terms_of(block))


@in_both_modes
@pytest.mark.parametrize("stride", [1, 2])
def test_a_resnext_block_is_a_bottleneck_with_groups(stride, training):
    x = formula(2, 256, 5, 3)
    projection = _blocks.conv_norm(256, 1, strides=2) if stride == 2 else ()
    block = filled(resnet.WithShortcut(resnext.aggregated(32, 4, 64, stride), projection), x)
    plain = Plain(block, training)
    expected = plain.x_block(x, 32, stride)
    assert plain.is_done()
    assert_close(computed(block, x, training), expected, terms_of(block))


@in_both_modes
@pytest.mark.parametrize(("channels", "expansion", "stride"), [(8, 6, 1), (8, 1, 1), (12, 6, 1), (8, 6, 2)])
def test_an_inverted_residual_expands_convolves_and_projects(channels, expansion, stride, training):
    x = 4 * formula(3, 8, 7, 6)
    block = filled(mobilenet.InvertedResidual(8, channels, expansion, stride), x)
    for parameter in trained_parameters(block):
        if parameter.name.endswith("gamma"):
            parameter.set_data(4 * parameter.data())  # so that 6 is exceeded
    plain = Plain(block, training)
    expected = plain.inverted_residual(x, expansion, stride, added=stride == 1 and channels == 8)
    assert plain.is_done()
    assert_close(computed(block, x, training), expected, terms_of(block))


def test_a_fire_module_squeezes_then_expands_with_two_kernels():
    x = formula(2, 6, 5, 4)
    block = filled(squeezenet.Fire(3, 8), x)
    plain = Plain(block)
    expected = plain.fire(x)
    assert plain.is_done()
    assert expected.shape == (2, 16, 5, 4)
    assert_close(computed(block, x, training=False), expected, terms_of(block))


def test_squeeze_and_excitation_weights_each_map_by_a_factor():
    x = formula(2, 32, 5, 4) + 3 * formula(2, 32, 1, 1, phase=1)
    block = filled(senet.SqueezeExcitation(32, 2, nn.Activation("relu")), x)
    w1, b1, w2, b2 = (p.data().asnumpy().squeeze() for p in block.collect_params().values())
    assert (w1.shape, b1.shape, w2.shape, b2.shape) == ((2, 32), (2,), (32, 2), (32,))
    factors = sigmoid(relu(x.mean(axis=(2, 3)) @ w1.T + b1) @ w2.T + b2)
    assert np.ptp(factors) > 0.1
    assert_close(block(nd.array(x)).asnumpy(), x * factors[:, :, None, None], terms_of(block))


@pytest.mark.parametrize("width", [16, 64])
def test_the_reduction_of_squeeze_and_excitation_is_16(width):
    *_, block = senet.excited(resnet.bottleneck, 4, width, 1)
    assert (block.reduce._channels, block.expand._channels) == (4 * width // 16, 4 * width)


@in_both_modes
@pytest.mark.parametrize("bottleneck", [False, True], ids=["plain", "bottleneck"])
def test_each_layer_of_a_dense_block_sees_all_maps_before_it(bottleneck, training):
    x = formula(3, 6, 5, 4)
    layer = densenet.bottleneck_layer if bottleneck else densenet.plain_layer
    block = filled(densenet.DenseBlock(layer, 3, 8), x)
    expected = Plain(block, training).dense_block(x, 3, bottleneck)
    actual = computed(block, x, training)
    assert actual.shape == (3, 6 + 3 * 8, 5, 4)
    np.testing.assert_array_equal(actual[:, :6], x)
    assert_close(actual, expected, terms_of(block))


@in_both_modes
@pytest.mark.parametrize(
    ("channels", "expansion", "kernel", "stride"), [(8, 6, 5, 1), (8, 1, 3, 1), (12, 6, 3, 1), (8, 6, 5, 2)]
)
def test_an_mbconv_expands_convolves_excites_and_projects(channels, expansion, kernel, stride, training):
    x = formula(3, 8, 7, 6)
    block = filled(efficientnet.MBConv(8, channels, expansion, kernel, stride), x)
    plain = Plain(block, training)
    added = stride == 1 and channels == 8
    expected = plain.inverted(x, expansion, stride, added)
    assert plain.is_done()
    assert expected.shape == ((3, channels, 4, 3) if stride == 2 else (3, channels, 7, 6))
    assert_close(computed(block, x, training), expected, terms_of(block))


def test_mbconv_squeezes_to_a_quarter_of_its_input():
    blocks = of_kind(get_model("efficientnet_b0"), efficientnet.MBConv)
    hidden = [of_kind(block, senet.SqueezeExcitation)[0].reduce._channels for block in blocks]
    assert hidden == [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48]


# --- stochastic depth


def test_survival_falls_in_equal_steps():
    blocks = of_kind(get_model("efficientnet_b0"), efficientnet.MBConv)
    dropped = {number: block.drop._rate for number, block in enumerate(blocks) if block.drop is not None}
    assert list(dropped) == [2, 4, 6, 7, 9, 10, 12, 13, 14]  # where the shape stays
    assert dropped == pytest.approx({number: 0.2 * number / 16 for number in dropped})


@pytest.fixture(scope="module", params=["eager", "compiled"])
def often_dropped(request):
    """An MBConv that leaves out 0.4 of the examples, 800 examples, and the residual path of each in training."""
    x = formula(800, 8, 3, 3)
    block = filled(efficientnet.MBConv(8, 8, 1, 3, dropped=0.4), x)
    with autograd.train_mode():
        path = block.body(nd.array(x)).asnumpy()
    return block if request.param == "eager" else utils.hybridized(block), block, x, path


def test_stochastic_depth_leaves_out_all_or_nothing_of_an_example(often_dropped):
    run, block, x, path = often_dropped
    added = [computed(run, x, training=True) - x for _ in range(2)]
    survived = [(out != 0).any(axis=(1, 2, 3)) for out in added]
    for out, survives in zip(added, survived):
        assert_close(out[survives], path[survives] / 0.6, terms_of(block))
        assert (out[~survives] == 0).all()
        # a count of 800 draws, within five standard deviations: the mean of what is added is then that of `path`
        assert abs(survives.sum() - 0.6 * 800) < 5 * np.sqrt(800 * 0.6 * 0.4)
    # independent draws agree in 0.52 of the examples
    assert abs((survived[0] == survived[1]).mean() - 0.52) < 5 * np.sqrt(0.52 * 0.48 / 800)


def test_stochastic_depth_does_nothing_in_prediction(often_dropped):
    run, block, x, _ = often_dropped
    x = x[:3]
    expected = x + computed(block.body, x, training=False)
    assert_close(computed(run, x, training=False), expected, terms_of(block))


def test_what_stochastic_depth_leaves_out_gets_no_gradient():
    drop = efficientnet.MBConv(8, 8, 1, 3, dropped=0.4).drop
    x = nd.ones((50, 2, 3, 3))
    x.attach_grad()
    with autograd.record():
        out = drop(x)
    out.backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), out.asnumpy())
    assert set(np.unique(out.asnumpy())) == {np.float32(0), np.float32(1) / np.float32(0.6)}
