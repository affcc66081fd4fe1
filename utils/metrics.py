"""Metrics that are summed during training, without waiting for MXNet."""

from __future__ import annotations

from collections import deque
import math

from mxnet import nd
import numpy as np

LATE = 2  # batches: by then a sum is computed, and the queue stays short
CURVE_POINTS = 50
BEST = 5  # scores, whose classes count as found in a top-5 accuracy


class RunningMetrics:
    """Mean loss and accuracy over the examples so far.

    MXNet computes asynchronously. The sums of a batch are read `LATE` batches after they were queued, so that MXNet
    always has work while Python waits, and at most `LATE` batches are in memory. `finish` reads the rest.
    """

    def __init__(self) -> None:
        self.examples = 0
        self._loss = 0.0
        self._correct = 0.0
        self._among_best: float | None = None
        self._batches: list[tuple[int, float, float]] = []
        self._queued: deque[tuple[int, list[nd.NDArray]]] = deque()

    def state(self) -> dict:
        """Return the content, for JSON. Wait for the queued batches."""
        self.finish()
        return {"loss": self._loss, "correct": self._correct, "batches": self._batches}

    @classmethod
    def of_state(cls, state: dict) -> RunningMetrics:
        """Return metrics with this `state`, to which more batches can be added."""
        metrics = cls()
        metrics._loss, metrics._correct = state["loss"], state["correct"]
        metrics._batches = [tuple(batch) for batch in state["batches"]]
        metrics.examples = sum(examples for examples, *_ in metrics._batches)
        return metrics

    def add(self, examples: int, sums: list[nd.NDArray]) -> None:
        """Queue a batch of `examples` examples with its `batch_sums` or `evaluation_sums` on each context."""
        self._queued.append((examples, sums))
        while len(self._queued) > LATE:
            self._read()

    def finish(self) -> None:
        """Wait for the queued batches and add them."""
        while self._queued:
            self._read()

    @property
    def loss(self) -> float:
        """Mean loss of the examples read so far (nan before the first)."""
        return self._loss / self.examples if self.examples else np.nan

    @property
    def correct(self) -> float:
        """Number of the examples read so far that were classified correctly."""
        return self._correct

    @property
    def among_best(self) -> float | None:
        """Number of the examples read so far with their label among the 5 best classes; None if it is not counted."""
        return self._among_best

    @property
    def accuracy(self) -> float:
        """Fraction 0..1 of the examples read so far that were classified correctly (nan before the first)."""
        return self._correct / self.examples if self.examples else np.nan

    def curve(self) -> tuple[tuple[int, float, float], ...]:
        """Return at most 50 points: the number of examples, and mean loss and accuracy since the previous point."""
        length = max(1, -(-len(self._batches) // CURVE_POINTS))
        points = []
        seen = 0
        for start in range(0, len(self._batches), length):
            examples, loss, correct = map(sum, zip(*self._batches[start : start + length]))
            seen += examples
            points.append((seen, loss / examples, correct / examples))
        return tuple(points)

    def has_risen(self) -> bool:
        """Return whether the mean loss rose over the batches with a finite loss, or there are fewer than two."""
        losses = [loss / examples for examples, loss, _ in self._batches if math.isfinite(loss)]
        return len(losses) < 2 or losses[-1] > losses[0]

    def _read(self):
        examples, sums = self._queued.popleft()
        loss, correct, *among_best = map(float, sum(array.asnumpy() for array in sums))
        self._batches.append((examples, loss, correct))
        self.examples += examples
        self._loss += loss
        self._correct += correct
        if among_best:
            self._among_best = (self._among_best or 0.0) + among_best[0]


def batch_sums(scores: nd.NDArray, labels: nd.NDArray, losses: nd.NDArray | None = None) -> nd.NDArray:
    """Return (2,): the sum of `losses`, (N,), and the number of rows of `scores`, (N, classes), that are correct."""
    correct = correct_predictions(scores, labels).sum()
    loss = nd.zeros_like(correct) if losses is None else losses.sum()
    return nd.concat(loss, correct, dim=0)


def evaluation_sums(scores: nd.NDArray, labels: nd.NDArray) -> nd.NDArray:
    """Return (3,): what `batch_sums` returns, and the number of rows with their label among the 5 largest entries.

    With no more than 5 classes the last number is missing.
    """
    sums = batch_sums(scores, labels)
    if scores.shape[1] <= BEST:
        return sums
    return nd.concat(sums, (ranks(scores, labels) < BEST).sum(), dim=0)


def ranks(scores: nd.NDArray, labels: nd.NDArray) -> nd.NDArray:
    """Return (N,): how many entries of each row of `scores`, (N, classes), come before that at its label.

    Of equal entries the first ones come before the others, as in `argmax`.
    """
    labels = labels.astype(scores.dtype).expand_dims(1)
    at_label = nd.pick(scores, labels, keepdims=True)
    classes = nd.arange(scores.shape[1], ctx=scores.context, dtype=scores.dtype).expand_dims(0)
    is_before = nd.broadcast_greater(scores, at_label)
    is_before += nd.broadcast_equal(scores, at_label) * nd.broadcast_lesser(classes, labels)
    return is_before.sum(axis=1)


def correct_predictions(scores: nd.NDArray, labels: nd.NDArray) -> nd.NDArray:
    """Return (N,): 1 for each row of `scores`, (N, classes), whose largest entry is at its label, else 0."""
    return scores.argmax(axis=1) == labels.astype(scores.dtype)
