"""Write a reference trace: what a correct port of a network computes, value by value.

The folder holds

    graph.json            the operations with their settings, and the facts of the training
    weights.safetensors   the parameters that everything starts from
    layout.json           names and transpositions of the parameters in other frameworks
    recipe.json           the steps: learning rates, decay, loss, preprocessing
    trace.safetensors     level small: inputs, labels, masks and losses; level full: every value
    fingerprints.json     of every value: shape, size, random projections, and its rounding in float32
    compare_port.py       the comparison, in one file that needs only NumPy
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import shutil
import tempfile
import time
from typing import Any, Iterator

import gluon_classics
from gluon_classics._files import default_mode, write_errors
from gluon_classics._format import format_shape
from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.errors import ClassicsError
from gluon_classics.utils.loader import Preprocess
import numpy as np

from ..comparison.fingerprint import fingerprint
from ..comparison.tensor_file import write_safetensors
from ..graph import Graph
from ..network.describe import description
from ..network.parameter_layout import graph_digest, layout, to_json
from ..network.sources import Source, source
from ..network.training_facts import REDUCTION, SGD, preprocessing, recipe_settings, training_facts
from . import execution
from .one_file import FILE, joined
from .probe import Batch, probe_batch, probe_weights

PROBE, INITIAL, OWN = "probe", "initial", "own"
LEVELS = ("small", "full")
DTYPES = ("float32", "float64")
RATES = (1e-3, 5e-4, 2e-3)  # learning rates of the steps, in turn: constant ones hide where they enter the momentum
RECIPE_SCHEMA, RECIPE_VERSION = "gluon-classics recipe", 1
GRAPH, WEIGHTS, LAYOUT, RECIPE = "graph.json", "weights.safetensors", "layout.json", "recipe.json"
TENSORS, FINGERPRINTS = "trace.safetensors", "fingerprints.json"
_SMALL = ("input", "label", "mask", "loss", "raw", "preprocessed")  # last but one or only part of a key in level small


@dataclass(frozen=True)
class TraceOptions:
    """What a trace contains.

    Attributes:
        batch: Images per step, 2 or more: with one image batch statistics say little.
        steps: Training steps, 1 or more.
        level: "small" or "full"; see the module.
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
class Written:
    """A trace that was written.

    Attributes:
        folder: The folder.
        size: Bytes of all its files.
        seconds: Time that it took.
        tensors: Number of tensors with a fingerprint.
    """

    folder: Path
    size: int
    seconds: float
    tensors: int


def trace(network: Source, folder, weights: str | None = None, options: TraceOptions | None = None) -> Written:
    """Write the reference trace of a network.

    Args:
        network: The network.
        folder: Folder to write. If it exists, it must be empty or an earlier trace, which is replaced.
        weights: "probe" (see `probe`), "initial", "own", or a run folder or exported model with trained weights. None
            is "probe" for a network of this package, and "own", its weights, for a run or an exported model.
        options: What the trace contains.

    Raises:
        ClassicsError: The folder cannot be written, or the weights do not fit the network.
    """
    start = time.monotonic()
    options = options or TraceOptions()
    _check_folder(Path(folder))
    parameters, batches, recipe = prepared(network, weights, options)
    tensors, fingerprints = _kept(network, parameters, batches, recipe, options)
    with _new_folder(Path(folder)) as temporary:
        _write(temporary, network, parameters, recipe, tensors, fingerprints)
    size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return Written(Path(folder), size, time.monotonic() - start, len(fingerprints))


def prepared(
    network: Source, weights: str | None, options: TraceOptions
) -> tuple[dict[str, np.ndarray], list[Batch], dict[str, Any]]:
    """Return the parameters before the first step, the data of each step, and the content of recipe.json.

    Raises:
        ClassicsError: The network is not a classifier, or the weights do not fit it.
    """
    graph = network.graph
    _check_outputs(graph)
    pixels = network.settings.pixels if network.settings else (0.0, 1.0)
    batches = [probe_batch(graph, options.seed, step, options.batch, pixels) for step in range(1, options.steps + 1)]
    kind, parameters = _weights(network, weights, batches[0], options.seed)
    return parameters, batches, _recipe(network, kind, options)


