"""The training loop."""

from __future__ import annotations

from dataclasses import dataclass, field
import itertools
import math
import re
import time
from typing import Callable, Iterable, NamedTuple, Sequence

from gluon_classics._numbers import is_whole
from gluon_classics.compiler.compiled import compiled
from gluon_classics.data.examples import check_labels
from gluon_classics.errors import ClassicsError, InputError, TrainingDiverged
from gluon_classics.models.network import kind_of
from mxnet import autograd, base, gluon, nd
import numpy as np

from .batches import batches_of, images_and_labels, no_examples, split_batch
from .context import as_contexts
from .evaluation import evaluate, outputs_and_scores
from .finite import FiniteChecks, check_parameters, first_not_finite, is_finite, is_known_finite, not_finite
from .group import Group, average_statistics
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
        """Run after an epoch and its evaluation; `loop.epoch` is the next one. Set `loop.stopped` to end the run."""


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
        micro_batch_size: Number of examples that are computed at a time. The gradients of the parts of a batch are
            added up before its update; by default a batch is one part.
        group: Processes that train the network together; by default this one alone. With several, `streams` is needed,
            the loaders must yield the share of this process, and the trainer must add up the gradients of all.

    Attributes:
        stopped: Whether the training ends before its last epoch. Callbacks set it.

    Raises:
        ClassicsError: An argument is of another kind, or MXNet's NumPy mode is on.
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
        micro_batch_size: int | None = None,
        group: Group | None = None,
    ) -> None:
        if not callable(loss):
            raise ClassicsError(f"the loss is {kind_of(loss)}: use one such as gluon.loss.SoftmaxCrossEntropyLoss()")
        if not isinstance(trainer, gluon.Trainer):
            raise ClassicsError(f"the trainer is {kind_of(trainer)}: use gluon.Trainer(net.collect_params(), ...)")
        if not 0 <= trainer.learning_rate < math.inf:
            raise ClassicsError(f"the learning rate is {trainer.learning_rate}: use 0 or more")
        if micro_batch_size is not None and not is_whole(micro_batch_size):
            raise ClassicsError(f"the micro batch size is {micro_batch_size!r}: use None, or a whole number, 1 or more")
        self.net = net
        self.loss = loss
        self.trainer = trainer
        self.contexts = as_contexts(ctx)
        self.callbacks = list(callbacks)
        self.eager = eager
        self.streams = streams
        self.step_size = step_size
        self.micro_batch_size = micro_batch_size
        self.group = group or Group()
        self.stopped = False
        self._forward = net if eager else compiled(net)
        self._is_first_step = True
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
        self,
        train_data: Iterable,
        test_data: Iterable,
        num_epochs: int,
        start: TrainingPosition | None = None,
        validation_data: Iterable | None = None,
    ) -> list[EpochRecord]:
        """Train until `num_epochs` epochs are done, or a callback stops the training.

        Args:
            train_data: Batches of images and labels, as NDArrays, or a data iterator of `mx.io`.
            test_data: Batches to evaluate on, of the same kinds.
            num_epochs: Total number of epochs.
            start: Position to start from, a fixed point of the streams. If the parameters and the trainer have the
                state of that position, the result is bit-identical to an uninterrupted training.
            validation_data: More batches to evaluate on; None leaves the validation accuracy out.

        Returns:
            The metrics of the epochs that this call finished.

        Raises:
            ClassicsError: A parameter is infinite or not a number before the first step, or the loss does not return
                one value per example.
            DataError: There are no examples, or they are not like that; see `batches_of`.
            InputError: The network cannot take the images.
            TrainingDiverged: The loss, or a parameter or an output at the end of an epoch, is infinite or not a number.
        """
        if not is_whole(num_epochs, 0):
            raise ClassicsError(f"the number of epochs is {num_epochs!r}: use a whole number, 0 or more")
        history = []
        position = start or TrainingPosition()
        self.stopped = False
        while position.epoch < num_epochs and not self.stopped:
            self._move_to(position)
            for callback in self.callbacks:
                callback.before_epoch(self)
            self._train_epoch(train_data)
            average_statistics(self.net, self.group)
            trained = self.seconds
            test_accuracy, top_5 = self._accuracies(test_data, "test")
            validation_accuracy = None
            if validation_data is not None:
                validation_accuracy, _ = self._accuracies(validation_data, "validation")
            record = EpochRecord(
                epoch=self.epoch,
                train_loss=self.metrics.loss,
                train_accuracy=self.metrics.accuracy,
                test_accuracy=test_accuracy,
                seconds=self.seconds,
                images_per_second=self.metrics.examples / trained,
                curve=self.metrics.curve(),
                validation_accuracy=validation_accuracy,
                test_top_5_accuracy=top_5,
            )
            history.append(record)
            position = TrainingPosition(self.epoch + 1)
            self._move_to(position)
            for callback in self.callbacks:
                callback.after_epoch(self, record)
        return history

    def _accuracies(self, data, kind):
        """Return the accuracy and the top-5 accuracy, which is None with no more than 5 classes."""
        correct = examples = among_best = 0.0
        is_counted = False
        cause = None
        try:
            if self.group.size == 1 or data.share_examples:
                metrics = evaluate(data, self.net, self.contexts, eager=self.eager)
                correct, examples = metrics.correct, metrics.examples
                is_counted = metrics.among_best is not None
                among_best = metrics.among_best or 0.0
        except TrainingDiverged as error:
            cause = error
        own = np.array([correct, examples, among_best, is_counted, cause is not None])
        correct, examples, among_best, is_counted, failures = self.group.sum(own)
        if failures:
            raise self._diverged(f"outputs for the {kind} images became infinite or not a number") from cause
        return float(correct / examples), float(among_best / examples) if is_counted else None

    def _move_to(self, position):
        self.epoch, self.batches, self.metrics = position.epoch, position.batches, position.metrics
        self._epoch_start = time.perf_counter() - position.seconds
        self._images = FiniteChecks()  # of this epoch

    def _train_epoch(self, train_data):
        for batch in self._batches(train_data):
            for callback in self.callbacks:
                callback.before_batch(self)
            self.metrics.add(batch.examples, self._train_batch(batch, is_known_finite(train_data)))
            self.batches += 1
            self._check_loss()
            for callback in self.callbacks:
                callback.after_batch(self)
        self.metrics.finish()
        if not self.metrics.examples:
            raise no_examples(train_data, "train")
        self._images.finish()
        self._check_loss()
        self._check_parameters()

    def _batches(self, train_data):
        """Yield the rest of the epoch's batches. With streams, MXNet's generators are seeded at each fixed point."""
        size = self.micro_batch_size
        if self.streams is None:
            yield from (_Batch.cut(images, labels, size) for images, labels in batches_of(train_data))
            return
        order, key = self.streams.order(self.epoch), self.streams.augmentation(self.epoch)
        for batch in itertools.starmap(_Batch, train_data.in_parts(order, size, self.batches, key)):
            self.streams.enter(self.epoch, self.batches)
            yield batch

    def _train_batch(self, batch, is_finite_for_sure):
        sums, losses = [], []
        totals: list[nd.NDArray] = []
        for number, (images, labels) in enumerate(map(images_and_labels, batch.parts), 1):
            if not is_finite_for_sure:
                self._images.add("images", self.batches, images)
            sums_of_part, losses_of_part = self._compute_gradients(images, labels)
            sums += sums_of_part
            losses += losses_of_part
            if batch.pieces > 1:
                self._add_gradients(totals, is_last=number == batch.pieces)
            if self._is_first_step and not is_finite(images):
                raise not_finite("images", self.batches)
        if not batch.pieces:
            autograd.backward(self._zero_losses(self.contexts))
        if self._is_first_step:
            self._check_first_step(losses)
        sums = self.group.queue_sum(sums)
        if self.trainer._params_to_init:
            # the first step copies all parameters from the first context to the others, also the running statistics,
            # and MXNet's engine does not know that the backward pass writes these
            nd.waitall()
        self._step(self.step_size or batch.examples)
        return sums

    def _add_gradients(self, totals, is_last):
        """Add the gradients of a part of a batch to `totals`; after the last part, the totals to the gradients.

        MXNet's grad_req "add" is not used: it would change the graph of batches of one part, and the gradients that a
        callback computes, such as those of curvatures.
        """
        gradients = [grad for p in self.trainer._params if p.grad_req != "null" for grad in p.list_grad()]
        if not totals:
            totals += [nd.zeros_like(gradient) for gradient in gradients]
        for total, gradient in zip(totals, gradients):
            if is_last:
                gradient += total
            else:
                total += gradient
                gradient[:] = 0  # it keeps its value if the loss of the next part does not depend on the parameter

    def _compute_gradients(self, images, labels):
        """Return the sums of the metrics on each context, and the losses."""
        sums, heads = [], []
        parts = split_batch(images, labels, self.contexts)
        forward = self._forward
        if any(parameter._deferred_init for parameter in self.trainer._params):
            # Eager layers draw their weights in the first forward pass, between the dropout masks, as in the blog.
            # Compiling would draw all weights first, and the same seed would give other weights.
            forward = self.net
        with autograd.record():
            for x, y in parts:
                output, scores = outputs_and_scores(self.net, forward, x)
                check_labels(y.asnumpy(), scores.shape[1])
                heads.append(_losses(self.loss, output, y))
                with autograd.pause():
                    sums.append(batch_sums(scores, y, heads[-1]))
            heads += self._zero_losses(self.contexts[len(parts) :])
        autograd.backward(heads)
        return sums, [head.detach() for head in heads]

    def _zero_losses(self, contexts):
        """Return 0 for each context, computed from all parameters, so that the gradients of idle ones become 0."""
        parameters = [parameter for parameter in self.trainer._params if parameter.grad_req != "null"]
        with autograd.record():
            return [sum((parameter.data(ctx) * 0).sum() for parameter in parameters) for ctx in contexts]

    def _step(self, size):
        try:
            self.trainer.step(size)
        except (UserWarning, RuntimeError) as error:  # Gluon raises them for a parameter without a new gradient
            name = re.search(r"Parameter [`'](\w+)", str(error))
            if name is None:
                raise
            raise ClassicsError(
                f"the loss does not depend on parameter {name[1]} of the trainer: leave it out of the trainer"
            ) from error

    def _check_first_step(self, losses):
        """Check what is finite before any update, when it cannot depend on the learning rate."""
        self._is_first_step = False
        check_parameters(self.net)
        if not all(map(is_finite, losses)):
            raise TrainingDiverged(
                "the loss of the first batch is infinite or not a number, but its images and the parameters are "
                "finite: scale the images or the initial weights down, or check the loss"
            )
        name = first_not_finite(self.trainer._params, gradients=True)
        if name:
            raise TrainingDiverged(
                f"the gradient of {name} is infinite or not a number in the first batch, but the loss is finite: check "
                "the gradient of the loss and of the layers"
            )

    def _check_loss(self):
        if self.metrics.examples and not math.isfinite(self.metrics.loss):
            raise self._diverged(f"the training loss became {self.metrics.loss}")

    def _check_parameters(self):
        """Check the parameters, too. On the CPU MXNet's ReLU turns NaN into 0, which hides it from the loss."""
        if first_not_finite(self.trainer._params):
            raise self._diverged("parameters became infinite or not a number")

    def _diverged(self, what):
        """Return the error with its cause. The first step had none of the others; see `_check_first_step`."""
        self._images.finish()
        place = f"in epoch {self.epoch}, after {self.metrics.examples:,} images"
        remedy = f"try a learning rate below {self.trainer.learning_rate:g}"
        if not self.metrics.has_risen():
            remedy += ", or check the gradient of the loss, since the loss had not risen before"
        return TrainingDiverged(f"{what} {place}: {remedy}")


