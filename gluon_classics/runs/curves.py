"""Plot the metrics of a run."""

from __future__ import annotations

from typing import Sequence

from gluon_classics.utils.history import EpochRecord


def draw(epochs: Sequence[EpochRecord], title: str, path) -> None:
    """Plot the training loss and the accuracies over the epochs as a PNG file.

    Args:
        epochs: Metrics of the epochs, at least one.
        title: Title of the picture.
        path: File to write.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    points = [
        (epoch.epoch + images / epoch.curve[-1][0], loss, accuracy)
        for epoch in epochs
        for images, loss, accuracy in epoch.curve
    ]
    places, losses, accuracies = zip(*points)
    ends = [epoch.epoch + 1 for epoch in epochs]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(places, losses, label="training")
    left.set_ylabel("loss")
    right.plot(places, accuracies, label="training")
    right.plot(ends, [epoch.test_accuracy for epoch in epochs], "o", label="test")
    if epochs[0].validation_accuracy is not None:
        right.plot(ends, [epoch.validation_accuracy for epoch in epochs], "x", label="validation")
    right.set_ylabel("accuracy")
    for axes in (left, right):
        axes.set_xlabel("epochs")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120, format="png")
