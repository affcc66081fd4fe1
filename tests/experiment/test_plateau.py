"""Schedules and early stopping that follow the accuracies so far."""

from dataclasses import replace
from types import SimpleNamespace

from gluon_classics.data import datasets
from gluon_classics.errors import DataError
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.optimizers import PatienceCallback, ScheduleCallback, plateaus, rate_factor
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.history import EpochRecord, best_epoch, has_stopped
from gluon_classics.utils.training import Callback
import mxnet as mx
import numpy as np
import pytest


@pytest.mark.parametrize(
    ("accuracies", "waited", "most", "expected"),
    [
        ([], 1, None, 0),
        ([0.1], 1, None, 0),
        ([0.1, 0.2, 0.3], 1, None, 0),
        ([0.3, 0.2], 1, None, 1),
        ([0.3, 0.3], 1, None, 1),  # an equal accuracy is not higher
        ([0.3, 0.2, 0.25], 2, None, 1),  # above the previous one, but not above the best one
        ([0.3, 0.2, 0.31], 2, None, 0),
        ([0.3, 0.2, 0.2, 0.2], 2, None, 1),  # epochs count again from the last time
        ([0.3, 0.2, 0.2, 0.2, 0.2], 2, None, 2),
        ([0.3, 0.2, 0.2, 0.31, 0.2, 0.2], 2, None, 2),
        ([0.3, 0.2, 0.2, 0.29, 0.31, 0.2], 2, None, 1),  # the best one of all, also after a fall
        ([0.3, 0.2, 0.1, 0.2, 0.1], 1, 3, 3),
        ([0.3, 0.2, 0.1, 0.2, 0.1], 1, 4, 4),
    ],
)
def test_a_plateau_is_some_epochs_without_an_accuracy_above_the_best_one(accuracies, waited, most, expected):
    assert plateaus(accuracies, waited, most) == expected


def test_the_rate_falls_after_each_plateau_and_multiplies_with_the_other_parts_of_the_schedule():
    flat = [0.5] * 6
    rates = [rate_factor("plateau:0.1:2:2", epoch, 7, flat[:epoch]) for epoch in range(7)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rate_factor("plateau:0.1:2 2:0.5", 3, 7, flat[:3]) == pytest.approx(0.05)


def test_the_factors_of_the_longest_training_are_numbers():
    last = 2**31 - 1
    assert rate_factor("decay:0.000001:0.01", last, last) == 0
    assert rate_factor("decay:0.5:2147483647", last, last) == 0.5
    assert rate_factor("plateau:0.000001:1", 200, last, [0.5] * 200) == 0


@pytest.mark.parametrize(
    ("accuracies", "patience", "expected"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.5, 0.5], 1, True),
        ([0.5, 0.6], 1, False),
        ([0.6, 0.5, 0.55], 3, False),
        ([0.6, 0.5, 0.55, 0.59], 3, True),
        ([0.6, 0.5, 0.55, 0.61], 3, False),
        ([0.5] * 99, None, False),
    ],
)
def test_a_training_stops_when_patience_epochs_have_not_raised_the_accuracy(accuracies, patience, expected):
    assert has_stopped(accuracies, patience) == expected


def test_the_best_epoch_is_the_first_one_with_the_highest_accuracy():
    assert best_epoch([0.1, 0.3, 0.2, 0.3]) == 1


# --- in a training


def epochs_of(test, validation=None):
    return [
        EpochRecord(number, 0.5, 0.5, accuracy, 1.0, 1.0, validation_accuracy=validation and validation[number])
        for number, accuracy in enumerate(test)
    ]


