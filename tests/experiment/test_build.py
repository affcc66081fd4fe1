"""An experiment follows its settings: how images are resized, when weights are drawn, and what the seed decides."""

from dataclasses import replace

from gluon_classics.data import datasets
from gluon_classics.errors import DataError
from gluon_classics.experiment.build import evaluation_batch_size, load_data, prepare
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.experiment.settings import Settings
import mxnet as mx
import numpy as np
import pytest


@pytest.fixture(scope="module")
def data():
    """Return 40 training and 20 test images."""
    sample = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
    return replace(sample, train=sample.train.subset(40), test=sample.test.subset(20))


@pytest.mark.parametrize("subset", [1, 5999, 6000])
def test_a_subset_may_be_as_large_as_the_data(subset):
    data = load_data(Settings("lenet", data=str(datasets.SAMPLE_FOLDER), subset=subset))
    assert len(data.train) == subset


def test_a_subset_cannot_be_larger_than_the_data():
    with pytest.raises(DataError, match="has 6,000 training images, not 6,001"):
        load_data(Settings("lenet", data=str(datasets.SAMPLE_FOLDER), subset=6001))


def weights(experiment):
    return [parameter.data().asnumpy() for parameter in experiment.net.collect_params().values()]


def are_rounded(loader):
    """Return whether all pixels are multiples of 1/255."""
    pixels = next(iter(loader))[0].asnumpy() * 255
    return bool(np.abs(pixels - pixels.round()).max() < 1e-3)


@pytest.mark.parametrize(
    ("resize_in", "rounded"), [("uint8", (True, True)), ("float32", (False, False)), ("published", (False, True))]
)
def test_training_and_test_images_are_resized_in_the_type_of_the_settings(resize_in, rounded, data):
    experiment = prepare(Settings("lenet", resize=45, resize_in=resize_in), [mx.cpu()], data)
    assert (are_rounded(experiment.train_data), are_rounded(experiment.test_data)) == rounded


def test_all_weights_are_drawn_before_training_draws_anything(data):
    experiment = prepare(Settings("lenet"), [mx.cpu()], data)
    mx.random.seed(7)
    drawn = weights(experiment)
    again = prepare(Settings("lenet"), [mx.cpu()], data)
    assert len(drawn) == 8
    assert all(map(np.array_equal, drawn, weights(again)))


def test_the_seed_decides_the_training_where_the_initial_weights_are_equal(data):
    settings = Settings("lenet", weights="unseeded", batch_size=16)
    first, same, other = (prepare(replace(settings, seed=seed), [mx.cpu()], data) for seed in (0, 0, 1))
    assert all(map(np.array_equal, weights(first), weights(other)))
    for experiment in (first, same, other):
        experiment.train()
    assert all(map(np.array_equal, weights(first), weights(same)))
    assert not any(map(np.array_equal, weights(first), weights(other)))


@pytest.mark.parametrize(
    ("model", "changes", "count"),
    [
        ("lenet5", {}, 64),  # it trains on single images of 32x32
        ("lenet5", {"last_batch": "discard"}, 1),
        ("lenet5", {"batch_size": 2, "micro_batch_size": 2}, 2),
        ("lenet", {"batch_size": 32}, 64),
        ("lenet", {"batch_size": 256}, 256),
        ("lenet", {"batch_size": 1, "resize": 224}, 1),
    ],
)
def test_after_small_batches_small_images_are_tested_in_larger_ones(model, changes, count, data):
    settings = published_settings(model, **changes)
    assert evaluation_batch_size(settings) == count
    assert prepare(settings, [mx.cpu()], data).test_data.batch_size == count
