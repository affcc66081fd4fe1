"""`certify`: what changes the bits of a training and what does not."""

import json

from gluon_classics import list_models
from gluon_classics.data.stored_images import StoredImages
from gluon_classics.diagnostics import determinism, determinism_worker
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.optimizers import rate_factor
from gluon_classics.runs.checkpoint_facts import read_training
from gluon_classics.utils.training import Callback
import mxnet as mx
import numpy as np
import pytest

pytestmark = pytest.mark.short

ONE = np.ones(4, np.float32)
NEXT = np.nextafter(ONE, 2)


def test_the_verdict_names_the_worst_array_and_its_difference_in_ulp():
    expected = {"a": ONE, "b": np.array([1.0, 1e-6], np.float32), "loss": np.array([2.5])}
    assert determinism.compare(expected, dict(expected))["verdict"] == "bit-identical"
    near = {**expected, "a": NEXT, "b": np.array([1.0, 2e-6], np.float32)}
    # the largest number in b is 1, where float32 numbers have a spacing of 1.2e-7: 1e-6 is 9 of them, rounded up
    assert determinism.compare(expected, near) == {"verdict": "equal within 9 ulp", "ulp": 9, "worst": "b"}
    far = determinism.compare(expected, {**expected, "b": np.array([1.1, 0], np.float32)})
    assert (far["verdict"], far["worst"]) == ("different", "b")


def test_minus_zero_is_not_bit_identical_to_zero():
    zero = {"a": np.zeros(2, np.float32)}
    assert determinism.compare(zero, {"a": -zero["a"]})["verdict"] == "equal within 0 ulp"


def test_all_combinations_of_threads_compilation_and_devices_are_cases():
    ways = {(case.threads, case.compiled, case.devices) for case in [determinism.REFERENCE, *determinism.CASES]}
    assert len(ways) == 8
    assert {determinism.AGAIN, determinism.RESUMED} <= set(determinism.CASES)
    assert [case.on_disk for case in determinism.CASES].count(True) == 1
    assert [case.note for case in determinism.FINE_TUNING] == [
        f"new last layer, {what}" for what in ("reference", "repeated", "resumed from a checkpoint")
    ]


@pytest.fixture
def few_cases(monkeypatch):
    cases = [determinism.AGAIN, determinism.RESUMED, determinism.Case(2, False, 1), determinism.Case(1, True, 2)]
    monkeypatch.setattr(determinism, "CASES", cases)
    monkeypatch.setattr(determinism, "FINE_TUNING", determinism.FINE_TUNING[:1])


def test_dropout_is_identical_when_repeated_resumed_or_eager_but_not_on_two_devices(few_cases):
    _, again, resumed, eager, two_devices, _ = determinism.certify("nin_cifar10", 2)
    assert (again["verdict"], resumed["verdict"]) == ("bit-identical", "bit-identical")
    assert resumed["note"] == "resumed from a checkpoint"
    assert eager["verdict"].endswith("ulp")  # the same dropout masks
    assert two_devices["verdict"] == "different"  # each device draws its own dropout masks


def test_augmentation_and_pytorchs_initial_weights_are_identical_when_repeated_or_resumed(few_cases):
    _, again, resumed, *_ = determinism.certify("lenet_cifar10", 2)
    assert (again["verdict"], resumed["verdict"]) == ("bit-identical", "bit-identical")


def experiment_of(model, steps):
    settings = determinism_worker.training_settings(model)
    return prepare(settings, [mx.cpu()], determinism_worker.random_images(settings, steps))


@pytest.mark.parametrize("model", ["lenet", "lenet_cifar10", "resnet18_v1"])
def test_the_training_holds_images_out_augments_tests_crops_and_computes_batches_in_parts(model):
    experiment = experiment_of(model, steps=9)
    assert experiment.train_data.examples == 3 * determinism_worker.BATCH
    assert len(experiment.validation_data.dataset.images) == 3 * determinism_worker.BATCH
    assert experiment.settings.micro_batch_size < determinism_worker.BATCH
    assert experiment.train_data.operations
    assert experiment.test_data.crops == 10


def test_ten_crops_can_be_cut_from_the_images_of_every_network():
    for model in list_models():
        settings = determinism_worker.training_settings(model)
        assert settings.image_size > settings.size