def compute(
    graph: Graph, parameters: dict[str, np.ndarray], batches: list[Batch], recipe: dict[str, Any], dtype: str
) -> dict[str, np.ndarray]:
    """Return every tensor of a trace by its key, computed by MXNet in one type.

    Args:
        graph: The network, in training mode.
        parameters: Values of the parameters before the first step, by name.
        batches: The data of each step.
        recipe: Content of recipe.json.
        dtype: "float32" or "float64".
    """
    return dict(_tensors(graph, parameters, batches, recipe, dtype))


def _tensors(graph, parameters, batches, recipe, dtype) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the key and value of every tensor, as `compute` returns them."""
    (name,) = graph.inputs
    values = {key: array.astype(dtype) for key, array in parameters.items()}
    first = batches[0].images.astype(dtype)
    yield "input", first
    yield "label", batches[0].label
    yield from _keyed("mask", batches[0].masks)
    yield from _keyed("param", values)
    yield from _keyed("eval", execution.predict(graph.for_prediction(), {name: first, **values}))
    states = {row.name: np.zeros(row.shape, dtype) for row in graph.parameters if row.trainable}
    for number, (batch, step) in enumerate(zip(batches, recipe["steps"]), start=1):
        key = f"step/{number}"
        images = batch.images.astype(dtype)
        passed = execution.train(graph, {name: images, **values}, batch.label, batch.masks)
        if number == 1:
            yield from _keyed("train", passed.outputs)
            yield "loss", passed.loss
            yield from _keyed("grad", passed.gradients)
            yield from _keyed("grad_out", passed.output_gradients)
        else:
            yield f"{key}/input", images
            yield f"{key}/label", batch.label
            yield from _keyed(f"{key}/mask", batch.masks)
        for row, gradient in passed.gradients.items():
            rates = (step["learning_rate"], recipe["optimizer"]["momentum"], recipe["weight_decay"][row])
            values[row], states[row] = execution.sgd_step(values[row], gradient, states[row], *rates)
        values.update(passed.running)
        loss = passed.loss
        del passed  # the outputs of a large network take more memory than its parameters
        yield from _keyed(f"{key}/param", values)
        yield from _keyed(f"{key}/optim", states)
        yield f"{key}/loss", loss


def _keyed(prefix, arrays):
    return ((f"{prefix}/{name}", array) for name, array in arrays.items())


def _check_outputs(graph):
    shape = graph.operation(graph.loss[0].output).output_shape
    if len(graph.inputs) != 1 or len(shape) != 2:
        raise ClassicsError(
            f"{graph.network} has the output {format_shape(shape)}: only classifiers, (N, classes), can be traced"
        )


def _weights(network, weights, batch, seed):
    """Return what recipe.json says of the weights, and the weights."""
    if weights is None:
        weights = PROBE if network.weights.startswith(INITIAL) else OWN
    if weights == INITIAL and not network.weights.startswith(INITIAL):
        raise ClassicsError(f"{network.name} comes with {network.weights}: leave --weights out to use them")
    if weights in (INITIAL, OWN):
        return {"kind": network.weights}, network.parameters()
    if weights == PROBE:
        constants = network.parameters() if _constants(network.graph) else {}
        drawn = probe_weights(network.graph, seed, batch.images, constants, execution.forward)
        return {"kind": PROBE, "seed": seed}, drawn
    other = source(weights, network.input_shape)
    found, wanted = other.parameters(), {row.name: row.shape for row in network.graph.parameters}
    if {name: array.shape for name, array in found.items()} != wanted:
        raise ClassicsError(f"{weights} does not hold the parameters of {network.name}: trace {weights} itself")
    return {"kind": other.weights}, found


def _constants(graph):
    running = ("running_mean", "running_var")
    return [row.name for row in graph.parameters if not row.trainable and row.role not in running]


def _recipe(network, weights, options):
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
        "loss_reduction": REDUCTION,
        "optimizer": {"name": "sgd", "momentum": scalars["momentum"], "formula": SGD},
        "steps": [{"learning_rate": _float32(RATES[step % len(RATES)])} for step in range(options.steps)],
        "weight_decay": dict.fromkeys(trainable, scalars["weight_decay"]),
        "preprocessing": preprocessing(network.graph, network.settings) if network.settings else None,
    }


def _float32(number):
    return float(np.float32(number))


def _preprocessed(network):
    """Return a raw image of the embedded sample and what the network's preprocessing makes of it.

    Color images consist of three images of the sample, so that an exchange of the channels shows.
    """
    channels, height, width = network.input_shape
    settings = network.settings
    if settings is None or height != width or channels not in (1, 3):
        return {}
    images = load_dataset(str(SAMPLE_FOLDER)).test.images[:channels, :, :, 0]
    raw = np.stack(list(images), axis=-1)
    resize_in = "float32" if settings.resize_in == "float32" else "uint8"
    transform = Preprocess(None if height == raw.shape[0] else height, resize_in, settings.fit, settings.pixels)
    result, _ = transform.from_numpy(raw[None], np.zeros(1))
    return {"raw": raw, "preprocessed": result[0].asnumpy()}


def _check_folder(folder):
    if folder.exists() and not folder.is_dir():
        raise ClassicsError(f"{folder} is a file: choose another folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECIPE).is_file():
        raise ClassicsError(f"{folder} is not empty and not a trace: choose another folder")


@contextlib.contextmanager
def _new_folder(folder):
    """Yield a temporary folder, which becomes `folder` when the `with` block ends without an error."""
    folder = Path(os.path.realpath(folder))
    with write_errors(folder, "choose another folder"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            yield temporary
            temporary.chmod(default_mode() | 0o111)
            if folder.exists():
                old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
                os.replace(folder, old)
                os.replace(temporary, folder)
                shutil.rmtree(old)
            else:
                os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write(folder, network, parameters, recipe, tensors, fingerprints):
    facts = training_facts(network.graph, network.settings)
    (folder / GRAPH).write_text(description(network.graph, facts), encoding="utf-8")
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    (folder / LAYOUT).write_text(to_json(layout(network.graph, gluon_classics.__version__)), encoding="utf-8")
    (folder / FILE).write_text(joined(), encoding="utf-8")
    about = {
        "network": network.name,
        "gluon_classics": gluon_classics.__version__,
        "graph_sha256": graph_digest(network.graph),
        "weights": json.dumps(recipe["weights"]),
    }
    write_safetensors(folder / WEIGHTS, parameters, about)
    write_safetensors(folder / TENSORS, tensors, about)
    rows = ",\n".join(
        f"{json.dumps(key)}: {json.dumps(row, separators=(',', ':'))}" for key, row in fingerprints.items()
    )
    (folder / FINGERPRINTS).write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


def _kept(network, parameters, batches, recipe, options):
    """Return the tensors to write, and the fingerprint of every tensor as a dictionary for JSON, by key.

    Both types are computed side by side, so that large networks need not be in memory with all of their values.
    """
    by_type = [_tensors(network.graph, parameters, batches, recipe, dtype) for dtype in DTYPES]
    chosen = DTYPES.index(options.dtype)
    tensors, fingerprints = {}, {}
    for pair in zip(*by_type):
        key, array = pair[chosen]
        fingerprints[key] = fingerprint(array, _difference(*(value for _, value in pair))).to_json()
        if _is_written(key, options.level):
            tensors[key] = array
    for key, array in _preprocessed(network).items():
        tensors[key] = array
        fingerprints[key] = fingerprint(array).to_json()
    return tensors, fingerprints


def _is_written(key, level):
    """Return whether trace.safetensors holds a value. The parameters before the first step are in their own file."""
    parts = key.split("/")
    kind = parts[2] if parts[0] == "step" else parts[0]
    return parts[0] != "param" if level == "full" else kind in _SMALL


def _difference(single, double):
    """Return the relative L2 norm of the rounding in float32, or None for data."""
    if single.dtype == double.dtype:
        return None
    norm = float(np.linalg.norm(double))
    error = float(np.linalg.norm(single.astype(np.float64) - double))
    return error / norm if norm else error
