"""What `gluon-classics train` adds to an experiment: more epochs on the embedded sample."""

from dataclasses import replace

from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.errors import DataError
from gluon_classics.runs import train
from gluon_classics.runs.record import read_run
import numpy as np
from PIL import Image
import pytest


@pytest.mark.parametrize(("model", "asked", "epochs"), [("lenet", None, 10), ("lenet", 3, 3), ("lenet5", None, 20)])
def test_on_the_sample_a_network_trains_at_least_10_epochs_unless_told(model, asked, epochs, monkeypatch, tmp_path):
    sample = replace(load_dataset(str(SAMPLE_FOLDER)), is_sample=True)
    monkeypatch.setattr(train, "load_data", lambda *_: sample)
    monkeypatch.setattr(train, "run_training", lambda *_: None)
    train.train(model, "cpu", tmp_path / "run", None, 10, epochs=asked)
    assert read_run(tmp_path / "run").record.settings.epochs == epochs


@pytest.mark.parametrize(("channels", "kind"), [(1, "grayscale"), (3, "color")])
def test_the_shape_of_the_images_is_printed(channels, kind, monkeypatch, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(5):
            pixels = np.zeros((40, 30, 3), np.uint8) if channels == 3 and number == 3 else np.zeros((40, 30), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    monkeypatch.setattr(train, "run_training", lambda *_: None)
    train.train("lenet", "cpu", tmp_path / "run", str(tmp_path / "data"), 10, test_share=0.4)
    assert f"Training lenet on 6 {kind} images of 28x28 at 28x28, cpu(0)" in capsys.readouterr().err
    record = read_run(tmp_path / "run").record
    assert (record.settings.test_share, record.settings.transparent_as) == (0.4, "white")
    assert (record.data.image_shape, record.data.test_images) == ((28, 28, channels), 4)


@pytest.mark.parametrize("model", ["nin_cifar10", "lenet"])
def test_what_of_the_published_training_is_not_done_is_printed(model, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(train, "load_data", lambda *_: load_dataset(str(SAMPLE_FOLDER)))
    monkeypatch.setattr(train, "run_training", lambda *_: None)
    train.train(model, "cpu", tmp_path / "run", None, 10)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Not done as published: ")]
    assert len(lines) == (model == "nin_cifar10")
    if lines:
        assert lines[0].endswith("global contrast normalization and ZCA whitening")
    settings = read_run(tmp_path / "run").record.settings
    assert (settings.batch_size, settings.momentum) == {"nin_cifar10": (128, 0.9), "lenet": (64, 0)}[model]


@pytest.mark.parametrize("option", [{}, {"augment": "flip"}])
def test_on_grayscale_images_published_settings_for_colors_are_left_out(option, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(train, "run_training", lambda *_: None)
    train.train("resnet20_cifar10", "cpu", tmp_path / "run", str(SAMPLE_FOLDER), 10, **option)
    line = "Grayscale images: the published mean and std are left out."
    assert line in capsys.readouterr().err.splitlines()
    settings = read_run(tmp_path / "run").record.settings
    assert (settings.mean, settings.std, settings.augment) == ("", "", option.get("augment", "crop:4 flip"))


def test_settings_for_colors_that_the_user_chose_are_an_error_on_grayscale_images(tmp_path):
    with pytest.raises(DataError, match="mean has 3 numbers, but the images have 1 channel:"):
        train.train("resnet20_cifar10", "cpu", tmp_path / "run", str(SAMPLE_FOLDER), 10, mean="0.5,0.5,0.5")
    with pytest.raises(DataError, match="lighting is for color images"):
        train.train("resnet20_cifar10", "cpu", tmp_path / "run", str(SAMPLE_FOLDER), 10, augment="lighting")
    assert not (tmp_path / "run").exists()
