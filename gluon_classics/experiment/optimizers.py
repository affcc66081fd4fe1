"""Optimizers and learning-rate schedules of a run."""

from __future__ import annotations

import math

from gluon_classics.errors import SettingsError
from gluon_classics.utils.training import Callback
import mxnet as mx

from . import diagonal_lm as diagonal_lm  # these register their optimizers with MXNet
from . import rmsprop as rmsprop
from .settings import WARM_UP_FROM, Settings, parse_schedule


def make_optimizer(settings: Settings) -> mx.optimizer.Optimizer:
    """Return a new optimizer with the settings' learning rate, momentum and weight decay."""
    options = {"learning_rate": settings.learning_rate, "wd": settings.weight_decay}
    if settings.momentum:
        options["momentum"] = settings.momentum
    return mx.optimizer.create(settings.optimizer, **options)


def rate_factor(schedule: str, epoch: int, epochs: int) -> float:
    """Return what a learning-rate schedule multiplies the learning rate by.

    See `Settings.schedule`. Before the first step of the schedule the factor is 1.

    Args:
        schedule: The schedule.
        epoch: Number of the epoch, counted from 0.
        epochs: Total number of epochs, for the half cosine.
    """
    parsed = parse_schedule(schedule)
    factor = ([1.0] + [factor for start, factor in parsed.steps if start <= epoch])[-1]
    if parsed.cosine:
        factor *= (1 + math.cos(math.pi * epoch / epochs)) / 2
    if parsed.decay:
        decay, every = parsed.decay
        try:
            factor *= decay ** int(epoch / every)
        except OverflowError:
            raise SettingsError(f"the schedule {schedule!r} grows beyond all numbers: use other numbers") from None
    if epoch < parsed.warm_up:
        done = epoch / parsed.warm_up
        factor *= WARM_UP_FROM * (1 - done) + done
    return factor


class ScheduleCallback(Callback):
    """Sets the learning rate of each epoch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def before_epoch(self, loop):
        settings = self._settings
        factor = rate_factor(settings.schedule, loop.epoch, settings.epochs)
        loop.trainer.set_learning_rate(settings.learning_rate * factor)
