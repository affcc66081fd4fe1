"""Optimizers and learning-rate schedules of a run."""

from __future__ import annotations

from gluon_classics.utils.training import Callback
import mxnet as mx

from . import diagonal_lm as diagonal_lm  # registers its optimizer with MXNet
from .settings import Settings, parse_schedule


def make_optimizer(settings: Settings) -> mx.optimizer.Optimizer:
    """Return a new optimizer with the settings' learning rate, momentum and weight decay."""
    options = {"learning_rate": settings.learning_rate, "wd": settings.weight_decay}
    if settings.momentum:
        options["momentum"] = settings.momentum
    return mx.optimizer.create(settings.optimizer, **options)


def rate_factor(schedule: str, epoch: int) -> float:
    """Return what a learning-rate schedule multiplies the learning rate by in `epoch`, counted from 0.

    See `Settings.schedule`. Before the first step of the schedule the factor is 1.
    """
    return ([1.0] + [factor for start, factor in parse_schedule(schedule) if start <= epoch])[-1]


class ScheduleCallback(Callback):
    """Sets the learning rate of each epoch."""

    def __init__(self, learning_rate: float, schedule: str) -> None:
        self._learning_rate = learning_rate
        self._schedule = schedule

    def before_epoch(self, loop):
        loop.trainer.set_learning_rate(self._learning_rate * rate_factor(self._schedule, loop.epoch))
