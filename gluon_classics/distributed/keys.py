"""The keys of the arrays on the servers.

First come the mailboxes of the workers, through which they exchange small arrays. Then come families of keys with the
same length: the weights, the gradients of each worker, and the states of the optimizer. An array and those that
belong to it have equal positions in their families, so that they are on the same server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

SMALL, LARGE = 64, 1 << 16  # float32 values of a mailbox
BOXES = (SMALL, LARGE)
TURNS = 2  # mailboxes of each size: while one is read, the next one is written
WEIGHT, GRADIENT, STATE = "weight", "gradient", "state"


class Place(NamedTuple):
    """What a key stands for: the kind of array, the worker or the array of the state, and the parameter."""

    kind: str
    member: int
    parameter: int


@dataclass(frozen=True)
class Keys:
    """The keys for a network.

    Attributes:
        workers: Number of workers.
        servers: Number of servers.
        parameters: Number of parameters; the key with this number is that of the metrics.
    """

    workers: int
    servers: int
    parameters: int

    @property
    def first(self) -> int:
        """The first key after the mailboxes."""
        return self._whole(first_after_boxes(self.workers))

    @property
    def length(self) -> int:
        """The length of a family. MXNet chooses the server of a small array by the rest of its key."""
        return self._whole(self.parameters + 1)

    def _whole(self, count):
        return -(-count // self.servers) * self.servers

    def weight(self, index: int) -> int:
        """Return the key of a parameter, or of the sums of the metrics."""
        return self.first + index

    def gradient(self, worker: int, index: int) -> int:
        """Return the key of a worker's gradient."""
        return self.first + self.length * (1 + worker) + index

    def state(self, slot: int, index: int) -> int:
        """Return the key of an array of the optimizer's state."""
        return self.first + self.length * (1 + self.workers + slot) + index

    def place(self, key: int) -> Place:
        """Return what a key after the mailboxes stands for."""
        family, index = divmod(key - self.first, self.length)
        if family == 0:
            return Place(WEIGHT, 0, index)
        if family <= self.workers:
            return Place(GRADIENT, family - 1, index)
        return Place(STATE, family - 1 - self.workers, index)


def box(worker: int, workers: int, size: int, turn: int) -> int:
    """Return the key of a worker's mailbox."""
    return (BOXES.index(size) * TURNS + turn) * workers + worker


def first_after_boxes(workers: int) -> int:
    """Return the number of mailboxes."""
    return len(BOXES) * TURNS * workers