def test_images_on_the_disk_are_those_in_memory(tmp_path):
    for model in ("lenet", "lenet_cifar10"):
        settings = determinism_worker.training_settings(model)
        here = determinism_worker.random_images(settings, 6)
        stored = determinism_worker.random_images(settings, 6, tmp_path)
        for kept, read in ((here.train, stored.train), (here.test, stored.test)):
            assert isinstance(read.images, StoredImages)
            assert np.array_equal(read.images[np.arange(len(read))], kept.images)
            assert np.array_equal(read.labels, kept.labels)


def test_layers_are_frozen_unless_the_last_one_has_fixed_weights(tmp_path):
    for model, freeze in (("lenet", "body"), ("nin_cifar10", "body"), ("lenet5", "none")):
        settings = determinism_worker.fine_tuning(determinism_worker.training_settings(model), tmp_path / "a.params")
        assert (settings.new_head, settings.freeze) == (True, freeze)


def test_fine_tuning_changes_the_last_layer_only(tmp_path):
    wanted = {"model": "lenet", "steps": 2, "devices": 1, "compiled": True, "folder": str(tmp_path), "part": "whole"}
    outcomes = []
    for fine_tunes in (False, True):
        determinism_worker.main({**wanted, "on_disk": False, "fine_tunes": fine_tunes})
        outcomes.append(dict(np.load(tmp_path / determinism_worker.OUTCOME)))
    first, tuned = outcomes
    changed = {name for name, array in first.items() if not np.array_equal(array, tuned[name])}
    last = max(name.partition(".")[0] for name in first if name.endswith(".weight"))
    assert changed == {f"{last}.weight", f"{last}.bias", "outputs", "loss"}


class Rates(Callback):
    """Notes the learning rate after each batch."""

    def __init__(self, experiment):
        self.experiment, self.found = experiment, []

    def after_batch(self, loop):
        self.found.append((loop.epoch, self.experiment.trainer.learning_rate))


def test_the_learning_rate_of_the_resumed_part_depends_on_the_epochs_before_it(tmp_path, monkeypatch):
    """A checkpoint without the accuracies would give another rate, which the comparison would show."""
    experiment = experiment_of("lenet", steps=2)
    settings = experiment.settings
    assert settings.patience
    assert {"warmup", "cosine", "plateau"} == {word.partition(":")[0] for word in settings.schedule.split()}
    rates = Rates(experiment)
    history = experiment.train([rates])
    assert len({rate for _, rate in rates.found}) >= 3
    last = determinism_worker.EPOCHS - 1
    accuracies = {better: [0.1, 0.2 if better else 0.1] for better in (True, False)}
    found = {better: rate_factor(settings.schedule, last, settings.epochs, each) for better, each in accuracies.items()}
    assert found[False] < found[True]
    assert len(history) == settings.epochs
    part = {"model": "lenet", "steps": 2, "devices": 1, "compiled": True, "folder": str(tmp_path), "part": "first part"}
    determinism_worker.main({**part, "on_disk": False, "fine_tunes": False})
    facts, _ = read_training(tmp_path / determinism_worker.CHECKPOINT)
    assert (facts.epoch, len(facts.epochs)) == (last, last)


@pytest.mark.slow
def test_the_command_prints_a_row_for_each_case(command):
    result = command("certify", "lenet", "--steps", "2", "--json")
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert len(rows) == 1 + len(determinism.CASES) + len(determinism.FINE_TUNING)
    assert [row["verdict"] for row in (*rows[:4], *rows[-3:])] == ["bit-identical"] * 7
    assert rows[3]["on_disk"]
    assert all(row["fine_tunes"] for row in rows[-3:])
    assert all(row["verdict"] != "different" for row in rows)


def test_a_training_that_fails_is_a_one_line_error(monkeypatch, tmp_path):
    (tmp_path / "mxnet.py").write_text("raise ImportError('no mxnet here')\n")
    monkeypatch.setattr(determinism, "child_environment", lambda: {"PYTHONPATH": str(tmp_path)})
    with pytest.raises(determinism.ClassicsError, match=r"^lenet could not be trained: .*no mxnet here$"):
        determinism.certify("lenet", 2)
