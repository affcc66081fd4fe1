"""The picture of a run."""

from __future__ import annotations


def draw(results, title: str, path) -> None:
    """Loss and accuracies over the epochs, as PNG. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [result.epoch for result in results]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    losses.plot(epochs, [result.train_loss for result in results], "o-", label="training (running)")
    losses.set_ylabel("loss")
    accuracies.plot(epochs, [result.train_accuracy for result in results], "o-", label="training (running)")
    accuracies.plot(epochs, [result.test_accuracy for result in results], "s-", label="test")
    accuracies.set_ylabel("accuracy")
    for axes in (losses, accuracies):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120, format="png")
