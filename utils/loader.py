"""The blog's data loader: the data set is in memory, or on the disk, and threads prepare the next batches."""

from __future__ import annotations

import atexit
from collections import deque
from concurrent.futures import ThreadPoolExecutor
import itertools
import math
from typing import Callable, Sequence
import weakref

from gluon_classics._numbers import is_whole
from gluon_classics.data import RESIZE_IN, TEST_CROPS
from gluon_classics.data.augment_words import NONE, parse_augment
from gluon_classics.data.augmentation import augmented, check_operations, draw_key, generator_of
from gluon_classics.data.datasets import DataSet, load_dataset
from gluon_classics.data.examples import as_numbers, check_axes, check_data_set, check_labels, check_pixels
from gluon_classics.data.images import Images
from gluon_classics.data.stored_images import StoredImages
from gluon_classics.errors import DataError, SettingsError
from gluon_classics.models.network import refuse_numpy_mode
import mxnet as mx
import numpy as np

from .preprocess import Preprocess

WORKERS = 2  # threads, each with one batch; preparing is a small part of training, so more would only use memory
AHEAD = 3  # batches, or groups of small ones, that are prepared or being prepared while the current one trains

_TOGETHER = 64  # images, of up to 32x32 pixels
_pools: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _finish_pools():
    """Stop the workers before MXNet stops: Python 3.8 joins them at exit, when they would wait for MXNet forever.

    This function is registered after MXNet's own exit hook, so it runs before it.
    """
    for pool in list(_pools):
        pool.shutdown()


