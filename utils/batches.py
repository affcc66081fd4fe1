"""Batches of images and labels, of every kind that training and evaluation take."""

from __future__ import annotations

from typing import Iterable, Iterator

from gluon_classics.data.examples import as_numbers, check_shapes
from gluon_classics.errors import DataError
from gluon_classics.models.network import kind_of
import mxnet as mx
from mxnet.gluon.utils import split_and_load


def batches_of(data: Iterable):
    """Yield pairs of images, (N, ...), and labels, (N,), as NDArrays.

    Args:
        data: Such pairs, as NDArrays, NumPy arrays or lists, or a data iterator of `mx.io`, which is reset first.

    Raises:
        DataError: `data` is something else, or the shapes are not like that.
    """
    if isinstance(data, mx.io.DataIter):
        data.reset()
    try:
        batches = iter(data)
    except TypeError as error:
        raise DataError(f"the data is {kind_of(data)}: use a DataLoader, or pairs of images and labels") from error
    yield from map(images_and_labels, batches)


def images_and_labels(batch) -> tuple[mx.nd.NDArray, mx.nd.NDArray]:
    """Return the images and labels of a pair, or of a `DataBatch`, without the examples that only fill it up.

    Raises:
        DataError: They are not a batch of images, (N, ...), and labels, (N,).
    """
    pad = 0
    if isinstance(batch, mx.io.DataBatch):
        pad = batch.pad or 0
        batch = [arrays[0] for arrays in (batch.data, batch.label) if arrays]
    try:
        images, labels = batch
    except (TypeError, ValueError) as error:
        raise DataError(f"a batch is {kind_of(batch)}: use a pair of images and labels") from error
    images, labels = as_ndarray(images, "images"), as_ndarray(labels, "labels")
    if pad:
        images, labels = images[: len(images) - pad], labels[: len(labels) - pad]
    check_shapes(images.shape, labels.shape)
    return images, labels


def as_ndarray(array, what: str) -> mx.nd.NDArray:
    """Return an NDArray, NumPy array or list of numbers as an NDArray. Raises DataError, which calls it `what`."""
    if isinstance(array, mx.nd.NDArray):
        if not array.shape:
            raise DataError(f"the {what} are a single number: use an NDArray with one row per example")
        return array.as_nd_ndarray() if isinstance(array, mx.np.ndarray) else array
    numbers = as_numbers(array)
    if numbers.dtype.kind not in "iuf" or not numbers.ndim:
        raise DataError(f"the {what} are {kind_of(array)} with values of type {numbers.dtype}: use an NDArray")
    if not numbers.size:
        raise DataError(f"the {what} have shape {numbers.shape}: a batch must not be empty")
    return mx.nd.array(numbers)


def split_batch(images, labels, contexts) -> list[tuple]:
    """Return a pair of images and labels for each context; fewer if there are fewer examples than contexts."""
    used = contexts[: len(images)]
    return list(zip(*(split_and_load(array, used, even_split=False) for array in (images, labels))))


def no_examples(data: Iterable, purpose: str) -> DataError:
    """Return the error that there are no examples to `purpose` on, with a remedy that fits the kind of the data."""
    if isinstance(data, Iterator) and not isinstance(data, mx.io.DataIter):
        return DataError(f"there are no examples left to {purpose} on: an iterator ends after one pass, so use a list")
    return DataError(f"there are no examples to {purpose} on: use a smaller batch, or keep the last one")
