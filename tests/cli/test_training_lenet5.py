"""LeNet-5 on the command line: training as published, evaluation and prediction, on digits drawn from its codes."""

import functools
import json

import cv2
from gluon_classics.data import catalogue
from gluon_classics.data.idx import write_idx
from gluon_classics.models.lenet5 import codes
import numpy as np
import pytest

pytestmark = pytest.mark.short

TRAIN, TEST = 600, 60


def drawn(labels, rng):
    """Return (N, 28, 28) uint8 images: the 7x12 codes at twice their size, at random positions, with noise."""
    digits = (np.array(codes()).reshape(10, 12, 7) + 1) / 2
    images = rng.uniform(0, 40, (len(labels), 28, 28))
    for image, label in zip(images, labels):
        top, left = rng.randint(0, 5), rng.randint(4, 11)
        image[top : top + 24, left : left + 14] += 210 * np.kron(digits[label], np.ones((2, 2)))
    return images.astype(np.uint8)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """Return a folder for MXNET_HOME whose MNIST has 600 training and 60 test digits, drawn from the codes."""
    home, rng = tmp_path_factory.mktemp("home"), np.random.RandomState(5)
    folder = home / "datasets" / "mnist"
    folder.mkdir(parents=True)
    arrays = []
    for number in (TRAIN, TEST):
        labels = (np.arange(number) % 10).astype(np.uint8)
        arrays += [drawn(labels, rng), labels]
    for name, array in zip(catalogue.IDX_FILES, arrays):
        write_idx(folder / name, array)
    return home


@pytest.fixture
def at_home(command, mnist):
    """Return the command, with the drawn digits as MNIST."""
    return functools.partial(command, home=mnist)


def test_lenet5_trains_with_its_published_settings_and_recognizes_digits(at_home, tmp_path):
    result = at_home("train", "lenet5", "--data", "mnist", "--epochs", "2", "--out", "run")
    assert result.returncode == 0, result.stderr
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    settings = run["settings"]
    assert (settings["optimizer"], settings["batch_size"], settings["fit"]) == ("diagonallm", 1, "pad")
    assert (settings["background"], settings["foreground"], settings["init"]) == (-0.1, 1.175, "published")
    assert run["parameters"] == 60_000
    trained = run["epochs"][-1]
    assert trained["test_accuracy"] > 0.9
    assert trained["train_accuracy"] > 0.5

    evaluated = json.loads(at_home("evaluate", "run", "--json").stdout)
    assert evaluated["accuracy"] == trained["test_accuracy"]

    names = []
    for digit, image in enumerate(drawn(range(10), np.random.RandomState(6))):
        names.append(f"{digit}.png")
        cv2.imwrite(str(tmp_path / names[-1]), image)
    answers = json.loads(at_home("predict", "run", *names, "--top", "10", "--json").stdout)
    best = [answer["top"][0]["class"] for answer in answers]
    assert sum(answer == str(digit) for digit, answer in enumerate(best)) >= 9
    for answer in answers:
        assert sum(entry["probability"] for entry in answer["top"]) == pytest.approx(1, abs=1e-4)


def test_options_override_the_published_settings(at_home, tmp_path):
    options = ["--batch-size", "50", "--optimizer", "adam", "--lr", "0.001", "--epochs", "1", "--fit", "resize"]
    result = at_home("train", "lenet5", "--data", "mnist", *options, "--init", "xavier", "--out", "run")
    assert result.returncode == 0, result.stderr
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert (settings["batch_size"], settings["optimizer"], settings["learning_rate"]) == (50, "adam", 0.001)
    assert (settings["epochs"], settings["fit"], settings["init"]) == (1, "resize", "xavier")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lenet5", "--schedule", "soon"], "'soon' is not a schedule"),
        (["lenet", "--optimizer", "diagonallm"], "diagonallm works with lenet5 only"),
        (["lenet", "--init", "published"], "lenet was published without its own initializer"),
        (["lenet", "--fit", "pad", "--resize", "20"], "images of 28x28 cannot be padded to 20x20"),
    ],
)
def test_an_invalid_combination_is_a_one_line_error(at_home, tmp_path, arguments, words):
    result = at_home("train", *arguments, "--data", "mnist", "--out", "run")
    assert result.returncode == 1
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()
