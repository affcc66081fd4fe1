"""Image files and batches of images."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import os
from typing import TYPE_CHECKING, Callable
import warnings

import cv2
from gluon_classics import _console
from gluon_classics._format import format_value
from gluon_classics._numbers import is_whole
from gluon_classics.errors import DataError
import numpy as np

from .augment_words import LARGEST_SIDE
from .colors import TRANSPARENT_AS, parse_color
from .examples import check_data_set, check_labels, check_pixels, check_shapes
from .image_file import NEARLY_BLACK, ImageHeader, read_header, read_pixels

if TYPE_CHECKING:
    from .stored_images import StoredImages


@dataclass(frozen=True)
class Images:
    """Images with their labels.

    A slice such as `images[:100]` is the pair of the first 100 images and labels. The blog's data loader needs that.

    Attributes:
        images: (N, H, W, C) uint8, an array in memory or `StoredImages`.
        labels: (N,) integers, the classes counted from 0.

    Raises:
        DataError: The images and labels are not like that, or there are none.
    """

    images: np.ndarray | StoredImages
    labels: np.ndarray

    def __post_init__(self):
        if isinstance(self.images, np.ndarray):
            check_data_set(self.images, self.labels)
            check_pixels(self.images)
        else:  # on the disk, as pixels
            check_shapes(self.images.shape, self.labels.shape)
            check_labels(self.labels)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]

    def subset(self, count: int) -> Images:
        """Return the first `count` images."""
        return Images(*self[:count])


def read_image(
    path,
    size: int | None = None,
    channels: int | None = None,
    transparent_as: str = TRANSPARENT_AS,
    *,
    shorter_side: bool = False,
) -> np.ndarray:
    """Read an image file as a viewer shows it.

    Args:
        path: The file.
        size: The height and width in pixels to which the image is resized (default: its own size).
        channels: 1 for grayscale or 3 for red, green and blue (default: as the file has it).
        transparent_as: The color that shows through transparent pixels; see `parse_color`.
        shorter_side: See `fit_image`.

    Returns:
        (H, W, C) uint8.

    Raises:
        DataError: The file is missing or not an image.
        SettingsError: `transparent_as` is not a color.
        ValueError: `size` or `channels` is out of range.
        TypeError: `path` is not a path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"the path is of type {type(path).__name__}: use a string or a Path")
    if size is not None and not (is_whole(size) and size <= LARGEST_SIDE):
        raise ValueError(f"the size is {format_value(size)}: use a whole number from 1 to {LARGEST_SIDE:,}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is {format_value(channels)}: use 1 or 3")
    with quiet_decoders():
        header = read_header(path)
        image = read_pixels(header, parse_color(transparent_as))
    if header.is_transparent:
        _console.say(f"{path} has transparency: it is shown on {transparent_as}")
    for remark in remarks(header, image):
        _console.warn(f"{path}: {remark}")
    with naming(path):
        return fit_image(image, size, channels, shorter_side)


def remarks(header: ImageHeader, image: np.ndarray) -> list[str]:
    """Return what users may not expect in a decoded image, without its name."""
    found = []
    if header.has_more:
        found.append("several images in one file (an animation or pages), only the first one is read")
    if header.bits == 16 and 0 < image.max() < NEARLY_BLACK:
        found.append("nearly black, with 16 bits but no value above 4095; if these are 12 bits, scale them to 16")
    return found


def fit_image(image: np.ndarray, size: int | None, channels: int | None, shorter_side: bool = False) -> np.ndarray:
    """Give an image the wanted size and channels; None keeps its own.

    Args:
        image: (H, W, C) uint8.
        size: The new height and width in pixels.
        channels: 1 for grayscale or 3 for red, green and blue.
        shorter_side: Whether to resize the shorter side to `size` and to cut the middle out of the longer one.
            Otherwise the proportions change.
    """
    image = with_channels(image, channels)
    if size is None:
        return image
    if shorter_side:
        return center_crop(with_shorter_side(image, size), size, size)
    return resize_smoothly(image, size, size)


@contextlib.contextmanager
def naming(name):
    """Put the name of an image in front of errors of `fit_image` and `with_shorter_side`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def with_channels(image: np.ndarray, channels: int | None) -> np.ndarray:
    """Return an image (H, W, C) uint8 in grayscale (1) or in color (3); None keeps it."""
    if channels == 1 and image.shape[2] == 3:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    if channels == 3 and image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return image


def with_shorter_side(image: np.ndarray, size: int, resize: Callable | None = None) -> np.ndarray:
    """Resize an image (H, W, C) so that its shorter side has `size` pixels, with the same proportions.

    Args:
        image: The image.
        size: The new length of the shorter side.
        resize: `resize_smoothly` (the default) or `resize_image`.

    Raises:
        DataError: The longer side would be too long. The error does not name the image; see `naming`.
    """
    sides = image.shape[:2]
    height, width = (max(size, round(side * size / min(sides))) for side in sides)
    if max(height, width) > LARGEST_SIDE:
        what = f"it is {sides[0]}x{sides[1]}, too long to resize its shorter side to {size}"
        raise DataError(f"{what}: use a smaller size, or remove it")
    return (resize or resize_smoothly)(image, height, width)


def resize_smoothly(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image (H, W, C) bilinearly.

    A side that shrinks to less than half is averaged over areas first. Bilinear resizing alone would skip pixels, so
    that thin lines disappear.
    """
    sides = image.shape[:2]
    halved = tuple(new if side > 2 * new else side for side, new in zip(sides, (height, width)))
    if halved != sides:
        image = cv2.resize(image, halved[::-1], interpolation=cv2.INTER_AREA).reshape(*halved, -1)
    return resize_image(image, height, width)


def center_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the middle of images (..., H, W, C). If it cannot be in the middle, it is half a pixel up or left."""
    top, left = (image.shape[-3] - height) // 2, (image.shape[-2] - width) // 2
    return image[..., top : top + height, left : left + width, :]


@contextlib.contextmanager
def quiet_decoders():
    """Hide what the decoders print inside the context: what matters to users is in `remarks` and in errors."""
    with _console.quiet_libraries(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


def resize_image(image: np.ndarray, height: int, width: int, out: np.ndarray | None = None) -> np.ndarray:
    """Resize an image bilinearly. The result is bit-identical to that of `mxnet.image.imresize`.

    Args:
        image: (H, W, C), uint8 or float32.
        height: The new height in pixels.
        width: The new width in pixels.
        out: An array (height, width, C) of the same type to write to, or None.

    Returns:
        (height, width, C), of the type of the image.
    """
    # IPP, in OpenCV's wheels, rounds float32 differently from MXNet's OpenCV; the setting applies to this thread only
    cv2.ipp.setUseIPP(False)
    return cv2.resize(image, (width, height), dst=out).reshape(height, width, -1)
