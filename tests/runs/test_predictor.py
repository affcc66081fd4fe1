"""A trained network is evaluated on every test image."""

from gluon_classics.data.datasets import load_dataset
from gluon_classics.experiment.build import build
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs.predictor import Trained
import mxnet as mx
from mxnet.gluon import nn
import numpy as np
import pytest


@pytest.fixture
def data(small_home):
    """Return 100 test images, which do not fill batches of 64."""
    return load_dataset("fashion-mnist", cache=small_home / "datasets" / "fashion-mnist")


@pytest.mark.parametrize("last_batch", ["keep", "discard", "scale"])
def test_evaluation_counts_every_test_image_however_the_network_was_trained(last_batch, data):
    net = build("lenet", 10)
    net.initialize(mx.init.Xavier())
    network = Trained(Settings("lenet", last_batch=last_batch), data.classes, (28, 28, 1), net, [mx.cpu()])
    result = network.evaluate(data)
    assert result["images"] == sum(row["images"] for row in result["classes"]) == 100


def test_predictions_are_without_dropout(data):
    net = nn.Sequential()
    net.add(nn.Flatten(), nn.Dropout(0.5), nn.Dense(10))
    net.initialize(mx.init.Normal(1))
    network = Trained(Settings("lenet"), data.classes, (28, 28, 1), net, [mx.cpu()])
    with mx.autograd.train_mode():
        first, second = network.test_probabilities(data), network.test_probabilities(data)
    np.testing.assert_array_equal(first, second)
    expected = net(mx.nd.array(data.test.images / 255.0)).softmax().asnumpy()
    np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-6)
