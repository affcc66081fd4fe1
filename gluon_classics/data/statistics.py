"""The mean and the standard deviation of the pixels of training images."""

from __future__ import annotations

import math
from typing import NamedTuple

from gluon_classics.errors import memory_explained
import numpy as np

from .images import Images
from .memory import require_memory
from .stored_images import StoredImages

CHUNK = 512  # images that are read at a time, at most
CHUNK_BYTES = 2**26  # of their pixels, unless one image has more
PIXEL_BYTES = 18  # of memory for each value of an image: twice as it is read, and in two arrays of float64


class Statistics(NamedTuple):
    """The pixels of images, divided by 255.

    Attributes:
        images: The number of images.
        mean: The mean of each channel.
        std: The standard deviation of each channel.
    """

    images: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@memory_explained("use a smaller size, or smaller images")
def pixel_statistics(images: Images, of_original: bool = False) -> Statistics:
    """Return the statistics of images. Each image counts as much as the others, whatever its size.

    Args:
        images: The images.
        of_original: For images that stay on the disk: whether to use them in their own sizes.

    Raises:
        DataError: An image cannot be read, or memory is too small for one.
    """
    stored, count = images.images, len(images)
    moments = np.zeros((count, 2, stored.shape[3]))

    def add(place, image):
        pixels = image.reshape(-1, image.shape[-1]).astype(np.float64)
        moments[place] = pixels.mean(axis=0), np.square(pixels).mean(axis=0)

    if of_original and isinstance(stored, StoredImages):
        stored.for_each_original(np.arange(count), add)
    else:
        of_image = math.prod(stored.shape[1:])
        height, width = stored.shape[1:3]
        require_memory(PIXEL_BYTES * of_image, f"an image of {height}x{width}", "use a smaller size")
        at_once = max(1, min(CHUNK, CHUNK_BYTES // of_image))
        for start in range(0, count, at_once):
            for place, image in enumerate(stored[np.arange(start, min(start + at_once, count))], start):
                add(place, image)
    mean, square = moments.mean(axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return Statistics(count, tuple(map(float, mean / 255)), tuple(map(float, deviation / 255)))
