"""Accuracy and predictions of a network.

There are no gradients here: through max pooling, MXNet computes them wrongly in prediction mode (docs/limits.md).
"""

from __future__ import annotations

from typing import Iterable

from gluon_classics.compiler.compiled import compiled, for_inference
from gluon_classics.data.examples import check_labels, check_shapes
from gluon_classics.errors import InputError, TrainingDiverged
from gluon_classics.models.network import explained, kind_of, refuse_numpy_mode
from gluon_classics.models.objective import first_output, objective_of
import mxnet as mx
from mxnet import autograd
import numpy as np

from .batches import as_ndarray, batches_of, images_and_labels, no_examples, split_batch
from .context import as_contexts
from .finite import FiniteChecks, check_parameters, is_finite, is_known_finite, not_finite
from .metrics import RunningMetrics, correct_predictions, evaluation_sums

SMALLEST = 1e-37  # added to mean probabilities, so that their logarithms are finite


def accuracy(output: mx.nd.NDArray, label: mx.nd.NDArray) -> float:
    """Return the fraction 0..1 of rows of `output`, (N, classes), whose largest entry is at `label`, (N,).

    If there are several outputs, the first counts. Convert outputs that are not scores first, such as LeNet-5's
    distances.

    Raises:
        DataError: `label` is not like that; for example, labels are one-hot rows or not below `classes`.
        InputError: `output` is not like that.
        TrainingDiverged: `output` has a value that is infinite or not a number.
    """
    refuse_numpy_mode()
    scores = as_ndarray(first_output(output), "outputs")
    label = as_ndarray(label, "labels")
    check_scores(scores, len(label))
    check_shapes(scores.shape, label.shape)
    check_labels(label.asnumpy(), scores.shape[1])
    if not is_finite(scores):
        raise TrainingDiverged(
            "the output has values that are infinite or not a number: check the network's parameters"
        )
    return float(correct_predictions(scores, label.as_in_context(scores.context)).mean().asscalar())


def evaluate_accuracy(data_iterator: Iterable, net: mx.gluon.nn.Block, ctx=None) -> float:
    """Return the fraction 0..1 of examples that `net` classifies correctly, in prediction mode.

    Args:
        data_iterator: Batches of images and labels, as NDArrays, or a data iterator of `mx.io`; see `batches_of`.
        net: Network, initialized on `ctx`. It is compiled in each call, if it can be.
        ctx: One context or several, over which each batch is split (default: the CPU).

    Raises:
        ClassicsError: A parameter is infinite or not a number.
        DataError: There are no examples, or they are not like that (see `batches_of`), or not finite.
        InputError: The network cannot take the images.
        TrainingDiverged: An output is infinite or not a number.
    """
    forward = compiled(net)
    check_parameters(net)
    return evaluate(data_iterator, forward, mx.cpu() if ctx is None else ctx).accuracy


def evaluate(data_iterator: Iterable, net: mx.gluon.nn.Block, ctx, *, eager: bool = False) -> RunningMetrics:
    """Return the metrics of all examples in prediction mode; the loss is not computed.

    Args:
        data_iterator: See `batches_of`. If it is a `DataLoader` of several crops of each image, the mean of their
            probabilities counts.
        net: Network, initialized on `ctx`.
        ctx: One context or several, over which each batch is split.
        eager: Run the network as it is instead of compiling it.

    Raises:
        DataError: There are no examples, or they are not like that (see `batches_of`), or not finite.
        InputError: The network cannot take the images.
        TrainingDiverged: An output is infinite or not a number.
    """
    metrics = RunningMetrics()
    contexts = as_contexts(ctx)
    forward = net if eager else for_inference(net)
    finite = FiniteChecks()
    crops = getattr(data_iterator, "crops", 1)
    with autograd.predict_mode():
        for number, (images, labels) in enumerate(batches_of(data_iterator)):
            if not is_known_finite(data_iterator):
                finite.add("images", number, images)
            sums = []
            for x, y in split_batch(images, labels, contexts):
                scores = _scores(net, forward, x, crops)
                check_labels(y.asnumpy(), scores.shape[1])
                sums.append(evaluation_sums(scores, y))
                finite.add("outputs", number, scores)
            metrics.add(len(images), sums)
    metrics.finish()
    finite.finish()
    if not metrics.examples:
        raise no_examples(data_iterator, "evaluate")
    return metrics


