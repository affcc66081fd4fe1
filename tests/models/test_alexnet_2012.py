"""What only the paper's AlexNet has: response normalization, two towers and its initial weights."""

from arrays import assert_close, numbers
from gluon_classics import get_model
from gluon_classics.models._blocks import LocalResponseNorm
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np
import pytest

pytestmark = pytest.mark.numeric


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
        assert_close(LocalResponseNorm()(nd.array(x)).asnumpy(), expected, terms=5 + 2)


def test_the_two_towers_see_their_own_half_until_they_meet():
    """Behind convolution 2 the first tower knows nothing of the second one's maps of convolution 1."""
    net = get_model("alexnet_2012", classes=10)
    second, third = net.conv2, net.conv3
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
    nd.waitall()  # a convolution reorders its weights in the background: MXNet fails where they are read meanwhile
    return layer.weight.data().asnumpy(), layer.bias.data().asnumpy()


@pytest.mark.parametrize("init", [None, mx.init.Xavier()], ids=["default", "Xavier"])
def test_the_paper_alexnet_starts_from_the_papers_weights(init):
    """N(0, .01), biases 1 in convolutions 2, 4 and 5 and the hidden dense layers: whatever initialize() is given."""
    net = get_model("alexnet_2012")
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
    net = get_model("alexnet_2012")
    net.collect_params(".*weight").setattr("init", None)
    net.initialize(mx.init.Xavier())
    weight, bias = drawn(net.conv2, *WEIGHTS[2])
    bound = np.sqrt(3 / ((48 * 25 + 256 * 25) / 2))
    assert bound * 0.99 < np.abs(weight).max() <= bound
    assert set(bias) == {1}
