"""The training loop."""

from __future__ import annotations

from dataclasses import dataclass, field
import math
import time
from typing import Callable, Iterable, Iterator

from gluon_classics.compiler.compiled import compiled
from gluon_classics.errors import DataError, TrainingDiverged
from gluon_classics.models.objective import objective_of
from mxnet import autograd, gluon, nd

from .context import as_contexts
from .evaluation import evaluate, split_batch
from .metrics import Tally, batch_sums
from .seeding import Streams


@dataclass(frozen=True)
class EpochResult:
    """One pass over the training data, `epoch` counted from 0.

    `train_loss` (mean per example) and `train_accuracy` are running figures, each batch measured before its
    update; accuracies are fractions 0..1. `seconds` is the whole epoch with its evaluation, `images_per_second`
    the speed of the training part. `curve` is the way there: images seen, loss and accuracy since the last point.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float
    images_per_second: float
    curve: tuple[tuple[int, float, float], ...] = ()


@dataclass(frozen=True)
class Position:
    """Where a training stands: so many batches of `epoch`, counted from 0, are trained; their tally and seconds."""

    epoch: int = 0
    batches: int = 0
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0


def train(
    train_data: Iterable,
    test_data: Iterable,
    net: gluon.nn.Block,
    loss: Callable,
    trainer: gluon.Trainer,
    ctx,
    num_epochs: int,
    print_batches: int | None = None,
) -> list[EpochResult]:
    """Train `net` and print a line an epoch; with `print_batches` also a line every so many batches.

    `train_data` and `test_data` yield batches of images and labels, as NDArrays; each batch is split over `ctx`,
    one context or several, on which `net` must have been initialised. `trainer` updates once a batch, with the
    gradient averaged over the batch's examples. `net` is trained through its compiled twin (`hybridized`).

    Returns the results of the epochs. Raises TrainingDiverged when the loss, or a parameter at the end of an epoch,
    is infinite or not a number, and DataError if there are no examples.

    Source: the blog's `utils.train`, whose lines it prints. Departs: test accuracy is over all test examples
    that `test_data` gives, a last partial batch is trained on, and the results are returned.
    """

    def print_batch(number, tally):
        if number % print_batches == 0:
            tally.finish()
            print(f"Batch {tally.examples}. Loss: {tally.loss:f}, Train acc {tally.accuracy:f}")

    contexts = as_contexts(ctx)
    print("Start training on ", contexts)
    history = []
    on_batch = print_batch if print_batches else None
    for result in train_epochs(train_data, test_data, net, loss, trainer, contexts, num_epochs, on_batch):
        print(
            f"Epoch {result.epoch}. Loss: {result.train_loss:.3f}, Train acc {result.train_accuracy:.2f}, "
            f"Test acc {result.test_accuracy:.2f}, Time {result.seconds:.1f} sec"
        )
        history.append(result)
    return history


def train_epochs(
    train_data: Iterable,
    test_data: Iterable,
    net: gluon.nn.Block,
    loss: Callable,
    trainer: gluon.Trainer,
    ctx,
    num_epochs: int,
    on_batch: Callable[[int, Tally], None] | None = None,
    streams: Streams | None = None,
    start: Position | None = None,
    before_batch: Callable[[int, int], None] | None = None,
    step_size: int | None = None,
) -> Iterator[EpochResult]:
    """Train as `train` does, in silence: yields each epoch's result as soon as it is there.

    `on_batch(number, tally)` is called after each batch was queued, `number` counting from 1 in each epoch; the
    tally is a few batches late. `before_batch(epoch, number)` is called before each batch is trained, `number`
    counting from 0. Each batch's gradients are summed up and divided by `step_size`, without one by its examples.

    With `streams` all random numbers are theirs, and `train_data` must be a `DataLoader`. Training may then begin at
    `start`, a fixed point of the streams: with the parameters and the trainer of that moment it goes on to the bits of
    an uninterrupted one.
    """
    contexts = as_contexts(ctx)
    forward = compiled(net)
    scores = objective_of(net).scores
    position = start or Position()

    def train_batch(images, labels):
        return _train_batch(images, labels, forward, scores, loss, trainer, contexts, step_size or len(images))

    for epoch in range(position.epoch, num_epochs):
        start_time = time.perf_counter() - position.seconds
        batches = train_data if streams is None else _batches(train_data, streams, epoch, position.batches)
        tally = _train_epoch(batches, train_batch, trainer, epoch, on_batch, position, before_batch)
        trained = time.perf_counter()
        test_accuracy = evaluate(test_data, net, contexts).accuracy
        yield EpochResult(
            epoch=epoch,
            train_loss=tally.loss,
            train_accuracy=tally.accuracy,
            test_accuracy=test_accuracy,
            seconds=time.perf_counter() - start_time,
            images_per_second=tally.examples / (trained - start_time),
            curve=tally.curve(),
        )
        position = Position(epoch + 1)


def _batches(train_data, streams, epoch, skipped):
    """The rest of an epoch's batches, with MXNet's generators seeded on the way."""
    for number, batch in enumerate(train_data.batches(streams.order(epoch), skipped), start=skipped):
        streams.enter(epoch, number)
        yield batch


def _train_epoch(train_data, train_batch, trainer, epoch, on_batch, position, before_batch):
    tally = position.tally
    for number, (images, labels) in enumerate(train_data, start=position.batches + 1):
        if before_batch:
            before_batch(epoch, number - 1)
        tally.add(len(images), train_batch(images, labels))
        if on_batch:
            on_batch(number, tally)
        _stop_if_diverged(tally, epoch, trainer)
    tally.finish()
    if not tally.examples:
        raise DataError("there are no examples to train on: use a smaller batch, or keep the last one")
    _stop_if_diverged(tally, epoch, trainer)
    _stop_if_parameters_diverged(tally, epoch, trainer)
    return tally


def _train_batch(images, labels, net, scores, loss, trainer, contexts, step_size):
    sums, heads = [], []
    parts = split_batch(images, labels, contexts)
    with autograd.record():
        for x, y in parts:
            output = net(x)
            heads.append(loss(output, y))
            with autograd.pause():
                sums.append(batch_sums(scores(output), y, heads[-1]))
        heads += [_zero_loss(trainer, idle) for idle in contexts[len(parts) :]]
    autograd.backward(heads)
    if trainer._params_to_init:
        # the first step copies all parameters from the first context to the others, running statistics too, which the
        # backward pass writes without MXNet's engine knowing
        nd.waitall()
    trainer.step(step_size)
    return sums


def _zero_loss(trainer, ctx):
    """0, computed from all parameters on a context that got no example, so that its gradients are zero, not stale."""
    parameters = [parameter for parameter in trainer._params if parameter.grad_req != "null"]
    return sum((parameter.data(ctx) * 0).sum() for parameter in parameters)


def _stop_if_diverged(tally, epoch, trainer):
    if tally.examples and not math.isfinite(tally.loss):
        raise _diverged(f"the training loss became {tally.loss}", tally, epoch, trainer)


def _stop_if_parameters_diverged(tally, epoch, trainer):
    """On the CPU MXNet's ReLU turns a nan into 0, so that the loss of a ruined network may look well."""
    for parameter in trainer._params:
        if not all(nd.all_finite(array).asscalar() for array in parameter.list_data()):
            raise _diverged("parameters became infinite or not a number", tally, epoch, trainer)


def _diverged(what, tally, epoch, trainer):
    rate = f"try a learning rate below {trainer.learning_rate:g}"
    return TrainingDiverged(f"{what} in epoch {epoch}, after {tally.examples:,} images: {rate}")
