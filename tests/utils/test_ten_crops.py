"""Evaluation on ten crops of each image."""

from gluon_classics.data.datasets import DataSet
from gluon_classics.data.images import Images
from gluon_classics.errors import TrainingDiverged
from gluon_classics.utils.evaluation import evaluate, predict_probabilities
from gluon_classics.utils.loader import make_loaders
import mxnet as mx
from mxnet.gluon import nn
import numpy as np
import pytest


@pytest.fixture
def data(rng):
    images = Images(rng.randint(0, 256, (23, 12, 12, 3), np.uint8), rng.randint(0, 4, 23))
    return DataSet("few", images, images, tuple("abcd"), "")


@pytest.fixture
def net():
    mx.random.seed(1)
    net = nn.Sequential()
    net.add(nn.Conv2D(4, 3, activation="relu"), nn.Flatten(), nn.Dense(4))
    net.initialize(mx.init.Normal(0.5))
    net(mx.nd.zeros((1, 3, 8, 8)))
    return net


def loader_of(data, crops):
    return make_loaders(data, 20, 8, image_size=12, test_crops=crops)[1]


def test_the_crops_are_the_corners_and_the_center_and_their_mirror_images(data):
    loader = loader_of(data, "ten")
    assert (loader.crops, loader.batch_size) == (10, 2)
    images = np.concatenate([x.asnumpy() for x, _ in loader])
    whole = data.test.images.transpose(0, 3, 1, 2) / np.float32(255)
    corners = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
    expected = np.stack([whole[:, :, top : top + 8, left : left + 8] for top, left in corners], axis=1)
    assert images.shape == (23, 10, 3, 8, 8)
    assert np.array_equal(images[:, :5], expected)
    assert np.array_equal(images[:, 5:], expected[..., ::-1])


@pytest.mark.parametrize("contexts", [[mx.cpu()], [mx.cpu(0), mx.cpu(1)]], ids=["one", "two"])
def test_the_mean_of_the_probabilities_counts(data, net, contexts):
    net.collect_params().reset_ctx(contexts)
    loader = loader_of(data, "ten")
    images = np.concatenate([x.asnumpy() for x, _ in loader])
    rows = net(mx.nd.array(images.reshape(230, 3, 8, 8), ctx=contexts[0])).softmax().asnumpy()
    expected = rows.reshape(23, 10, 4).mean(axis=1)
    found = predict_probabilities(loader, net, contexts, loader.crops)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert evaluate(loader, net, contexts).accuracy == (expected.argmax(axis=1) == data.test.labels).mean()
    center = predict_probabilities(loader_of(data, "center"), net, contexts)
    np.testing.assert_allclose(center, rows.reshape(23, 10, 4)[:, 4], atol=1e-6)
    assert np.abs(center - found).max() > 1e-3


def test_a_probability_of_zero_is_no_divergence_but_nan_is(data, net):
    net[2].weight.set_data(net[2].weight.data() * 1e4)
    loader = loader_of(data, "ten")
    assert np.isfinite(predict_probabilities(loader, net, mx.cpu(), 10)).all()
    evaluate(loader, net, mx.cpu())
    net[2].bias.data()[1] = np.nan
    with pytest.raises(TrainingDiverged, match="outputs"):
        evaluate(loader, net, mx.cpu())


def test_five_dimensional_inputs_of_other_networks_are_not_crops(rng):
    net = nn.Sequential()
    net.add(nn.Conv3D(2, 2), nn.GlobalAvgPool3D(), nn.Flatten(), nn.Dense(3))
    net.initialize()
    batch = (mx.nd.array(rng.rand(2, 10, 4, 5, 5)), mx.nd.zeros(2))
    assert evaluate([batch], net, mx.cpu()).examples == 2
