"""Image files and batches of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
from gluon_classics.errors import DataError
import numpy as np


@dataclass(frozen=True)
class Images:
    """A data set in memory: `images` (N, H, W, C) uint8 and `labels` (N,), numbers of classes from 0 on.

    `images[:100]` is the first hundred of both, as a pair: what the blog's loader asks of a data set.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]

    def subset(self, count: int) -> Images:
        """The first `count` images."""
        return Images(*self[:count])


def read_image(path, size: int | None = None, channels: int | None = None) -> np.ndarray:
    """The image as uint8, (H, W, C): C is 1 for grey and 3 (red, green, blue) for colour unless `channels` says so.

    `size` resizes to size x size pixels, bilinear. Raises DataError if the file is missing or no image.
    """
    try:
        content = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        image = cv2.imdecode(content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if len(content) else None
    except cv2.error:  # larger than OpenCV allows
        image = None
    if image is None:
        raise DataError(f"{path} is not an image that can be read: use PNG or JPEG")
    if image.dtype == np.uint16:
        image = (image // 256).astype(np.uint8)
    if image.dtype != np.uint8:
        raise DataError(f"{path} has pixels of type {image.dtype}: save it with 8 bits a channel")
    image = image.reshape(*image.shape[:2], -1)
    colour = image.shape[2] >= 3
    channels = channels or (3 if colour else 1)
    if colour:  # OpenCV decodes to blue, green, red; a fourth channel is transparency
        image = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_BGR2RGB)
    image = image.reshape(*image.shape[:2], -1)[..., :channels]
    if image.shape[2] < channels:
        image = np.repeat(image[..., :1], channels, axis=2)
    return resize_image(image, size) if size else image


def resize_image(image: np.ndarray, size: int, out: np.ndarray | None = None) -> np.ndarray:
    """(H, W, C) to (size, size, C), bilinear, in the image's own type: what `mxnet.image.imresize` gives.

    `out` is an array of that shape and type to write to.
    """
    # Intel's IPP in OpenCV's wheels rounds float32 otherwise than MXNet's OpenCV; the switch is each thread's own
    cv2.ipp.setUseIPP(False)
    return cv2.resize(image, (size, size), dst=out).reshape(size, size, -1)
