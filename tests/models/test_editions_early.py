"""The later editions of LeNet, AlexNet, VGG, NiN and GoogLeNet: tables, counts, and what only they have."""

import math
from typing import NamedTuple

from arrays import assert_close, numbers, terms_of
from gluon_classics import get_model, model_info, utils
from gluon_classics.compiler.compiled import for_inference
from gluon_classics.inspection import summary as counting
from gluon_classics.models.nin import average_pool, max_pool
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest
from test_numeric import Plain, filled, formula

# --- layer tables


class Layer(NamedTuple):
    shape: tuple
    params: int = 0
    running: int = 0
    macs: int = 0


def conv(inputs, kernel, channels, side, groups=1):
    """Each of the output's values takes kernel * kernel * inputs / groups products; each map has one bias."""
    weights = kernel * kernel * inputs // groups * channels
    return Layer((channels, side, side), weights + channels, 0, weights * side * side)


def dense(inputs, units):
    return Layer((units,), inputs * units + units, 0, inputs * units)


def maps(channels, side):
    """A layer without parameters, on maps: pooling, dropout, local response normalization."""
    return Layer((channels, side, side))


def units(count):
    """A layer without parameters, on features: flattening, dropout."""
    return Layer((count,))


def norm(*shape):
    """Batch normalization: gamma and beta are trained; the running mean and variance are not."""
    return Layer(shape, 2 * shape[0], 2 * shape[0], 0)


def inception(inputs, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, side):
    convs = [(inputs, 1, n1_1), (inputs, 1, n2_1), (n2_1, 3, n2_3), (inputs, 1, n3_1), (n3_1, 5, n3_5)]
    parts = [conv(*each, side) for each in (*convs, (inputs, 1, n4_1))]
    return Layer((n1_1 + n2_3 + n3_5 + n4_1, side, side), *(sum(part[field] for part in parts) for field in (1, 2, 3)))


def vgg(
    convolutions,
    inputs=3,
    side=224,
    widths=(64, 128, 256, 512, 512),
    classes=1000,
    hidden=4096,
    normed=False,
    last=(3,) * 5,
):
    """`last` has the kernel of the last convolution of each block."""
    rows = []
    for number, width, last_kernel in zip(convolutions, widths, last):
        for kernel in (*[3] * (number - 1), last_kernel):
            rows.append(conv(inputs, kernel, width, side))
            rows += [norm(width, side, side)] * normed
            inputs = width
        side //= 2
        rows.append(maps(width, side))
    return [*rows, *dense_head(width * side * side, classes, hidden)]


def dense_head(inputs, classes, hidden=4096):
    wide = [dense(inputs, hidden), units(hidden), dense(hidden, hidden), units(hidden)]
    return [units(inputs), *wide, dense(hidden, classes)]


def inceptions(sides):
    return [
        inception(192, 64, 96, 128, 16, 32, 32, sides[0]),
        inception(256, 128, 128, 192, 32, 96, 64, sides[0]),
        maps(480, sides[1]),
        inception(480, 192, 96, 208, 16, 48, 64, sides[1]),
        inception(512, 160, 112, 224, 24, 64, 64, sides[1]),
        inception(512, 128, 128, 256, 24, 64, 64, sides[1]),
        inception(512, 112, 144, 288, 32, 64, 64, sides[1]),
        inception(528, 256, 160, 320, 32, 128, 128, sides[1]),
        maps(832, sides[2]),
        inception(832, 256, 160, 320, 32, 128, 128, sides[2]),
        inception(832, 384, 192, 384, 48, 128, 128, sides[2]),
    ]


LENET_BN = [
    *(conv(1, 5, 6, 24), norm(6, 24, 24), maps(6, 12)),
    *(conv(6, 5, 16, 8), norm(16, 8, 8), maps(16, 4)),
    *(units(256), dense(256, 120), norm(120), dense(120, 84), norm(84), dense(84, 10)),
]

TWENTY_AND_FIFTY = (conv(1, 5, 20, 24), maps(20, 12), conv(20, 5, 50, 8), maps(50, 4))

LENET_BN_TUTORIAL = [
    *(conv(1, 5, 20, 24), norm(20, 24, 24), maps(20, 12), conv(20, 3, 50, 10), norm(50, 10, 10), maps(50, 5)),
    *(units(1250), dense(1250, 128), dense(128, 10)),
]

