"""Write a network for another framework, and check what was written."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
import math
import os
from typing import TYPE_CHECKING, Callable

from gluon_classics._files import write_errors
from gluon_classics.errors import ClassicsError

from ..graph import Graph

if TYPE_CHECKING:
    import numpy as np

# The module of each target. It has two functions: write(graph, parameters, path), and predict(path, graph, images),
# which computes the first output of the network with what was written
TARGETS = {
    "safetensors": ".safetensors_export",
    "onnx": ".onnx_export",
    "pytorch": ".pytorch_export",
    "flax": ".flax_export",
}
IMAGES = 2  # compared by `verify`: more than 1 also shows that the number of images is free
UNIT_ROUNDOFF = 2.0**-24  # largest relative error of a float32 rounding


@dataclass(frozen=True)
class Check:
    """The comparison of an output with MXNet's.

    Attributes:
        output: Name of the output.
        error: Relative L2 error; infinite if the shapes differ.
        limit: Largest error that rounding explains.
    """

    output: str
    error: float
    limit: float

    @property
    def passed(self) -> bool:
        return self.error <= self.limit  # False if it is not a number


def write(graph: Graph, parameters: dict[str, np.ndarray], target: str, path: str | os.PathLike) -> None:
    """Write a network for another framework. A file at `path` is replaced, as a whole or not at all.

    Args:
        graph: The network.
        parameters: Value of each parameter, by name.
        target: One of `TARGETS`.
        path: File or folder to write.

    Raises:
        ClassicsError: The file cannot be written, the target cannot express the network, or a package is missing.
    """
    with write_errors(path, "choose another path with -o"):
        _module(target).write(graph, parameters, path)


def verify(
    target: str,
    path: str | os.PathLike,
    graph: Graph,
    predict: Callable[[np.ndarray], np.ndarray],
    seed: int = 0,
) -> Check:
    """Compare the prediction of what `write` wrote with MXNet's, for random images.

    Args:
        target: One of `TARGETS`.
        path: The file or folder.
        graph: The network.
        predict: MXNet's prediction of the network for images, (N, C, H, W).
        seed: Seed of the images.

    Raises:
        ClassicsError: A package is missing.
    """
    import numpy as np  # here, so that --help, which shows the targets, does not load it

    (shape,) = graph.inputs.values()
    images = np.random.RandomState(seed).normal(size=(IMAGES, *shape[1:])).astype(np.float32)
    wanted = predict(images).astype(np.float64)
    found = _module(target).predict(path, graph, images)
    error = math.inf
    if found.shape == wanted.shape:
        error = float(np.linalg.norm(found - wanted) / max(np.linalg.norm(wanted), np.finfo(np.float32).tiny))
    limit = rounding_limit(graph)
    if graph.operation(graph.outputs[0]).kind == "softmax":
        # the relative error of exp(x) is the error of x, which grows with x; the range of x shows in the probabilities
        smallest = max(wanted.min(), np.finfo(np.float32).tiny)
        limit *= 1 + math.log(max(wanted.max() / smallest, 1))
    return Check(graph.outputs[0], error, limit)


def rounding_limit(graph: Graph) -> float:
    """Return the relative error that float32 rounding explains in the prediction of a network.

    A sum of n terms that are added one after another has the relative error u * sqrt(n / 6), where u is the unit
    roundoff: each of its partial sums, which grow like a random walk, is rounded by up to u, evenly distributed. The
    errors of all operations add up like independent ones, and two implementations have them, which gives
    u * sqrt(n / 3) with the total number n of terms. The limit leaves out the 3, for operations that amplify errors.
    """
    graph = graph.for_prediction()
    sizes = {row.name: math.prod(row.shape) for row in graph.parameters}
    sizes.update({row.name: math.prod(filter(None, row.output_shape)) for row in graph.operations})
    sizes.update({name: math.prod(filter(None, shape)) for name, shape in graph.inputs.items()})
    return UNIT_ROUNDOFF * math.sqrt(sum(_terms(operation, sizes) for operation in graph.operations))


def _terms(operation, sizes):
    """Return the number of terms of the sum that gives one number of the output, given the sizes of all values."""
    if "weight" in operation.parameters:
        outputs = operation.output_shape[-1 if operation.kind == "dense" else 1]
        return sizes[operation.parameters["weight"]] // outputs + 1  # the bias
    if "kernel" in operation.settings:
        return math.prod(operation.settings["kernel"])
    return max(1, sizes[operation.inputs[0]] // sizes[operation.name])


def _module(target):
    if target not in TARGETS:
        raise ClassicsError(f"unknown target {target!r}: use one of {', '.join(TARGETS)}")
    return import_module(TARGETS[target], __package__)
