"""Accuracy."""

from __future__ import annotations

from typing import Iterable

from gluon_classics._objective import first_output, objective_of
import mxnet as mx
from mxnet import autograd
from mxnet.gluon.utils import split_and_load

from .context import as_contexts
from .errors import DataError
from .hybrid import compiled, for_inference
from .metrics import Tally, batch_sums, right_answers


def accuracy(output: mx.nd.NDArray, label: mx.nd.NDArray) -> float:
    """Fraction 0..1 of rows of `output`, (N, classes), whose largest entry is at `label`, (N,).

    Of several outputs the first counts. Outputs that are read otherwise, as LeNet-5's distances, must be scores first.
    """
    return float(right_answers(first_output(output), label).mean().asscalar())


def evaluate_accuracy(data_iterator: Iterable, net: mx.gluon.nn.Block, ctx=None) -> float:
    """Fraction 0..1 of the examples of `data_iterator` that `net` classifies correctly, in prediction mode.

    Every batch is split over the contexts in `ctx` (default: the CPU). Batches follow each other without waiting;
    only the end waits. The network is compiled anew in every call, if it can be.
    Raises DataError if there are no examples.
    """
    return evaluate(data_iterator, compiled(net), ctx or [mx.cpu()]).accuracy


def evaluate(data_iterator, net, ctx) -> Tally:
    """The tally of correct predictions over all examples of `data_iterator`, in prediction mode.

    `ctx` is one context or several. Raises DataError if there are no examples.
    """
    tally = Tally()
    contexts = as_contexts(ctx)
    forward, scores = for_inference(net), objective_of(net).scores
    with autograd.predict_mode():
        for images, labels in data_iterator:
            parts = split_batch(images, labels, contexts)
            tally.add(len(images), [batch_sums(scores(forward(x)), y) for x, y in parts])
    tally.finish()
    if not tally.examples:
        raise DataError("there are no examples to evaluate on: use a smaller batch, or keep the last one")
    return tally


def split_batch(images, labels, contexts):
    """Pairs of images and labels, one for each context; fewer if there are fewer examples than contexts."""
    used = contexts[: len(images)]
    return list(zip(*(split_and_load(array, used, even_split=False) for array in (images, labels))))
