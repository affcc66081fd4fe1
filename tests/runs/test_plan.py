"""A plan says what a run would do, trains and writes nothing, and is refused where the run would be."""

import json
from types import SimpleNamespace

from gluon_classics.data.datasets import SAMPLE_FOLDER
from gluon_classics.errors import DataError, MemoryTooSmall, RunError
from gluon_classics.experiment import batch_memory
from gluon_classics.experiment.build import load_data, loaders
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import plan as planning
from gluon_classics.runs.plan import duration_words, plan_settings, plan_training
from gluon_classics.runs.record import read_run
from gluon_classics.runs.train import train
from gluon_classics.utils.loader import DataLoader
from pictures import write_pictures
import pytest

SAMPLE = str(SAMPLE_FOLDER)


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """An empty current folder, and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "shared"))
    return tmp_path


def test_a_plan_has_the_numbers_of_the_run(tmp_path):
    options = {"epochs": 2, "batch_size": 96, "subset": 500, "validation_share": 0.1}
    plan = plan_training("lenet", "cpu", None, SAMPLE, **options)
    train("lenet", "cpu", tmp_path / "run", SAMPLE, 10, **options)
    record = read_run(tmp_path / "run").record
    assert plan.data_is_here
    assert (plan.parameters, plan.training_images) == (record.parameters, record.trained_images)
    assert (plan.validation_images, plan.test_images) == (500 - record.trained_images, record.tested_images)
    assert plan.classes == len(record.data.classes)
    assert plan.updates_per_epoch == -(-record.trained_images // 96)
    assert plan.updates == 2 * plan.updates_per_epoch
    assert plan.settings == record.settings
    (checkpoint,) = (tmp_path / "run").glob("*.ckpt")
    assert plan.checkpoint_bytes < checkpoint.stat().st_size < plan.checkpoint_bytes + 1e5  # names, numbers, history


def test_a_discarded_batch_is_not_trained_on(tmp_path):
    plan = plan_training("lenet", "cpu", None, SAMPLE, batch_size=64, subset=100, last_batch="discard")
    assert (plan.updates_per_epoch, plan.training_images) == (1, 64)


def test_times_and_memory_are_measured():
    plan = plan_training("lenet", "cpu", None, SAMPLE)
    assert plan.seconds_per_update > 0
    assert plan.seconds_per_batch_loaded > 0
    assert plan.seconds == plan.seconds_per_epoch * plan.settings.epochs
    assert plan.seconds_per_epoch > plan.updates_per_epoch * plan.seconds_per_update * 0.9
    assert plan.memory_measured > plan.memory_estimated > 0
    assert plan.images_measured == 64


def test_parts_of_a_batch_are_measured():
    plan = plan_training("lenet", "cpu", None, SAMPLE, micro_batch_size=16)
    assert plan.images_measured == 16
    assert plan.updates_per_epoch == 94


def test_data_that_is_not_here_has_its_published_numbers(empty_home):
    plan = plan_training("lenet", "cpu", None, "imagenet", validation_share=0.5)
    assert not plan.data_is_here
    assert (plan.training_images, plan.validation_images) == (640_583, 640_584)
    assert (plan.test_images, plan.classes) == (50_000, 1000)
    assert plan.data.startswith(f"imagenet is not in {empty_home / 'home' / 'datasets' / 'imagenet'} (a run stops)")
    assert plan.seconds_per_batch_loaded is None
    assert list(empty_home.iterdir()) == []
    fashion = plan_training("lenet", "cpu", None, None)
    assert (fashion.training_images, fashion.test_images, fashion.settings.epochs) == (60_000, 10_000, 1)
    assert "a run downloads it, or trains on the embedded sample" in fashion.data
    with pytest.raises(DataError, match="mnist has 60,000 training images, not 70,000"):
        plan_training("lenet", "cpu", None, "mnist", subset=70_000)


def test_a_plan_writes_nothing(empty_home, capsys):
    photos = write_pictures(empty_home / "photos", {"a": 5, "b": 5})
    before = sorted(empty_home.rglob("*"))
    plan = plan_training("lenet", "cpu", empty_home / "run", str(photos), batch_size=4)
    assert sorted(empty_home.rglob("*")) == before
    assert plan.training_images == 8
    assert "Measuring steps with 4 random images of 28x28." in capsys.readouterr().err


def test_ten_crops_take_ten_times_as_long_to_test(empty_home, monkeypatch):
    monkeypatch.setattr(planning, "_prediction_seconds", lambda *_: 250.0)  # of an image
    photos = str(write_pictures(empty_home / "photos", {"a": 5, "b": 5}))
    one, ten = (
        plan_training("lenet", "cpu", None, photos, batch_size=4, image_size=32, fit="crop", test_crops=crops)
        for crops in ("center", "ten")
    )
    assert ten.test_images == one.test_images == 2
    assert 499 < one.seconds_per_epoch < 600
    assert 4999 < ten.seconds_per_epoch < 5100
    assert "ten crops in tests" in dict(ten.rows())["settings"]


def test_loading_is_measured_with_as_many_images_as_are_prepared_together(monkeypatch):
    numbers = []
    monkeypatch.setattr(DataLoader, "batch", lambda self, part, key=None: numbers.append(len(part)))
    settings = Settings("lenet", data=SAMPLE, batch_size=1)
    made = loaders(settings, load_data(settings))
    planning._loading_seconds(made, None)
    assert numbers == [64, 64]
    planning._loading_seconds(made, 1)
    assert numbers[2:] == [1, 64]


def test_a_prediction_takes_as_long_as_a_test_divided_by_its_images(monkeypatch):
    times = iter([0.0, 1000.0])
    monkeypatch.setattr(planning.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(planning, "evaluate", lambda *_: None)
    experiment = SimpleNamespace(test_data=None, net=None, data=SimpleNamespace(test=range(64)))
    assert planning._prediction_seconds(experiment, []) == 1000 / 64


def test_what_is_refused_in_a_run_is_refused_in_a_plan(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "something").touch()
    with pytest.raises(RunError, match="run is not empty: choose another with --out"):
        plan_training("lenet", "cpu", tmp_path / "run", SAMPLE)
    with pytest.raises(DataError, match="there is no folder"):
        plan_training("lenet", "cpu", None, str(tmp_path / "nothing"))
    with pytest.raises(DataError, match="mean has 3 numbers, but the images have 1 channel:"):
        plan_settings(Settings("lenet", data=SAMPLE, mean="0.5,0.5,0.5"), "cpu")
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: 1_000_000)
    with pytest.raises(MemoryTooSmall, match="use a smaller batch size"):
        plan_training("lenet", "cpu", None, SAMPLE)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0123, "12.3 ms"), (12, "12 s"), (600, "10 min"), (36_000, "10 h"), (864_000, "10 days"), (1e8, "3.2 years")],
)
def test_durations_have_a_unit_that_fits(seconds, words):
    assert duration_words(seconds) == words


def test_the_command_prints_the_plan_and_trains_nothing(invoke, empty_home):
    result = invoke("train", "lenet", "--data", SAMPLE, "--dry-run")
    assert result.exit_code == 0, result.output
    for words in ("lenet, 170,988 parameters", "28x28, batch 64, sgd 0.01", "6,000 for training, 1,000 for tests"):
        assert words in result.stdout
    plan = json.loads(invoke("train", "lenet", "--data", SAMPLE, "--dry-run", "--json").stdout)
    assert (plan["model"], plan["updates"], plan["settings"]["batch_size"]) == ("lenet", 94, 64)
    assert list(empty_home.iterdir()) == []


def test_json_is_for_plans_only(invoke):
    result = invoke("train", "lenet", "--data", SAMPLE, "--json")
    assert result.exit_code == 2
    assert "--json is for --dry-run" in result.stderr


def test_a_recipe_has_a_plan_with_its_target_and_notes(invoke, empty_home):
    result = invoke("reproduce", "lenet-fashion-mnist-scratch", "--runs", "3", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "59,904 for training, 9,984 for tests" in result.stdout  # without the last partial batch
    assert "This is one of 3 runs." in result.stdout
    assert "Target: train loss 0.463232" in result.stdout
    assert "Note: the tutorial's version from scratch" in result.stdout
    plan = json.loads(invoke("reproduce", "lenet-fashion-mnist-scratch", "--dry-run", "--json").stdout)
    assert plan["updates"] == 5 * 234
    assert list(empty_home.iterdir()) == []
