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
from typing import Any

import gluon_classics
from gluon_classics._files import default_mode, write_errors
from gluon_classics._format import format_shape
from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.errors import ClassicsError
from gluon_classics.utils.loader import Preprocess
import numpy as np

from . import execution
from .describe import description
from .fingerprint import fingerprint
from .graph import Graph
from .parameter_layout import graph_digest, layout, to_json
from .probe import Batch, probe_batch, probe_weights
from .sources import Source, source
from .tensor_file import write_safetensors
from .training_facts import REDUCTION, SGD, preprocessing, recipe_settings, training_facts

PROBE, INITIAL = "probe", "initial"
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
        weights: "probe" (see `probe`), "initial", or a run folder or exported model with trained weights. None is probe
            for a network of this package, and its own weights for a run or an exported model.
        options: What the trace contains.

    Raises:
        ClassicsError: The folder cannot be written, or the weights do not fit the network.
    """
    start = time.monotonic()
    options = options or TraceOptions()
    _check_folder(Path(folder))
    graph = network.graph
    _check_outputs(graph)
    pixels = network.settings.pixels if network.settings else (0.0, 1.0)
    batches = [probe_batch(graph, options.seed, step, options.batch, pixels) for step in range(1, options.steps + 1)]
    kind, parameters = _weights(network, weights, batches[0], options.seed)
    recipe = _recipe(network, kind, options)
    by_type = {dtype: compute(graph, parameters, batches, recipe, dtype) for dtype in DTYPES}
    tensors = {**by_type[options.dtype], **_preprocessed(network)}
    with _new_folder(Path(folder)) as temporary:
        _write(temporary, network, parameters, recipe, tensors, by_type, options)
    size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return Written(Path(folder), size, time.monotonic() - start, len(tensors))


def compute(
    graph: Graph, parameters: dict[str, np.ndarray], batches: list[Batch], recipe: dict[str, Any], dtype: str
) -> dict[str, np.ndarray]:
    """Return every value of a trace by its key, computed by MXNet in one type.

    Args:
        graph: The network, in training mode.
        parameters: Values of the parameters before the first step, by name.
        batches: The data of each step.
        recipe: Content of recipe.json.
        dtype: "float32" or "float64".
    """
    (name,) = graph.inputs
    values = {key: array.astype(dtype) for key, array in parameters.items()}
    first = batches[0].images.astype(dtype)
    tensors = {"input": first, "label": batches[0].label, **_keyed("mask", batches[0].masks)}
    tensors.update(_keyed("param", values))
    tensors.update(_keyed("eval", execution.predict(graph.for_prediction(), {name: first, **values})))
    states = {row.name: np.zeros(row.shape, dtype) for row in graph.parameters if row.trainable}
    for number, (batch, step) in enumerate(zip(batches, recipe["steps"]), start=1):
        key = f"step/{number}"
        images = batch.images.astype(dtype)
        passed = execution.train(graph, {name: images, **values}, batch.label, batch.masks)
        if number == 1:
            tensors.update(_keyed("train", passed.outputs))
            tensors["loss"] = passed.loss
            tensors.update(_keyed("grad", passed.gradients))
            tensors.update(_keyed("grad_out", passed.output_gradients))
        else:
            tensors.update({f"{key}/input": images, f"{key}/label": batch.label})
            tensors.update(_keyed(f"{key}/mask", batch.masks))
        for row, gradient in passed.gradients.items():
            values[row], states[row] = execution.sgd_step(
                values[row],
                gradient,
                states[row],
                step["learning_rate"],
                recipe["optimizer"]["momentum"],
                recipe["weight_decay"][row],
            )
        values.update(passed.running)
        tensors.update(_keyed(f"{key}/param", values))
        tensors.update(_keyed(f"{key}/optim", states))
        tensors[f"{key}/loss"] = passed.loss
    return tensors


def _keyed(prefix, arrays):
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _check_outputs(graph):
    shape = graph.operation(graph.loss[0].output).output_shape
    if len(graph.inputs) != 1 or len(shape) != 2:
        raise ClassicsError(
            f"{graph.network} has the output {format_shape(shape)}: only classifiers, (N, classes), can be traced"
        )


def _weights(network, weights, batch, seed):
    """Return what recipe.json says of the weights, and the weights."""
    own = network.settings is not None and network.weights == "initial weights"
    if weights is None:
        weights = PROBE if own else INITIAL
    if weights == INITIAL:
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


def _write(folder, network, parameters, recipe, tensors, by_type, options):
    facts = training_facts(network.graph, network.settings)
    (folder / GRAPH).write_text(description(network.graph, facts), encoding="utf-8")
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    (folder / LAYOUT).write_text(to_json(layout(network.graph, gluon_classics.__version__)), encoding="utf-8")
    about = {
        "network": network.name,
        "gluon_classics": gluon_classics.__version__,
        "graph_sha256": graph_digest(network.graph),
        "weights": json.dumps(recipe["weights"]),
    }
    write_safetensors(folder / WEIGHTS, parameters, about)
    kept = {key: array for key, array in tensors.items() if _kept(key, options.level)}
    write_safetensors(folder / TENSORS, kept, about)
    prints = {
        key: fingerprint(array, _difference(*(by_type[dtype].get(key) for dtype in DTYPES))).to_json()
        for key, array in tensors.items()
    }
    (folder / FINGERPRINTS).write_text(json.dumps(prints, indent=0) + "\n", encoding="utf-8")


def _kept(key, level):
    """Return whether trace.safetensors holds a value. The parameters before the first step are in their own file."""
    parts = key.split("/")
    kind = parts[2] if parts[0] == "step" else parts[0]
    return key.partition("/")[0] != "param" if level == "full" else kind in _SMALL


def _difference(single, double):
    """Return the relative L2 norm of the rounding in float32, or None for data."""
    if single is None or single.dtype == double.dtype:
        return None
    norm = float(np.linalg.norm(double))
    error = float(np.linalg.norm(single.astype(np.float64) - double))
    return error / norm if norm else error
