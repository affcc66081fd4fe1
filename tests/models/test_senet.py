"""Squeeze and excitation: the factor of each map, and the reduction."""

from arrays import assert_close, terms_of
from gluon_blocks import filled, formula
from gluon_classics.models import resnet, senet
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
from numpy_layers import relu, sigmoid
import pytest

pytestmark = pytest.mark.numeric


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
