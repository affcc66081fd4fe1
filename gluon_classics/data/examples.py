"""Check images and their labels, because a mistake in them can give a plausible, wrong accuracy.

Broadcasting compares (N,) predictions with (N, 1) labels without an error, and MXNet's losses take any number as a
label: -1 and 99 count as the nearest class.
"""

from __future__ import annotations

import warnings

from gluon_classics.errors import DataError
import numpy as np

PIXEL_TYPES = ("uint8", "float32", "float64")


def as_numbers(values) -> np.ndarray:
    """Return nested sequences as an array. Raises DataError if they are ragged, with all versions of NumPy."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy 1.20 to 1.23 only warns
            return np.asarray(values)
    except (ValueError, Warning) as error:
        raise DataError("there are rows of different lengths: use arrays") from error


def check_data_set(images: np.ndarray, labels: np.ndarray) -> None:
    """Check a data set in memory.

    Args:
        images: (N, ...), finite numbers.
        labels: (N,), whole numbers, 0 or more.

    Raises:
        DataError: The images or the labels are not like that, or N is 0.
    """
    check_shapes(images.shape, labels.shape)
    if images.dtype.kind not in "iuf":
        raise DataError(f"the images have type {images.dtype}: use numbers, such as uint8")
    if images.dtype.kind == "f" and not _is_finite(images):
        raise DataError("the images contain values that are infinite or not a number: remove or repair these images")
    check_labels(labels)


def check_shapes(images: tuple[int, ...], labels: tuple[int, ...]) -> None:
    """Check the shapes of images, (N, ...), and of their labels, (N,). Raises DataError."""
    if len(labels) != 1:
        remedy = "labels.reshape(-1)" if labels[1:] == (1,) else "labels.argmax(axis=1) if they are one-hot"
        raise DataError(f"the labels have shape {labels}: use one class number per image, (N,), such as {remedy}")
    if len(images) < 2:
        raise DataError(f"the images have shape {images}: use one row per image, such as (N, C, H, W)")
    if images[0] != labels[0]:
        raise DataError(f"there are {images[0]:,} images, but {labels[0]:,} labels: use one label per image")
    if 0 in images:
        raise DataError(f"the images have shape {images}: there are no pixels")


def check_labels(labels: np.ndarray, classes: int | None = None) -> None:
    """Check that labels are numbers of classes.

    Args:
        labels: (N,), N at least 1.
        classes: The number of classes (default: not known).

    Raises:
        DataError: A label is not a whole number from 0 to `classes` - 1.
    """
    if labels.dtype.kind not in "iuf":
        raise DataError(f"the labels have type {labels.dtype}: use integers, the classes counted from 0")
    if labels.dtype.kind == "f":
        whole = np.isfinite(labels) & (np.floor(labels) == labels)
        if not whole.all():
            raise DataError(f"a label is {labels[~whole][0]:g}: use whole numbers, the classes counted from 0")
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise DataError(f"a label is {low}: count the classes from 0, and leave out images without a class")
    if classes is not None and high >= classes:
        remedy = "subtract 1 if they are counted from 1" if low > 0 else "build the network with more classes"
        raise DataError(f"a label is {high}, but there are {classes} classes, 0 to {classes - 1}: {remedy}")


def check_axes(images: np.ndarray) -> None:
    """Check that images are (N, H, W, C). Raises DataError."""
    if images.ndim != 4:
        raise DataError(f"the images have shape {images.shape}: use (N, H, W, C), where C is 1 for gray images")


def check_pixels(images: np.ndarray) -> None:
    """Check that images are (N, H, W, C) with values 0..255, which preprocessing divides by 255. Raises DataError."""
    check_axes(images)
    if images.dtype.name not in PIXEL_TYPES:
        raise DataError(f"the images have type {images.dtype}: use pixels 0..255, of type {' or '.join(PIXEL_TYPES)}")
    if images.dtype.kind == "f":
        low, high = float(images.min()), float(images.max())
        if low < 0 or high > 255 or 0 < high <= 1:
            raise DataError(f"the images have values from {low:g} to {high:g}: use pixels 0..255, not scaled")


def _is_finite(array):
    with np.errstate(over="ignore"):  # the smallest or the largest value is NaN or infinite if any value is
        return np.isfinite(array.min()) and np.isfinite(array.max())
