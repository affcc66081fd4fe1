"""Write a reference trace: what a correct port of a network computes, value by value.

A trace of the level small or full is a folder. It holds

    graph.json            the operations with their settings, and the facts of the training
    weights.safetensors   the parameters that everything starts from
    layout.json           names and transpositions of the parameters in other frameworks
    recipe.json           the steps: learning rates, decay, loss, preprocessing
    trace.safetensors     level small: inputs, labels, masks and losses; level full: every value
    fingerprints.json     of every value: shape, size, random projections, and its rounding in float32
    compare_port.py       the comparison, in one file that needs only NumPy

A trace of the level compact is a .zip file without the last file and without weights: NumPy draws them, the inputs,
labels and masks again from the seed in recipe.json. It has no fingerprints of momentum buffers, of gradients with
respect to outputs, and of parameters before the last step.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import json
import math
import os
from pathlib import Path
import shutil
import tempfile
import time
import zipfile

import gluon_classics
from gluon_classics._files import atomic_path, default_mode, write_errors
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.batch_memory import check_arrays
import mxnet as mx
import numpy as np

from ..comparison.fingerprint import fingerprint
from ..comparison.reference_trace import COMPACT
from ..comparison.tensor_file import write_safetensors
from ..graph import graph_digest
from ..network.describe import description
from ..network.parameter_layout import layout, to_json
from ..network.sources import Source
from ..network.training_facts import training_facts
from .one_file import FILE, joined
from .values import DTYPES, TraceOptions, compute, prepared, preprocessed

GRAPH, WEIGHTS, LAYOUT, RECIPE = "graph.json", "weights.safetensors", "layout.json", "recipe.json"
TENSORS, FINGERPRINTS = "trace.safetensors", "fingerprints.json"
_SMALL = ("input", "label", "mask", "loss", "raw", "preprocessed")  # last but one or only part of a key in level small
_COMPACT = ("loss", "raw", "preprocessed")  # the same in level compact


@dataclass(frozen=True)
class Written:
    """A trace that was written.

    Attributes:
        path: The folder or file.
        size: Bytes of all its files.
        seconds: Time that it took.
        tensors: Number of tensors with a fingerprint.
    """

    path: Path
    size: int
    seconds: float
    tensors: int


def trace(network: Source, path, weights: str | None = None, options: TraceOptions | None = None) -> Written:
    """Write the reference trace of a network.

    Args:
        network: The network.
        path: Folder to write; it must be new, empty or an earlier trace, which is replaced. For the level compact: .zip
            file to write.
        weights: "probe" (see `probe`), "initial", "own", or a run folder or exported model with trained weights. None
            is "probe" for a network of this package, and "own", its weights, for a run or an exported model.
        options: What the trace contains.

    Raises:
        ClassicsError: The trace cannot be written, or the weights do not fit the network.
    """
    begin, path = time.monotonic(), Path(path)
    options = options or TraceOptions()
    is_compact = options.level == COMPACT
    (_check_file if is_compact else _check_folder)(path, network.name)
    shapes = [operation.output_shape for operation in network.graph.operations]
    largest = max([math.prod(shape[1:]) for shape in shapes if shape[:1] == (None,)], default=0)  # those of images
    check_arrays(options.batch, network.input_shape, largest, largest, [mx.cpu()])
    start = prepared(network, weights, options)
    tensors, fingerprints = _kept(network, start, options)
    with (_new_archive if is_compact else _new_folder)(path) as folder:
        _write(folder, network, start, tensors, fingerprints, is_compact)
    size = sum(file.stat().st_size for file in ([path] if is_compact else path.iterdir()))
    return Written(path, size, time.monotonic() - begin, len(fingerprints))


def _check_file(path, _network):
    if path.suffix != ".zip" or path.is_dir():
        raise ClassicsError(f"a trace of the level {COMPACT} is a file: choose a name that ends in .zip, not {path}")


@contextlib.contextmanager
def _new_archive(path):
    """Yield a temporary folder, whose files become the .zip file `path` when the `with` block ends without an error."""
    with write_errors(path, "choose another file"), tempfile.TemporaryDirectory() as folder:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield Path(folder)
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(Path(folder).iterdir()):
                member = zipfile.ZipInfo(file.name)  # without the time, so that the same trace is the same file
                archive.writestr(member, file.read_bytes(), zipfile.ZIP_DEFLATED)


def _check_folder(folder, network):
    if folder.exists() and not folder.is_dir():
        raise ClassicsError(f"{folder} is a file: choose another folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECIPE).is_file():
        raise ClassicsError(f"{folder} is not empty and not a trace: choose another folder")
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # of a new or damaged trace
        found = json.loads((folder / RECIPE).read_text(encoding="utf-8"))["network"]
        if found != network:
            raise ClassicsError(f"{folder} is a trace of {found}, not of {network}: choose another folder")


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
                try:
                    os.replace(temporary, folder)
                except BaseException:
                    os.replace(old, folder)
                    raise
                shutil.rmtree(old)
            else:
                os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write(folder, network, start, tensors, fingerprints, is_compact):
    facts = training_facts(network.graph, network.settings)
    (folder / GRAPH).write_text(description(network.graph, facts), encoding="utf-8")
    (folder / RECIPE).write_text(json.dumps(start.recipe, indent=1) + "\n", encoding="utf-8")
    (folder / LAYOUT).write_text(to_json(layout(network.graph, gluon_classics.__version__)), encoding="utf-8")
    about = {
        "network": network.name,
        "gluon_classics": gluon_classics.__version__,
        "graph_sha256": graph_digest(network.graph),
        "weights": json.dumps(start.recipe["weights"]),
    }
    write_safetensors(folder / TENSORS, tensors, about)
    if not is_compact:
        write_safetensors(folder / WEIGHTS, start.parameters, about)
        (folder / FILE).write_text(joined(), encoding="utf-8")
    rows = ",\n".join(
        f"{json.dumps(key)}: {json.dumps(row, separators=(',', ':'))}" for key, row in fingerprints.items()
    )
    (folder / FINGERPRINTS).write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


def _kept(network, start, options):
    """Return the tensors to write, and the fingerprint of every tensor as a dictionary for JSON, by key.

    Both types are computed side by side, so that large networks need not be in memory with all of their values.
    """
    by_type = [compute(network.graph, start, dtype) for dtype in DTYPES]
    chosen, is_compact = DTYPES.index(options.dtype), options.level == COMPACT
    tensors = {}
    if is_compact:
        # of statistics that were rounded, float32 holds every bit
        tensors.update({key: array.astype(np.float32) for key, array in start.drawn_from.items()})
    fingerprints = {}

    def keep(key, array, rounding=None):
        if not is_compact or _is_in_compact(key, options.steps):
            row = fingerprint(array, rounding, means=not is_compact)
            fingerprints[key] = row.to_json(options.dtype if is_compact else "float64")
        if _is_written(key, options.level):
            tensors[key] = array

    for pair in zip(*by_type):
        key, array = pair[chosen]
        keep(key, array, _difference(*(value for _, value in pair)))
    for key, array in preprocessed(network).items():
        keep(key, array)
    return tensors, fingerprints


def _is_in_compact(key, steps):
    """Return whether a compact trace has the fingerprint of a value."""
    parts = key.split("/")
    if parts[0] == "step":
        return parts[2] == "loss" or (parts[1] == str(steps) and parts[2] == "param")
    return parts[0] != "grad_out"


def _is_written(key, level):
    """Return whether trace.safetensors holds a value. The parameters before the first step are in their own file."""
    parts = key.split("/")
    kind = parts[2] if parts[0] == "step" else parts[0]
    if level == "full":
        return parts[0] != "param"
    return kind in (_COMPACT if level == COMPACT else _SMALL)


def _difference(single, double):
    """Return the relative L2 norm of the rounding in float32, or None for data."""
    if single.dtype == double.dtype:
        return None
    norm = float(np.linalg.norm(double))
    error = float(np.linalg.norm(single.astype(np.float64) - double))
    return error / norm if norm else error
