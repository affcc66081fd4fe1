"""Optimizers and learning-rate schedules of a run."""

from __future__ import annotations

import math
from typing import Iterable, Sequence

from gluon_classics.utils.history import EpochRecord, has_stopped
from gluon_classics.utils.training import Callback
import mxnet as mx

from . import diagonal_lm as diagonal_lm  # these register their optimizers with MXNet
from . import rmsprop as rmsprop
from .settings import OPTIMIZERS, WARM_UP_FROM, Settings, parse_schedule


def make_optimizer(settings: Settings) -> mx.optimizer.Optimizer:
    """Return a new optimizer with the settings' learning rate, momentum and weight decay."""
    options = {"learning_rate": settings.learning_rate, "wd": settings.weight_decay}
    if OPTIMIZERS[settings.optimizer]:  # also 0, since Signum's default is .9
        options["momentum"] = settings.momentum
    return mx.optimizer.create(settings.optimizer, **options)


def rate_factor(schedule: str, epoch: int, epochs: int, accuracies: Sequence[float] = ()) -> float:
    """Return what a learning-rate schedule multiplies the learning rate by.

    See `Settings.schedule`. Before the first step of the schedule the factor is 1.

    Args:
        schedule: The schedule.
        epoch: Number of the epoch, counted from 0.
        epochs: Total number of epochs, for the half cosine.
        accuracies: Accuracies after the finished epochs, for a plateau.
    """
    parsed = parse_schedule(schedule)
    factor = ([1.0] + [factor for start, factor in parsed.steps if start <= epoch])[-1]
    if parsed.cosine:
        factor *= (1 + math.cos(math.pi * epoch / epochs)) / 2
    if parsed.decay:
        decay, every = parsed.decay
        factor *= decay ** int(epoch / every)
    if parsed.plateau:
        fall, waited, most = parsed.plateau
        factor *= fall ** plateaus(accuracies, waited, most)
    if epoch < parsed.warm_up:
        done = epoch / parsed.warm_up
        factor *= WARM_UP_FROM * (1 - done) + done
    return factor


def plateaus(accuracies: Sequence[float], waited: int, most: int | None = None) -> int:
    """Return how many times some epochs have not raised the accuracy.

    Args:
        accuracies: Accuracy after each finished epoch.
        waited: Number of epochs without an accuracy above the best one of all, since that or since the last time.
        most: Largest result; None has none.
    """
    best, since, count = -math.inf, 0, 0
    for accuracy in accuracies:
        since += 1
        if accuracy > best:
            best, since = accuracy, 0
        elif since == waited:
            since, count = 0, count + 1
    return count if most is None else min(count, most)


class _WithAccuracies(Callback):
    """Knows the accuracies that schedules and `patience` use, of all finished epochs.

    Args:
        settings: Settings of the run.
        history: Metrics of the finished epochs, if the training is resumed.
    """

    def __init__(self, settings: Settings, history: Iterable[EpochRecord] = ()) -> None:
        self._settings = settings
        self._accuracies = [getattr(epoch, settings.metric) for epoch in history]

    def after_epoch(self, loop, record):
        self._accuracies.append(getattr(record, self._settings.metric))


class ScheduleCallback(_WithAccuracies):
    """Sets the learning rate of each epoch."""

    def before_epoch(self, loop):
        settings = self._settings
        factor = rate_factor(settings.schedule, loop.epoch, settings.epochs, self._accuracies)
        loop.trainer.set_learning_rate(settings.learning_rate * factor)


class PatienceCallback(_WithAccuracies):
    """Stops the training when the settings' number of epochs have not raised the accuracy."""

    @property
    def has_stopped(self) -> bool:
        """Whether the training is over, after the epochs so far."""
        return has_stopped(self._accuracies, self._settings.patience)

    def after_epoch(self, loop, record):
        super().after_epoch(loop, record)
        loop.stopped = loop.stopped or self.has_stopped
