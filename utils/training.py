"""The training loop."""

from __future__ import annotations

from dataclasses import dataclass, field
import functools
import math
import time
from typing import Callable, Iterable, Sequence

from gluon_classics.compiler.compiled import compiled
from gluon_classics.errors import DataError, TrainingDiverged
from gluon_classics.models.objective import objective_of
from mxnet import autograd, gluon, nd

from .context import as_contexts
from .evaluation import batches_of, evaluate, split_batch
from .history import EpochRecord
from .metrics import RunningMetrics, batch_sums
from .seeding import RandomStreams


@dataclass(frozen=True)
class TrainingPosition:
    """A position in a training, between two batches.

    Attributes:
        epoch: Number of the current epoch, counted from 0.
        batches: Number of batches of this epoch that are trained.
        metrics: Metrics of these batches.
        seconds: Time that this epoch has taken so far.
    """

    epoch: int = 0
    batches: int = 0
    metrics: RunningMetrics = field(default_factory=RunningMetrics)
    seconds: float = 0.0


class Callback:
    """Code that a `TrainingLoop` calls during training. Override the methods that you need; the others do nothing."""

    def before_epoch(self, loop: TrainingLoop) -> None:
        """Run before an epoch, or before the rest of one that is resumed."""

    def before_batch(self, loop: TrainingLoop) -> None:
        """Run before a batch is trained; `loop.batches` does not count it."""

    def after_batch(self, loop: TrainingLoop) -> None:
        """Run after a batch was queued; `loop.batches` counts it, `loop.metrics` are a few batches late."""

    def after_epoch(self, loop: TrainingLoop, record: EpochRecord) -> None:
        """Run after an epoch and its evaluation; `loop.epoch` is the next one."""


class TrainingLoop:
    """Trains a network with one update per batch, and evaluates it after each epoch.

    Args:
        net: Network, initialized on the contexts.
        loss: Loss of the outputs and labels, (N,), as an array (N,).
        trainer: Updates the parameters after each batch.
        ctx: One context or several, over which each batch is split.
        callbacks: Called in this order.
        eager: Run the network as it is instead of its compiled twin.
        streams: Source of all random numbers. With it a training can start in the middle of an epoch, and
            `train_data` must be a `DataLoader`.
        step_size: Divisor of the summed gradients; by default the number of examples in the batch.
    """

    def __init__(
        self,
        net: gluon.nn.Block,
        loss: Callable,
        trainer: gluon.Trainer,
        ctx,
        callbacks: Sequence[Callback] = (),
        *,
        eager: bool = False,
        streams: RandomStreams | None = None,
        step_size: int | None = None,
    ) -> None:
        self.net = net
        self.loss = loss
        self.trainer = trainer
        self.contexts = as_contexts(ctx)
        self.callbacks = list(callbacks)
        self.eager = eager
        self.streams = streams
        self.step_size = step_size
        self._forward = net if eager else compiled(net)
        self._scores = objective_of(net).scores
        self._move_to(TrainingPosition())

    @property
    def position(self) -> TrainingPosition:
        """Current position of the training."""
        return TrainingPosition(self.epoch, self.batches, self.metrics, self.seconds)

    @property
    def seconds(self) -> float:
        """Time that the current epoch has taken so far."""
        return time.perf_counter() - self._epoch_start

    def run(
        self, train_data: Iterable, test_data: Iterable, num_epochs: int, start: TrainingPosition | None = None
    ) -> list[EpochRecord]:
        """Train until `num_epochs` epochs are done.

        Args:
            train_data: Batches of images and labels, as NDArrays, or a data iterator of `mx.io`.
            test_data: Batches to evaluate on, of the same kinds.
            num_epochs: Total number of epochs.
            start: Position to start from, a fixed point of the streams. If the parameters and the trainer have the
                state of that position, the result is bit-identical to an uninterrupted training.

        Returns:
            The metrics of the epochs that this call finished.

        Raises:
            DataError: There are no examples.
            TrainingDiverged: The loss, or a parameter at the end of an epoch, is infinite or not a number.
        """
        history = []
        position = start or TrainingPosition()
        while position.epoch < num_epochs:
            self._move_to(position)
            for callback in self.callbacks:
                callback.before_epoch(self)
            self._train_epoch(train_data)
            trained = self.seconds
            test_accuracy = evaluate(test_data, self.net, self.contexts, eager=self.eager).accuracy
            record = EpochRecord(
                epoch=self.epoch,
                train_loss=self.metrics.loss,
                train_accuracy=self.metrics.accuracy,
                test_accuracy=test_accuracy,
                seconds=self.seconds,
                images_per_second=self.metrics.examples / trained,
                curve=self.metrics.curve(),
            )
            history.append(record)
            position = TrainingPosition(self.epoch + 1)
            self._move_to(position)
            for callback in self.callbacks:
                callback.after_epoch(self, record)
        return history

    def _move_to(self, position):
        self.epoch, self.batches, self.metrics = position.epoch, position.batches, position.metrics
        self._epoch_start = time.perf_counter() - position.seconds

    def _train_epoch(self, train_data):
        for images, labels in self._batches(train_data):
            for callback in self.callbacks:
                callback.before_batch(self)
            self.metrics.add(len(images), self._train_batch(images, labels))
            self.batches += 1
            self._check_loss()
            for callback in self.callbacks:
                callback.after_batch(self)
        self.metrics.finish()
        if not self.metrics.examples:
            raise DataError("there are no examples to train on: use a smaller batch, or keep the last one")
        self._check_loss()
        self._check_parameters()

    def _batches(self, train_data):
        """Yield the rest of the epoch's batches. With streams, MXNet's generators are seeded at each fixed point."""
        if self.streams is None:
            yield from batches_of(train_data)
            return
        augmentation = functools.partial(self.streams.augmentation, self.epoch)
        for batch in train_data.batches(self.streams.order(self.epoch), self.batches, augmentation):
            self.streams.enter(self.epoch, self.batches)
            yield batch

    def _train_batch(self, images, labels):
        sums, heads = [], []
        parts = split_batch(images, labels, self.contexts)
        forward = self._forward
        if any(parameter._deferred_init for parameter in self.trainer._params):
            # Eager layers draw their weights in the first forward pass, between the dropout masks, as in the blog.
            # Compiling would draw all weights first, and the same seed would give other weights.
            forward = self.net
        with autograd.record():
            for x, y in parts:
                output = forward(x)
                heads.append(self.loss(output, y))
                with autograd.pause():
                    sums.append(batch_sums(self._scores(output), y, heads[-1]))
            heads += [_zero_loss(self.trainer, idle) for idle in self.contexts[len(parts) :]]
        autograd.backward(heads)
        if self.trainer._params_to_init:
            # the first step copies all parameters from the first context to the others, also the running statistics,
            # and MXNet's engine does not know that the backward pass writes these
            nd.waitall()
        self.trainer.step(self.step_size or len(images))
        return sums

    def _check_loss(self):
        if self.metrics.examples and not math.isfinite(self.metrics.loss):
            raise self._diverged(f"the training loss became {self.metrics.loss}")

    def _check_parameters(self):
        """Check the parameters, too. On the CPU MXNet's ReLU turns NaN into 0, which hides it from the loss."""
        for parameter in self.trainer._params:
            if not all(nd.all_finite(array).asscalar() for array in parameter.list_data()):
                raise self._diverged("parameters became infinite or not a number")

    def _diverged(self, what):
        place = f"in epoch {self.epoch}, after {self.metrics.examples:,} images"
        return TrainingDiverged(f"{what} {place}: try a learning rate below {self.trainer.learning_rate:g}")


