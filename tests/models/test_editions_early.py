"""The later editions of LeNet, AlexNet, VGG, NiN and GoogLeNet: tables, counts, and what only they have."""

from importlib import import_module
import math
from typing import NamedTuple

from gluon_classics import _registry, utils
from gluon_classics._blocks import LocalResponseNorm
from gluon_classics._objective import objective_of
from gluon_classics._scratch_norm import ScratchBatchNorm
from gluon_classics.googlenet import AuxiliaryLoss, Inception, googlenet_tutorial, googlenet_v1
from gluon_classics.lenet import lenet_bn, lenet_bn_scratch
from gluon_classics.nin import average_pool, max_pool
from gluon_classics.utils import hybrid, parameters
from gluon_classics.utils import summary as counting
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

for family in ("lenet", "alexnet", "vgg", "nin", "googlenet"):
    import_module(f"gluon_classics.{family}")


def build(name, **arguments):
    return _registry._builders[name](**arguments)


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
    """A layer without parameters, on maps: pooling, dropout, local response normalisation."""
    return Layer((channels, side, side))


def units(count):
    """A layer without parameters, on features: flattening, dropout."""
    return Layer((count,))


def norm(*shape):
    """Batch normalisation: gamma and beta are trained; the running mean and variance are not."""
    return Layer(shape, 2 * shape[0], 2 * shape[0], 0)


def inception(inputs, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, side):
    convs = [(inputs, 1, n1_1), (inputs, 1, n2_1), (n2_1, 3, n2_3), (inputs, 1, n3_1), (n3_1, 5, n3_5)]
    parts = [conv(*each, side) for each in (*convs, (inputs, 1, n4_1))]
    return Layer((n1_1 + n2_3 + n3_5 + n4_1, side, side), *(sum(part[field] for part in parts) for field in (1, 2, 3)))


def vgg(convolutions, inputs=3, side=224, widths=(64, 128, 256, 512, 512), classes=1000):
    rows = []
    for number, width in zip(convolutions, widths):
        for _ in range(number):
            rows.append(conv(inputs, 3, width, side))
            inputs = width
        side //= 2
        rows.append(maps(width, side))
    return [*rows, *dense_head(width * side * side, classes)]


def dense_head(inputs, classes):
    wide = [dense(inputs, 4096), units(4096), dense(4096, 4096), units(4096)]
    return [units(inputs), *wide, dense(4096, classes)]


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

