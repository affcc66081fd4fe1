"""Inception-BN against figure 5 of its paper: counts, pools, and what it computes."""

from arrays import assert_close, terms_of
from gluon_blocks import computed, filled, formula, in_both_modes, of_kind
from gluon_classics import get_model, model_info, utils
from gluon_classics.compiler import compiled
from gluon_classics.models import inception
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
from numpy_layers import Plain, max_pool, windows
import pytest
from stage_tables import INCEPTION_BN

pytestmark = pytest.mark.numeric

# figure 5 as printed: #1x1, #3x3 reduce, #3x3, double #3x3 reduce, double #3x3, pool + proj; 0 passes through
FIGURE_5 = {
    "3a": (64, 64, 64, 64, 96, 32),
    "3b": (64, 64, 96, 64, 96, 64),
    "3c": (0, 128, 160, 64, 96, 0),
    "4a": (224, 64, 96, 96, 128, 128),
    "4b": (192, 96, 128, 96, 128, 128),
    "4c": (160, 128, 160, 128, 160, 128),
    "4d": (96, 128, 192, 160, 192, 128),
    "4e": (0, 128, 192, 192, 256, 0),
    "5a": (352, 192, 320, 160, 224, 128),
    "5b": (352, 192, 320, 192, 224, 128),
}


def convolutions_of_a_block(inputs, n1x1, reduce3x3, n3x3, double_reduce, double, projected):
    """Yield the kernel, the inputs, the outputs and whether the stride comes before, of each convolution."""
    yield from [(1, inputs, n1x1, False)] if n1x1 else []
    yield from [(1, inputs, reduce3x3, True), (3, reduce3x3, n3x3, False)]
    yield from [(1, inputs, double_reduce, True), (3, double_reduce, double, True), (3, double, double, False)]
    yield from [(1, inputs, projected, False)] if projected else []


def test_counts_follow_from_the_columns_of_figure_5():
    """A convolution has a bias for each output, and its normalization a gamma and a beta."""
    sides = {name: side for name, (_, side) in INCEPTION_BN.items()}
    layers = [(7, 3, 64, sides["conv1"]), (1, 64, 64, sides["conv2_reduce"]), (3, 64, 192, sides["conv2"])]
    channels, side = 192, sides["pool2"]
    for name, row in FIGURE_5.items():
        after = sides[f"inception_{name}"]
        for kernel, inputs, outputs, before_the_stride in convolutions_of_a_block(channels, *row):
            layers.append((kernel, inputs, outputs, side if before_the_stride else after))
        channels = row[0] + row[2] + row[4] + (row[5] or channels)
        side = after
        assert channels == INCEPTION_BN[f"inception_{name}"][0]
    params = sum(kernel**2 * inputs * outputs + 3 * outputs for kernel, inputs, outputs, _ in layers)
    macs = sum(kernel**2 * inputs * outputs * side**2 for kernel, inputs, outputs, side in layers)
    info = model_info("inception_bn")
    assert info.params == params + 1024 * 1000 + 1000
    assert info.macs == macs + 1024 * 1000


def test_every_convolution_has_batch_normalization():
    net = get_model("inception_bn")
    assert len(of_kind(net, nn.BatchNorm)) == len(of_kind(net, nn.Conv2D)) == 3 + 8 * 7 + 2 * 5


def test_only_the_last_block_projects_a_maximum():
    net = get_model("inception_bn")
    pools = {name: type(getattr(net, f"inception_{name}").pool[0]) for name, row in FIGURE_5.items() if row[5]}
    assert pools.pop("5b") is nn.MaxPool2D
    assert set(pools.values()) == {nn.AvgPool2D}


def test_it_takes_other_channels_and_classes():
    assert utils.summarize(get_model("inception_bn", classes=7), (1, 64, 64)).rows[-1].output_shape == (7,)


# --- what it computes, in NumPy


def normalized(net, x, stride=1, pad=0):
    return net.relu_of_norm(net.conv(x, stride, pad, relu=False))


def averages(x):
    """Average 3x3 pixels; those outside of the map are 0 and count."""
    return np.mean([window for _, window in windows(x, 3, 1, pad=1, fill=0)], axis=0)


def block(net, x, pool):
    first = normalized(net, x)
    second = normalized(net, normalized(net, x), pad=1)
    third = normalized(net, normalized(net, normalized(net, x), pad=1), pad=1)
    return np.concatenate([first, second, third, normalized(net, pool(x))], axis=1)


def halving_block(net, x):
    second = normalized(net, normalized(net, x), stride=2, pad=1)
    third = normalized(net, normalized(net, normalized(net, x), pad=1), stride=2, pad=1)
    return np.concatenate([second, third, max_pool(x, 3, 2, pad=1)], axis=1)


def plain(net, x):
    x = max_pool(normalized(net, x, stride=2, pad=3), 3, 2)
    x = max_pool(normalized(net, normalized(net, x), pad=1), 3, 2)
    for name, row in FIGURE_5.items():
        if row[5]:
            x = block(net, x, averages if name != "5b" else lambda maps: max_pool(maps, 3, 1, pad=1))
        else:
            x = halving_block(net, x)
    return net.dense(x.mean(axis=(2, 3)))


@pytest.fixture(scope="module")
def predicted():
    """The network with parameters from a formula, two images and its logits."""
    x = formula(2, 3, 80, 80)  # 19, 9, 5 and 3 pixels after the pools and the blocks with stride 2
    net = filled(get_model("inception_bn", classes=2), x)
    return net, x, net(nd.array(x)).asnumpy()


def test_the_network_computes_what_figure_5_says(predicted):
    net, x, actual = predicted
    numpy_net = Plain(net)
    expected = plain(numpy_net, x)
    assert numpy_net.is_done()
    assert expected.shape == (2, 2)
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.ptp(expected)  # images, not biases, decide
    assert_close(actual, expected, terms_of(net))


def test_compiled_networks_predict_the_same(predicted):
    net, x, expected = predicted
    for twin in (utils.hybridized(net), compiled.for_inference(net)):
        assert_close(twin(nd.array(x)).asnumpy(), expected, terms_of(net))


@in_both_modes
@pytest.mark.parametrize("halving", [False, True])
def test_a_block_concatenates_its_paths(halving, training):
    x = formula(2, 6, 5, 4)
    widths = inception.ReductionWidths(2, 3, 4, 5) if halving else inception.Widths(7, 2, 3, 4, 5, 6)
    own = filled(inception.reduction(widths) if halving else inception.inception(widths), x)
    numpy_net = Plain(own, training)
    expected = halving_block(numpy_net, x) if halving else block(numpy_net, x, averages)
    assert numpy_net.is_done()
    assert expected.shape == ((2, 3 + 5 + 6, 3, 2) if halving else (2, 7 + 3 + 5 + 6, 5, 4))
    assert_close(computed(own, x, training), expected, terms_of(own))
