"""Local response normalization as it is trained: between layers of oneDNN, where MXNet's own gradients are wrong."""

from arrays import assert_gradients_close
from gluon_classics import utils
from gluon_classics.models._blocks import LocalResponseNorm
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np
import pytest

pytestmark = pytest.mark.numeric

CHANNELS, SIZE = 16, 5  # a multiple of 8 channels: these oneDNN lays out in blocks


class Formula(nn.HybridBlock):
    """AlexNet's section 3.3, in operators of MXNet that know no layout but the plain one."""

    def hybrid_forward(self, F, x):
        squares = F.square(x)
        edge = F.zeros_like(F.slice_axis(squares, axis=1, begin=0, end=SIZE // 2))
        padded = F.concat(edge, squares, edge, dim=1)
        windows = [F.slice_axis(padded, axis=1, begin=i, end=i + CHANNELS) for i in range(SIZE)]
        return x * (2 + 1e-4 * F.add_n(*windows)) ** -0.75


def gradient(normalization, after, compiled, rng):
    """Of the weights of a convolution that `normalization` and `after` follow."""
    net = nn.Sequential()
    convolution = nn.Conv2D(CHANNELS, 3, use_bias=False, in_channels=3, activation="relu")
    net.add(convolution, normalization, after, nn.GlobalAvgPool2D(), nn.Dense(1))
    net.initialize()
    for parameter in net.collect_params().values():
        parameter.shape = parameter.shape if 0 not in parameter.shape else (1, CHANNELS)
        parameter.set_data(nd.array(rng.standard_normal(parameter.shape)))
    images = nd.array(100 * rng.standard_normal((2, 3, 27, 27)))
    run = utils.hybridized(net) if compiled else net
    with autograd.record():
        out = run(images)
    out.backward()
    return convolution.weight.grad().asnumpy()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(
    "after",
    [lambda: nn.MaxPool2D(3, 2), lambda: nn.Conv2D(CHANNELS, 3, use_bias=False, in_channels=CHANNELS)],
    ids=["pool", "convolution"],
)
def test_gradients_through_response_normalisation_are_those_of_its_formula(after, compiled):
    seeds = iter(range(8))

    def drawn():
        seed = next(seeds)
        return tuple(
            [gradient(layer, after(), compiled, np.random.RandomState(seed))]
            for layer in (LocalResponseNorm(), Formula())
        )

    # back to the first convolution: a sum of 3x3x16 terms in the second one, and of 25x25 pixels of 2 images
    assert_gradients_close(drawn, terms=3 * 3 * CHANNELS + 2 * 25 * 25)
