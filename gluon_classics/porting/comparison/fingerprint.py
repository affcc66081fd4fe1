"""Fingerprints of tensors: 64 numbers from which the distance of two tensors can be estimated.

Each element is added to or subtracted from one of 64 sums; a hash of its position says which sum and which sign. Blocks
of 2^20 elements have the same hash, apart from the order and the sign of their sums. The sums of the difference of two
tensors are the differences of their sums, and the sum of their squares is on average the squared L2 norm of the
difference. The estimated norm has a standard deviation of about 9 %.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SUMS = 64
_CODES = {"float32": "<f4", "float64": "<f8"}
MOST_CHANNELS = 1024  # of a tensor whose means per channel are kept
_BLOCK = 1 << 20  # elements; also limits the memory


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a tensor.

    Attributes:
        shape: Its shape.
        max_abs: Largest absolute value.
        l2: L2 norm.
        channel_means: Mean of each channel, which is axis 1. Empty if that axis is missing or too long, or if the means
            were left out.
        sums: The 64 sums, float64.
        rounding: Relative L2 error of the tensor in float32, measured against float64, or None if unknown.
    """

    shape: tuple
    max_abs: float
    l2: float
    channel_means: tuple
    sums: np.ndarray
    rounding: float | None = None

    def to_json(self, dtype: str = "float64") -> dict:
        """Return the fingerprint as a dictionary for JSON.

        Args:
            dtype: Number type of the sums, "float32" or "float64".
        """
        return {
            "shape": list(self.shape),
            "max_abs": self.max_abs,
            "l2": self.l2,
            "channel_means": list(self.channel_means),
            "sums": base64.b64encode(self.sums.astype(_CODES[dtype]).tobytes()).decode("ascii"),
            "rounding": self.rounding,
        }

    @classmethod
    def from_json(cls, row: dict) -> Fingerprint:
        """Return the fingerprint of a dictionary. Raises ValueError."""
        try:
            data = base64.b64decode(row["sums"], validate=True)
            sums = np.frombuffer(data, _CODES["float32" if len(data) == 4 * SUMS else "float64"]).astype(np.float64)
            shape, means = tuple(row["shape"]), tuple(row["channel_means"])
            result = cls(shape, float(row["max_abs"]), float(row["l2"]), means, sums, row["rounding"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"it is not a fingerprint: {error}") from error
        if sums.shape != (SUMS,):
            raise ValueError(f"it is not a fingerprint: it has {len(sums)} sums")
        return result


def fingerprint(array, rounding: float | None = None, means: bool = True) -> Fingerprint:
    """Return the fingerprint of an array.

    Args:
        array: Numbers.
        rounding: Relative L2 error of the array in float32, if known.
        means: Whether to keep the mean of each channel.
    """
    array = np.asarray(array)
    flat = array.reshape(-1)
    sums, squares, largest = np.zeros(SUMS), 0.0, 0.0
    numbers, signs = _hash_of_block()
    for block, start in enumerate(range(0, flat.size, _BLOCK)):
        part = flat[start : start + _BLOCK].astype(np.float64)
        found = np.bincount(numbers[: part.size], part * signs[: part.size], SUMS)
        mixed = int(_mixed(np.uint64(block + 1)))
        sums += found[np.arange(SUMS) ^ (mixed % SUMS)] * (1 if mixed >> 63 else -1)
        squares += float(part @ part)
        largest = max(largest, float(np.abs(part).max()))
    channel_means: tuple = ()
    if means and array.ndim > 1 and 0 < array.shape[1] <= MOST_CHANNELS and array.size:
        others = tuple(axis for axis in range(array.ndim) if axis != 1)
        channel_means = tuple(float(f"{mean:.6g}") for mean in array.mean(axis=others, dtype=np.float64))
    return Fingerprint(array.shape, largest, float(np.sqrt(squares)), channel_means, sums, rounding)


@lru_cache(maxsize=1)
def _hash_of_block():
    """Return the number of the sum, and the sign, of each position in a block."""
    h = _mixed(np.arange(_BLOCK, dtype=np.uint64) << np.uint64(32))
    return (h & np.uint64(SUMS - 1)).astype(np.intp), np.where(h >> np.uint64(63), 1.0, -1.0)


def _mixed(h):
    """Return 64 bits that depend on all bits of h (splitmix64)."""
    with np.errstate(over="ignore"):  # of a single number; arrays wrap around silently
        h = h * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return h ^ (h >> np.uint64(31))


def estimated_error(found: Fingerprint, reference: Fingerprint) -> float:
    """Return the estimated relative L2 distance of a tensor from the reference; inf if the shapes differ."""
    if found.shape != reference.shape:
        return float("inf")
    distance = float(np.linalg.norm(found.sums - reference.sums))
    return distance / reference.l2 if reference.l2 else distance
