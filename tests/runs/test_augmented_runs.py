"""Runs with crops, augmentation and normalized pixels: resumed, evaluated and used for predictions alike."""

import json

from gluon_classics.data.images import read_image
from gluon_classics.experiment.build import load_data
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import predictor
import numpy as np
from PIL import Image
import pytest

pytestmark = pytest.mark.short

PIXELS = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
SIZES = ["--resize", "28", "--image-size", "32", "--fit", "crop"]
AUGMENTATIONS = ["crop:2 flip color", "resized-crop flip lighting", "scale:32:40 affine"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder of color images of various sizes, with two classes that differ in brightness."""
    random, folder = np.random.RandomState(1), tmp_path_factory.mktemp("data") / "photos"
    for number, name in enumerate(("ant", "bee")):
        (folder / name).mkdir(parents=True)
        for i in range(30):
            pixels = random.randint(80 * number, 120 + 80 * number, (34 + i % 7, 50 - i % 11, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02}.png")
    return folder


@pytest.fixture
def train(command, tmp_path, photos):
    """Return a function that trains LeNet in a new run folder, and resumes it."""

    def run(name, *options, resumed=()):
        options = ["--data", photos, "--batch-size", "8", "--lr", "0.01", *PIXELS, *SIZES, *options]
        results = [command("train", "lenet", *options, "--out", tmp_path / name)]
        if resumed:
            results.append(command("resume", tmp_path / name, *resumed))
        assert all(result.returncode == 0 for result in results), results[-1].stderr
        return tmp_path / name

    return run


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_a_resumed_run_has_the_same_bits(train, augment):
    whole = train("whole", "--epochs", "2", "--augment", augment)
    resumed = train("resumed", "--epochs", "1", "--augment", augment, resumed=["--epochs", "2"])
    assert (whole / "net.params").read_bytes() == (resumed / "net.params").read_bytes()
    plain = train("plain", "--epochs", "2")
    assert (whole / "net.params").read_bytes() != (plain / "net.params").read_bytes()


def test_evaluation_and_prediction_see_what_the_tests_of_the_training_saw(command, train, photos):
    run = train("run", "--epochs", "2", "--augment", "resized-crop flip")
    record = json.loads((run / "run.json").read_text())
    assert record["data"]["image_shape"] == [32, 32, 3]
    trained = record["epochs"][-1]["test_accuracy"]
    evaluated = json.loads(command("evaluate", run, "--json").stdout)
    assert evaluated["accuracy"] == trained
    assert evaluated["top_5"] is None
    tested = [photos / name / f"{i:02}.png" for name in ("ant", "bee") for i in range(4, 30, 5)]
    predicted = json.loads(command("predict", run, *tested, "--json").stdout)
    right = [entry["top"][0]["class"] == path.parent.name for entry, path in zip(predicted, tested)]
    assert np.mean(right) == trained
    network = predictor.from_run(run)
    images = [predictor.read_input(path, network.image_shape, network.settings) for path in tested]
    batch, _ = predictor.image_batch(images, network.settings)
    pixels = np.stack([read_image(path, 32, shorter_side=True)[2:30, 2:30] for path in tested])
    expected = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(batch.asnumpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_ten_crops_are_the_result_of_a_run_and_can_be_chosen_later(command, train, photos):
    run = train("run", "--epochs", "1", "--test-crops", "ten", "--lr", "0.0001")
    record = json.loads((run / "run.json").read_text())
    ten = json.loads(command("evaluate", run, "--json").stdout)
    assert ten["accuracy"] == record["epochs"][-1]["test_accuracy"]
    network, data = predictor.with_test_data(run)
    probabilities = network.test_probabilities(data)
    center = network.with_settings(test_crops="center").test_probabilities(data)
    assert np.abs(probabilities - center).max() > 1e-6
    chosen = command("evaluate", run, "--test-crops", "center", "--json")
    assert json.loads(chosen.stdout)["accuracy"] == (center.argmax(axis=1) == data.test.labels).mean()
    assert command("predict", run, photos / "ant" / "04.png").returncode == 0


def test_ten_crops_of_a_run_without_a_margin_are_refused(command, trained_run):
    result = command("evaluate", trained_run, "--test-crops", "ten")
    assert result.returncode == 1
    assert "was trained without --image-size, so images have no ten crops: leave them out" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mean", "0.1,0.2"], "mean has 2 numbers, but the images have 3 channels"),
        (["--augment", "resized-crop", "--in-memory"], "leave --in-memory out"),
        (["--validation-share", "0.01"], "held out for validation"),
    ],
)
def test_what_does_not_fit_the_images_is_one_line_and_writes_nothing(command, photos, tmp_path, options, message):
    result = command("train", "lenet", "--data", photos, "--out", tmp_path / "run", *options)
    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_lighting_of_gray_images_is_refused(command, tmp_path):
    result = command("train", "lenet", "--augment", "flip lighting", "--out", tmp_path / "run")
    assert result.returncode == 1
    assert "lighting is for color images" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_start_from_a_run_with_other_inputs_is_mentioned(command, train, photos, tmp_path):
    run = train("normalized", "--epochs", "1")
    options = ["--data", photos, "--init-from", run, "--epochs", "1", "--out"]
    other = command("train", "lenet", *options, tmp_path / "other")
    assert other.returncode == 0
    assert (
        "pixels became -2.1179,-2.03571,-1.80444 to 2.24891,2.42857,2.64, and here they become 0 to 1" in other.stderr
    )
    same = command("train", "lenet", *options, tmp_path / "same", *PIXELS)
    assert "pixels became" not in same.stderr


def test_image_files_are_padded_as_the_settings_say(command, tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(np.full((20, 20), 255, np.uint8)).save(tmp_path / "data" / name / f"{i}.png")
    options = ["--data", tmp_path / "data", "--fit", "pad", "--batch-size", "4"]
    result = command("train", "lenet", *options, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    network, data = predictor.with_test_data(tmp_path / "run")
    images = predictor.image_batch(list(data.test.images[:1]), network.settings)[0].asnumpy()[0, 0]
    assert images.sum() == 20 * 20
    assert (images[4:24, 4:24] == 1).all()
    Image.fromarray(np.zeros((20, 22), np.uint8)).save(tmp_path / "data" / "ant" / "wide.png")
    other = command("train", "lenet", *options, "--out", tmp_path / "other")
    assert other.returncode == 1
    assert "(without fit pad)" in other.stderr


def test_a_subset_without_some_classes_is_mentioned(photos, capsys):
    load_data(Settings("lenet", data=str(photos), subset=10))
    assert "among the first 10 training images, 1 of the 2 classes have no image" in capsys.readouterr().err
    load_data(Settings("lenet", data=str(photos), subset=40))
    assert "have no image" not in capsys.readouterr().err
