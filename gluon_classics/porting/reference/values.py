"""Compute the values of a reference trace: those from which everything starts, and those of a correct port."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Iterator

import gluon_classics
from gluon_classics._format import format_shape
from gluon_classics.data import TEST_CROPS
from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.build import evaluation_preprocess
import numpy as np

from ..comparison.reference_trace import COMPACT
from ..comparison.trace_checks import RECIPE_SCHEMA, RECIPE_VERSION
from ..graph import Graph
from ..network.sources import Source, source
from ..network.training_facts import REDUCTION, SGD, preprocessing, recipe_settings
from ..probe import RUNNING, STATISTICS, Batch, batch_statistics, drawn_weights, probe_batch
from . import execution

PROBE, INITIAL, OWN = "probe", "initial", "own"
LEVELS = ("small", "full", COMPACT)
DTYPES = ("float32", "float64")
RATES = (1e-3, 5e-4, 2e-3)  # learning rates of the steps, in turn: constant ones hide where they enter the momentum
CALIBRATION = 8  # images; with fewer, the variance of the 1x1 maps of small images would be that of 2 numbers


@dataclass(frozen=True)
class TraceOptions:
    """What a trace contains.

    Attributes:
        batch: Images per step, 2 or more: with one image batch statistics say little.
        steps: Training steps, 1 or more.
        level: "small", "full" or "compact"; see `trace`.
        dtype: Type of the values, "float32" or "float64".
        seed: Seed of the images, labels, masks and probe weights.

    Raises:
        ClassicsError: A value is out of range.
    """

    batch: int = 2
    steps: int = 3
    level: str = LEVELS[0]
    dtype: str = DTYPES[0]
    seed: int = 0

    def __post_init__(self):
        if self.batch < 2:
            raise ClassicsError(f"batch is {self.batch}: use 2 images or more")
        if self.steps < 1:
            raise ClassicsError(f"steps is {self.steps}: use 1 or more")
        if self.level not in LEVELS or self.dtype not in DTYPES:
            raise ClassicsError(f"unknown level or type: use one of {', '.join((*LEVELS, *DTYPES))}")


@dataclass(frozen=True)
class Start:
    """What a trace starts from.

    Attributes:
        parameters: Values of the parameters before the first step, by name.
        batches: The data of each step.
        recipe: Content of recipe.json.
        drawn_from: Tensors by key from which, with the recipe, the parameters can be drawn again.
    """

    parameters: dict[str, np.ndarray]
    batches: list[Batch]
    recipe: dict[str, Any]
    drawn_from: dict[str, np.ndarray]


def prepared(network: Source, weights: str | None, options: TraceOptions) -> Start:
    """Return what a trace starts from.

    Raises:
        ClassicsError: The network is not a classifier, or the weights do not fit it.
    """
    graph = network.graph
    _check_outputs(graph)
    pixels = _range_of_inputs(network.settings)
    batches = [probe_batch(graph, options.seed, step, options.batch, pixels) for step in range(1, options.steps + 1)]
    images = probe_batch(graph, options.seed, 0, max(CALIBRATION, options.batch), pixels).images
    kind, parameters, drawn_from = _weights(network, weights, images, options.seed)
    if options.level == COMPACT and kind["kind"] != PROBE:
        raise ClassicsError(f"a trace of the level {COMPACT} holds no weights: use the weights {PROBE}")
    return Start(parameters, batches, _recipe(network, kind, pixels, options), drawn_from)


def compute(graph: Graph, start: Start, dtype: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the key and value of every tensor of a trace, computed by MXNet in one type.

    Args:
        graph: The network, in training mode.
        start: What the trace starts from.
        dtype: "float32" or "float64".
    """
    (name,) = graph.inputs
    parameters, batches, recipe = start.parameters, start.batches, start.recipe
    values = {key: array.astype(dtype) for key, array in parameters.items()}
    first = batches[0].images.astype(dtype)
    yield "input", first
    yield "label", batches[0].label
    yield from _keys("mask", batches[0].masks).items()
    yield from _keys("param", values).items()
    yield from _keys("eval", execution.predict(graph.for_prediction(), {name: first, **values})).items()
    states = {row.name: np.zeros(row.shape, dtype) for row in graph.parameters if row.trainable}
    for number, (batch, step) in enumerate(zip(batches, recipe["steps"]), start=1):
        key = f"step/{number}"
        images = batch.images.astype(dtype)
        passed = execution.train(graph, {name: images, **values}, batch.label, batch.masks)
        if number == 1:
            yield from _keys("train", passed.outputs).items()
            yield "loss", passed.loss
            yield from _keys("grad", passed.gradients).items()
            yield from _keys("grad_out", passed.output_gradients).items()
        else:
            yield f"{key}/input", images
            yield f"{key}/label", batch.label
            yield from _keys(f"{key}/mask", batch.masks).items()
        for row, gradient in passed.gradients.items():
            rates = (step["learning_rate"], recipe["optimizer"]["momentum"], recipe["weight_decay"][row])
            values[row], states[row] = execution.sgd_step(values[row], gradient, states[row], *rates)
        values.update(passed.running)
        loss = passed.loss
        del passed  # the outputs of a large network take more memory than its parameters
        yield from _keys(f"{key}/param", values).items()
        yield from _keys(f"{key}/optim", states).items()
        yield f"{key}/loss", loss


