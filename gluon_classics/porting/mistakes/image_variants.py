"""Mistakes in preprocessing: resize method, rounding, range, channel order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .variants import Variant
from .weight_variants import INPUT_VARIANTS, Copied


class Image(NamedTuple):
    """A preprocessed image that is not the defined one.

    Attributes:
        raw: The raw image, (H, W, C) in 0..255.
        reference: What the recipe makes of it, (C, H', W').
        found: What the port makes of it.
        recipe: The recipe's preprocessing.
    """

    raw: np.ndarray
    reference: np.ndarray
    found: np.ndarray
    recipe: dict

    def scaled(self, pixels) -> np.ndarray:
        """Return pixels (H, W, C) in 0..255 as an input of the network."""
        low, high = self._range()
        return (pixels / 255 * (high - low) + low).transpose(2, 0, 1)

    def pixels(self, values) -> np.ndarray:
        """Return an input of the network as pixels (H, W, C) in 0..255."""
        low, high = self._range()
        return (values.transpose(1, 2, 0) - low) / (high - low) * 255

    def _range(self):
        """Return what the pixels 0 and 255 become: one number for all channels, (1,), or one for each, (C,)."""
        names = {"pixel_0_becomes": 0.0, "pixel_255_becomes": 1.0}
        return [np.reshape(self.recipe.get(name, default), -1) for name, default in names.items()]


def _linear(distance):
    return np.maximum(0, 1 - distance)


def _cubic(a):
    def weight(distance):
        near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
        far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        return np.where(distance <= 1, near, np.where(distance < 2, far, 0))

    return weight


def _centers(size, outputs, positions):
    """Return the position in the input of each output pixel."""
    numbers = np.arange(outputs)
    if positions == "half":
        return (numbers + 0.5) * size / outputs - 0.5
    if positions == "corners":
        return numbers * ((size - 1) / max(outputs - 1, 1))
    return numbers * size / outputs


def resize_matrix(size, outputs, weight=_linear, positions="half", antialias=False) -> np.ndarray:
    """Return the matrix (outputs, size) that resizes along an axis. Beyond the edge, the edge is repeated."""
    matrix = np.zeros((outputs, size))
    stretch = max(1.0, size / outputs) if antialias else 1.0
    reach = int(np.ceil(2 * stretch)) + 1
    for row, center in enumerate(_centers(size, outputs, positions)):
        taps = np.arange(int(np.floor(center)) - reach, int(np.floor(center)) + reach + 2)
        weights = weight(np.abs(taps - center) / stretch)
        if antialias:  # pixels beyond the edge do not count
            inside = (taps >= 0) & (taps < size)
            taps, weights = taps[inside], weights[inside]
        np.add.at(matrix[row], np.clip(taps, 0, size - 1), weights / weights.sum())
    return matrix


def _nearest(offset):
    def matrix(size, outputs):
        chosen = np.clip(np.floor((np.arange(outputs) + offset) * size / outputs).astype(int), 0, size - 1)
        return np.eye(size)[chosen]

    return matrix


def _area(size, outputs):
    edges = np.linspace(0, size, outputs + 1)
    numbers = np.arange(size)
    overlap = np.minimum(edges[1:, None], numbers + 1) - np.maximum(edges[:-1, None], numbers)
    return np.maximum(overlap, 0) / (size / outputs)


BILINEAR = "bilinear"
_METHODS = {
    "bilinear, aligned corners": lambda n, m: resize_matrix(n, m, positions="corners"),
    BILINEAR: resize_matrix,
    "bilinear, corners of pixels at whole numbers": lambda n, m: resize_matrix(n, m, positions="whole"),
    "bilinear with antialiasing": lambda n, m: resize_matrix(n, m, antialias=True),
    "nearest neighbor": _nearest(0.0),
    "nearest neighbor by centers": _nearest(0.5),
    "bicubic (a = -0.75)": lambda n, m: resize_matrix(n, m, _cubic(-0.75)),
    "bicubic (a = -0.5)": lambda n, m: resize_matrix(n, m, _cubic(-0.5)),
    "bicubic with antialiasing": lambda n, m: resize_matrix(n, m, _cubic(-0.5), antialias=True),
    "mean over areas": _area,
}


def resized(case, method=BILINEAR, cropped=True) -> np.ndarray:
    """Return the pixels of the raw image in the size of the input, without rounding.

    Args:
        case: The image.
        method: A name of `_METHODS`.
        cropped: Whether to resize to the recipe's image_size and cut out the middle, if it has one.
    """
    wanted = case.reference.shape[1:]
    height, width = (cropped and case.recipe.get("image_size")) or wanted
    rows, columns = _METHODS[method](case.raw.shape[0], height), _METHODS[method](case.raw.shape[1], width)
    top, left = (height - wanted[0]) // 2, (width - wanted[1]) // 2
    pixels = np.einsum("ih,hwc,jw->ijc", rows, case.raw, columns)
    return pixels[top : top + wanted[0], left : left + wanted[1]]


BORDER = 1e-3  # of a pixel: values that are nearer to a border, such as ties, may be rounded either way
_ROUNDINGS = {  # what is added before the value is cut to a whole one
    "rounded to whole pixel values": 0.5,
    "cut to whole pixel values": 0.0,
    "without rounding": None,
}


def _resized(method, rounding):
    shift = _ROUNDINGS[rounding]

    def result(case):
        pixels = resized(case, method)
        if shift is None:
            return case.scaled(pixels)
        exact = np.clip(pixels, 0, 255) + shift
        if case.found.shape != case.reference.shape:
            return case.scaled(np.floor(exact))
        found = np.round(case.pixels(case.found))
        return case.scaled(np.where((exact - 1 - BORDER < found) & (found < exact + BORDER), found, np.floor(exact)))

    return result


def _uncropped(case):
    """Return the raw image, resized to the size of the input as a whole, if the recipe cuts its middle out."""
    if "image_size" not in case.recipe:
        return None
    pixels = resized(case, cropped=False)
    return case.scaled(np.round(pixels) if case.recipe["resize"]["type"] == "uint8" else pixels)


def _padded(case):
    """Return the raw image with pixels 0 around it."""
    missing = [large - small for large, small in zip(case.reference.shape[1:], case.raw.shape)]
    if min(missing) < 0 or not any(missing):
        return None
    widths = [(size // 2, size - size // 2) for size in missing]
    return case.scaled(np.pad(case.raw, [*widths, (0, 0)]))


def _as_input(variant):
    def result(case):
        found = variant.result(Copied(None, case.reference[None], case.found[None], {}, None))
        return (found[0][0], found[1]) if isinstance(found, tuple) else None if found is None else found[0]

    return Variant(variant.name.replace("the images are", "the image is"), (), result, variant.is_fitted)


IMAGE_VARIANTS = [
    *(
        Variant(f"the resize is {method}, {rounding}", (), _resized(method, rounding))
        for method in _METHODS
        for rounding in _ROUNDINGS
    ),
    Variant("the whole image is resized, but its middle is defined to be cut out", (), _uncropped),
    Variant("the image is padded, not resized", (), _padded),
    *(_as_input(variant) for variant in INPUT_VARIANTS if "another order" not in variant.name),  # it is one image
]
