"""The metrics of an epoch and the points along it, by hand."""

from gluon_classics.utils.metrics import RunningMetrics
from mxnet import nd
import pytest


def metrics_of(batches):
    """The metrics of batches of `examples` examples with the sums of their losses and of correct predictions."""
    metrics = RunningMetrics()
    for examples, loss, correct in batches:
        metrics.add(examples, [nd.array([loss, correct])])
    metrics.finish()
    return metrics


def test_a_point_has_the_means_since_the_point_before():
    metrics = metrics_of([(4, 8, 1), (4, 4, 2), (2, 1, 2)])
    assert metrics.curve() == ((4, 2.0, 0.25), (8, 1.0, 0.5), (10, 0.5, 1.0))
    assert (metrics.loss, metrics.accuracy) == (1.3, 0.5)


@pytest.mark.parametrize("batches", [1, 50, 51, 99, 100, 101])
def test_an_epoch_has_at_most_50_points_which_cover_all_batches(batches):
    metrics = metrics_of([(2, number, 1) for number in range(batches)])
    curve = metrics.curve()
    assert min(batches, 25) <= len(curve) <= 50
    assert curve[-1][0] == metrics.examples == 2 * batches
    before = [0, *(seen for seen, _, _ in curve)]
    total = sum((seen - start) * loss for start, (seen, loss, _) in zip(before, curve))
    assert total == pytest.approx(sum(range(batches)))
