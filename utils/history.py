"""The metrics of a training, epoch by epoch."""

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

METRICS = ("train_loss", "train_accuracy", "test_accuracy")  # of every epoch


@dataclass(frozen=True)
class EpochRecord:
    """The metrics of one pass over the training data.

    Attributes:
        epoch: Number of the epoch, counted from 0.
        train_loss: Mean loss per example. Each batch is measured before its update.
        train_accuracy: Fraction 0..1 of correct predictions, measured in the same way.
        test_accuracy: Fraction 0..1 after the epoch.
        seconds: Duration of the epoch with its evaluation.
        images_per_second: Speed of the training part.
        curve: Points along the epoch: images seen, loss and accuracy since the previous point.
        validation_accuracy: Fraction 0..1 after the epoch; None without validation images.
        test_top_5_accuracy: Fraction 0..1 of the test images whose class is among the 5 most probable ones; None with
            no more than 5 classes, and in older records.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float
    images_per_second: float
    curve: Tuple[Tuple[int, float, float], ...] = ()
    validation_accuracy: Optional[float] = None
    test_top_5_accuracy: Optional[float] = None


def best_epoch(accuracies: Sequence[float]) -> int:
    """Return the number of the epoch with the highest accuracy, counted from 0; of equal ones, the first.

    Args:
        accuracies: Accuracy after each epoch, at least one.
    """
    return max(range(len(accuracies)), key=accuracies.__getitem__)


def has_stopped(accuracies: Sequence[float], patience: Optional[int]) -> bool:
    """Return whether a training stops early after these epochs.

    Args:
        accuracies: Accuracy after each finished epoch.
        patience: Number of epochs without a higher accuracy than the best one, 1 or more; None never stops.
    """
    if patience is None or not accuracies:
        return False
    return len(accuracies) - 1 - best_epoch(accuracies) >= patience
