"""The blog's in-memory data loader: batches prepared ahead, images resized on the way."""

from __future__ import annotations

import atexit
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Callable
import weakref

from gluon_classics.data import FIT, RESIZE_IN
from gluon_classics.data.datasets import DataSet, load_dataset
from gluon_classics.data.images import resize_image
from gluon_classics.errors import DataError
import mxnet as mx
import numpy as np

WORKERS = 2  # each prepares one batch; preparing is a small part of training, so more would only hold memory
AHEAD = 3  # batches prepared or under way while the current one trains

_pools: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _finish_pools():
    """Registered after MXNet's own hook, so it runs before: Python 3.8 joins workers that wait for a stopped MXNet."""
    for pool in list(_pools):
        pool.shutdown()


class Preprocess:
    """A batch transform: images (N, H, W, C), uint8 or float32 in 0..255, and labels (N,), both NDArrays,
    to float32 images (N, C, resize, resize) and float32 labels. `pixels` is what 0 and 255 become.

    With fit="pad" images keep their size and get rows and columns of 0 around them, else they are resized: bilinear,
    in `resize_in` (None: in the type the images have). In uint8 each pixel is rounded to 1/255 after resizing, in
    float32 it is not. Bit for bit what `mxnet.image.imresize` gives image by image.
    """

    def __init__(
        self,
        resize: int | None = None,
        resize_in: str | None = None,
        fit: str = "resize",
        pixels: tuple[float, float] = (0.0, 1.0),
    ):
        self.resize = resize
        self.resize_in = resize_in
        self.fit = fit
        self.pixels = pixels

    def __call__(self, images, labels):
        return self.from_numpy(images.asnumpy(), labels.asnumpy())

    def from_numpy(self, pixels: np.ndarray, labels: np.ndarray) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """The same for NumPy arrays, which the loader has, without the detour through NDArrays."""
        if self.resize and self.fit == "pad":
            pixels = _padded(pixels, self.resize)
        if self.resize and self.fit == "resize":
            batch = _resized(pixels.astype(self.resize_in or pixels.dtype, copy=False), self.resize)
        else:
            batch = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
            batch /= 255
        background, foreground = self.pixels
        if self.pixels != (0.0, 1.0):
            batch *= foreground - background
            batch += background
        # the memory is ours alone, so that MXNet can use it in place
        return mx.nd.from_numpy(batch), mx.nd.from_numpy(labels.astype(np.float32))


class DataLoader:
    """Batches of a data set that is held in memory, prepared in threads while the current batch trains.

    `dataset[:]` is the pair of images (N, H, W, C) and labels (N,), as NDArrays or NumPy arrays. With `shuffle`
    every pass has a new order, drawn from NumPy's global generator or from `rng`. `transform` takes and returns
    a whole batch as a pair of NDArrays. Iterating yields these pairs.

    last_batch="keep" (default) sees every example in each pass; "discard" drops a last partial batch, as the
    source does for training and test data alike: at batch 64 it evaluates on 9,984 of 10,000 test images.
    Raises ValueError for other words, a batch size below 1, and images and labels of different number.

    Source: the blog's `utils.DataLoader`. Departs: it shuffles before it transforms as the source does, but
    keeps the images' own type, where the source turns shuffled images into float32 (see `Preprocess`).
    """

    def __init__(
        self,
        dataset,
        batch_size: int,
        shuffle: bool,
        transform: Callable | None = None,
        *,
        last_batch: str = "keep",
        rng: np.random.RandomState | None = None,
    ) -> None:
        if last_batch not in ("keep", "discard"):
            raise ValueError(f"last_batch is {last_batch!r}: use 'keep' or 'discard'")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: use 1 or more")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.transform = transform
        self.last_batch = last_batch
        self._rng = rng
        images, labels = dataset[:]
        self._images, self._labels = _as_numpy(images), _as_numpy(labels)
        if len(self._images) != len(self._labels):
            raise ValueError(f"the data set has {len(self._images)} images and {len(self._labels)} labels")

    def __len__(self):
        """Number of batches in a pass."""
        whole, rest = divmod(len(self._images), self.batch_size)
        return whole + (rest > 0 and self.last_batch == "keep")

    @property
    def examples(self) -> int:
        """Number of examples in a pass."""
        return min(len(self) * self.batch_size, len(self._images))

    def __iter__(self):
        return self.batches(self._rng or np.random)

    def batches(self, rng, skip: int = 0):
        """A pass whose order is drawn from `rng`, without its first `skip` batches."""
        order = np.arange(len(self._images))
        if self.shuffle:
            rng.shuffle(order)
        parts = (order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(skip, len(self)))
        with ThreadPoolExecutor(WORKERS) as pool:
            _pools.add(pool)
            batches: deque = deque()
            for part in parts:
                batches.append(pool.submit(self.batch, part))
                if len(batches) > AHEAD:
                    yield batches.popleft().result()
            while batches:
                yield batches.popleft().result()

    def batch(self, part: np.ndarray) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """The examples with these numbers, as iterating gives them."""
        pixels, numbers = self._images[part], self._labels[part]
        if isinstance(self.transform, Preprocess):
            return self.transform.from_numpy(pixels, numbers)
        images = mx.nd.array(pixels, dtype=pixels.dtype)
        labels = mx.nd.array(numbers, dtype=np.float32)
        return (images, labels) if self.transform is None else self.transform(images, labels)


