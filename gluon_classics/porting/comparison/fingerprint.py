"""Fingerprints of tensors: 64 numbers from which the distance of two tensors can be estimated.

Each element is added to or subtracted from one of 64 sums; a hash of its position says which sum and which sign. The
sums of the difference of two tensors are the differences of their sums, and the sum of their squares is on average the
squared L2 norm of the difference. The estimated norm has a standard deviation of about 9 %.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SUMS = 64
MOST_CHANNELS = 1024  # of a tensor whose means per channel are kept
_CHUNK = 1 << 20  # elements at a time, to limit the memory


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a tensor.

    Attributes:
        shape: Its shape.
        max_abs: Largest absolute value.
        l2: L2 norm.
        channel_means: Mean of each channel, which is axis 1. Empty if that axis is missing or too long.
        sums: The 64 sums, float64.
        rounding: Relative L2 error of the tensor in float32, measured against float64, or None if unknown.
    """

    shape: tuple
    max_abs: float
    l2: float
    channel_means: tuple
    sums: np.ndarray
    rounding: float | None = None

    def to_json(self) -> dict:
        """Return the fingerprint as a dictionary for JSON."""
        return {
            "shape": list(self.shape),
            "max_abs": self.max_abs,
            "l2": self.l2,
            "channel_means": list(self.channel_means),
            "sums": base64.b64encode(self.sums.astype("<f8").tobytes()).decode("ascii"),
            "rounding": self.rounding,
        }

    @classmethod
    def from_json(cls, row: dict) -> Fingerprint:
        """Return the fingerprint of a dictionary. Raises ValueError."""
        try:
            sums = np.frombuffer(base64.b64decode(row["sums"], validate=True), "<f8").astype(np.float64)
            shape, means = tuple(row["shape"]), tuple(row["channel_means"])
            result = cls(shape, float(row["max_abs"]), float(row["l2"]), means, sums, row["rounding"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"it is not a fingerprint: {error}") from error
        if sums.shape != (SUMS,):
            raise ValueError(f"it is not a fingerprint: it has {len(sums)} sums")
        return result


def fingerprint(array, rounding: float | None = None) -> Fingerprint:
    """Return the fingerprint of an array.

    Args:
        array: Numbers.
        rounding: Relative L2 error of the array in float32, if known.
    """
    array = np.asarray(array)
    flat = array.reshape(-1)
    sums, squares, largest = np.zeros(SUMS), 0.0, 0.0
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK].astype(np.float64)
        number, positive = _hash(start, part.size)
        sums += np.bincount(number, np.where(positive, part, -part), SUMS)
        squares += float(part @ part)
        largest = max(largest, float(np.abs(part).max()))
    means: tuple = ()
    if array.ndim > 1 and 0 < array.shape[1] <= MOST_CHANNELS and array.size:
        others = tuple(axis for axis in range(array.ndim) if axis != 1)
        means = tuple(float(f"{mean:.6g}") for mean in array.mean(axis=others, dtype=np.float64))
    return Fingerprint(array.shape, largest, float(np.sqrt(squares)), means, sums, rounding)


@lru_cache(maxsize=16)  # networks have many tensors of the same size
def _hash(start, count):
    """Return the number of the sum, and whether the sign is positive, of `count` positions (splitmix64)."""
    h = np.arange(start, start + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    h ^= h >> np.uint64(31)
    return (h & np.uint64(SUMS - 1)).astype(np.intp), (h >> np.uint64(63)).astype(bool)


def estimated_error(found: Fingerprint, reference: Fingerprint) -> float:
    """Return the estimated relative L2 distance of a tensor from the reference; inf if the shapes differ."""
    if found.shape != reference.shape:
        return float("inf")
    distance = float(np.linalg.norm(found.sums - reference.sums))
    return distance / reference.l2 if reference.l2 else distance
