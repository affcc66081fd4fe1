"""From pixels to network inputs: the size of images, the part that is used, and the range of the numbers."""

from __future__ import annotations

from typing import Sequence

import cv2
from gluon_classics._numbers import is_whole
from gluon_classics.data import FIT, TEST_CROPS
from gluon_classics.data.examples import check_data_set, check_pixels
from gluon_classics.data.images import center_crop, resize_image, with_shorter_side
import mxnet as mx
import numpy as np


class Preprocess:
    """A transform of batches from pixels to network inputs.

    It takes images (N, H, W, C), uint8 or float32 in 0..255, and labels (N,), both as NDArrays. It returns float32
    images (N, C, resize, resize) and float32 labels (N,).

    Resizing is bilinear and bit-identical to `mxnet.image.imresize` of each image. With uint8, each pixel is rounded to
    a multiple of 1/255 after resizing. With float32 it is not.

    Args:
        resize: The height and width of the output in pixels (default: those of the images).
        resize_in: The type in which images are resized, "uint8" or "float32" (default: the type of the images).
        fit: "resize"; "pad" to keep the size of the images and add rows and columns of pixels 0 around them; or "crop"
            to resize the shorter side and cut the middle out of the longer one.
        pixels: The network inputs for the pixel values 0 and 255, each a number or one number for each channel.
        image_size: The height and width to which images are brought before their middle is cut out (default: resize).
        crops: "center", or "ten" for ten crops of each image, (N, 10, C, resize, resize): the corners and the center,
            and the same ones mirrored.

    Raises:
        ValueError: A size is not a whole number from 1, `image_size` is less than `resize`, or another argument is
            unknown.
    """

    def __init__(
        self,
        resize: int | None = None,
        resize_in: str | None = None,
        fit: str = "resize",
        pixels: tuple[float | Sequence[float], float | Sequence[float]] = (0.0, 1.0),
        image_size: int | None = None,
        crops: str = TEST_CROPS[0],
    ):
        for name, size in (("resize", resize), ("image_size", image_size)):
            if size is not None and not is_whole(size):
                raise ValueError(f"{name} is {size!r}: use a whole number of pixels, 1 or more")
        if image_size is not None and (resize is None or image_size < resize):
            raise ValueError(f"image_size is {image_size}: use it with a smaller resize")
        if resize_in not in (None, "uint8", "float32"):
            raise ValueError(f"unknown resize_in {resize_in!r}: use 'uint8' or 'float32'")
        if fit not in FIT:
            raise ValueError(f"unknown fit {fit!r}: use one of {', '.join(FIT)}")
        if crops not in TEST_CROPS:
            raise ValueError(f"unknown crops {crops!r}: use one of {', '.join(TEST_CROPS)}")
        if crops == "ten" and image_size in (None, resize):
            raise ValueError("ten crops need images larger than resize: give a larger image_size")
        self.resize = resize
        self.resize_in = resize_in
        self.fit = fit
        self.pixels = pixels
        self.image_size = image_size
        self.crops = crops

    @property
    def crops_per_image(self) -> int:
        """The number of crops of each image."""
        return 10 if self.crops == "ten" else 1

    def __call__(self, images, labels):
        pixels, numbers = images.asnumpy(), labels.asnumpy()
        check_data_set(pixels, numbers)
        check_pixels(pixels)
        return self.from_numpy(pixels, numbers)

    def from_numpy(self, pixels: np.ndarray, labels: np.ndarray) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """Transform NumPy arrays, without a copy to NDArrays first."""
        return self.finished(self.sized(pixels), labels)

    def sized(self, pixels: np.ndarray) -> np.ndarray:
        """Bring images (N, H, W, C) to the size from which crops are cut."""
        size = self.image_size or self.resize
        if size is None or pixels.shape[1:3] == (size, size):
            return pixels
        if self.fit == "pad":
            return _padded(pixels, size)
        return _resized(self.in_type(pixels), size, self.fit == "crop")

    def in_type(self, pixels: np.ndarray) -> np.ndarray:
        """Convert pixels to the type in which they are resized."""
        return pixels.astype(self.resize_in or pixels.dtype, copy=False)

    def finished(self, pixels: np.ndarray, labels: np.ndarray) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """Cut the network's size out of images (N, H, W, C) of `sized`, and make network inputs of them."""
        size = self.resize
        if size is not None and pixels.shape[1:3] != (size, size):
            pixels = _ten_crops(pixels, size) if self.crops == "ten" else center_crop(pixels, size, size)
        batch = _scaled(pixels.reshape(-1, *pixels.shape[-3:]))
        background, foreground = (np.reshape(np.asarray(values, np.float32), (-1, 1, 1)) for values in self.pixels)
        if (background != 0).any() or (foreground != 1).any():
            batch *= foreground - background
            batch += background
        if pixels.ndim == 5:
            batch = batch.reshape(*pixels.shape[:2], *batch.shape[1:])
        # nothing else uses this memory, so MXNet can use it without a copy
        return mx.nd.from_numpy(batch), mx.nd.from_numpy(labels.astype(np.float32))


def _resized(images, size, shorter_side):
    """Resize (N, H, W, C) to (N, size, size, C)."""
    count, _, _, channels = images.shape
    resized = np.empty((count, size, size, channels), images.dtype)
    for image, target in zip(images, resized):
        if shorter_side:
            target[:] = center_crop(with_shorter_side(image, size, resize_image), size, size)
        else:
            resize_image(image, size, size, target)
    return resized


def _ten_crops(images, size):
    """Return ten crops of images (N, H, W, C), (N, 10, size, size, C): corners and center, plain and mirrored."""
    height, width = images.shape[1:3]
    corners = [(0, 0), (0, width - size), (height - size, 0), (height - size, width - size)]
    plain = [images[:, top : top + size, left : left + size] for top, left in corners]
    plain.append(center_crop(images, size, size))
    return np.stack([*plain, *(crop[:, :, ::-1] for crop in plain)], axis=1)


def _scaled(images):
    """Return (N, H, W, C) in 0..255 as (N, C, H, W) float32 in 0..1."""
    count, height, width, channels = images.shape
    if channels != 3 or images.dtype != np.uint8:
        return np.divide(images.transpose(0, 3, 1, 2), np.float32(255), dtype=np.float32, order="C")
    scaled = np.empty((count, channels, height, width), np.float32)
    for image, target in zip(images, scaled):  # several times as fast as a transpose
        np.divide(cv2.split(image), np.float32(255), out=target, dtype=np.float32)
    return scaled


def _padded(images, size):
    """Pad (N, H, W, C) to (N, size, size, C), with the images in the middle."""
    missing = [size - side for side in images.shape[1:3]]
    return np.pad(images, [(0, 0), *((each // 2, each - each // 2) for each in missing), (0, 0)])