def _zero_loss(trainer, ctx):
    """Return 0, computed from all parameters on a context without examples, so that its gradients become 0."""
    parameters = [parameter for parameter in trainer._params if parameter.grad_req != "null"]
    return sum((parameter.data(ctx) * 0).sum() for parameter in parameters)


class _BlogLines(Callback):
    """Prints the lines of the blog's `train`."""

    def __init__(self, print_batches):
        self._print_batches = print_batches

    def after_batch(self, loop):
        if self._print_batches and loop.batches % self._print_batches == 0:
            metrics = loop.metrics
            metrics.finish()
            print(f"Batch {metrics.examples}. Loss: {metrics.loss:f}, Train acc {metrics.accuracy:f}")

    def after_epoch(self, loop, record):
        print(
            f"Epoch {record.epoch}. Loss: {record.train_loss:.3f}, Train acc {record.train_accuracy:.2f}, "
            f"Test acc {record.test_accuracy:.2f}, Time {record.seconds:.1f} sec"
        )


def train(
    train_data: Iterable,
    test_data: Iterable,
    net: gluon.nn.Block,
    loss: Callable,
    trainer: gluon.Trainer,
    ctx,
    num_epochs: int,
    print_batches: int | None = None,
) -> list[EpochRecord]:
    """Train `net` and print a line after each epoch, and one after every `print_batches` batches.

    The network is trained through its compiled twin; see `hybridized`.

    Args:
        train_data: Batches of images and labels, as NDArrays, or a data iterator of `mx.io`, which is reset before
            each pass. Examples that only fill up its last batch are left out.
        test_data: Batches to evaluate on after each epoch, of the same kinds.
        net: Network, initialized on `ctx`.
        loss: Loss of the outputs and labels, (N,), as an array (N,).
        trainer: Updates the parameters once per batch, with the gradient averaged over the batch's examples.
        ctx: One context or several, over which each batch is split.
        num_epochs: Passes over the training data.
        print_batches: Number of batches between two lines; None prints none.

    Returns:
        The metrics of the epochs.

    Raises:
        DataError: There are no examples.
        TrainingDiverged: The loss, or a parameter at the end of an epoch, is infinite or not a number.

    Source: the blog's `utils.train`. Departs: the test accuracy covers all examples of `test_data`, a last partial
    batch is trained on, and the metrics are returned.
    """
    print("Start training on ", ctx)
    loop = TrainingLoop(net, loss, trainer, ctx, [_BlogLines(print_batches)])
    return loop.run(train_data, test_data, num_epochs)
