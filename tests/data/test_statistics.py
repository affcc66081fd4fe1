"""The mean and the standard deviation of pixels, and the command that computes them."""

import json

from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.images import Images, read_image
from gluon_classics.data.statistics import pixel_statistics
import numpy as np
from PIL import Image
import pytest


@pytest.fixture
def zoo(tmp_path, rng):
    """Return a folder of images of various sizes; those of the two classes have other colors."""
    for number, name in enumerate(("ant", "bee")):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        for i in range(5):
            pixels = rng.randint(0, 100 + 100 * number, (20 + 7 * i, 50 - 6 * i, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "zoo" / name / f"{i}.png")
    return tmp_path / "zoo"


def test_they_are_those_of_all_pixels_of_images_of_one_size(rng):
    pixels = rng.randint(0, 256, (700, 5, 7, 3), np.uint8)
    found = pixel_statistics(Images(pixels, np.zeros(700, int)))
    assert found.images == 700
    np.testing.assert_allclose(found.mean, (pixels / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.std, (pixels / 255).std(axis=(0, 1, 2)), rtol=1e-10)


def test_each_image_counts_as_much_as_the_others_whatever_its_size(zoo):
    data = load_dataset(str(zoo), originals=True)
    found = pixel_statistics(data.train, of_original=True)
    images = [read_image(zoo / name / f"{i}.png") / 255 for name in ("ant", "bee") for i in range(4)]
    means = np.array([image.mean(axis=(0, 1)) for image in images])
    squares = np.array([(image**2).mean(axis=(0, 1)) for image in images])
    np.testing.assert_allclose(found.mean, means.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, np.sqrt(squares.mean(axis=0) - means.mean(axis=0) ** 2), rtol=1e-10)


def test_images_without_contrast_have_no_deviation():
    assert pixel_statistics(Images(np.full((3, 2, 2, 1), 51, np.uint8), np.arange(3))) == (3, (0.2,), (0.0,))


def test_the_command_prints_the_options_of_the_training(command, zoo):
    own = command("statistics", zoo)
    assert own.returncode == 0, own.stderr
    for words in ("red", "green", "blue", "standard deviation", "--mean 0."):
        assert words in own.stdout
    found = json.loads(command("statistics", zoo, "--image-size", "16", "--json").stdout)
    images = np.stack(
        [read_image(zoo / n / f"{i}.png", 16, shorter_side=True) for n in ("ant", "bee") for i in range(4)]
    )
    np.testing.assert_allclose(found["mean"], (images / 255).mean(axis=(0, 1, 2)), rtol=1e-10)
    assert found["images"] == 8
    few = json.loads(command("statistics", zoo, "--test-share", "0.4", "--json").stdout)
    assert few["images"] == 6


def test_a_size_for_data_without_image_files_is_refused(command):
    gray = command("statistics", "fashion-mnist")
    assert gray.returncode == 0, gray.stderr
    assert "gray" in gray.stdout
    result = command("statistics", "fashion-mnist", "--image-size", "32")
    assert result.returncode == 1
    assert "does not consist of image files: leave --image-size out" in result.stderr