def load_data_fashion_mnist(
    batch_size: int, resize: int | None = None, root=None, *, resize_in: str = "uint8", last_batch: str = "keep"
) -> tuple[DataLoader, DataLoader]:
    """Loaders of Fashion-MNIST's training images (shuffled) and test images (in order).

    Batches are (N, 1, 28, 28) float32 in 0..1, or (N, 1, resize, resize), and float32 labels. `root` is the folder
    that holds the files or shall hold them after a download (default: see `datasets`).

    `resize_in` says where pixels are rounded: "uint8" (default) and "float32" treat both splits alike; "published"
    is what the source's code does, though it does not say so: training images, which its shuffling turned into
    float32, are resized in float32, test images in uint8. The two differ by at most 1/255 a pixel.
    `last_batch` is explained at `DataLoader`. Raises DataError.
    """
    return make_loaders(load_dataset(cache=root), batch_size, resize, resize_in=resize_in, last_batch=last_batch)


def make_loaders(
    data: DataSet,
    batch_size: int,
    resize: int | None = None,
    *,
    resize_in: str = "uint8",
    last_batch: str = "keep",
    fit: str = "resize",
    pixels: tuple[float, float] = (0.0, 1.0),
) -> tuple[DataLoader, DataLoader]:
    """Loaders of the training and the test images of any data set, as `load_data_fashion_mnist` makes them.

    `fit` and `pixels` are explained at `Preprocess`. Raises ValueError for an unknown `resize_in`, `last_batch` or
    `fit`, and for images that are too large to be padded.
    """
    if resize_in not in RESIZE_IN:
        raise ValueError(f"resize_in is {resize_in!r}: use one of {', '.join(RESIZE_IN)}")
    train_in, test_in = ("float32", "uint8") if resize_in == "published" else (resize_in, resize_in)
    if fit not in FIT:
        raise ValueError(f"fit is {fit!r}: use one of {', '.join(FIT)}")
    height, width = data.train.images.shape[1:3]
    if fit == "pad" and resize and max(height, width) > resize:
        raise DataError(f"images of {height}x{width} cannot be padded to {resize}x{resize}: resize them (--fit resize)")
    train = DataLoader(data.train, batch_size, True, Preprocess(resize, train_in, fit, pixels), last_batch=last_batch)
    test = DataLoader(data.test, batch_size, False, Preprocess(resize, test_in, fit, pixels), last_batch=last_batch)
    return train, test


def _resized(images, size):
    """(N, H, W, C) in 0..255 to (N, C, size, size) float32 in 0..1."""
    count, _, _, channels = images.shape
    resized = np.empty((count, size, size, channels), images.dtype)
    for image, target in zip(images, resized):
        resize_image(image, size, target)
    return np.divide(resized.transpose(0, 3, 1, 2), np.float32(255), dtype=np.float32, order="C")


def _padded(images, size):
    """(N, H, W, C) to (N, size, size, C), the images in the middle."""
    missing = [size - side for side in images.shape[1:3]]
    return np.pad(images, [(0, 0), *((each // 2, each - each // 2) for each in missing), (0, 0)])


def _as_numpy(array):
    return array.asnumpy() if hasattr(array, "asnumpy") else np.asarray(array)
