"""Accuracy and predictions of a network."""

from __future__ import annotations

from typing import Iterable

from gluon_classics.compiler.compiled import compiled, for_inference
from gluon_classics.errors import DataError
from gluon_classics.models.objective import first_output, objective_of
import mxnet as mx
from mxnet import autograd
from mxnet.gluon.utils import split_and_load
import numpy as np

from .context import as_contexts
from .metrics import RunningMetrics, batch_sums, correct_predictions


def accuracy(output: mx.nd.NDArray, label: mx.nd.NDArray) -> float:
    """Return the fraction 0..1 of rows of `output`, (N, classes), whose largest entry is at `label`, (N,).

    If there are several outputs, the first counts. Convert outputs that are not scores first, such as LeNet-5's
    distances.
    """
    return float(correct_predictions(first_output(output), label).mean().asscalar())


def evaluate_accuracy(data_iterator: Iterable, net: mx.gluon.nn.Block, ctx=None) -> float:
    """Return the fraction 0..1 of examples that `net` classifies correctly, in prediction mode.

    Args:
        data_iterator: Batches of images and labels, as NDArrays, or a data iterator of `mx.io`; see `batches_of`.
        net: Network, initialized on `ctx`. It is compiled in each call, if it can be.
        ctx: One context or several, over which each batch is split (default: the CPU).

    Raises:
        DataError: There are no examples.
    """
    return evaluate(data_iterator, compiled(net), ctx or [mx.cpu()]).accuracy


def evaluate(data_iterator: Iterable, net: mx.gluon.nn.Block, ctx, *, eager: bool = False) -> RunningMetrics:
    """Return the metrics of all examples in prediction mode; the loss is not computed.

    Args:
        data_iterator: See `batches_of`.
        net: Network, initialized on `ctx`.
        ctx: One context or several, over which each batch is split.
        eager: Run the network as it is instead of compiling it.

    Raises:
        DataError: There are no examples.
    """
    metrics = RunningMetrics()
    contexts = as_contexts(ctx)
    forward, scores = net if eager else for_inference(net), objective_of(net).scores
    with autograd.predict_mode():
        for images, labels in batches_of(data_iterator):
            parts = split_batch(images, labels, contexts)
            metrics.add(len(images), [batch_sums(scores(forward(x)), y) for x, y in parts])
    metrics.finish()
    if not metrics.examples:
        raise DataError("there are no examples to evaluate on: use a smaller batch, or keep the last one")
    return metrics


def predict_probabilities(batches: Iterable, net: mx.gluon.nn.Block, ctx) -> np.ndarray:
    """Return (N, classes): the softmax of the network's scores for all images of `batches`."""
    contexts = as_contexts(ctx)
    forward, scores = for_inference(net), objective_of(net).scores
    rows = []
    with autograd.predict_mode():
        for images, labels in batches:
            rows += [scores(forward(x)).softmax().asnumpy() for x, _ in split_batch(images, labels, contexts)]
    return np.concatenate(rows)


def accuracy_by_class(probabilities: np.ndarray, labels: np.ndarray, classes: int) -> list[tuple[int, int]]:
    """Return for each class the number of correctly classified images, and the number of images."""
    correct = probabilities.argmax(axis=1) == labels
    return [(int(correct[labels == c].sum()), int((labels == c).sum())) for c in range(classes)]


def batches_of(data: Iterable):
    """Yield pairs of images and labels, as NDArrays.

    Args:
        data: Such pairs, or a data iterator of `mx.io`, which is reset first.
    """
    if isinstance(data, mx.io.DataIter):
        data.reset()
    yield from map(_images_and_labels, data)


def _images_and_labels(batch):
    """Return the images and labels of a pair, or of a `DataBatch`, without the examples that only fill it up."""
    if not isinstance(batch, mx.io.DataBatch):
        return batch
    (images, *_), (labels, *_) = batch.data, batch.label
    used = len(images) - (batch.pad or 0)
    return images[:used], labels[:used]


def _get_batch(batch, ctx):
    """Return the images and the labels of a batch, each as a list with a part for each context, and its size.

    Args:
        batch: A pair of images and labels, as NDArrays, or a `DataBatch` of `mx.io`.
        ctx: One context or several.

    Source: the tutorial's `utils._get_batch`. Departs: the parts may have different sizes, and a `DataBatch` is
    without the examples that only fill it up.
    """
    images, labels = _images_and_labels(batch)
    parts = split_batch(images, labels, as_contexts(ctx))
    return [x for x, _ in parts], [y for _, y in parts], len(images)


def split_batch(images, labels, contexts) -> list[tuple]:
    """Return a pair of images and labels for each context; fewer if there are fewer examples than contexts."""
    used = contexts[: len(images)]
    return list(zip(*(split_and_load(array, used, even_split=False) for array in (images, labels))))
