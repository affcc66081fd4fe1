"""Learning rates that change from pass to pass."""

from __future__ import annotations

from .errors import ClassicsError


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
