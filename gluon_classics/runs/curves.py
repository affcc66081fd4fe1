"""The picture of a run."""

from __future__ import annotations


def draw(results, title: str, path) -> None:
    """Training loss and accuracy along the way and test accuracy after each epoch, as a PNG file.

    Raises ImportError without matplotlib.
    """
    from matplotlib.figure import Figure

    ways = [
        [(result.epoch + seen / result.curve[-1][0], *point) for seen, *point in result.curve] for result in results
    ]
    epochs, losses, accuracies = zip(*(point for way in ways for point in way))
    ends = [result.epoch + 1 for result in results]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, losses, label="training")
    left.set_ylabel("loss")
    right.plot(epochs, accuracies, label="training")
    right.plot(ends, [result.test_accuracy for result in results], "o", label="test")
    right.set_ylabel("accuracy")
    for axes in (left, right):
        axes.set_xlabel("epochs")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120, format="png")
