"""Learning rates that change from pass to pass."""

from __future__ import annotations

from gluon_classics.errors import ClassicsError
import mxnet as mx

from .settings import Settings


def rate_factor(schedule: str, epoch: int) -> float:
    """What the learning rate is multiplied by in `epoch`, counted from 0.

    A schedule is a list of epochs with the factor from each one on, as in "2:0.4 5:0.2"; before the first the factor
    is 1, and always in an empty schedule. Raises ClassicsError.
    """
    try:
        steps = sorted((int(start), float(factor)) for start, factor in (step.split(":") for step in schedule.split()))
        if any(start < 0 or not 0 < factor < float("inf") for start, factor in steps):
            raise ValueError
    except ValueError:
        raise ClassicsError(
            f"{schedule!r} is no schedule: list epochs (from 0) and the factor from each one on, as in 2:0.4 5:0.2"
        ) from None
    return ([1.0] + [factor for start, factor in steps if start <= epoch])[-1]


def make_optimizer(settings: Settings) -> mx.optimizer.Optimizer:
    """Return the optimizer of the settings. Raises ClassicsError for one that MXNet does not have."""
    options = {"learning_rate": settings.learning_rate, "wd": settings.weight_decay}
    if settings.momentum:
        options["momentum"] = settings.momentum
    try:
        return mx.optimizer.create(settings.optimizer, **options)
    except ValueError as error:
        known = ", ".join(sorted(set(mx.optimizer.Optimizer.opt_registry) - {"test"}))
        raise ClassicsError(f"unknown optimizer {settings.optimizer!r}: use one of {known}") from error
    except TypeError as error:
        raise ClassicsError(f"the optimizer {settings.optimizer} takes no momentum: leave --momentum out") from error
