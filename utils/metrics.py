"""Sums over batches that do not hold up the batches."""

from __future__ import annotations

from collections import deque

from mxnet import nd
import numpy as np

LATE = 2  # batches: reading a sum this late finds it computed, and bounds how much work and memory is queued


CURVE_POINTS = 50


class Tally:
    """Loss and correct predictions, summed over examples.

    MXNet runs behind Python. Batch sums are read `LATE` batches after they were queued: MXNet always has work
    left while Python waits, and yet no more than `LATE` batches are in memory. `finish` reads the rest.
    """

    def __init__(self) -> None:
        self.examples = 0
        self._loss = 0.0
        self._correct = 0.0
        self._batches: list[tuple[int, float, float]] = []
        self._queued: deque[tuple[int, list[nd.NDArray]]] = deque()

    def state(self) -> dict:
        """All that was added, for JSON; waits for what is queued."""
        self.finish()
        return {"loss": self._loss, "correct": self._correct, "batches": self._batches}

    @classmethod
    def of_state(cls, state: dict) -> Tally:
        """The tally that had this `state`, to add more."""
        tally = cls()
        tally._loss, tally._correct = state["loss"], state["correct"]
        tally._batches = [tuple(batch) for batch in state["batches"]]
        tally.examples = sum(examples for examples, *_ in tally._batches)
        return tally

    def add(self, examples: int, sums: list[nd.NDArray]) -> None:
        """Queue a batch of so many examples, `sums` being `batch_sums` on each of its contexts."""
        self._queued.append((examples, sums))
        while len(self._queued) > LATE:
            self._read()

    def finish(self) -> None:
        """Wait for what is queued."""
        while self._queued:
            self._read()

    @property
    def loss(self) -> float:
        """Mean loss of the examples read so far (nan before the first)."""
        return self._loss / self.examples if self.examples else np.nan

    @property
    def accuracy(self) -> float:
        """Fraction 0..1 of the examples read so far that were classified correctly (nan before the first)."""
        return self._correct / self.examples if self.examples else np.nan

    def curve(self) -> tuple[tuple[int, float, float], ...]:
        """The way so far in at most 50 points: examples seen, and the mean loss and accuracy since the last point."""
        length = max(1, -(-len(self._batches) // CURVE_POINTS))
        points = []
        seen = 0
        for start in range(0, len(self._batches), length):
            examples, loss, correct = map(sum, zip(*self._batches[start : start + length]))
            seen += examples
            points.append((seen, loss / examples, correct / examples))
        return tuple(points)

    def _read(self):
        examples, sums = self._queued.popleft()
        loss, correct = map(float, sum(array.asnumpy() for array in sums))
        self._batches.append((examples, loss, correct))
        self.examples += examples
        self._loss += loss
        self._correct += correct


def batch_sums(scores: nd.NDArray, labels: nd.NDArray, losses: nd.NDArray | None = None) -> nd.NDArray:
    """(2,): the sum of `losses`, shape (N,), and the number of rows of `scores`, (N, classes), right by argmax."""
    correct = right_answers(scores, labels).sum()
    loss = nd.zeros_like(correct) if losses is None else losses.sum()
    return nd.concat(loss, correct, dim=0)


def right_answers(scores: nd.NDArray, labels: nd.NDArray) -> nd.NDArray:
    """(N,): 1 for each row of `scores`, (N, classes), whose largest entry is at its label, else 0."""
    return scores.argmax(axis=1) == labels.astype(scores.dtype)
