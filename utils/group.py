"""The processes that train a network together, as the training loop sees them."""

from __future__ import annotations

from typing import Any

from mxnet import gluon, nd
import numpy as np


class Group:
    """A group of processes: this class is one of this process alone, `distributed.group.WorkerGroup` of several.

    All processes of a group must call the same methods in the same order.

    Attributes:
        rank: Number of this process, counted from 0.
        size: Number of processes.
        on_machine: Number of those on this machine.
    """

    rank = 0
    size = 1
    on_machine = 1

    def gather(self, array: np.ndarray) -> list[np.ndarray]:
        """Return the arrays of all processes, in the order of their ranks. They may have different lengths."""
        return [array]

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of the arrays of all processes. It is bit-identical in all of them."""
        first, *others = self.gather(array)
        for other in others:
            first = first + other
        return first

    def share(self, value: Any) -> Any:
        """Return the value of process 0, which JSON must be able to hold. The others' are ignored."""
        return value

    def queue_sum(self, sums: list[nd.NDArray]) -> list[nd.NDArray]:
        """Return the sums of the metrics of a batch, over all processes.

        Args:
            sums: Sums (2,) of this process, one for each part of its batch.

        Returns:
            Arrays (2,), whose values are known after the next step of the trainer.
        """
        return sums


def average_statistics(net: gluon.nn.Block, group: Group) -> None:
    """Give the running statistics of all processes of a group their mean.

    Each process computes them from its share of the images, as each of several devices does.
    """
    if group.size == 1:
        return
    nd.waitall()  # MXNet's engine does not know that the backward pass writes running statistics
    statistics = [parameter for parameter in net.collect_params().values() if not parameter._differentiable]
    own = [parameter._reduce().asnumpy() for parameter in statistics]
    rows = group.gather(np.concatenate([values.ravel() for values in own])) if own else []
    ends = np.cumsum([values.size for values in own])
    for parameter, values, end in zip(statistics, own, ends):
        parts = [row[end - values.size : end] for row in rows]
        if not all(np.array_equal(parts[0], part) for part in parts):  # fixed weights are equal, and keep their bits
            mean = np.mean(parts, axis=0, dtype=np.float64)
            for array in parameter.list_data():  # `set_data` would also reset the trainer's key-value store
                array[:] = mean.reshape(values.shape)