def predict_probabilities(batches: Iterable, net: mx.gluon.nn.Block, ctx, crops: int = 1) -> np.ndarray:
    """Return (N, classes): the softmax of the network's scores for all images of `batches`.

    Args:
        batches: Batches of images and labels, as NDArrays.
        net: Network, initialized on `ctx`.
        ctx: One context or several, over which each batch is split.
        crops: Number of crops of each image. With more than one, images are (N, crops, C, H, W), and the result is the
            mean over the crops.

    Raises:
        ClassicsError: A parameter is infinite or not a number.
        DataError: There are no examples, or they are not like that (see `batches_of`), or not finite.
        InputError: The network cannot take the images.
        TrainingDiverged: An output is infinite or not a number.
    """
    contexts = as_contexts(ctx)
    check_parameters(net)
    forward = for_inference(net)
    rows = []
    with autograd.predict_mode():
        for number, (images, labels) in enumerate(batches_of(batches)):
            for x, _ in split_batch(images, labels, contexts):
                rows.append(_scores(net, forward, x, crops).softmax().asnumpy())
                if not np.isfinite(rows[-1]).all():
                    raise not_finite("images" if not is_finite(x) else "outputs", number)
    if not rows:
        raise no_examples(batches, "predict")
    return np.concatenate(rows)


def accuracy_by_class(probabilities: np.ndarray, labels: np.ndarray, classes: int) -> list[tuple[int, int]]:
    """Return for each class the number of correctly classified images, and the number of images."""
    correct = probabilities.argmax(axis=1) == labels
    return [(int(correct[labels == c].sum()), int((labels == c).sum())) for c in range(classes)]


def top_accuracy(probabilities: np.ndarray, labels: np.ndarray, count: int) -> float:
    """Return the fraction 0..1 of rows of `probabilities`, (N, classes), with the label among the `count` largest.

    Of equal probabilities the first ones count, as in `argmax`.
    """
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float((best == np.asarray(labels)[:, None]).any(axis=1).mean())


def outputs_and_scores(net: mx.gluon.nn.Block, forward, images: mx.nd.NDArray) -> tuple:
    """Return the outputs of a network for images on one context, and its scores, (N, classes).

    Args:
        net: Network, with its objective.
        forward: The network itself, or its compiled form.
        images: (N, ...).

    Raises:
        InputError: The network cannot take the images, or it does not return scores.
    """
    with explained(net, images):
        outputs = forward(images)
    with autograd.pause():
        scores = objective_of(net).scores(outputs)
    check_scores(scores, len(images))
    return outputs, scores


def _scores(net, forward, images, crops):
    """Return scores (N, classes), or for several crops of each image, (N, crops, C, H, W), logarithms of their mean
    probabilities."""
    if crops == 1:
        return outputs_and_scores(net, forward, images)[1]
    _, scores = outputs_and_scores(net, forward, images.reshape((-1, *images.shape[2:])))
    return (scores.softmax().reshape((len(images), crops, -1)).mean(axis=1) + SMALLEST).log()


def check_scores(scores, examples: int) -> None:
    """Raise an InputError unless `scores` is an NDArray (N, classes) with a row per example."""
    shape = scores.shape if isinstance(scores, mx.nd.NDArray) else None
    if shape is None or len(shape) != 2 or shape[0] != examples:
        found = kind_of(scores) if shape is None else f"of shape {shape}"
        raise InputError(f"the outputs for {examples} examples are {found}: use an NDArray of shape (N, classes)")


def _get_batch(batch, ctx):
    """Return the images and the labels of a batch, each as a list with a part for each context, and its size.

    Args:
        batch: A pair of images and labels, as NDArrays, or a `DataBatch` of `mx.io`.
        ctx: One context or several.

    Source: the tutorial's `utils._get_batch`. Departs: the parts may have different sizes, and a `DataBatch` is
    without the examples that only fill it up.
    """
    images, labels = images_and_labels(batch)
    parts = split_batch(images, labels, as_contexts(ctx))
    return [x for x, _ in parts], [y for _, y in parts], len(images)
