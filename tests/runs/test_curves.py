"""The picture of a run shows the points of each epoch where they belong."""

from gluon_classics.runs import curves
from gluon_classics.utils.history import EpochRecord
from matplotlib.figure import Figure
import numpy as np


def test_points_are_drawn_in_fractions_of_their_epochs(monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_arguments, **_options: saved.append(figure))
    epochs = [
        EpochRecord(0, 1.5, 0.5, 0.7, 6.0, 100.0, ((75, 2.0, 0.4), (100, 1.0, 0.6))),
        EpochRecord(1, 0.8, 0.8, 0.9, 6.0, 100.0, ((50, 0.9, 0.7), (100, 0.7, 0.8))),
    ]
    curves.draw(epochs, "title", "curves.png")
    (figure,) = saved
    drawn = [np.array(line.get_xydata()).tolist() for axes in figure.axes for line in axes.lines]
    assert drawn == [
        [[0.75, 2.0], [1.0, 1.0], [1.5, 0.9], [2.0, 0.7]],
        [[0.75, 0.4], [1.0, 0.6], [1.5, 0.7], [2.0, 0.8]],
        [[1.0, 0.7], [2.0, 0.9]],
    ]