# edition -> its layers on its own input (an inception block is one layer here; activations are none), in order
TABLES = {
    "lenet_slides": [
        *TWENTY_AND_FIFTY,
        *(units(800), dense(800, 500), dense(500, 10)),
    ],
    "lenet_straight_dope": [*TWENTY_AND_FIFTY, units(800), dense(800, 512), dense(512, 10)],
    "lenet_bn_straight_dope": [
        *(conv(1, 5, 20, 24), norm(20, 24, 24), maps(20, 12), conv(20, 5, 50, 8), norm(50, 8, 8), maps(50, 4)),
        *(units(800), dense(800, 512), norm(512), dense(512, 10)),
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
    "vgg11_tutorial": vgg((1, 1, 2, 2, 2), inputs=1, side=96, classes=10),
    "vgg11_d2l": vgg((1, 1, 2, 2, 2), inputs=1, widths=(16, 32, 64, 128, 128), classes=10),
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

# edition -> (C, H, W) and classes of the source, trainable parameters
PUBLISHED = {
    "lenet_slides": ((1, 28, 28), 10, 431_080),
    "lenet_straight_dope": ((1, 28, 28), 10, 440_812),
    "lenet_bn_straight_dope": ((1, 28, 28), 10, 441_976),
    "lenet_d2l_first": ((1, 28, 28), 10, 44_426),
    "lenet_d2l": ((1, 28, 28), 10, 61_706),
    "lenet_bn_scratch_first": ((1, 28, 28), 10, 44_878),
    "lenet_bn_first": ((1, 28, 28), 10, 44_878),
    "lenet_bn_scratch": ((1, 28, 28), 10, 44_878),
    "lenet_bn": ((1, 28, 28), 10, 44_878),
    "lenet_conv3": ((1, 32, 32), 10, 61_706),
    "lenet_cifar10": ((3, 32, 32), 10, 62_006),
    "alexnet_2012": ((3, 227, 227), 1000, 60_965_224),
    "vgg11": ((3, 224, 224), 1000, 132_863_336),
    "vgg13": ((3, 224, 224), 1000, 133_047_848),
    "vgg16": ((3, 224, 224), 1000, 138_357_544),
    "vgg19": ((3, 224, 224), 1000, 143_667_240),
    "vgg11_tutorial": ((1, 96, 96), 10, 44_920_074),
    "vgg11_d2l": ((1, 224, 224), 10, 43_093_322),
    "nin_cifar10": ((3, 32, 32), 10, 966_986),
    "nin_imagenet": ((3, 224, 224), 1000, 7_595_176),
    "googlenet_tutorial": ((1, 96, 96), 10, 5_977_530),
    "googlenet_d2l": ((1, 96, 96), 10, 5_977_530),
    "googlenet_v1": ((3, 224, 224), 1000, 6_998_552),
}
D2L_BN = ("lenet_bn", "lenet_bn_scratch", "lenet_bn_first", "lenet_bn_scratch_first")
RUNNING = {**dict.fromkeys(D2L_BN, 452), "lenet_bn_straight_dope": 1164}
# edition -> published billions of multiply-accumulates, as many digits as are published
GMAC = {
    "alexnet_2012": "0.7244",
    "vgg11": "7.609",
    "vgg13": "11.308",
    "vgg16": "15.470",
    "vgg19": "19.632",
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
    return utils.summarize(build(name), PUBLISHED[name][0])


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
    info, summary = _registry._infos[name], summary_of(name)
    assert (info.input_shape, info.classes, info.params) == PUBLISHED[name]
    assert (info.params, info.macs) == (summary.params, summary.macs)
    assert summary.rows[-1].output_shape == (info.classes,)
    assert info.family == name.partition("_")[0].rstrip("0123456789")
    assert info.source
    assert bool(info.departures) == (name != "vgg11")  # which is the paper's, whole


@every_edition
def test_the_number_of_classes_can_be_changed(name):
    assert utils.summarize(build(name, classes=7), PUBLISHED[name][0]).rows[-1].output_shape == (7,)


@every_edition
def test_an_edition_takes_images_of_any_number_of_channels(name):
    _, *sides = PUBLISHED[name][0]
    assert utils.summarize(build(name), (5, *sides)).rows[-1].output_shape == (PUBLISHED[name][1],)


def test_the_paper_alexnets_layers_have_the_published_numbers_of_parameters():
    counts = [row.params for row in summary_of("alexnet_2012").rows if row.params]
    assert counts[:5] == [34_944, 307_456, 885_120, 663_936, 442_624]
    assert counts[5:] == [37_752_832, 16_781_312, 4_097_000]


def test_the_tutorials_googlenet_is_counted_at_224_too():
    assert utils.summarize(googlenet_tutorial(), (1, 224, 224)).params == 6_059_450


# What shapes and counts do not show: activations, kinds of pools, order, rates of dropout.
KINDS = {
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
    "lenet_d2l_first": "Conv2D 6 @5x5 sigmoid, MaxPool2D 2x2 /2, Conv2D 16 @5x5 sigmoid, MaxPool2D 2x2 /2, Flatten, "
    "Dense 120 sigmoid, Dense 84 sigmoid, Dense 10",
    "lenet_conv3": "Conv2D 6 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 16 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 120 @5x5 relu, "
    "Flatten, Dense 84 relu, Dense 10",
    "lenet_cifar10": "Conv2D 6 @5x5 relu, MaxPool2D 2x2 /2, Conv2D 16 @5x5 relu, MaxPool2D 2x2 /2, Flatten, "
    "Dense 120 relu, Dense 84 relu, Dense 10",
    "alexnet_2012": "Conv2D 96 @11x11 /4 relu, LocalResponseNorm, MaxPool2D 3x3 /2, "
    "Conv2D 256 @5x5 pad 2 groups 2 relu, LocalResponseNorm, MaxPool2D 3x3 /2, Conv2D 384 @3x3 pad 1 relu, "
    "Conv2D 384 @3x3 pad 1 groups 2 relu, Conv2D 256 @3x3 pad 1 groups 2 relu, MaxPool2D 3x3 /2, Flatten, "
    "Dense 4096 relu, Dropout 0.5, Dense 4096 relu, Dropout 0.5, Dense 1000",
    "nin_cifar10": "Conv2D 192 @5x5 pad 2 relu, Conv2D 160 @1x1 relu, Conv2D 96 @1x1 relu, MaxPool2D 3x3 /2, "
    "Dropout 0.5, Conv2D 192 @5x5 pad 2 relu, Conv2D 192 @1x1 relu, Conv2D 192 @1x1 relu, AvgPool2D 3x3 /2, "
    "Dropout 0.5, Conv2D 192 @3x3 pad 1 relu, Conv2D 192 @1x1 relu, Conv2D 10 @1x1 relu, GlobalAvgPool2D, Flatten",
    "nin_imagenet": "Conv2D 96 @11x11 /4 relu, Conv2D 96 @1x1 relu, Conv2D 96 @1x1 relu, MaxPool2D 3x3 /2, "
    "Conv2D 256 @5x5 pad 2 relu, Conv2D 256 @1x1 relu, Conv2D 256 @1x1 relu, MaxPool2D 3x3 /2, "
    "Conv2D 384 @3x3 pad 1 relu, Conv2D 384 @1x1 relu, Conv2D 384 @1x1 relu, MaxPool2D 3x3 /2, Dropout 0.5, "
    "Conv2D 1024 @3x3 pad 1 relu, Conv2D 1024 @1x1 relu, Conv2D 1000 @1x1 relu, GlobalAvgPool2D, Flatten",
    "googlenet_tutorial": "Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2, Conv2D 64 @1x1, Conv2D 192 @3x3 pad 1, "
    "MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, AvgPool2D 2x2 /2, Flatten, Dense 10",
    "googlenet_d2l": "Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2 pad 1, Conv2D 64 @1x1 relu, "
    "Conv2D 192 @3x3 pad 1 relu, MaxPool2D 3x3 /2 pad 1, MaxPool2D 3x3 /2 pad 1, MaxPool2D 3x3 /2 pad 1, "
    "GlobalAvgPool2D, Flatten, Dense 10",
    "googlenet_v1": "Conv2D 64 @7x7 /2 pad 3 relu, MaxPool2D 3x3 /2, LocalResponseNorm, Conv2D 64 @1x1 relu, "
    "Conv2D 192 @3x3 pad 1 relu, LocalResponseNorm, MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, MaxPool2D 3x3 /2, "
    "GlobalAvgPool2D, Flatten, Dropout 0.4, Dense 1000",
}

KINDS |= {f"{name}_first": KINDS[name].replace("Avg", "Max") for name in ("lenet_bn", "lenet_bn_scratch")}


@pytest.mark.parametrize("name", KINDS)
def test_layers_are_of_the_kind_of_the_source(name):
    kinds = [row.layer for row in layers(summary_of(name)) if row.layer != "Inception"]
    assert ", ".join(kinds) == KINDS[name]


@pytest.mark.parametrize(
    ("name", "activations"),
    [*((name, ["sigmoid"] * 4) for name in D2L_BN), ("lenet_bn_straight_dope", ["relu"] * 3)],
)
def test_an_activation_stands_behind_each_batch_normalisation(name, activations):
    kinds = [layer._act_type if isinstance(layer, nn.Activation) else type(layer).__name__ for layer in build(name)]
    behind = [after for before, after in zip(kinds, kinds[1:]) if before.endswith("BatchNorm")]
    assert behind == activations


# --- forward passes

# small allowed sides; VGG is left to shape inference: it has no layer that the others have not
SMALL = {
    "lenet_slides": 16,
    "lenet_straight_dope": 16,
    "lenet_bn_straight_dope": 16,
    "lenet_d2l_first": 16,
    "lenet_d2l": 12,
    "lenet_bn_scratch_first": 16,
    "lenet_bn_first": 16,
    "lenet_bn_scratch": 16,
    "lenet_bn": 16,
    "lenet_conv3": 32,
    "lenet_cifar10": 16,
    "alexnet_2012": 67,
    "nin_cifar10": 16,
    "nin_imagenet": 67,
    "googlenet_tutorial": 93,
    "googlenet_d2l": 33,
    "googlenet_v1": 48,
}


def ready(name, side, classes=10, batch=2, **arguments):
    """An edition with Xavier's weights, and images and labels for it."""
    net = build(name, classes=classes, **arguments)
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=(batch, PUBLISHED[name][0][0], side, side))
    (net.training if arguments else net)(x)  # completes the deferred shapes
    return net, x, nd.arange(batch)


def assert_close(actual, expected, tolerance=1e-5):
    """Equal up to float32 rounding, measured against the largest entry."""
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", SMALL)
def test_an_edition_turns_images_into_finite_logits(name):
    net, x, _ = ready(name, SMALL[name])
    logits = net(x).asnumpy()
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("batch", [2, hybrid.WIDEN_FROM])
@pytest.mark.parametrize("name", [name for name in SMALL if "scratch" not in name])
def test_a_compiled_edition_predicts_what_the_eager_one_predicts(name, batch):
    net, x, _ = ready(name, SMALL[name], batch=batch)
    expected = net(x).asnumpy()
    for compiled in (utils.hybridized(net), hybrid.frozen(net)):
        for _ in range(2):  # the first call compiles
            assert_close(compiled(x).asnumpy(), expected)


@pytest.mark.parametrize(("name", "side"), [("alexnet_2012", 67), ("vgg16", 32)])
def test_the_smallest_image_of_the_heavy_editions(name, side):
    """From the arithmetic of their layers: pool 1 <- 3, pool <- 7, pool <- 15, conv@11/4 <- 67; five halvings."""
    assert counting.smallest_input(build(name), 3) == side


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


def numbers(rng, *shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def averaged(x, size=3, stride=2):
    """(N, C, H, W) pooled by the mean of what each window holds of the image, windows rounded up."""
    sides = [math.ceil((side - size) / stride) + 1 for side in x.shape[2:]]
    out = np.empty((*x.shape[:2], *sides))
    for i, j in np.ndindex(*sides):
        out[:, :, i, j] = x[:, :, stride * i : stride * i + size, stride * j : stride * j + size].mean(axis=(2, 3))
    return out


@pytest.mark.parametrize("mode", [autograd.predict_mode, autograd.train_mode])
def test_nins_average_pool_averages_what_is_there_at_the_border(mode, rng):
    x = numbers(rng, 2, 8, 8, 6)
    with mode():
        out = average_pool()(nd.array(x)).asnumpy()
    assert out.shape == (2, 8, 4, 3)
    assert_close(out, averaged(x))


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


# --- AlexNet of 2012


def response_normalised(x, n=5, alpha=1e-4, beta=0.75, k=2):
    """Section 3.3, map by map."""
    out = np.empty_like(x, dtype=np.float64)
    for i in range(x.shape[1]):
        neighbours = x[:, max(0, i - n // 2) : min(x.shape[1] - 1, i + n // 2) + 1].astype(np.float64)
        out[:, i] = x[:, i] / (k + alpha * (neighbours**2).sum(axis=1)) ** beta
    return out


@pytest.mark.parametrize("mode", [autograd.predict_mode, autograd.train_mode])
def test_local_response_normalisation_is_the_papers(mode, rng):
    x = numbers(rng, 2, 9, 4, 3, scale=100)  # so that squares outweigh k
    expected = response_normalised(x)
    assert np.abs(expected - x / 2**0.75).max() > 1  # else the sum would not matter
    with mode():
        assert_close(LocalResponseNorm()(nd.array(x)).asnumpy(), expected)


def test_the_two_towers_see_their_own_half_until_they_meet():
    """Behind convolution 2 the first tower knows nothing of the second one's maps of convolution 1."""
    net = build("alexnet_2012", classes=10)
    second, third = [layer for layer in net if isinstance(layer, nn.Conv2D)][1:3]
    for layer, channels in ((second, 256), (third, 384)):
        layer.initialize(mx.init.Uniform(), force_reinit=True)
        inputs = 96 if layer is second else 256
        x = nd.random.normal(shape=(1, inputs, 3, 3))
        before = layer(x).asnumpy()
        x[:, inputs // 2 :] += 1
        changed = (layer(x).asnumpy() != before).any(axis=(0, 2, 3))
        assert changed[channels // 2 :].any()
        assert changed[: channels // 2].any() == (layer is third)


WEIGHTS = {1: (3, 11), 2: (96, 5), 3: (256, 3), 4: (384, 3), 5: (384, 3)}  # input channels, kernel of convolutions


def drawn(layer, inputs, kernel=None):
    """Weight and bias that a layer starts from; for dense layers so few inputs that they are drawn at once."""
    layer(nd.zeros((1, inputs) if kernel is None else (1, inputs, kernel, kernel)))
    return layer.weight.data().asnumpy(), layer.bias.data().asnumpy()


@pytest.mark.parametrize("init", [None, mx.init.Xavier()], ids=["default", "Xavier"])
def test_the_paper_alexnet_starts_from_the_papers_weights(init):
    """N(0, .01), biases 1 in convolutions 2, 4 and 5 and the hidden dense layers: whatever initialize() is given."""
    net = build("alexnet_2012")
    net.initialize(*([init] if init else []))
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2D)]
    dense_layers = [layer for layer in net if isinstance(layer, nn.Dense)]
    starts = [drawn(layer, *WEIGHTS[number]) for number, layer in enumerate(convolutions, start=1)]
    starts += [drawn(layer, 64) for layer in dense_layers]
    assert [set(bias) for _, bias in starts] == [{0}, {1}, {0}, {1}, {1}, {1}, {1}, {0}]
    for weight, _ in starts:
        n = weight.size
        assert abs(weight.mean()) < 5 * 0.01 / np.sqrt(n)
        assert weight.std() == pytest.approx(0.01, rel=5 / np.sqrt(2 * n))
        assert np.abs(weight).max() > 0.03  # no uniform numbers


def test_the_papers_initial_weights_can_be_taken_away():
    net = build("alexnet_2012")
    net.collect_params(".*weight").setattr("init", None)
    net.initialize(mx.init.Xavier())
    weight, bias = drawn(net[3], *WEIGHTS[2])
    bound = np.sqrt(3 / ((48 * 25 + 256 * 25) / 2))
    assert bound * 0.99 < np.abs(weight).max() <= bound
    assert set(bias) == {1}


# --- batch normalisation by hand


def two_norms(rng, dimensions):
    """Gluon's layer and ours with the same parameters, and a batch."""
    shape = (6, 5) if dimensions == 2 else (3, 5, 4, 2)
    x = numbers(rng, *shape, scale=3) + 1
    gluons, ours = nn.BatchNorm(), ScratchBatchNorm(5, dimensions)
    gluons.initialize()
    ours.initialize()
    gluons(nd.array(x))
    for theirs, own in zip(gluons.collect_params().values(), ours.collect_params().values()):
        values = nd.array(1 + rng.rand(5))
        theirs.set_data(values)
        own.set_data(values)
    return gluons, ours, x


def trained_on(block, x, weights):
    """Output, gradients of images, gamma and beta, and running statistics after a training pass."""
    x = nd.array(x)
    x.attach_grad()
    with autograd.record():
        out = block(x)
        loss = (nd.array(weights) * out**2).sum()
    loss.backward()
    arrays = [out, x.grad, block.gamma.grad(), block.beta.grad(), block.running_mean.data(), block.running_var.data()]
    return [array.asnumpy() for array in arrays]


@pytest.mark.parametrize("dimensions", [2, 4])
def test_batch_normalisation_by_hand_trains_as_gluons(dimensions, rng):
    gluons, ours, x = two_norms(rng, dimensions)
    for step in range(3):  # statistics move on
        batch, weights = x + step, numbers(rng, *x.shape)
        for actual, expected in zip(trained_on(ours, batch, weights), trained_on(gluons, batch, weights)):
            assert_close(actual, expected, tolerance=1e-4)


@pytest.mark.parametrize("dimensions", [2, 4])
def test_batch_normalisation_by_hand_predicts_as_gluons(dimensions, rng):
    gluons, ours, x = two_norms(rng, dimensions)
    x = nd.array(x)
    before = ours.running_mean.data().asnumpy()
    assert_close(ours(x).asnumpy(), gluons(x).asnumpy())
    with autograd.record(train_mode=False):
        assert_close(ours(x).asnumpy(), gluons(x).asnumpy())
    np.testing.assert_array_equal(ours.running_mean.data().asnumpy(), before)


def test_batch_normalisation_by_hand_moves_its_statistics_in_the_forward_pass():
    """A tenth of the way to the batch's mean and biased variance; MXNet's operator waits for the backward pass."""
    x = nd.array([[0.0], [2.0]])
    block = ScratchBatchNorm(1, 2)
    block.initialize()
    with autograd.train_mode():
        block(x)
    assert block.running_mean.data().asscalar() == pytest.approx(0.1 * 1)
    assert block.running_var.data().asscalar() == pytest.approx(0.9 * 1 + 0.1 * 1)


def test_files_of_both_lenets_with_batch_normalisation_interchange(tmp_path):
    by_hand, x, _ = ready("lenet_bn_scratch", 16)
    with autograd.train_mode():
        by_hand(x)
    by_hand.save_parameters(str(tmp_path / "by-hand.params"))
    other = lenet_bn()
    other.load_parameters(str(tmp_path / "by-hand.params"))
    assert_close(other(x).asnumpy(), by_hand(x).asnumpy())
    other.save_parameters(str(tmp_path / "other.params"))
    back = lenet_bn_scratch()
    back.load_parameters(str(tmp_path / "other.params"))
    np.testing.assert_array_equal(back(x).asnumpy(), by_hand(x).asnumpy())


def test_batch_normalisation_by_hand_is_trained_eagerly(capsys):
    net, x, labels = ready("lenet_bn_scratch", 16, batch=8)
    with pytest.raises(TypeError, match=r"^ScratchBatchNorm cannot be compiled"):
        utils.hybridized(net)
    before = net[1].running_mean.data().asnumpy()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    with pytest.warns(RuntimeWarning, match=r"^running eagerly: ScratchBatchNorm cannot be compiled"):
        history = utils.train([(x, labels)], [(x, labels)], net, loss, trainer, mx.cpu(), num_epochs=3)
    assert history[-1].train_loss < history[0].train_loss
    assert np.abs(net[1].running_mean.data().asnumpy() - before).max() > 0


# --- GoogLeNet of the paper, with its auxiliary classifiers

AUXILIARY_SIDE = 80  # 5x5 maps reach the auxiliary classifiers


@pytest.fixture(scope="module")
def with_auxiliary():
    return ready("googlenet_v1", AUXILIARY_SIDE, auxiliary=True)


def test_auxiliary_classifiers_bring_the_published_number_of_parameters():
    summary = utils.summarize(googlenet_v1(auxiliary=True), (3, 224, 224))
    assert (summary.params, summary.running) == (13_378_280, 0)
    assert [(row.path, row.output_shape) for row in summary.rows if row.depth == 0][-3:] == [
        *(("21", (1000,)), ("auxiliary_4a", (1000,)), ("auxiliary_4d", (1000,))),
    ]


def test_images_too_small_for_the_auxiliary_classifiers_are_refused():
    """Their 5x5 pools need 5x5 maps, behind four halvings that round up: 5 <- 10 <- 20 <- 40 <- 79."""
    net = googlenet_v1(auxiliary=True)
    assert counting.smallest_input(net, 3) == 79
    with pytest.raises(utils.ClassicsError, match="cannot take 78x78 images: the smallest it takes is 79x79"):
        utils.summarize(net, (3, 78, 78))


def test_auxiliary_classifiers_stand_behind_4a_and_4d():
    """Their input has the 512 and 528 channels of these blocks, at 14x14."""
    net = googlenet_v1(auxiliary=True)
    blocks = [layer for layer in net._children.values() if isinstance(layer, Inception)]
    seen = []
    for block in (blocks[2], blocks[5]):
        block.register_forward_hook(lambda _block, _inputs, output: seen.append(output.name))
    heads = [net.auxiliary_4a, net.auxiliary_4d]
    fed = []
    for head in heads:
        head.register_forward_pre_hook(lambda _block, inputs: fed.append(inputs[0].name))
    with autograd.train_mode():
        net(mx.sym.var("data"))
    assert fed == seen
    for head, channels, params in ((heads[0], 512, 3_188_840), (heads[1], 528, 3_190_888)):
        summary = utils.summarize(head, (channels, 14, 14))
        assert summary.params == params
        assert summary.rows[0].output_shape == (channels, 4, 4)
        assert [row.layer for row in summary.rows] == [
            *("AvgPool2D 5x5 /3", "Conv2D 128 @1x1 relu", "Flatten"),
            *("Dense 1024 relu", "Dropout 0.7", "Dense 1000"),
        ]


def test_the_compiled_network_with_auxiliary_classifiers_computes_the_same(with_auxiliary):
    net, x, _ = with_auxiliary
    outputs, twins = net.training(x), utils.hybridized(net).training
    for _ in range(2):  # the first call compiles
        for own, other in zip(outputs, twins(x)):
            assert other.shape == (2, 10)
            assert_close(other.asnumpy(), own.asnumpy())


@pytest.mark.parametrize("first", [True, False], ids=["training first", "prediction first"])
@pytest.mark.parametrize("way", [lambda net: net, utils.hybridized, utils.frozen], ids=["eager", "compiled", "frozen"])
def test_auxiliary_classifiers_vanish_in_prediction(with_auxiliary, way, first):
    """Whichever mode a graph was compiled in first."""
    net, x, _ = with_auxiliary
    run = way(net)
    expected = net.prediction(x).asnumpy()
    for training in (first, not first, first):
        if training:
            with autograd.record():
                assert [output.shape for output in run(x)] == [(2, 10)] * 3
        else:
            assert_close(run(x).asnumpy(), expected)
    with autograd.record(train_mode=False):
        assert run(x).shape == (2, 10)


def test_auxiliary_classifiers_are_not_computed_in_prediction(with_auxiliary, monkeypatch):
    net, x, _ = with_auxiliary
    monkeypatch.setattr(net.auxiliary_4a, "forward", None)
    assert net(x).shape == (2, 10)
    names = net.prediction(mx.sym.var("data")).list_arguments()
    assert not set(names) & set(net.auxiliary_4a.collect_params())


def test_the_network_with_auxiliary_classifiers_is_trained_on_their_losses_and_judged_by_its_own_logits(
    with_auxiliary,
):
    net, x, labels = with_auxiliary
    for network in (net, utils.hybridized(net), utils.frozen(net)):
        assert isinstance(objective_of(network).loss(), AuxiliaryLoss)
    right = float((net(x).argmax(axis=1) == labels).mean().asscalar())
    assert utils.evaluate_accuracy([(x, labels)], net) == right


def test_files_of_a_compiled_network_with_auxiliary_classifiers_interchange(with_auxiliary, tmp_path):
    net, _, _ = with_auxiliary
    for name, network in (("own", net), ("twin", utils.hybridized(net))):
        network.save_parameters(str(tmp_path / name))
    own, twin = (mx.nd.load(str(tmp_path / name)) for name in ("own", "twin"))
    assert set(own) == set(twin)


def test_a_file_with_auxiliary_classifiers_serves_the_network_that_predicts(with_auxiliary, tmp_path):
    net, x, _ = with_auxiliary
    net.save_parameters(str(tmp_path / "with"))
    plain = googlenet_v1(classes=10)
    parameters.load_parameters(plain, tmp_path / "with", [mx.cpu()], x.shape[1:])
    np.testing.assert_array_equal(plain(x).asnumpy(), net(x).asnumpy())
    plain.save_parameters(str(tmp_path / "without"))
    back = googlenet_v1(classes=10, auxiliary=True)
    with pytest.raises(utils.ClassicsError, match=r"Auxiliary .*; it lacks auxiliary_4a\.1\.bias and 11 more"):
        parameters.load_parameters(back, tmp_path / "without", [mx.cpu()], x.shape[1:])


def test_the_network_predicts_alike_with_and_without_auxiliary_classifiers(with_auxiliary, tmp_path):
    net, x, _ = with_auxiliary
    file = str(tmp_path / "with.params")
    net.save_parameters(file)
    plain = googlenet_v1(classes=10)
    plain.load_parameters(file, ignore_extra=True)
    np.testing.assert_array_equal(plain(x).asnumpy(), net(x).asnumpy())

    names = set(mx.nd.load(file))
    plain.save_parameters(file)
    extra = names - set(mx.nd.load(file))
    assert {name.partition(".")[0] for name in extra} == {"auxiliary_4a", "auxiliary_4d"}
    back = googlenet_v1(classes=10, auxiliary=True)
    back.initialize()
    back.load_parameters(file, allow_missing=True)
    np.testing.assert_array_equal(back(x).asnumpy(), plain(x).asnumpy())


def cross_entropy(logits, labels):
    logits = logits.astype(np.float64)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_auxiliary_losses_count_three_tenths(compiled, rng):
    outputs, labels = [numbers(rng, 4, 5) for _ in range(3)], np.array([0, 4, 2, 2])
    main, *auxiliary = (cross_entropy(output, labels) for output in outputs)
    loss = AuxiliaryLoss()
    if compiled:
        loss.hybridize()
    actual = loss(tuple(nd.array(output) for output in outputs), nd.array(labels))
    assert_close(actual.asnumpy(), main + 0.3 * (auxiliary[0] + auxiliary[1]))


def test_logits_alone_have_their_cross_entropy(rng):
    logits, labels = numbers(rng, 4, 5), np.array([0, 4, 2, 2])
    assert_close(AuxiliaryLoss()(nd.array(logits), nd.array(labels)).asnumpy(), cross_entropy(logits, labels))


def test_the_auxiliary_loss_trains_all_of_the_network(with_auxiliary):
    net, x, labels = with_auxiliary
    twin, loss = utils.hybridized(net), AuxiliaryLoss()
    with autograd.record():
        losses = loss(twin(x), labels)
    losses.backward()
    assert losses.shape == (2,)
    for parameter in net.collect_params().values():
        gradient = parameter.grad().asnumpy()
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0, parameter.name
