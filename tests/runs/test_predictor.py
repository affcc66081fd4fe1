"""A trained network is evaluated on every test image, and classifies files."""

import os

import cv2
from gluon_classics import _console
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.images import read_image
from gluon_classics.errors import DataError
from gluon_classics.experiment.build import build, loaders
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import predictor
from gluon_classics.runs.image_files import image_files
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


@pytest.fixture
def network(rng):
    """Return a network for images of 28x28 with 10 classes. Its sums are exact, in whichever order they are taken."""
    net = nn.Sequential()
    net.add(nn.Flatten(), nn.Dense(10, in_units=784))
    net.initialize()
    net[1].weight.set_data(mx.nd.array(rng.randint(-2, 3, (10, 784)) / 2**12))
    return Trained(Settings("lenet", foreground=255), tuple("0123456789"), (28, 28, 1), net, [mx.cpu()])


@pytest.fixture
def image(tmp_path, rng):
    """Return a function that writes a random image of 28x28 and returns its path."""

    def write(name="image.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), rng.randint(0, 256, (28, 28)).astype(np.uint8))
        return str(path)

    return write


@pytest.mark.parametrize("last_batch", ["keep", "discard", "scale"])
def test_evaluation_counts_every_test_image_however_the_network_was_trained(last_batch, data):
    net = build("lenet", 10)
    net.initialize(mx.init.Xavier())
    network = Trained(Settings("lenet", last_batch=last_batch), data.classes, (28, 28, 1), net, [mx.cpu()])
    result = network.evaluate(data)
    assert result["images"] == sum(row["images"] for row in result["classes"]) == 100


def test_test_images_are_computed_in_batches_of_the_given_size(network, data):
    """A larger batch, as after a training, may not fit into memory."""
    assert network._test_loader(data, 1).batch_size == 1


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
    test_data = loaders(settings, data).test
    cv2.imwrite(str(tmp_path / "image.png"), data.test.images[3])
    images, _ = image_batch([read_input(tmp_path / "image.png", (28, 28, 1), settings)], settings)
    np.testing.assert_array_equal(images.asnumpy()[0], next(iter(test_data))[0][3].asnumpy())


def test_files_that_cannot_be_read_do_not_change_the_results_of_the_others(network, image, tmp_path):
    good = [image(f"{i}.png") for i in range(predictor.BATCH + 2)]
    (tmp_path / "text.png").write_text("not an image")
    bad = [str(tmp_path / name) for name in ("text.png", "missing.png", "")]
    mixed = [bad[0], *good[:3], bad[1], *good[3:], bad[2]]
    found = list(network.predictions(mixed))
    assert [result["image"] for result in found] == mixed
    assert [result["image"] for result in found if "error" in result] == bad
    assert [result for result in found if "error" not in result] == network.predict(good)
    with pytest.raises(DataError, match=r"text\.png"):
        network.predict(mixed)
    assert all("error" in result for result in network.predictions(bad))
    assert list(network.predictions([])) == []


def test_a_file_that_does_not_fit_into_memory_is_reported_like_a_bad_one(network, image, monkeypatch):
    def read(path, *given, **options):
        return np.zeros((10**6, 10**8)) if path == "huge.png" else read_image(path, *given, **options)

    monkeypatch.setattr(predictor, "read_image", read)
    huge, good = network.predictions(["huge.png", image()])
    assert huge["error"].startswith("huge.png: not enough memory (Unable to allocate 728")
    assert "top" in good


def test_a_file_that_is_named_twice_is_classified_twice(network, image):
    path = image()
    one, other = network.predict([path, path])
    assert one == other


def test_more_classes_than_there_are_show_all_of_them(network, image):
    (result,) = network.predict([image()], top=2**31 - 1)
    assert sorted(entry["class"] for entry in result["top"]) == list(network.classes)
    assert sum(entry["probability"] for entry in result["top"]) == pytest.approx(1)


def test_an_inverted_image_is_classified_like_its_negative(network, image, tmp_path):
    path, negative = image(), str(tmp_path / "negative.png")
    cv2.imwrite(negative, 255 - cv2.imread(path, cv2.IMREAD_GRAYSCALE))
    assert network.predict([path], invert=True)[0]["top"] == network.predict([negative])[0]["top"]
    assert network.predict([path], invert=True)[0]["top"] != network.predict([path])[0]["top"]


def test_images_are_read_only_when_their_results_are_wanted(network, image, monkeypatch):
    read = []
    monkeypatch.setattr(predictor, "CHUNK", 4)
    monkeypatch.setattr(predictor, "BATCH", 2)
    blank = np.zeros((28, 28, 1), np.uint8)
    monkeypatch.setattr(predictor, "read_image", lambda *given, **_: read.append(given) or blank)
    results = network.predictions(1000 * ["image.png"])
    for _ in range(5):
        next(results)
    assert len(read) == 8


def test_images_that_are_not_square_are_refused_once(network, image):
    wide = Trained(network.settings, network.classes, (28, 30, 1), network.net, network.contexts)
    with pytest.raises(DataError, match="only square images"):
        next(wide.predictions([image()]))


def test_folders_give_their_images_and_say_what_is_left_out(image, tmp_path):
    folder = tmp_path / "images"
    files = [image("images/b.PNG"), image("images/a.png"), image("images/sub/c.png")]
    image("images/.hidden.png")
    for name in ("notes.txt", "README", "sub/more.txt"):
        (folder / name).write_text("")
    (folder / "sub" / "loop").symlink_to(folder)
    (tmp_path / "empty").mkdir()
    found, others = image_files([files[0], folder, tmp_path / "empty", "missing.png"])
    assert found == [files[0], *sorted(files, key=str.lower), str(tmp_path / "empty"), "missing.png"]
    assert others == {str(folder): {".txt": 2, "without suffix": 1, "hidden": 1, "linked folder": 1}}


def test_libraries_print_nothing_while_images_are_decoded(capfd):
    """Two threads overlap; afterwards descriptor 2 is what it was."""
    libraries = _console._Libraries()
    libraries._is_separate = True  # as after `separate` in a command
    with libraries.quiet():
        with libraries.quiet():
            os.write(2, b"libpng warning")
        os.write(2, b"libpng error")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
