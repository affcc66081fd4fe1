"""Image files and batches of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
from gluon_classics.errors import DataError
import numpy as np

from .examples import check_data_set, check_pixels


@dataclass(frozen=True)
class Images:
    """Images with their labels, in memory.

    A slice such as `images[:100]` is the pair of the first 100 images and labels. The blog's data loader needs that.

    Attributes:
        images: (N, H, W, C) uint8.
        labels: (N,) integers, the classes counted from 0.

    Raises:
        DataError: The images and labels are not like that, or there are none.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        check_data_set(self.images, self.labels)
        check_pixels(self.images)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]

    def subset(self, count: int) -> Images:
        """Return the first `count` images."""
        return Images(*self[:count])


def read_image(path, size: int | None = None, channels: int | None = None) -> np.ndarray:
    """Read an image file.

    Args:
        path: The file.
        size: The height and width in pixels to which the image is resized, bilinearly (default: its own size).
        channels: 1 for grayscale or 3 for red, green and blue (default: as the file has it).

    Returns:
        (H, W, C) uint8.

    Raises:
        DataError: The file is missing or not an image.
    """
    try:
        content = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        image = cv2.imdecode(content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if len(content) else None
    except cv2.error:  # the image is larger than OpenCV allows
        image = None
    if image is None:
        raise DataError(f"{path} is not an image, or it is damaged: use a PNG or JPEG file")
    if image.dtype == np.uint16:
        image = (image // 256).astype(np.uint8)
    if image.dtype != np.uint8:
        raise DataError(f"{path} has pixels of type {image.dtype}: save it with 8 bits per channel")
    image = image.reshape(*image.shape[:2], -1)
    is_color = image.shape[2] >= 3
    channels = channels or (3 if is_color else 1)
    if is_color:  # OpenCV decodes to blue, green, red; a fourth channel is alpha
        image = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_BGR2RGB)
    image = image.reshape(*image.shape[:2], -1)[..., :channels]
    if image.shape[2] < channels:
        image = np.repeat(image[..., :1], channels, axis=2)
    return resize_image(image, size) if size else image


def resize_image(image: np.ndarray, size: int, out: np.ndarray | None = None) -> np.ndarray:
    """Resize an image bilinearly. The result is bit-identical to that of `mxnet.image.imresize`.

    Args:
        image: (H, W, C), uint8 or float32.
        size: The new height and width in pixels.
        out: An array (size, size, C) of the same type to write to, or None.

    Returns:
        (size, size, C), of the type of the image.
    """
    # IPP, in OpenCV's wheels, rounds float32 differently from MXNet's OpenCV; the setting applies to this thread only
    cv2.ipp.setUseIPP(False)
    return cv2.resize(image, (size, size), dst=out).reshape(size, size, -1)
