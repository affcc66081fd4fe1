"""The facts of a checkpoint: their fields, and what must be true of them."""

from dataclasses import dataclass
import math
from typing import Any, Dict, List, Tuple

from gluon_classics._format import first_line
from gluon_classics.utils.history import EpochRecord
import msgspec
import numpy as np

from .checkpoint import Damaged, read_checkpoint
from .record import check_epochs


@dataclass(frozen=True)
class MetricsFacts:
    """The metrics of the current epoch, as `RunningMetrics.state` returns them."""

    loss: float
    correct: float
    batches: List[Tuple[int, float, float]]

    def __post_init__(self):
        losses = right = 0.0
        for examples, loss, correct in self.batches:
            if examples < 1 or not math.isfinite(loss) or not 0 <= correct <= examples:
                raise ValueError(f"a batch of {examples} images has the loss {loss} and {correct} correct predictions")
            losses, right = losses + loss, right + correct  # as they were added: Python's `sum` rounds differently
        if (losses, right) != (self.loss, self.correct):
            raise ValueError("the metrics are not the sum of those of the batches")


@dataclass(frozen=True)
class CheckpointFacts:
    """The facts of a checkpoint.

    Attributes:
        settings: Settings of the run, by name.
        network: Digest of the network.
        epoch: Number of the current epoch, counted from 0.
        batches: Number of batches of this epoch that are trained.
        metrics: Metrics of these batches.
        seconds: Time that this epoch has taken so far.
        epochs: Metrics of the finished epochs.
        state: Facts from `capture_trainer`.
    """

    settings: Dict[str, Any]
    network: str
    epoch: int
    batches: int
    metrics: MetricsFacts
    seconds: float
    epochs: List[EpochRecord]
    state: Dict[str, Any]

    def __post_init__(self):
        check_epochs(self.epochs)
        if self.epoch != len(self.epochs) or self.batches != len(self.metrics.batches):
            raise ValueError(f"the metrics are not those of epoch {self.epoch} after {self.batches} batches")
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds is {self.seconds}: it must be 0 or more")


def read_training(path) -> Tuple[CheckpointFacts, Dict[str, np.ndarray]]:
    """Return the facts and the arrays of the checkpoint file of a training.

    Raises:
        Damaged: The file is missing or damaged, or no training can have this content.
        RunError: The file has the format of another version, or may not be read.
    """
    facts, arrays = read_checkpoint(path)
    try:
        return msgspec.convert(facts, CheckpointFacts), arrays
    except (ValueError, msgspec.MsgspecError, OverflowError, RecursionError) as error:
        raise Damaged(f"{path} is damaged ({first_line(error)})") from error
