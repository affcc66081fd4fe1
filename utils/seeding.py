"""Seed the random number generators.

In a training run, each random number depends only on the seed and on where it is drawn: in the initial weights, or in
a certain epoch and batch.

On the CPU, MXNet has 1024 generators and seeds generator i with 127 * seed + i. Seeds that differ by less than 8
therefore give mostly the same numbers. Here, NumPy's SeedSequence spreads each seed first, so that runs with the seeds
0, 1 and 2 are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
import random

from gluon_classics._numbers import is_whole
from gluon_classics.errors import ClassicsError
import mxnet as mx
import numpy as np

_ORDER, _MXNET, _SOME, _AUGMENT = range(4)  # the first number of each stream's key, which makes the streams independent

# Seeding MXNet takes about 2 ms. Between two seedings there is this much forward work, in multiply-accumulates, which
# takes a few tenths of a second on two cores. The cost of seeding is then about 1%. The number of batches is limited
# too, so that a run can be resumed close to where it stopped.
WORK_BETWEEN_SEEDS = 10e9
BATCHES_BETWEEN_SEEDS = 256


def seed_everything(seed: int) -> None:
    """Seed the generators of MXNet (weights, dropout), NumPy (shuffling) and Python.

    Args:
        seed: An integer, 0 or more.

    Raises:
        ClassicsError: `seed` is something else.
    """
    if not is_whole(seed, 0):
        raise ClassicsError(f"the seed is {seed!r:.40}: use a whole number, 0 or more")
    for_mxnet, for_numpy, for_python = np.random.SeedSequence(seed).generate_state(3)
    _seed_mxnet(for_mxnet)
    np.random.seed(int(for_numpy))
    random.seed(int(for_python))


@dataclass(frozen=True)
class RandomStreams:
    """The random numbers of a training run.

    The state of MXNet's generators cannot be saved. They are therefore seeded again before every `every`-th batch of an
    epoch, from the seed, the epoch and the batch. A run that is resumed at such a fixed point draws the same numbers as
    an uninterrupted run.

    Attributes:
        seed: The seed of the run, 0 or more.
        every: The number of batches between two fixed points, 1 or more.
        rank: The number of this process, if several train together. Only MXNet's numbers, such as dropout masks, depend
            on it.
    """

    seed: int
    every: int = 1
    rank: int = 0

    @classmethod
    def for_work(cls, seed: int, macs: int, rank: int = 0) -> RandomStreams:
        """Return streams with as many fixed points as possible at a small cost.

        Args:
            seed: The seed of the run.
            macs: The forward multiply-accumulates of a batch.
            rank: The number of this process.
        """
        return cls(seed, max(1, min(BATCHES_BETWEEN_SEEDS, round(WORK_BETWEEN_SEEDS / max(1, macs)))), rank)

    def order(self, epoch: int) -> np.random.RandomState:
        """Return a new generator for the order of the examples in an epoch."""
        return np.random.RandomState(np.random.MT19937(self._sequence(_ORDER, epoch)))

    def some(self, epoch: int, batches: int, examples: int, count: int) -> np.ndarray:
        """Draw `count` different numbers below `examples`, or all of them if there are fewer.

        The choice depends on the seed, the epoch and the number of batches that are done in it.
        """
        rng = np.random.RandomState(np.random.MT19937(self._sequence(_SOME, epoch, batches)))
        return rng.permutation(examples)[:count]

    def augmentation(self, epoch: int) -> np.ndarray:
        """Return the key of the augmentation in an epoch, (2,) uint64; see `data.augmentation`."""
        return self._sequence(_AUGMENT, epoch).generate_state(2, np.uint64)

    def is_fixed_point(self, batches: int) -> bool:
        """Return whether a run can be resumed exactly after this number of batches of an epoch."""
        return batches % self.every == 0

    def enter(self, epoch: int, batches: int) -> None:
        """Seed MXNet's generators if there is a fixed point after this number of batches of the epoch."""
        if self.is_fixed_point(batches):
            ranks = (self.rank,) if self.rank else ()
            _seed_mxnet(self._sequence(_MXNET, epoch, batches, *ranks).generate_state(1)[0])

    def _sequence(self, *key):
        return np.random.SeedSequence(self.seed, spawn_key=key)


def _seed_mxnet(spread):
    mx.random.seed(int(spread) >> 1)  # MXNet takes 31 bits
