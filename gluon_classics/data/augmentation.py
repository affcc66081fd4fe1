"""Random changes of training images.

Every image has its own random generator, seeded from the run's seed, the epoch and the image's number. The result is
therefore the same for any order of the images, any batch size, and any number of threads or processes.

No library fits: Gluon's transforms and `mx.image` draw from a global generator, which the threads would share.
Albumentations is no longer developed, and imgaug does not work with NumPy 1.24 and later.
"""

from __future__ import annotations

import math
from typing import Sequence

import cv2
from gluon_classics.errors import DataError
import numpy as np

from .augment_words import Operation, border_problem
from .images import center_crop, resize_smoothly, with_shorter_side

ATTEMPTS = 10  # to draw a part that fits into the image, as in torchvision
# Principal components of the colors of ImageNet's pixels in 0..255, one per column, and their standard deviations:
# those of `mx.image.LightingAug`, which come from fb.resnet.torch
COMPONENTS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
SPREADS = np.array([55.46, 4.794, 1.148])


def draw_key(rng) -> np.ndarray:
    """Draw the key of a pass from a generator of NumPy: (2,) uint64."""
    return np.frombuffer(rng.bytes(16), "<u8")


def generator_of(key: np.ndarray, number: int) -> np.random.RandomState:
    """Return the generator of an image.

    Args:
        key: The key of the pass, (2,) uint64.
        number: The number of the image in the data set.
    """
    return np.random.RandomState(np.random.Philox(key=key, counter=[0, 0, 0, number]))


def check_operations(operations: Sequence[Operation], channels: int, height: int, width: int) -> None:
    """Raise DataError if images with this number of channels cannot be changed so, with results of this size."""
    for name, numbers in operations:
        if name == "lighting" and channels != 3:
            raise DataError("the augmentation lighting is for color images, and these are gray: leave it out")
        if name == "scale" and numbers[0] < min(height, width):
            what = f"the smallest size of the augmentation scale is {numbers[0]:g}"
            raise DataError(f"{what}, less than the {min(height, width)} of the images: use more")
        problem = border_problem(Operation(name, numbers), min(height, width))
        if problem:
            raise DataError(problem)


def augmented(
    image: np.ndarray, operations: Sequence[Operation], rng: np.random.RandomState, height: int, width: int
) -> np.ndarray:
    """Apply augmentations to an image, one after the other.

    If none of them cuts out a part, the middle of a larger image is the result.

    Args:
        image: (H, W, C), uint8 or float32 in 0..255.
        operations: The augmentations.
        rng: The generator to draw from.
        height: The height of the result.
        width: Its width.

    Returns:
        (height, width, C), of the type of the image; float32 after a change of colors.
    """
    for operation in operations:
        image = _APPLY[operation.name](np.ascontiguousarray(image), rng, operation.numbers, (height, width))
    return center_crop(image, height, width)


def mirrored(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, C) with left and right exchanged."""
    if image.shape[2] not in (1, 3) or image.dtype != np.uint8:
        return image[:, ::-1]
    return cv2.flip(image, 1).reshape(image.shape)  # several times as fast as NumPy


def _flip(image, rng, _numbers, _shape):
    return mirrored(image) if rng.random_sample() < 0.5 else image


def _crop(image, rng, numbers, shape):
    """Cut `shape` out of the image with (pixels) rows and columns of zeros around it."""
    (border,) = numbers
    if border:
        image = np.pad(image, [(border, border), (border, border), (0, 0)])
    top, left = (rng.randint(0, there - wanted + 1) for there, wanted in zip(image.shape, shape))
    return image[top : top + shape[0], left : left + shape[1]]


def _resized_crop(image, rng, numbers, shape):
    """Cut out a part with at least (share) of the area and an aspect ratio of at least (ratio), and resize it.

    As in torchvision: the share is uniform, and so is the logarithm of the aspect ratio. If no part fits in ten
    attempts, it is the largest one in the middle whose aspect ratio is in the range.
    """
    least, ratio = numbers
    height, width = image.shape[:2]
    for _ in range(ATTEMPTS):
        area = height * width * rng.uniform(least, 1)
        aspect = math.exp(rng.uniform(math.log(ratio), -math.log(ratio)))
        rows, columns = (max(1, round(math.sqrt(side))) for side in (area / aspect, area * aspect))
        if rows <= height and columns <= width:
            top, left = rng.randint(0, height - rows + 1), rng.randint(0, width - columns + 1)
            part = image[top : top + rows, left : left + columns]
            break
    else:
        rows, columns = min(height, max(1, round(width / ratio))), min(width, max(1, round(height / ratio)))
        part = center_crop(image, rows, columns)
    return resize_smoothly(np.ascontiguousarray(part), *shape)  # OpenCV cannot read some views


def _scale(image, rng, numbers, shape):
    """Resize the shorter side to a random length from (lowest) to (highest), and cut out a random part."""
    lowest, highest = numbers
    return _crop(with_shorter_side(image, rng.randint(lowest, highest + 1)), rng, (0,), shape)


def _color(image, rng, numbers, _shape):
    """Change (brightness), (contrast) and (saturation) by random factors around 1, in a random order."""
    image = image.astype(np.float32)
    factors = [rng.uniform(1 - number, 1 + number) for number in numbers]
    for which in rng.permutation(3):
        factor = np.float32(factors[which])
        # the factor moves away from black, from the mean gray, or from the gray of the same pixel
        if which == 1:
            others = np.float32((1 - factor) * _gray(image).mean(dtype=np.float64))
        else:
            others = (1 - factor) * _gray(image) if which == 2 else np.float32(0)
        image *= factor
        image += others
        np.clip(image, 0, 255, out=image)
    return image


def _gray(image):
    """Return a float32 image (H, W, C) in grayscale, (H, W, 1)."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] if image.shape[2] == 3 else image.copy()


def _lighting(image, rng, numbers, _shape):
    """Add random multiples of the principal components of ImageNet's colors, (sd) times their standard deviations."""
    (sd,) = numbers
    return image.astype(np.float32) + (COMPONENTS @ (rng.normal(0, sd, 3) * SPREADS)).astype(np.float32)


def _affine(image, rng, numbers, _shape):
    """Move, scale, squeeze and shear, each by a random amount up to (share) of the image, with zeros around it.

    A squeezed image is narrower and taller, or the reverse.
    """
    (share,) = numbers
    across, down, scale, squeeze, shear = rng.uniform(-share, share, 5)
    height, width, channels = image.shape
    to_middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = (1 + scale) * np.array([[1 - squeeze, shear], [0, 1 + squeeze]])
    moved = to_middle + np.array([across * width, down * height]) - matrix @ to_middle
    whole = np.column_stack([matrix, moved])
    return cv2.warpAffine(image, whole, (width, height), flags=cv2.INTER_LINEAR).reshape(height, width, channels)


_APPLY = {
    "flip": _flip,
    "crop": _crop,
    "resized-crop": _resized_crop,
    "scale": _scale,
    "color": _color,
    "lighting": _lighting,
    "affine": _affine,
}