def run(settings, records, callbacks):
    """Run the callbacks as a training does. Return the learning rate of each epoch."""
    rates = []
    trainer = SimpleNamespace(set_learning_rate=rates.append)
    loop = SimpleNamespace(epoch=records[0].epoch, trainer=trainer, stopped=False)
    for record in records:
        for callback in callbacks:
            callback.before_epoch(loop)
        loop.epoch += 1
        for callback in callbacks:
            callback.after_epoch(loop, record)
        if loop.stopped:
            break
    return rates


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_a_resumed_training_has_the_rates_of_an_uninterrupted_one(done):
    settings = Settings("lenet", epochs=6, schedule="plateau:0.5:1", learning_rate=1.0)
    records = epochs_of([0.3, 0.2, 0.2, 0.4, 0.1, 0.1])
    whole = run(settings, records, [ScheduleCallback(settings)])
    assert whole == [1, 1, 0.5, 0.25, 0.25, 0.125]
    assert run(settings, records[done:], [ScheduleCallback(settings, records[:done])]) == whole[done:]


def test_the_validation_accuracy_counts_instead_of_the_test_accuracy():
    settings = Settings("lenet", epochs=4, schedule="plateau:0.5:1", learning_rate=1.0, patience=2)
    records = epochs_of([0.3, 0.2, 0.2, 0.2], validation=[0.1, 0.2, 0.3, 0.4])
    of_tests = run(settings, records, [ScheduleCallback(settings), PatienceCallback(settings)])
    assert of_tests == [1, 1, 0.5]
    held_out = replace(settings, validation_share=0.1)
    assert run(held_out, records, [ScheduleCallback(held_out), PatienceCallback(held_out)]) == [1, 1, 1, 1]


@pytest.fixture(scope="module")
def data():
    """Return 40 training and 20 test images."""
    sample = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
    return replace(sample, train=sample.train.subset(40), test=sample.test.subset(20))


class Rates(Callback):
    """Keeps the learning rate of each epoch."""

    def __init__(self):
        self.kept = []

    def after_batch(self, loop):
        if loop.batches == 1:
            self.kept.append(loop.trainer.learning_rate)


def test_an_experiment_stops_early_and_lowers_its_rate(data):
    """With a tiny learning rate, no epoch raises the accuracy of the first one."""
    settings = Settings("lenet", epochs=9, learning_rate=1e-12, schedule="plateau:0.5:1", patience=3, batch_size=20)
    rates = Rates()
    experiment = prepare(settings, [mx.cpu()], data)
    history = experiment.train([rates])
    assert [record.epoch for record in history] == [0, 1, 2, 3]
    assert rates.kept == [1e-12, 1e-12, 5e-13, 2.5e-13]
    assert experiment.train([rates], history=history) == []
    assert len(rates.kept) == 4


def test_validation_images_are_held_out_and_measured_after_each_epoch(data):
    settings = Settings("lenet", epochs=2, batch_size=10, validation_share=0.5)
    experiment = prepare(settings, [mx.cpu()], data)
    held_out = experiment.validation_data.dataset.images
    assert 10 <= len(held_out) <= 20
    trained = {image.tobytes() for image in experiment.train_data.dataset.images}
    assert len(trained) + len(held_out) == 40
    assert not trained & {image.tobytes() for image in held_out}
    history = experiment.train()
    images, labels = experiment.validation_data.dataset[:]
    outputs = experiment.net(mx.nd.array(images.transpose(0, 3, 1, 2) / 255)).asnumpy()
    assert history[-1].validation_accuracy == pytest.approx(np.mean(outputs.argmax(axis=1) == labels))
    without = prepare(replace(settings, validation_share=None), [mx.cpu()], data).train()
    assert [record.validation_accuracy for record in without] == [None, None]


def test_a_class_with_too_few_images_to_hold_out_has_its_name_in_the_error(data):
    settings = Settings("lenet", epochs=1, batch_size=10, validation_share=0.01)
    names = [f"folder {10 - number}" for number in range(10)]
    with pytest.raises(DataError, match=r"class folder 10 of .* has fewer than 100 images"):
        prepare(settings, [mx.cpu()], replace(data, classes=tuple(names)))
