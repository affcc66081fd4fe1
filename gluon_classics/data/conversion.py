"""Arrays of files as images and labels: what can be meant is converted, everything else is refused."""

from __future__ import annotations

import math
from typing import Sequence

from gluon_classics._format import format_shape
from gluon_classics.errors import DataError
import numpy as np

NUMBERS = "buif"  # kinds of NumPy types: truth values, unsigned and signed integers, floats


def to_labels(array: np.ndarray, name: str) -> np.ndarray:
    """Return labels as whole numbers, (N,). uint8 stays uint8; every other type becomes int64.

    Args:
        array: (N,) or (N, 1), of any type of numbers whose values are whole.
        name: The array, for messages.

    Raises:
        DataError: The labels have another shape or type, or they are negative, fractions, infinite or not a number.
    """
    if array.dtype.kind not in NUMBERS:
        raise DataError(f"the labels in {name} are of type {array.dtype}: save them as whole numbers from 0")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        shape = format_shape(array.shape) or "()"
        raise DataError(f"the labels in {name} have the shape {shape}: save one whole number for each image")
    if array.dtype == np.uint8:
        return array
    if not np.isfinite(array).all():
        raise DataError(f"{name} has a label that is not a finite number: save whole numbers from 0")
    with np.errstate(invalid="ignore"):  # numbers beyond 64 bits, which are wrong below
        labels = array.astype(np.int64)
    wrong = (labels != array) | (labels < 0)
    if wrong.any():
        raise DataError(f"{name} has the label {array[wrong][0]!s}: save whole numbers from 0")
    return labels


def to_pixels(arrays: Sequence[np.ndarray], names: Sequence[str]) -> tuple[list[np.ndarray], str | None]:
    """Return images as (N, H, W, C) uint8 and what was converted, or None.

    If all values are from 0 to 1, they are multiplied by 255 and rounded, unless all are 0 or all are 1.

    Args:
        arrays: The training and the test images: (N, H, W), (N, H, W, C), (N, C, H, W), or (N, S * S) for square gray
            images; C is 1 or 3.
        names: The arrays, for messages.

    Raises:
        DataError: An array has another shape or type, values outside of 0..255, or fractions above 1.
    """
    arrays = [_channels_last(array, name) for array, name in zip(arrays, names)]
    ranges = [_range(array, name) for array, name in zip(arrays, names)]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if low < 1 and 0 < high <= 1:  # fractions, or both 0 and 1
        scaled = [np.rint(array.astype(np.float32) * 255).astype(np.uint8) for array in arrays]
        return scaled, "pixels from 0 to 1 are multiplied by 255"
    for array, name in zip(arrays, names):
        is_fraction = array != np.floor(array) if array.dtype.kind == "f" else np.zeros(0, bool)
        if is_fraction.any():
            example = array[is_fraction][0]
            raise DataError(f"{name} has the pixel {example:g}: save whole numbers to 255, or fractions from 0 to 1")
    return [array.astype(np.uint8, copy=False) for array in arrays], None


def _range(array, name):
    """Return the lowest and the highest value of an array. Raises DataError unless they can be pixels."""
    if array.dtype.kind not in NUMBERS:
        raise DataError(f"the images in {name} are of type {array.dtype}: save pixels as whole numbers from 0 to 255")
    if not array.size:
        raise DataError(f"{name} has 0 images or pixels: its shape is {format_shape(array.shape)}")
    low, high = array.min(), array.max()  # not a number if a value is not a number
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name} has a pixel that is not a finite number: save pixels from 0 to 255")
    if low < 0 or high > 255:
        raise DataError(f"{name} has pixels from {low:g} to {high:g}: save pixels from 0 to 255")
    return low, high


def _channels_last(array, name):
    shape = array.shape
    if len(shape) == 2 and square_side(shape[1]):
        return array.reshape(len(array), square_side(shape[1]), -1, 1)
    if len(shape) == 3:
        return array[..., None]
    if len(shape) == 4:
        first, last = shape[1] in (1, 3), shape[3] in (1, 3)
        if last and not first:
            return array
        if first and not last:
            return array.transpose(0, 2, 3, 1)
    raise DataError(
        f"the images in {name} have the shape {format_shape(shape) or '()'}: save them as N x height x width, "
        "or with 1 or 3 channels as the last dimension"
    )


def square_side(pixels: int) -> int | None:
    """Return the side of the square with this number of pixels, or None if there is none."""
    side = math.isqrt(max(pixels, 0))
    return side if side and side * side == pixels else None
