"""The accuracy of the five most probable classes: in evaluations, and in the epochs of a training."""

from dataclasses import replace

from gluon_classics.data.datasets import DataSet
from gluon_classics.data.images import Images
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.evaluation import evaluate, predict_probabilities, top_accuracy
from gluon_classics.utils.metrics import ranks
import mxnet as mx
from mxnet.gluon import nn
import numpy as np
import pytest


def test_the_label_must_be_among_the_most_probable_classes():
    probabilities = np.array([[0.1, 0.4, 0.2, 0.3], [0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]])
    labels = np.array([3, 2, 0])
    accuracies = [top_accuracy(probabilities, labels, count) for count in (1, 2, 3, 4)]
    np.testing.assert_allclose(accuracies, [1 / 3, 2 / 3, 1, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kinds", [3, 1000], ids=["many equal scores", "few equal scores"])
def test_the_rank_of_a_label_is_its_place_among_the_sorted_scores(rng, kinds, dtype):
    scores = (rng.randint(0, kinds, (200, 12)) / 7).astype(dtype)
    labels = rng.randint(0, 12, 200)
    order = np.argsort(-scores, axis=1, kind="stable")
    expected = (order == labels[:, None]).argmax(axis=1)
    found = ranks(mx.nd.array(scores, dtype=dtype), mx.nd.array(labels, dtype="int32")).asnumpy()
    assert np.array_equal(found, expected)
    assert len(set(expected)) == 12


@pytest.fixture
def net():
    """A linear network of 9 pixels, for 6 classes."""
    mx.random.seed(1)
    net = nn.Sequential()
    net.add(nn.Flatten(), nn.Dense(6))
    net.initialize(mx.init.Normal(0.5))
    net(mx.nd.zeros((1, 1, 3, 3)))
    return net


@pytest.mark.parametrize("contexts", [[mx.cpu()], [mx.cpu(0), mx.cpu(1)]], ids=["one", "two"])
def test_an_evaluation_counts_the_labels_among_the_five_best(rng, net, contexts):
    net.collect_params().reset_ctx(contexts)
    batches = [
        (mx.nd.array(rng.rand(count, 1, 3, 3)), mx.nd.array(rng.randint(0, 6, count))) for count in (20, 20, 7, 1)
    ]
    labels = np.concatenate([labels.asnumpy() for _, labels in batches])
    probabilities = predict_probabilities(batches, net, contexts)
    metrics = evaluate(batches, net, contexts)
    assert metrics.among_best / 48 == pytest.approx(top_accuracy(probabilities, labels, 5))
    assert metrics.correct < metrics.among_best < 48


@pytest.mark.parametrize(("classes", "is_counted"), [(5, False), (6, True)])
def test_with_no_more_than_five_classes_there_is_no_top_5_accuracy(rng, classes, is_counted):
    net = nn.Dense(classes)
    net.initialize()
    metrics = evaluate([(mx.nd.array(rng.rand(4, 3)), mx.nd.array([0, 1, 2, 3]))], net, mx.cpu())
    assert (metrics.among_best is not None) is is_counted


def data_of(rng, classes):
    images = Images(rng.randint(0, 256, (60, 28, 28, 1), np.uint8), np.arange(60) % classes)
    return DataSet("few", images, images, tuple("abcdefghijkl"[:classes]), "")


def test_each_epoch_has_the_top_5_accuracy_of_the_test_images(rng):
    data = data_of(rng, 12)
    settings = Settings("lenet", epochs=2, batch_size=10)
    experiment = prepare(settings, [mx.cpu()], data)
    history = experiment.train()
    probabilities = predict_probabilities(experiment.test_data, experiment.net, mx.cpu())
    last = history[-1]
    assert last.test_top_5_accuracy == pytest.approx(top_accuracy(probabilities, data.test.labels, 5))
    assert last.test_accuracy < last.test_top_5_accuracy < 1
    held_out = prepare(replace(settings, validation_share=0.5), [mx.cpu()], data).train()
    assert all(epoch.test_top_5_accuracy is not None for epoch in held_out)
    few = prepare(settings, [mx.cpu()], data_of(rng, 4)).train()
    assert [epoch.test_top_5_accuracy for epoch in few] == [None, None]
