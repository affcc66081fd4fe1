"""The picture of a run shows the points of each epoch where they belong."""

from dataclasses import replace

from gluon_classics.runs import curves
from gluon_classics.utils.history import EpochRecord
from matplotlib.figure import Figure
import numpy as np
import pytest

EPOCHS = [
    EpochRecord(0, 1.5, 0.5, 0.7, 6.0, 100.0, ((75, 2.0, 0.4), (100, 1.0, 0.6))),
    EpochRecord(1, 0.8, 0.8, 0.9, 6.0, 100.0, ((50, 0.9, 0.7), (100, 0.7, 0.8))),
]


@pytest.fixture
def drawn(monkeypatch):
    """Return a function from epochs to the points of the lines in their picture."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_arguments, **_options: saved.append(figure))

    def draw(epochs):
        curves.draw(epochs, "title", "curves.png")
        return [np.array(line.get_xydata()).tolist() for axes in saved[-1].axes for line in axes.lines]

    return draw


def test_points_are_drawn_in_fractions_of_their_epochs(drawn):
    assert drawn(EPOCHS) == [
        [[0.75, 2.0], [1.0, 1.0], [1.5, 0.9], [2.0, 0.7]],
        [[0.75, 0.4], [1.0, 0.6], [1.5, 0.7], [2.0, 0.8]],
        [[1.0, 0.7], [2.0, 0.9]],
    ]


def test_validation_accuracies_are_drawn_if_there_are_any(drawn):
    epochs = [replace(epoch, validation_accuracy=0.6 + 0.1 * epoch.epoch) for epoch in EPOCHS]
    assert drawn(epochs)[:3] == drawn(EPOCHS)
    assert drawn(epochs)[3:] == [[[1.0, 0.6], [2.0, 0.7]]]
