"""Random numbers: every one is a function of a run's seed and of the place where it is drawn.

On the CPU MXNet seeds 1024 generators with 127 * s + i, so that seeds closer than 8 share most of their draws. NumPy's
SeedSequence spreads each seed first, which makes seeds 0, 1, 2 independent replicates.
"""

from __future__ import annotations

from dataclasses import dataclass
import random

import mxnet as mx
import numpy as np

# What keeps a run's streams apart: the first number of their keys.
_ORDER, _MXNET, _SOME = range(3)

# Seeding MXNet takes about 2 ms. So much forward work, in multiply-accumulates, keeps two cores busy for some tenths of
# a second: between seedings there is as much, but no more batches than that, so that the cost stays around 1 % and a
# fixed point is never far.
WORK_BETWEEN_SEEDS = 10e9
BATCHES_BETWEEN_SEEDS = 256


def seed_everything(seed: int) -> None:
    """Seed MXNet (weights, dropout), NumPy (shuffling) and Python from one number, 0 or more."""
    for_mxnet, for_numpy, for_python = np.random.SeedSequence(seed).generate_state(3)
    _seed_mxnet(for_mxnet)
    np.random.seed(int(for_numpy))
    random.seed(int(for_python))


@dataclass(frozen=True)
class RandomStreams:
    """The random numbers of a training, made anew from its seed at fixed points.

    MXNet's generators cannot be read back. They are seeded before every `every`-th batch of an epoch, from the epoch
    and the batch, so that a run resumed there draws what an uninterrupted one draws.
    """

    seed: int
    every: int = 1

    @classmethod
    def for_work(cls, seed: int, macs: int) -> RandomStreams:
        """Streams seeded as often as costs little, where a batch takes `macs` forward multiply-accumulates."""
        return cls(seed, max(1, min(BATCHES_BETWEEN_SEEDS, round(WORK_BETWEEN_SEEDS / macs))))

    def order(self, epoch: int) -> np.random.RandomState:
        """The generator of an epoch's order of examples, a new one in each call."""
        return np.random.RandomState(np.random.MT19937(self._sequence(_ORDER, epoch)))

    def some(self, epoch: int, batches: int, examples: int, count: int) -> np.ndarray:
        """(count,): numbers of different examples of so many, another choice at each place; all if there are fewer."""
        rng = np.random.RandomState(np.random.MT19937(self._sequence(_SOME, epoch, batches)))
        return rng.permutation(examples)[:count]

    def is_fixed_point(self, batches: int) -> bool:
        """Whether a run can be resumed exactly after so many batches of an epoch."""
        return batches % self.every == 0

    def enter(self, epoch: int, batches: int) -> None:
        """Seed MXNet's generators if this, after so many batches of the epoch, is a fixed point."""
        if self.is_fixed_point(batches):
            _seed_mxnet(self._sequence(_MXNET, epoch, batches).generate_state(1)[0])

    def _sequence(self, *key):
        return np.random.SeedSequence(self.seed, spawn_key=key)


def _seed_mxnet(spread):
    mx.random.seed(int(spread) >> 1)  # MXNet takes 31 bits