# edition -> its layers on its own input (an inception block is one layer here; activations are none), in order
TABLES = {
    "lenet_bn_scratch_tutorial": LENET_BN_TUTORIAL,
    "lenet_bn_tutorial": LENET_BN_TUTORIAL,
    "lenet_slides": [
        *TWENTY_AND_FIFTY,
        *(units(800), dense(800, 500), dense(500, 10)),
    ],
    "lenet_straight_dope": [*TWENTY_AND_FIFTY, units(800), dense(800, 512), dense(512, 10)],
    "lenet_bn_straight_dope": [
        *(conv(1, 5, 20, 24), norm(20, 24, 24), maps(20, 12), conv(20, 5, 50, 8), norm(50, 8, 8), maps(50, 4)),
        *(units(800), dense(800, 512), norm(512), dense(512, 10)),
    ],
    "lenet_scratch_straight_dope": [
        *(conv(1, 3, 20, 26), maps(20, 13), conv(20, 5, 50, 9), maps(50, 4)),
        *(units(800), dense(800, 128), dense(128, 10)),
    ],
    "lenet_bn_scratch_straight_dope": [
        *(conv(1, 3, 20, 26), norm(20, 26, 26), maps(20, 13), conv(20, 5, 50, 9), norm(50, 9, 9), maps(50, 4)),
        *(units(800), dense(800, 128), norm(128), dense(128, 10)),
    ],
    "lenet_d2l_first": [
        *(conv(1, 5, 6, 24), maps(6, 12), conv(6, 5, 16, 8), maps(16, 4)),
        *(units(256), dense(256, 120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_d2l": [
        *(conv(1, 5, 6, 28), maps(6, 14), conv(6, 5, 16, 10), maps(16, 5)),
        *(units(400), dense(400, 120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_bn_scratch_first": LENET_BN,
    "lenet_bn_first": LENET_BN,
    "lenet_bn_scratch": LENET_BN,
    "lenet_bn": LENET_BN,
    "lenet_conv3": [
        *(conv(1, 5, 6, 28), maps(6, 14), conv(6, 5, 16, 10), maps(16, 5), conv(16, 5, 120, 1)),
        *(units(120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_cifar10": [
        *(conv(3, 5, 6, 28), maps(6, 14), conv(6, 5, 16, 10), maps(16, 5)),
        *(units(400), dense(400, 120), dense(120, 84), dense(84, 10)),
    ],
    "lenet_caffe": [*TWENTY_AND_FIFTY, units(800), dense(800, 500), dense(500, 10)],
    "lenet_slim": [
        *(conv(1, 5, 32, 28), maps(32, 14), conv(32, 5, 64, 14), maps(64, 7)),
        *(units(3136), dense(3136, 1024), units(1024), dense(1024, 10)),
    ],
    "lenet_pytorch_2017": [
        *(conv(1, 5, 10, 24), maps(10, 12), conv(10, 5, 20, 8), maps(20, 8), maps(20, 4)),
        *(units(320), dense(320, 50), units(50), dense(50, 10)),
    ],
    "lenet_pytorch_2018": [*TWENTY_AND_FIFTY, units(800), dense(800, 500), dense(500, 10)],
    "lenet_pytorch": [
        *(conv(1, 3, 32, 26), conv(32, 3, 64, 24), maps(64, 12), maps(64, 12)),
        *(units(9216), dense(9216, 128), units(128), dense(128, 10)),
    ],
    "alexnet_2012": [
        *(conv(3, 11, 96, 55), maps(96, 55), maps(96, 27)),
        *(conv(96, 5, 256, 27, groups=2), maps(256, 27), maps(256, 13)),
        conv(256, 3, 384, 13),
        conv(384, 3, 384, 13, groups=2),
        *(conv(384, 3, 256, 13, groups=2), maps(256, 6)),
        *dense_head(9216, 1000),
    ],
    "vgg11": vgg((1, 1, 2, 2, 2)),
    "vgg13": vgg((2, 2, 2, 2, 2)),
    "vgg16": vgg((2, 2, 3, 3, 3)),
    "vgg19": vgg((2, 2, 4, 4, 4)),
    "vgg11_lrn": [conv(3, 3, 64, 224), maps(64, 224), *vgg((1, 1, 2, 2, 2))[1:]],
    "vgg16_c": vgg((2, 2, 3, 3, 3), last=(3, 3, 1, 1, 1)),
    "vgg11_bn": vgg((1, 1, 2, 2, 2), normed=True),
    "vgg13_bn": vgg((2, 2, 2, 2, 2), normed=True),
    "vgg16_bn": vgg((2, 2, 3, 3, 3), normed=True),
    "vgg19_bn": vgg((2, 2, 4, 4, 4), normed=True),
    "vgg11_tutorial": vgg((1, 1, 2, 2, 2), inputs=1, side=96, classes=10),
    "vgg11_d2l": vgg((1, 1, 2, 2, 2), inputs=1, widths=(16, 32, 64, 128, 128), classes=10),
    "vgg_straight_dope": vgg((1, 1, 2, 2), inputs=1, side=28, classes=10, hidden=512),
    "nin_cifar10": [
        *(conv(3, 5, 192, 32), conv(192, 1, 160, 32), conv(160, 1, 96, 32), maps(96, 16), maps(96, 16)),
        *(conv(96, 5, 192, 16), conv(192, 1, 192, 16), conv(192, 1, 192, 16), maps(192, 8), maps(192, 8)),
        *(conv(192, 3, 192, 8), conv(192, 1, 192, 8), conv(192, 1, 10, 8), maps(10, 1), units(10)),
    ],
    "nin_imagenet": [
        *(conv(3, 11, 96, 54), conv(96, 1, 96, 54), conv(96, 1, 96, 54), maps(96, 27)),
        *(conv(96, 5, 256, 27), conv(256, 1, 256, 27), conv(256, 1, 256, 27), maps(256, 13)),
        *(conv(256, 3, 384, 13), conv(384, 1, 384, 13), conv(384, 1, 384, 13), maps(384, 6), maps(384, 6)),
        *(conv(384, 3, 1024, 6), conv(1024, 1, 1024, 6), conv(1024, 1, 1000, 6), maps(1000, 1), units(1000)),
    ],
    "googlenet_tutorial": [
        *(conv(1, 7, 64, 48), maps(64, 23), conv(64, 1, 64, 23), conv(64, 3, 192, 23), maps(192, 11)),
        *(*inceptions((11, 5, 2)), maps(1024, 1), units(1024), dense(1024, 10)),
    ],
    "googlenet_d2l": [
        *(conv(1, 7, 64, 48), maps(64, 24), conv(64, 1, 64, 24), conv(64, 3, 192, 24), maps(192, 12)),
        *(*inceptions((12, 6, 3)), maps(1024, 1), units(1024), dense(1024, 10)),
    ],
    "googlenet_v1": [
        *(conv(3, 7, 64, 112), maps(64, 56), maps(64, 56)),
        *(conv(64, 1, 64, 56), conv(64, 3, 192, 56), maps(192, 56), maps(192, 28)),
        *(*inceptions((28, 14, 7)), maps(1024, 1), units(1024), units(1024), dense(1024, 1000)),
    ],
}
TABLES["nin_cifar10_caffe"] = TABLES["nin_cifar10"]  # other layers of the same shapes

# edition -> (C, H, W) and classes of the source, trainable parameters
PUBLISHED = {
    "lenet_bn_scratch_tutorial": ((1, 28, 28), 10, 171_128),
    "lenet_bn_tutorial": ((1, 28, 28), 10, 171_128),
    "lenet_slides": ((1, 28, 28), 10, 431_080),
    "lenet_straight_dope": ((1, 28, 28), 10, 440_812),
    "lenet_bn_straight_dope": ((1, 28, 28), 10, 441_976),
    "lenet_scratch_straight_dope": ((1, 28, 28), 10, 129_068),
    "lenet_bn_scratch_straight_dope": ((1, 28, 28), 10, 129_464),
    "lenet_d2l_first": ((1, 28, 28), 10, 44_426),
    "lenet_d2l": ((1, 28, 28), 10, 61_706),
    "lenet_bn_scratch_first": ((1, 28, 28), 10, 44_878),
    "lenet_bn_first": ((1, 28, 28), 10, 44_878),
    "lenet_bn_scratch": ((1, 28, 28), 10, 44_878),
    "lenet_bn": ((1, 28, 28), 10, 44_878),
    "lenet_conv3": ((1, 32, 32), 10, 61_706),
    "lenet_cifar10": ((3, 32, 32), 10, 62_006),
    "lenet_caffe": ((1, 28, 28), 10, 431_080),
    "lenet_slim": ((1, 28, 28), 10, 3_274_634),
    "lenet_pytorch_2017": ((1, 28, 28), 10, 21_840),
    "lenet_pytorch_2018": ((1, 28, 28), 10, 431_080),
    "lenet_pytorch": ((1, 28, 28), 10, 1_199_882),
    "alexnet_2012": ((3, 227, 227), 1000, 60_965_224),
    "vgg11": ((3, 224, 224), 1000, 132_863_336),
    "vgg13": ((3, 224, 224), 1000, 133_047_848),
    "vgg16": ((3, 224, 224), 1000, 138_357_544),
    "vgg19": ((3, 224, 224), 1000, 143_667_240),
    "vgg11_lrn": ((3, 224, 224), 1000, 132_863_336),
    "vgg16_c": ((3, 224, 224), 1000, 133_638_952),
    "vgg11_bn": ((3, 224, 224), 1000, 132_868_840),
    "vgg13_bn": ((3, 224, 224), 1000, 133_053_736),
    "vgg16_bn": ((3, 224, 224), 1000, 138_365_992),
    "vgg19_bn": ((3, 224, 224), 1000, 143_678_248),
    "vgg11_tutorial": ((1, 96, 96), 10, 44_920_074),
    "vgg11_d2l": ((1, 224, 224), 10, 43_093_322),
    "vgg_straight_dope": ((1, 28, 28), 10, 5_030_154),
    "nin_cifar10": ((3, 32, 32), 10, 966_986),
    "nin_cifar10_caffe": ((3, 32, 32), 10, 966_986),
    "nin_imagenet": ((3, 224, 224), 1000, 7_595_176),
    "googlenet_tutorial": ((1, 96, 96), 10, 5_977_530),
    "googlenet_d2l": ((1, 96, 96), 10, 5_977_530),
    "googlenet_v1": ((3, 224, 224), 1000, 6_998_552),
}
D2L_BN = ("lenet_bn", "lenet_bn_scratch", "lenet_bn_first", "lenet_bn_scratch_first")
TUTORIAL_BN = ("lenet_bn_tutorial", "lenet_bn_scratch_tutorial")
RUNNING = {
    **dict.fromkeys(D2L_BN, 452),
    **dict.fromkeys(TUTORIAL_BN, 2 * (20 + 50)),
    "lenet_bn_straight_dope": 1164,
    "lenet_bn_scratch_straight_dope": 396,
    **{"vgg11_bn": 5_504, "vgg13_bn": 5_888, "vgg16_bn": 8_448, "vgg19_bn": 11_008},
}
# edition -> published billions of multiply-accumulates, as many digits as are published
GMAC = {
    "alexnet_2012": "0.7244",
    "vgg11": "7.609",
    "vgg13": "11.308",
    "vgg16": "15.470",
    "vgg19": "19.632",
    "vgg11_bn": "7.609",
    "vgg13_bn": "11.308",
    "vgg16_bn": "15.470",
    "vgg19_bn": "19.632",
    "nin_imagenet": "1.10",
    "googlenet_v1": "1.583",
}

every_edition = pytest.mark.parametrize("name", PUBLISHED)


def layers(summary):
    """The rows that are one line of a table: no chains, and nothing from inside an inception block."""
    found = []
    for row in summary.rows:
        within = any(row.path.startswith(block + ".") for block in found)
        if not within and (row.leaf or not row.layer.startswith("Sequential")):
            found.append(row.path)
    return [row for row in summary.rows if row.path in found]


def summary_of(name):
    return utils.summarize(get_model(name), PUBLISHED[name][0])


@every_edition
def test_every_layer_is_that_of_the_table(name):
    rows = layers(summary_of(name))
    expected = TABLES[name]
    assert [row.output_shape for row in rows] == [layer.shape for layer in expected]
    assert [(row.params, row.running) for row in rows] == [(layer.params, layer.running) for layer in expected]
    assert [row.macs for row in rows] == [layer.macs for layer in expected]


@every_edition
def test_an_edition_has_the_published_number_of_parameters(name):
    summary = summary_of(name)
    assert summary.params == PUBLISHED[name][2]
    assert summary.running == RUNNING.get(name, 0)


@pytest.mark.parametrize("name", GMAC)
def test_an_edition_has_the_published_multiply_accumulates(name):
    digits = len(GMAC[name].partition(".")[2])
    assert f"{summary_of(name).macs / 1e9:.{digits}f}" == GMAC[name]


@every_edition
def test_the_registry_states_the_facts_of_the_edition(name):
    info, summary = model_info(name), summary_of(name)
    assert (info.input_shape, info.classes, info.params) == PUBLISHED[name]
    assert (info.params, info.macs) == (summary.params, summary.macs)
    assert summary.rows[-1].output_shape == (info.classes,)
    assert info.family == name.partition("_")[0].rstrip("0123456789")
    assert info.source
    assert bool(info.departures) == (name != "nin_cifar10")  # which is the paper's, whole


@every_edition
def test_the_number_of_classes_can_be_changed(name):
    assert utils.summarize(get_model(name, classes=7), PUBLISHED[name][0]).rows[-1].output_shape == (7,)


@every_edition
def test_an_edition_takes_images_of_any_number_of_channels(name):
    _, *sides = PUBLISHED[name][0]
    assert utils.summarize(get_model(name), (5, *sides)).rows[-1].output_shape == (PUBLISHED[name][1],)


def test_vggs_configurations_have_the_papers_millions_of_parameters():
    """Table 2 of the paper."""
    names = ("vgg11", "vgg11_lrn", "vgg13", "vgg16_c", "vgg16", "vgg19")
    assert [round(model_info(name).params / 1e6) for name in names] == [133, 133, 133, 134, 138, 144]


def test_the_paper_alexnets_layers_have_the_published_numbers_of_parameters():
    counts = [row.params for row in summary_of("alexnet_2012").rows if row.params]
    assert counts[:5] == [34_944, 307_456, 885_120, 663_936, 442_624]
    assert counts[5:] == [37_752_832, 16_781_312, 4_097_000]


def test_the_tutorials_googlenet_is_counted_at_224_too():
    assert utils.summarize(get_model("googlenet_tutorial"), (1, 224, 224)).params == 6_059_450


# What shapes and counts do not show: activations, kinds of pools, order, rates of dropout.
LRN = "LocalResponseNorm size 5 alpha 0.0005/5 beta 0.75 k 2"  # MXNet divides alpha by the size
KINDS = {
    "lenet_bn_tutorial": "Conv2D 20 @5x5, BatchNorm, MaxPool2D 2x2 /2, Conv2D 50 @3x3, BatchNorm, MaxPool2D 2x2 /2, "
    "Flatten, Dense 128 relu, Dense 10",
    "lenet_slides": "Conv2D 20 @5x5 tanh, AvgPool2D 2x2 /2, Conv2D 50 @5x5 tanh, AvgPool2D 2x2 /2, Flatten, "
    "Dense 500 tanh, Dense 10",
    "lenet_d2l": "Conv2D 6 @5x5 pad 2 sigmoid, AvgPool2D 2x2 /2, Conv2D 16 @5x5 sigmoid, AvgPool2D 2x2 /2, Flatten, "
    "Dense 120 sigmoid, Dense 84 sigmoid, Dense 10",
    "lenet_bn": "Conv2D 6 @5x5, BatchNorm, AvgPool2D 2x2 /2, Conv2D 16 @5x5, BatchNorm, AvgPool2D 2x2 /2, Flatten, "
    "Dense 120, BatchNorm, Dense 84, BatchNorm, Dense 10",
    "lenet_bn_scratch": "Conv2D 6 @5x5, ScratchBatchNorm, AvgPool2D 2x2 /2, Conv2D 16 @5x5, ScratchBatchNorm, "
    "AvgPool2D 2x2 /2, Flatten, Dense 120, ScratchBatchNorm, Dense 84, ScratchBatchNorm, Dense 10",
    "lenet_straight_dope": "Conv2D 20 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 50 @5x5 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 512 relu, Dense 10",
    "lenet_bn_straight_dope": "Conv2D 20 @5x5, BatchNorm, MaxPool2D 2x2 /2, Conv2D 50 @5x5, BatchNorm, "
    "MaxPool2D 2x2 /2, Flatten, Dense 512, BatchNorm, Dense 10",
    "lenet_scratch_straight_dope": "Conv2D 20 @3x3 relu, AvgPool2D 2x2 /2, Conv2D 50 @5x5 relu, AvgPool2D 2x2 /2, "
    "Flatten, Dense 128 relu, Dense 10",
    "lenet_bn_scratch_straight_dope": "Conv2D 20 @3x3, ScratchBatchNorm, AvgPool2D 2x2 /2, Conv2D 50 @5x5, "
    "ScratchBatchNorm, AvgPool2D 2x2 /2, Flatten, Dense 128, ScratchBatchNorm, Dense 10",
    "lenet_d2l_first": "Conv2D 6 @5x5 sigmoid, MaxPool2D 2x2 /2, Conv2D 16 @5x5 sigmoid, MaxPool2D 2x2 /2, Flatten, "
    "Dense 120 sigmoid, Dense 84 sigmoid, Dense 10",
    "lenet_conv3": "Conv2D 6 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 16 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 120 @5x5 relu, "
    "Flatten, Dense 84 relu, Dense 10",
    "lenet_cifar10": "Conv2D 6 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 16 @5x5 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 120 relu, Dense 84 relu, Dense 10",
    "lenet_caffe": "Conv2D 20 @5x5, MaxPool2D 2x2 /2 ceil, Conv2D 50 @5x5, MaxPool2D 2x2 /2 ceil, Flatten, "
    "Dense 500 relu, Dense 10",
    "lenet_slim": "Conv2D 32 @5x5 pad 2 relu, MaxPool2D 2x2 /2, Conv2D 64 @5x5 pad 2 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 1024 relu, Dropout 0.5, Dense 10",
    "lenet_pytorch_2017": "Conv2D 10 @5x5, MaxPool2D 2x2 /2, Conv2D 20 @5x5, Dropout 0.5 per channel, "
    "MaxPool2D 2x2 /2, Flatten, Dense 50 relu, Dropout 0.5, Dense 10",
    "lenet_pytorch_2018": "Conv2D 20 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 50 @5x5 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 500 relu, Dense 10",
    "lenet_pytorch": "Conv2D 32 @3x3 relu, Conv2D 64 @3x3 relu, MaxPool2D 2x2 /2, Dropout 0.25, Flatten, "
    "Dense 128 relu, Dropout 0.5, Dense 10",
    "alexnet_2012": f"Conv2D 96 @11x11 /4 relu, {LRN}, MaxPool2D 3x3 /2, "
    f"Conv2D 256 @5x5 pad 2 groups 2 relu, {LRN}, MaxPool2D 3x3 /2, Conv2D 384 @3x3 pad 1 relu, "
    "Conv2D 384 @3x3 pad 1 groups 2 relu, Conv2D 256 @3x3 pad 1 groups 2 relu, MaxPool2D 3x3 /2, Flatten, "
    "Dense 4096 relu, Dropout 0.5, Dense 4096 relu, Dropout 0.5, Dense 1000",
    "nin_cifar10": "Conv2D 192 @5x5 pad 2 relu, Conv2D 160 @1x1 relu, Conv2D 96 @1x1 relu, MaxPool2D 3x3 /2 ceil, "
    "Dropout 0.5, Conv2D 192 @5x5 pad 2 relu, Conv2D 192 @1x1 relu, Conv2D 192 @1x1 relu, "
    "MaxPool2D 3x3 /2 ceil, "
    "Dropout 0.5, Conv2D 192 @3x3 pad 1 relu, Conv2D 192 @1x1 relu, Conv2D 10 @1x1 relu, GlobalAvgPool2D, Flatten",
    "nin_cifar10_caffe": "Conv2D 192 @5x5 pad 2 relu, Conv2D 160 @1x1 relu, Conv2D 96 @1x1 relu, "
    "MaxPool2D 3x3 /2 ceil, Dropout 0.5, Conv2D 192 @5x5 pad 2 relu, Conv2D 192 @1x1 relu, Conv2D 192 @1x1 relu, "
    "AvgPool2D 3x3 /2 ceil padding not counted, "
    "Dropout 0.5, Conv2D 192 @3x3 pad 1 relu, Conv2D 192 @1x1 relu, Conv2D 10 @1x1 relu, GlobalAvgPool2D, Flatten",
    "nin_imagenet": "Conv2D 96 @11x11 /4 relu, Conv2D 96 @1x1 relu, Conv2D 96 @1x1 relu, MaxPool2D 3x3 /2 ceil, "
    "Conv2D 256 @5x5 pad 2 relu, Conv2D 256 @1x1 relu, Conv2D 256 @1x1 relu, MaxPool2D 3x3 /2 ceil, "
    "Conv2D 384 @3x3 pad 1 relu, Conv2D 384 @1x1 relu, Conv2D 384 @1x1 relu, MaxPool2D 3x3 /2 ceil, Dropout 0.5, "
    "Conv2D 1024 @3x3 pad 1 relu, Conv2D 1024 @1x1 relu, Conv2D 1000 @1x1 relu, GlobalAvgPool2D, Flatten",
    "googlenet_tutorial": "Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2, Conv2D 64 @1x1, Conv2D 192 @3x3 pad 1, "
    "MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, AvgPool2D 2x2 /2, Flatten, Dense 10",
    "googlenet_d2l": "Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2 pad 1, Conv2D 64 @1x1 relu, "
    "Conv2D 192 @3x3 pad 1 relu, MaxPool2D 3x3 /2 pad 1, MaxPool2D 3x3 /2 pad 1, MaxPool2D 3x3 /2 pad 1, "
    "GlobalAvgPool2D, Flatten, Dense 10",
    "googlenet_v1": f"Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2 ceil, {LRN}, Conv2D 64 @1x1 relu, "
    f"Conv2D 192 @3x3 pad 1 relu, {LRN}, MaxPool2D 3x3 /2 ceil, MaxPool2D 3x3 /2 ceil, MaxPool2D 3x3 /2 ceil, "
    "GlobalAvgPool2D, Flatten, Dropout 0.4, Dense 1000",
}

KINDS["lenet_bn_scratch_tutorial"] = KINDS["lenet_bn_tutorial"].replace("BatchNorm", "ScratchBatchNorm")
KINDS.update({f"{name}_first": KINDS[name].replace("Avg", "Max") for name in ("lenet_bn", "lenet_bn_scratch")})


@pytest.mark.parametrize("name", KINDS)
def test_layers_are_of_the_kind_of_the_source(name):
    kinds = [row.layer for row in layers(summary_of(name)) if row.layer != "Inception"]
    assert ", ".join(kinds) == KINDS[name]


@pytest.mark.parametrize(
    ("name", "activations"),
    [
        *((name, ["sigmoid"] * 4) for name in D2L_BN),
        *((name, ["relu"] * 2) for name in TUTORIAL_BN),
        ("lenet_bn_straight_dope", ["relu"] * 3),
        ("lenet_bn_scratch_straight_dope", ["relu"] * 3),
    ],
)
def test_an_activation_stands_behind_each_batch_normalisation(name, activations):
    kinds = [layer._act_type if isinstance(layer, nn.Activation) else type(layer).__name__ for layer in get_model(name)]
    behind = [after for before, after in zip(kinds, kinds[1:]) if before.endswith("BatchNorm")]
    assert behind == activations


# --- forward passes

# small allowed sides; test_numeric.py has VGG
SMALL = {
    "lenet_bn_scratch_tutorial": 16,
    "lenet_bn_tutorial": 16,
    "lenet_slides": 16,
    "lenet_straight_dope": 16,
    "lenet_bn_straight_dope": 16,
    "lenet_scratch_straight_dope": 14,
    "lenet_bn_scratch_straight_dope": 14,
    "lenet_d2l_first": 16,
    "lenet_d2l": 12,
    "lenet_bn_scratch_first": 16,
    "lenet_bn_first": 16,
    "lenet_bn_scratch": 16,
    "lenet_bn": 16,
    "lenet_conv3": 32,
    "lenet_cifar10": 16,
    "lenet_caffe": 16,
    "lenet_slim": 16,
    "lenet_pytorch_2017": 16,
    "lenet_pytorch_2018": 16,
    "lenet_pytorch": 16,
    "alexnet_2012": 67,
    "nin_cifar10": 16,
    "nin_cifar10_caffe": 16,
    "nin_imagenet": 67,
    "googlenet_tutorial": 93,
    "googlenet_d2l": 33,
    "googlenet_v1": 48,
}


def ready(name, side, batch=2):
    """An edition with Xavier's weights, and images and labels for it."""
    net = get_model(name, classes=10)
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=(batch, PUBLISHED[name][0][0], side, side))
    net(x)  # completes the deferred shapes
    return net, x, nd.arange(batch)


@pytest.mark.parametrize("name", SMALL)
def test_an_edition_turns_images_into_finite_logits(name):
    net, x, _ = ready(name, SMALL[name])
    logits = net(x).asnumpy()
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("name", [name for name in SMALL if "scratch" not in name])
def test_a_compiled_edition_predicts_what_the_eager_one_predicts(name):
    net, x, _ = ready(name, SMALL[name], batch=2)
    expected = net(x).asnumpy()
    for compiled in (utils.hybridized(net), for_inference(net)):
        for _ in range(2):  # the first call compiles
            assert_close(compiled(x).asnumpy(), expected, terms_of(net))


@pytest.mark.parametrize(("name", "side"), [("alexnet_2012", 67), ("vgg16", 32)])
def test_the_smallest_image_of_the_heavy_editions(name, side):
    """From the arithmetic of their layers: pool 1 <- 3, pool <- 7, pool <- 15, conv@11/4 <- 67; five halvings."""
    assert counting.smallest_input(get_model(name), 3) == side


@pytest.mark.parametrize("name", [name for name in SMALL if name.startswith("lenet")])
def test_every_parameter_of_a_lenet_gets_a_gradient(name):
    net, x, labels = ready(name, SMALL[name], batch=4)
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(x), labels)
    loss.backward()
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            gradient = parameter.grad().asnumpy()
            assert np.isfinite(gradient).all()
            assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("name", ["lenet_scratch_straight_dope", "lenet_bn_scratch_straight_dope"])
def test_all_parameters_of_the_straight_dopes_scratch_networks_are_drawn(name):
    """Biases and shifts from N(0, .01) too, scales from N(1, .01): means and deviations within 5 standard errors."""
    net, *_ = ready(name, 28)
    for key, parameter in net.collect_params().items():
        if parameter.grad_req != "null":
            drawn = parameter.data().asnumpy()
            assert abs(drawn.mean() - key.endswith("gamma")) < 5 * 0.01 / np.sqrt(drawn.size)
            assert drawn.std(ddof=1) == pytest.approx(0.01, rel=5 / np.sqrt(2 * (drawn.size - 1)))


def pooled(x, how, size=3, stride=2):
    """(N, C, H, W) pooled by a function of what each window holds of the image, windows rounded up."""
    sides = [math.ceil((side - size) / stride) + 1 for side in x.shape[2:]]
    out = np.empty((*x.shape[:2], *sides))
    for i, j in np.ndindex(*sides):
        out[:, :, i, j] = how(x[:, :, stride * i : stride * i + size, stride * j : stride * j + size], axis=(2, 3))
    return out


@pytest.mark.parametrize("mode", [autograd.predict_mode, autograd.train_mode])
def test_nins_average_pool_averages_what_is_there_at_the_border(mode, rng):
    x = numbers(rng, 2, 8, 8, 6)
    with mode():
        out = average_pool()(nd.array(x)).asnumpy()
    assert out.shape == (2, 8, 4, 3)
    assert_close(out, pooled(x, np.mean), terms=3 * 3)


def test_pools_that_round_up_keep_the_last_pixels():
    x = nd.arange(64).reshape((1, 1, 8, 8))
    assert max_pool()(x)[0, 0, :, -1].asnumpy().tolist() == [23, 39, 55, 63]


@pytest.mark.parametrize("name", ["googlenet_tutorial", "googlenet_d2l", "googlenet_v1"])
def test_inception_blocks_have_true_3x3_and_5x5_convolutions(name):
    rows = summary_of(name).rows
    threes = [row.layer.split()[2:] for row in rows if row.path.endswith("p2_conv_3")]
    fives = [row.layer.split()[2:] for row in rows if row.path.endswith("p3_conv_5")]
    assert threes == [["@3x3", "pad", "1", "relu"]] * 9
    assert fives == [["@5x5", "pad", "2", "relu"]] * 9


@pytest.mark.parametrize("init", [None, mx.init.Xavier()], ids=["default", "Xavier"])
@pytest.mark.parametrize("name", ["nin_cifar10", "nin_cifar10_caffe"])
def test_the_cifar_nins_start_from_the_published_weights(name, init):
    """N(0, .05) and biases 0, whatever initialize() is given; n numbers have a deviation within 4 sd of theirs."""
    mx.random.seed(0)
    net = get_model(name)
    net.initialize(*([init] if init else []))
    net(nd.zeros((1, 3, 16, 16)))
    nd.waitall()
    for key, parameter in net._collect_params_with_prefix().items():
        values = parameter.data().asnumpy()
        if key.endswith("bias"):
            assert not values.any()
        else:
            assert abs(values.std() / 0.05 - 1) < 4 / math.sqrt(2 * values.size)


@pytest.mark.parametrize(("name", "second_pool"), [("nin_cifar10", np.max), ("nin_cifar10_caffe", np.mean)])
def test_the_cifar_nins_compute_the_authors_definitions(name, second_pool):
    """NIN/cifar-10_def and the release for Caffe: (padding of the first convolution, pool) of each block, in NumPy."""
    x = formula(2, 3, 16, 16)
    net = filled(get_model(name), x)
    plain, out = Plain(net), x
    for pad, pool in ((2, np.max), (2, second_pool), (1, None)):
        out = plain.conv(plain.conv(plain.conv(out, pad=pad)))
        out = pooled(out, pool) if pool else out
    assert plain.is_done()
    assert_close(net(nd.array(x)).asnumpy(), out.mean(axis=(2, 3)), terms_of(net))


def test_the_two_cifar_nins_differ_in_one_pool_only():
    first, second = ([row.layer for row in summary_of(name).rows] for name in ("nin_cifar10", "nin_cifar10_caffe"))
    different = [pair for pair in zip(first, second) if pair[0] != pair[1]]
    assert different == [("MaxPool2D 3x3 /2 ceil", "AvgPool2D 3x3 /2 ceil padding not counted")]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_d2ls_lenet_with_reshape_takes_images_as_vectors(compiled):
    net, x, _ = ready("lenet_d2l", 28)
    reshaping = get_model("lenet_d2l", reshape=True)
    reshaping.initialize()
    reshaping(x)
    for ours, theirs in zip(net.collect_params().values(), reshaping.collect_params().values()):
        theirs.set_data(ours.data())
    run = utils.hybridized(reshaping) if compiled else reshaping
    expected = net(x).asnumpy()
    for images in (x, x.reshape((2, 784))):
        assert_close(run(images).asnumpy(), expected, terms_of(net))
