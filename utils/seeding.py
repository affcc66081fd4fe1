"""Seeds."""

from __future__ import annotations

import random

import mxnet as mx
import numpy as np


def seed_everything(seed: int) -> None:
    """Seed MXNet (weights, dropout), NumPy (shuffling) and Python from one number, 0 or more.

    On the CPU MXNet seeds 1024 generators with 127 * s + i, so that seeds closer than 8 share most of their
    draws. NumPy's SeedSequence spreads the number first, which makes seeds 0, 1, 2 independent replicates.
    """
    for_mxnet, for_numpy, for_python = np.random.SeedSequence(seed).generate_state(3)
    mx.random.seed(int(for_mxnet) >> 1)  # MXNet takes 31 bits
    np.random.seed(int(for_numpy))
    random.seed(int(for_python))
