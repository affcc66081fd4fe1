"""A trained network is evaluated on every test image."""

import cv2
from gluon_classics.data.datasets import load_dataset
from gluon_classics.experiment.build import build, loaders
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs.predictor import Trained, image_batch, read_input
import mxnet as mx
from mxnet.gluon import nn
import numpy as np
from PIL import Image
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


@pytest.mark.parametrize(("color", "value"), [("white", 255), ("black", 0), ("#404040", 64)])
def test_transparent_pixels_have_the_color_of_the_settings(color, value, tmp_path, capsys):
    Image.new("RGBA", (28, 28), (10, 20, 30, 0)).save(tmp_path / "image.png")
    image = read_input(tmp_path / "image.png", (28, 28, 1), Settings("lenet", transparent_as=color))
    assert (image == value).all()
    assert f"is shown on {color}" in capsys.readouterr().err


def test_another_color_for_transparent_pixels_changes_only_the_settings(data):
    network = Trained(Settings("lenet", seed=3), data.classes, (28, 28, 1), None, [])
    assert network.with_settings(transparent_as=None) == network
    assert network.with_settings(transparent_as="black").settings == Settings("lenet", seed=3, transparent_as="black")


@pytest.mark.parametrize("resize", [28, 45])
@pytest.mark.parametrize("resize_in", ["uint8", "float32", "published"])
def test_an_image_file_becomes_the_same_input_as_the_test_image(resize, resize_in, data, tmp_path):
    settings = Settings("lenet", resize=resize, resize_in=resize_in, background=-0.1, foreground=1.175)
    _, test_data = loaders(settings, data)
    cv2.imwrite(str(tmp_path / "image.png"), data.test.images[3])
    images, _ = image_batch([read_input(tmp_path / "image.png", (28, 28, 1), settings)], settings)
    np.testing.assert_array_equal(images.asnumpy()[0], next(iter(test_data))[0][3].asnumpy())