class DataLoader:
    """Batches of a data set, prepared in threads while the current batch trains.

    Iterating yields pairs of images and labels as NDArrays.

    Args:
        dataset: `dataset[:]` must be a pair of images (N, H, W, C) and labels (N,), as NDArrays or NumPy arrays. Images
            of image files can stay on the disk.
        batch_size: The number of images per batch, 1 or more.
        shuffle: Whether each pass has a new random order.
        transform: A function that takes and returns a batch as a pair of NDArrays.
        last_batch: "keep" uses every example in each pass. "discard" leaves out a last partial batch, as the source
            does for training and test data. With 64 images per batch the source thus evaluates on 9,984 of the 10,000
            test images.
        rng: The generator of the random order (default: NumPy's global generator).
        augment: Random changes of each image each time that it is used, such as "flip"; see `data.augmentation`. With a
            `Preprocess`, they come after the images have got its size. Other transforms follow them.
        share: The number of this process and the number of processes that share the data. Each batch is divided into as
            many parts of almost equal size, and this loader yields the part with the number. A part may be empty, and
            is then left out.

    Raises:
        ClassicsError: MXNet's NumPy mode is on.
        DataError: The images and labels are not like that; for example, labels are one-hot rows or below 0.
        SettingsError: `augment` is not an augmentation.
        ValueError: `last_batch` is unknown, or `batch_size` is not a whole number from 1.

    Source: the blog's `utils.DataLoader`. Departs: like the source, this class shuffles before it transforms. The
    source converts shuffled images to float32, but this class keeps their type (see `Preprocess`).
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
        augment: str = NONE,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        refuse_numpy_mode()
        if last_batch not in ("keep", "discard"):
            raise ValueError(f"unknown last_batch {last_batch!r}: use 'keep' or 'discard'")
        if not isinstance(augment, str):
            raise SettingsError(f"augment is {augment!r:.60}: use text such as 'flip'")
        if not is_whole(batch_size):
            raise ValueError(f"batch_size is {batch_size!r}: use a whole number, 1 or more")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.transform = transform
        self.last_batch = last_batch
        self.operations = parse_augment(augment)
        self.share = share
        self._rng = rng
        self._images, self._labels = _images_and_labels(dataset)
        if isinstance(transform, Preprocess):
            check_pixels(self._images)
        if self.operations:
            check_axes(self._images)
            check_operations(self.operations, self._images.shape[3], *self._output_size())

    def __len__(self):
        """Return the number of batches in a pass."""
        whole, rest = divmod(len(self._images), self.batch_size)
        return whole + (rest > 0 and self.last_batch == "keep")

    @property
    def examples(self) -> int:
        """The number of examples in a pass."""
        return min(len(self) * self.batch_size, len(self._images))

    @property
    def share_examples(self) -> int:
        """The number of examples in a pass that are of the share of this process."""
        whole, rest = divmod(self.examples, self.batch_size)
        rank, size = self.share
        return sum(
            times * (count // size + (rank < count % size)) for times, count in ((whole, self.batch_size), (1, rest))
        )

    @property
    def is_finite(self) -> bool:
        """Whether all images of a pass are known to be finite numbers."""
        return self.transform is None or isinstance(self.transform, Preprocess)

    def __iter__(self):
        return self.batches(self._rng or np.random)

    @property
    def crops(self) -> int:
        """The number of crops of each image: with more than one, batches are (N, crops, C, H, W)."""
        return self.transform.crops_per_image if isinstance(self.transform, Preprocess) else 1

    @property
    def images_together(self) -> int:
        """The number of examples that are prepared together: those of a batch, or of several small ones."""
        return max(self.batch_size, self._most_in_group())

    def batches(self, rng, skip: int = 0, key: np.ndarray | None = None):
        """Yield the batches of a pass in an order drawn from `rng`, without the first `skip` batches.

        Args:
            rng: The generator of the order.
            skip: The number of batches to leave out.
            key: The key of the augmentation in this pass, (2,) uint64 (default: drawn from `rng`).
        """
        order, key = self._order(rng, key)
        parts = (self._part(order, number) for number in range(skip, len(self)))
        yield from self._prepared((part for part in parts if len(part)), key)

    def in_parts(self, rng, size: int | None, skip: int = 0, key: np.ndarray | None = None):
        """Yield the batches of a pass in parts, so that no more than a few parts are in memory.

        Args:
            rng: See `batches`.
            size: The number of examples in a part; the last part of a batch may have fewer. None is all of a batch.
            skip: See `batches`.
            key: See `batches`.

        Yields:
            For each batch the number of its examples in all shares, the number of its parts in this share, and an
            iterator of these parts. All of them must be used before the next batch.
        """
        order, key = self._order(rng, key)
        size = size or self.batch_size
        batches = [self._part(order, number) for number in range(skip, len(self))]
        cut = (part for batch in batches for part in _cut(batch, size))
        parts = self._prepared(cut, key, together=size >= self.batch_size)
        for number, batch in enumerate(batches, skip):
            count = -(-len(batch) // size)
            yield len(self._batch(order, number)), count, itertools.islice(parts, count)

    def _order(self, rng, key):
        """Return the order of the examples in a pass, and the key of its augmentation."""
        order = np.arange(len(self._images))
        if self.shuffle:
            rng.shuffle(order)
        return order, draw_key(rng) if self.operations and key is None else key

    def _batch(self, order, number):
        return order[number * self.batch_size : (number + 1) * self.batch_size]

    def _part(self, order, number):
        """Return the numbers of the examples of a batch that are of this share."""
        batch, (rank, size) = self._batch(order, number), self.share
        each, more = divmod(len(batch), size)
        start = rank * each + min(rank, more)
        return batch[start : start + each + (rank < more)]

    def _prepared(self, parts, key, together=True):
        """Yield the examples with the numbers of each part as a batch. Threads prepare the next ones.

        If `together`, small parts are prepared in groups: one image takes almost as long as many of them.
        """
        with ThreadPoolExecutor(WORKERS) as pool:
            _pools.add(pool)
            groups: deque = deque()
            for group in self._groups(parts) if together else ([part] for part in parts):
                groups.append(pool.submit(self._batches, group, key))
                if len(groups) > AHEAD:
                    yield from groups.popleft().result()
            while groups:
                yield from groups.popleft().result()

    def _groups(self, parts):
        most = self._most_in_group()
        group: list = []
        for part in parts:
            if group and sum(map(len, group)) + len(part) > most:
                yield group
                group = []
            group.append(part)
        if group:
            yield group

    def _batches(self, parts, key):
        if len(parts) == 1:
            return [self.batch(parts[0], key)]
        images, labels = self.batch(np.concatenate(parts), key)
        ends = list(itertools.accumulate(map(len, parts)))
        return [(images[start:end], labels[start:end]) for start, end in zip([0, *ends], ends)]

    def batch(self, part: np.ndarray, key: np.ndarray | None = None) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
        """Return the examples with these numbers (M,) as a transformed batch.

        Args:
            part: The numbers of the examples in the data set.
            key: The key of the augmentation in this pass; None leaves the images as they are.
        """
        numbers = self._labels[part]
        pixels = self._sized(part) if key is None or not self.operations else self._augmented(part, key)
        if isinstance(self.transform, Preprocess):
            return self.transform.finished(pixels, numbers)
        images = mx.nd.array(pixels, dtype=pixels.dtype)
        labels = mx.nd.array(numbers, dtype=np.float32)
        return (images, labels) if self.transform is None else self.transform(images, labels)

    def _output_size(self):
        """Return the height and width of the images after the augmentation."""
        size = self.transform.resize if isinstance(self.transform, Preprocess) else None
        return (size, size) if size else self._images.shape[1:3]

    def _most_in_group(self):
        if self.transform is not None and not isinstance(self.transform, Preprocess):
            return 1  # it may use the whole batch
        return small_batch(max(math.prod(shape) for shape in self._sizes()) * self.crops)

    def _sizes(self):
        """Return the heights and widths that images have one after the other, without those of random changes."""
        side = self.transform.image_size if isinstance(self.transform, Preprocess) else None
        return [self._images.shape[1:3], (side or 0, side or 0), self._output_size()]

    def _sized(self, part):
        pixels = self._images[part]
        return self.transform.sized(pixels) if isinstance(self.transform, Preprocess) else pixels

    def _augmented(self, part, key):
        """Return the examples with these numbers, (M, H, W, C), after the augmentation."""
        preprocess = self.transform if isinstance(self.transform, Preprocess) else None
        height, width = self._output_size()
        changed: list = [None] * len(part)

        def change(place, image):
            result = augmented(image, self.operations, generator_of(key, part[place]), height, width)
            changed[place] = np.ascontiguousarray(result)  # a view would keep the whole image in memory

        if not any(operation.from_original for operation in self.operations):
            for place, image in enumerate(self._sized(part)):
                change(place, image)
        elif isinstance(self._images, StoredImages):
            in_type = preprocess.in_type if preprocess else np.asarray
            self._images.for_each_original(part, lambda place, image: change(place, in_type(image)))
        else:
            pixels = self._images[part]
            for place, image in enumerate(preprocess.in_type(pixels) if preprocess else pixels):
                change(place, image)
        return np.stack(changed)


def small_batch(pixels: int) -> int:
    """Return the largest number of images of this many pixels that are a small batch, in time and memory."""
    return min(_TOGETHER, max(1, _TOGETHER * 32 * 32 // max(1, pixels)))


def load_data_fashion_mnist(
    batch_size: int, resize: int | None = None, root=None, *, resize_in: str = "uint8", last_batch: str = "keep"
) -> tuple[DataLoader, DataLoader]:
    """Return loaders of Fashion-MNIST's training images (shuffled) and test images (in order).

    Batches are float32 images (N, 1, 28, 28) or (N, 1, resize, resize), in 0..1, and float32 labels (N,).

    Args:
        batch_size: The number of images per batch, 1 or more.
        resize: The height and width of the images in pixels (default: 28).
        root: The folder with the files, to which missing files are downloaded (default: see `data.datasets`).
        resize_in: The type in which images are resized: "uint8", "float32", or "published". The code of the source
            implicitly resizes training images in float32, because its shuffling converts them, and test images in
            uint8: "published" does the same. The two types differ by at most 1/255 per pixel.
        last_batch: See `DataLoader`.

    Returns:
        The loaders of the training and the test images.

    Raises:
        DataError: The data set cannot be found, read or downloaded.
        ValueError: An argument is out of range or unknown.
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
    pixels: tuple[float | Sequence[float], float | Sequence[float]] = (0.0, 1.0),
    augment: str = NONE,
    image_size: int | None = None,
    test_crops: str = TEST_CROPS[0],
    share: tuple[int, int] = (0, 1),
) -> tuple[DataLoader, DataLoader]:
    """Return loaders of the training images (shuffled) and test images (in order) of any data set.

    Args:
        data: The data set.
        batch_size: The number of images per batch, 1 or more.
        resize: The height and width of the images in pixels (default: their own).
        resize_in: See `load_data_fashion_mnist`.
        last_batch: See `DataLoader`.
        fit: See `Preprocess`.
        pixels: See `Preprocess`.
        augment: See `DataLoader`; for the training images only.
        image_size: See `Preprocess`.
        test_crops: `crops` of `Preprocess` for the test images.
        share: See `DataLoader`.

    Returns:
        The loaders of the training and the test images.

    Raises:
        DataError: The images are too large to be padded to `resize`, or a label is not the number of a class.
        ValueError: An argument is out of range or unknown.
    """
    if resize_in not in RESIZE_IN:
        raise ValueError(f"unknown resize_in {resize_in!r}: use one of {', '.join(RESIZE_IN)}")
    train_in, test_in = ("float32", "uint8") if resize_in == "published" else (resize_in, resize_in)
    height, width = data.train.images.shape[1:3]
    size = image_size or resize
    if fit == "pad" and size and max(height, width) > size:
        raise DataError(f"images of {height}x{width} cannot be padded to {size}x{size}: resize them (--fit resize)")
    for part in (data.train, data.test):
        check_labels(part.labels, len(data.classes))
    to_train = Preprocess(resize, train_in, fit, pixels, image_size)
    to_test = Preprocess(resize, test_in, fit, pixels, image_size, test_crops)
    train = DataLoader(data.train, batch_size, True, to_train, last_batch=last_batch, augment=augment, share=share)
    # a batch of crops needs no more memory; but which images "discard" leaves out depends on the batch size
    at_once = batch_size if last_batch == "discard" else max(1, batch_size // to_test.crops_per_image)
    test = DataLoader(data.test, at_once, False, to_test, last_batch=last_batch, share=share)
    return train, test


def _cut(numbers, size):
    """Return numbers (M,) in parts of `size` numbers."""
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _images_and_labels(dataset):
    """Return the checked images and labels of a data set as NumPy arrays."""
    if isinstance(dataset, Images):  # checked, and perhaps on the disk
        return dataset.images, dataset.labels
    try:
        images, labels = (_as_numpy(array) for array in dataset[:])
    except DataError:
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        what = type(dataset).__name__
        raise DataError(f"{what}[:] is not a pair of images and labels: use gluon.data.ArrayDataset") from error
    check_data_set(images, labels)
    return images, labels


def _as_numpy(array):
    return array.asnumpy() if hasattr(array, "asnumpy") else as_numbers(array)
