"""Find values that are infinite or not a number, in images, parameters and outputs.

The accuracy does not show them: a row of NaN has a largest entry too, and MXNet's ReLU turns NaN into 0 on the CPU.
"""

from __future__ import annotations

from typing import Iterable

from gluon_classics.errors import ClassicsError, DataError, TrainingDiverged
import mxnet as mx
import numpy as np

from .loader import DataLoader


def check_parameters(net: mx.gluon.nn.Block) -> None:
    """Raise a ClassicsError if a parameter is infinite or not a number. MXNet's ReLU turns NaN into 0 on the CPU."""
    name = first_not_finite(net.collect_params().values())
    if name:
        raise ClassicsError(f"parameter {name} is infinite or not a number: initialize the network, or load it again")


def first_not_finite(parameters: Iterable[mx.gluon.Parameter], gradients: bool = False) -> str | None:
    """Return the name of the first parameter with a value, or gradient, that is infinite or not a number, else None.

    Parameters without values, or without gradients, and those that are not floating-point numbers are left out.
    """
    checks = []
    for parameter in parameters:
        arrays = (parameter._grad if gradients else parameter._data) or []
        checks += [(parameter.name, mx.nd.all_finite(array)) for array in arrays if _is_floating(array)]
    return next((name for name, flag in checks if not flag.asscalar()), None)


class FiniteChecks:
    """Checks of arrays for values that are infinite or not a number, without waiting for MXNet."""

    def __init__(self) -> None:
        self._checks: list[tuple[str, int, mx.nd.NDArray]] = []

    def add(self, what: str, batch: int, array: mx.nd.NDArray) -> None:
        """Queue the check of an array: the "images" or the "outputs" of a batch with this number."""
        if _is_floating(array):
            self._checks.append((what, batch, mx.nd.all_finite(array)))

    def finish(self) -> None:
        """Wait for the checks. Raise the error of the first array that did not pass; see `not_finite`."""
        for what, batch, flag in self._checks:
            if not flag.asscalar():
                raise not_finite(what, batch)


def is_finite(array: mx.nd.NDArray) -> bool:
    """Return whether all values of an array are finite. Wait for MXNet."""
    return not _is_floating(array) or bool(mx.nd.all_finite(array).asscalar())


def _is_floating(array):
    return np.dtype(array.dtype).kind == "f"


def not_finite(what: str, batch: int) -> ClassicsError:
    """Return the error that the "images" or the "outputs" of a batch are not finite: DataError or TrainingDiverged."""
    start = f"batch {batch}, counted from 0, has {what} that are infinite or not a number"
    if what == "images":
        return DataError(f"{start}: remove or repair these images")
    return TrainingDiverged(f"{start}: check the parameters of the network")


def is_known_finite(data: Iterable) -> bool:
    """Return whether all images of these batches are finite, without looking at them."""
    return isinstance(data, DataLoader) and data.is_finite
