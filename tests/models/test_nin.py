"""The editions of NiN for CIFAR-10: pools that round up, initial weights, and what the networks compute."""

import math

from arrays import assert_close, numbers, terms_of
from gluon_blocks import filled, formula
from gluon_classics import get_model
from gluon_classics.models.nin import average_pool, max_pool
from layer_tables import summary_of
import mxnet as mx
from mxnet import autograd, nd
import numpy as np
from numpy_layers import Plain
import pytest

pytestmark = pytest.mark.numeric


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
