"""Weights and images that make the mistakes of a port visible, drawn from a seed.

Initial values hide mistakes: where biases and running means are 0 and gamma is 1, nobody sees that they are missing. So
no parameter has its initial value here. One channel of each convolution has small weights, so that the eps of batch
normalization matters. Running statistics are those of a batch, changed a little: with any others, deep networks
amplify rounding.

The same seed gives the same numbers with every version of NumPy, as only PCG64's uniform numbers are used.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
import zlib

import numpy as np

from .graph import Graph, Operation, Parameter
from .operators import MASKED
from .replay import replay

RUNNING = ("running_mean", "running_var")
STATISTICS = "statistics"  # first part of the keys of batch statistics in a compact trace
QUIET = 3e-3  # factor of the weights of one channel
_RANGES = {  # of uniform values, by role
    "bias": (-0.2, 0.2),
    "gamma": (0.5, 1.5),
    "beta": (-0.3, 0.3),
    "slope": (0.1, 0.4),
}
_OTHER = (0.3, 0.7)
_MEAN_SHIFT = 0.1  # largest, in standard deviations
_VARIANCE_RANGE = (0.8, 1.25)  # factors
_BITS = 6  # of a running statistic before it is changed: implementations whose sums differ in rounding agree on these


@dataclass(frozen=True)
class Batch:
    """The data of a training step.

    Attributes:
        images: (N, C, H, W) float32.
        label: (N,) int64.
        masks: Keep mask of each dropout and drop block, uint8 of 0 and 1, by the operation's name.
    """

    images: np.ndarray
    label: np.ndarray
    masks: dict[str, np.ndarray]


def drawn_weights(graph: Graph, seed: int, constants: dict, statistics: dict) -> dict:
    """Return float32 values for all parameters, by name, except for running statistics without `statistics`.

    Args:
        graph: The network, in training mode.
        seed: Seed, 0 or more.
        constants: Values of the parameters that are neither trained nor running statistics, by name.
        statistics: What `batch_statistics` returns for the same seed.
    """
    weights = {}
    for row in graph.parameters:
        if row.trainable:
            weights[row.name] = _drawn(row, seed).astype(np.float32)
        elif row.role not in RUNNING:
            weights[row.name] = np.array(constants[row.name], np.float32)
    for operation in graph.operations:
        if operation.kind == "convolution" and operation.parameters["weight"] in weights:
            weight = weights[operation.parameters["weight"]]
            channel = zlib.crc32(operation.name.encode()) % len(weight)
            weight[channel] *= np.float32(QUIET)
            bias = weights.get(operation.parameters.get("bias", ""))
            if bias is not None:  # with a mean far from 0, a small variance would be lost in rounding
                bias[channel] *= np.float32(QUIET)
        if operation.kind == "batch_norm" and statistics:
            weights.update(_running(operation, seed, statistics))
    return {row.name: weights[row.name] for row in graph.parameters if row.name in weights}


def batch_statistics(graph: Graph, seed: int, images: np.ndarray, constants: dict, forward=replay.forward) -> dict:
    """Return the mean and variance of each channel before each batch normalization, by the running statistic's name.

    They are rounded, so that all implementations agree on them. They are those of prediction mode.

    Args:
        graph: The network, in training mode.
        seed: Seed of the weights.
        images: A batch, (N, C, H, W).
        constants: See `drawn_weights`.
        forward: Function that computes an operation in float64; see `replay.forward`.
    """
    statistics: dict = {}
    values = {name: array.astype(np.float64) for name, array in drawn_weights(graph, seed, constants, {}).items()}
    values[next(iter(graph.inputs))] = images.astype(np.float64)
    last_use = {name: operation.name for operation in graph.operations for name in operation.inputs}
    for operation in graph.operations:
        if operation.kind == "batch_norm":
            found = map(_rounded, replay.batch_statistics(operation, values))
            statistics.update(zip((operation.parameters[role] for role in RUNNING), found))
            values.update({name: row.astype(np.float64) for name, row in _running(operation, seed, statistics).items()})
        values[operation.name] = forward(operation, values)
        for name in operation.inputs:
            if last_use[name] == operation.name:
                values.pop(name, None)
    return statistics


def probe_batch(graph: Graph, seed: int, step: int, images: int, pixels=(0.0, 1.0)) -> Batch:
    """Return the data of a training step.

    Args:
        graph: The network, in training mode.
        seed: Seed, 0 or more.
        step: Number of the step, from 1.
        images: Number of images.
        pixels: Smallest and largest value of an input.
    """
    (shape,) = graph.inputs.values()
    generator = _generator(seed, f"images {step}")
    low, high = np.sort(generator.random((2, images, shape[1], *[1] * (len(shape) - 2))), axis=0)  # of each channel
    content = low + (high - low) * generator.random((images, *shape[1:]))
    content = pixels[0] + (pixels[1] - pixels[0]) * content
    classes = graph.operation(graph.loss[0].output).output_shape[1]
    label = (int(_generator(seed, f"label {step}").random() * classes) + np.arange(images)) % classes
    masks = {
        row.name: _mask(row, _generator(seed, f"mask {step} {row.name}").random(mask_shape(row, images)))
        for row in graph.operations
        if row.kind in MASKED
    }
    small = {name: mask.astype(np.uint8) for name, mask in masks.items()}
    return Batch(content.astype(np.float32), label.astype(np.int64), small)


def drawn_tensors(graph: Graph, recipe: dict, stored: dict) -> dict:
    """Return the images, labels, masks and parameters of a compact trace, by key.

    Args:
        graph: The network, in training mode.
        recipe: Content of recipe.json.
        stored: Tensors of the trace: its constants and batch statistics.

    Raises:
        KeyError: The recipe or a stored tensor is incomplete.
    """
    dtype, seed = np.dtype(recipe["dtype"]), recipe["weights"]["seed"]
    tensors = {}
    for step in range(1, len(recipe["steps"]) + 1):
        batch = probe_batch(graph, recipe["seed"], step, recipe["batch"], recipe["pixels"])
        prefix = "" if step == 1 else f"step/{step}/"
        tensors.update({f"{prefix}input": batch.images.astype(dtype), f"{prefix}label": batch.label})
        tensors.update({f"{prefix}mask/{name}": mask for name, mask in batch.masks.items()})
    weights = drawn_weights(graph, seed, _below("param", stored), _below(STATISTICS, stored))
    return {**tensors, **{f"param/{name}": array for name, array in weights.items()}}


def _below(prefix, tensors):
    start = f"{prefix}/"
    return {key[len(start) :]: array for key, array in tensors.items() if key.startswith(start)}


def mask_shape(operation: Operation, images: int) -> tuple[int, ...]:
    """Return the shape of the mask of a dropout or drop block. It has size 1 along shared axes."""
    shape = [images if size is None else size for size in operation.output_shape]
    for axis in operation.settings["shared_axes"]:
        shape[axis] = 1
    return tuple(shape)


def _mask(operation, numbers):
    """Return the keep mask that numbers from 0 to 1 give."""
    drop = operation.settings["drop"]
    if operation.kind == "dropout":
        return numbers >= drop
    size = operation.settings["block_size"]
    height, width = numbers.shape[2:]
    places = numbers < drop * height * width / size**2 / ((height - size + 1) * (width - size + 1))
    window = {"kernel": [size] * 2, "stride": [1, 1], "padding": [size // 2] * 4, "rounding": "floor"}
    squares = Operation("squares", "max_pool", ("places",), {}, window, numbers.shape)
    return replay.forward(squares, {"places": places.astype(np.float64)}) == 0


def _generator(seed, name):
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))


def _drawn(row: Parameter, seed):
    numbers = _generator(seed, row.name).random(row.shape)
    if row.role == "weight":
        outputs = row.shape[row.axes.index("out")] if "out" in row.axes else row.shape[0]
        bound = math.sqrt(6 * outputs / numbers.size)  # variance 2 / fan-in: ReLU networks keep their scale
        return bound * (2 * numbers - 1)
    low, high = _RANGES.get(row.role, _OTHER)
    return low + (high - low) * numbers


def _running(operation, seed, statistics):
    """Return the running statistics of a batch normalization, by name: those of the batch, changed a little."""
    names = [operation.parameters[role] for role in RUNNING]
    mean, variance = (np.asarray(statistics[name], np.float64) for name in names)
    shift = _MEAN_SHIFT * (2 * _generator(seed, names[0]).random(mean.shape) - 1)
    factor = _VARIANCE_RANGE[0] + np.ptp(_VARIANCE_RANGE) * _generator(seed, names[1]).random(mean.shape)
    changed = (mean + shift * np.sqrt(variance), variance * factor)
    return {name: row.astype(np.float32) for name, row in zip(names, changed)}


def _rounded(numbers):
    mantissa, exponent = np.frexp(numbers)
    return np.ldexp(np.round(mantissa * 2**_BITS) / 2**_BITS, exponent)