def _keys(prefix, arrays):
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _check_outputs(graph):
    shape = graph.operation(graph.loss[0].output).output_shape
    if len(graph.inputs) != 1 or len(shape) != 2:
        raise ClassicsError(
            f"{graph.network} has the output {format_shape(shape)}: only classifiers, (N, classes), can be traced"
        )


def _weights(network, weights, images, seed):
    """Return what recipe.json says of the weights, the weights, and what they can be drawn from."""
    if weights is None:
        weights = PROBE if network.weights.startswith(INITIAL) else OWN
    if weights == INITIAL and not network.weights.startswith(INITIAL):
        raise ClassicsError(f"{network.name} comes with {network.weights}: leave --weights out to use them")
    if weights in (INITIAL, OWN):
        return {"kind": network.weights}, network.parameters(), {}
    graph = network.graph
    if weights == PROBE:
        names = _constants(graph)
        own = network.parameters() if names else {}
        constants = {name: own[name] for name in names}
        statistics = batch_statistics(graph, seed, images, constants, execution.forward)
        drawn_from = {**_keys("param", constants), **_keys(STATISTICS, statistics)}
        return {"kind": PROBE, "seed": seed}, drawn_weights(graph, seed, constants, statistics), drawn_from
    other = source(weights, network.input_shape)
    found, wanted = other.parameters(), {row.name: row.shape for row in graph.parameters}
    if {name: array.shape for name, array in found.items()} != wanted:
        raise ClassicsError(f"{weights} does not hold the parameters of {network.name}: trace {weights} itself")
    return {"kind": other.weights}, found, {}


def _constants(graph):
    return [row.name for row in graph.parameters if not row.trainable and row.role not in RUNNING]


def _recipe(network, weights, pixels, options):
    """Return the content of recipe.json. Scalars are rounded to float32, as MXNet's kernels do even in float64."""
    scalars = {name: _float32(value) for name, value in recipe_settings(network.settings).items()}
    trainable = [row.name for row in network.graph.parameters if row.trainable]
    return {
        "schema": RECIPE_SCHEMA,
        "version": RECIPE_VERSION,
        "network": network.name,
        "gluon_classics": gluon_classics.__version__,
        "input_shape": list(network.input_shape),
        **asdict(options),
        "weights": weights,
        "pixels": list(pixels),
        "loss_reduction": REDUCTION,
        "optimizer": {"name": "sgd", "momentum": scalars["momentum"], "formula": SGD},
        "steps": [{"learning_rate": _float32(RATES[step % len(RATES)])} for step in range(options.steps)],
        "weight_decay": dict.fromkeys(trainable, scalars["weight_decay"]),
        "preprocessing": preprocessing(network.graph, network.settings) if network.settings else None,
    }


def _range_of_inputs(settings):
    """Return the smallest and the largest value of an input."""
    if settings is None:
        return 0.0, 1.0
    low, high = settings.pixels
    return min(*low, *high), max(*low, *high)


def _float32(number):
    return float(np.float32(number))


def preprocessed(network):
    """Return a raw image of the embedded sample and what the network's preprocessing makes of it.

    Color images consist of three images of the sample, so that an exchange of the channels shows.
    """
    channels, height, width = network.input_shape
    settings = network.settings
    if settings is None or height != width or channels not in (1, 3):
        return {}
    if settings.image_size and height != settings.size:  # a run, traced with another input: its crop is not defined
        return {}
    images = load_dataset(str(SAMPLE_FOLDER)).test.images[:channels, :, :, 0]
    raw = np.stack(list(images), axis=-1)
    transform = evaluation_preprocess(replace(settings, resize=height, test_crops=TEST_CROPS[0]))
    result, _ = transform.from_numpy(raw[None], np.zeros(1))
    return {"raw": raw, "preprocessed": result[0].asnumpy()}