class _Batch(NamedTuple):
    """A batch that is computed in parts.

    Attributes:
        examples: Number of its examples, in all processes.
        pieces: Number of its parts in this process; 0 if it has no examples for it.
        parts: Pairs of images and labels, which can be read once.
    """

    examples: int
    pieces: int
    parts: Iterable

    @classmethod
    def cut(cls, images, labels, size=None):
        """Return a batch in parts of `size` examples; None is one part. The last part may have fewer."""
        examples = len(images)
        if size is None or examples <= size:
            return cls(examples, 1, [(images, labels)])
        ends = [
            (start, min(start + size, examples)) for start in range(0, examples, size)
        ]  # MXNet 1.6 wants them exact
        return cls(examples, len(ends), [(images[start:end], labels[start:end]) for start, end in ends])


def _losses(loss, output, labels):
    """Return the loss of each example, (N,). Raise a ClassicsError if `loss` returns something else."""
    examples = len(labels)
    try:
        losses = loss(output, labels)
    except (base.MXNetError, AssertionError) as error:
        given = getattr(output, "shape", kind_of(output))
        what = f"outputs {given} and labels {labels.shape}"
        raise InputError(f"the loss cannot take {what}: use one such as SoftmaxCrossEntropyLoss") from error
    shape = losses.shape if isinstance(losses, nd.NDArray) else None
    if shape == (examples,):
        return losses
    if shape is not None and math.prod(shape) == 1:
        raise ClassicsError(f"the loss returns one value for {examples} examples: return one per example")
    found = kind_of(losses) if shape is None else f"an array of shape {shape}"
    raise ClassicsError(f"the loss returns {found} for {examples} examples: return an NDArray with one value for each")


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
        ClassicsError: An argument is of another kind, a parameter is infinite or not a number before the first step, or
            the loss does not return one value per example.
        DataError: There are no examples, or they are not like that; see `batches_of`.
        InputError: The network cannot take the images.
        TrainingDiverged: The loss, or a parameter at the end of an epoch, is infinite or not a number.

    Source: the blog's `utils.train`. Departs: the test accuracy covers all examples of `test_data`, a last partial
    batch is trained on, and the metrics are returned.
    """
    if print_batches is not None and not is_whole(print_batches):
        raise ClassicsError(f"print_batches is {print_batches!r}: use None, or a whole number, 1 or more")
    loop = TrainingLoop(net, loss, trainer, ctx, [_BlogLines(print_batches)])
    print("Start training on ", ctx)
    return loop.run(train_data, test_data, num_epochs)
