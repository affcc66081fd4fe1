"""The metrics of a training, epoch by epoch."""

from dataclasses import dataclass
from typing import Tuple

METRICS = ("train_loss", "train_accuracy", "test_accuracy")


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
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float
    images_per_second: float
    curve: Tuple[Tuple[int, float, float], ...] = ()
