"""Read the folder of a reference trace, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
import json
import os
from pathlib import Path

import numpy as np

from ..graph import Graph, graph_digest
from ..replay.replay import SUPPORTED
from .fingerprint import Fingerprint
from .tensor_file import PortError, brief, open_file, read_safetensors, shown

RECIPE_SCHEMA, RECIPE_VERSION = "gluon-classics recipe", 1
_PIXELS = ("pixel_0_becomes", "pixel_255_becomes")


@dataclass(frozen=True)
class ReferenceTrace:
    """What a correct port of a network computes.

    Attributes:
        graph: The network.
        recipe: Learning rates, momentum, weight decay and preprocessing; see recipe.json.
        tensors: Arrays by key: at least the input, labels, masks and initial parameters.
        fingerprints: Fingerprint of each value by key.
    """

    graph: Graph
    recipe: dict
    tensors: dict
    fingerprints: dict = field(default_factory=dict)

    @classmethod
    def load(cls, folder) -> ReferenceTrace:
        """Return the trace of a folder.

        Raises:
            PortError: The folder is not a trace, or a file of it is damaged.
        """
        folder = Path(folder)
        if not os.path.isfile(folder / "graph.json"):
            raise PortError(f"{folder} is not a trace: it has no file graph.json. Check the path")
        try:
            graph = Graph.from_json(_text(folder / "graph.json"))
            recipe = json.loads(_text(folder / "recipe.json"))
            rows = json.loads(_text(folder / "fingerprints.json"))
            fingerprints = {key: Fingerprint.from_json(row) for key, row in rows.items()}
            tensors, _ = read_safetensors(folder / "trace.safetensors")
            weights, metadata = read_safetensors(folder / "weights.safetensors")
            if metadata.get("graph_sha256", graph_digest(graph)) != graph_digest(graph):
                raise ValueError("graph.json is not that of weights.safetensors")
            _check_recipe(recipe)
            tensors.update({f"param/{name}": array for name, array in weights.items()})
            _check_fingerprints(fingerprints)
            _check_tensors(graph, tensors)
        except PortError:
            raise
        except OSError as error:
            raise PortError(f"{folder} cannot be read: {error.strerror or error}. Check the path") from error
        except (ValueError, AttributeError, TypeError, LookupError, RecursionError) as error:
            raise PortError(f"the trace {folder} is damaged: {brief(error)}. Write it again") from error
        for row in graph.operations:
            if row.kind not in SUPPORTED:
                raise PortError(
                    f"the trace {folder} has the operation {shown(row.kind)}. Use the release that wrote it"
                )
        return cls(graph, recipe, tensors, fingerprints)

    def rounding(self, key: str) -> float:
        """Return the relative L2 error of a value in float32, or 0 if it is unknown."""
        row = self.fingerprints.get(key)
        return (row.rounding or 0.0) if row else 0.0


def _text(path):
    with open_file(path) as stream:
        return stream.read().decode("utf-8")


def _check_recipe(recipe) -> None:
    """Check the content of recipe.json. Raises ValueError or PortError."""
    if not isinstance(recipe, dict) or recipe.get("schema") != RECIPE_SCHEMA:
        raise ValueError("recipe.json is not a recipe")
    if recipe.get("version") != RECIPE_VERSION:
        raise PortError(f"the trace has version {shown(recipe.get('version'))}. Use the release that wrote it")
    optimizer, steps, decay = (recipe.get(key) for key in ("optimizer", "steps", "weight_decay"))
    image = recipe.get("preprocessing") or {}
    right = (
        isinstance(optimizer, dict) and optimizer.get("name") == "sgd" and _is_number(optimizer.get("momentum")),
        isinstance(steps, list) and all(_is_number(row.get("learning_rate")) for row in steps),
        isinstance(decay, dict) and all(map(_is_number, decay.values())),
        isinstance(image, dict) and all(_is_number(image[key]) for key in _PIXELS if key in image),
    )
    for key, is_right in zip(("optimizer", "steps", "weight_decay", "preprocessing"), right):
        if not is_right:
            raise ValueError(f"{key} of recipe.json is wrong or missing")


def _is_number(value):
    return isinstance(value, (int, float)) and abs(value) < float("inf")


def _check_fingerprints(fingerprints):
    for key, row in fingerprints.items():
        is_right = row.rounding is None or _is_number(row.rounding)
        if not is_right or not all(isinstance(size, int) for size in row.shape):
            raise ValueError(f"the fingerprint of {shown(key)} is wrong")


def _check_tensors(graph, tensors):
    """Check that the arrays from which everything is computed are there, have their shapes and are finite."""
    (image,) = graph.inputs.values()
    classes = graph.operation(graph.loss[0].output).output_shape[-1] if graph.loss else float("inf")
    shapes = {f"param/{row.name}": row.shape for row in graph.parameters}
    later = [key for key in tensors if key.startswith("step/")]
    for key in ("input", "label", *(key for key in later if key.endswith(("/input", "/label")))):
        shapes[key] = (None,) if key.endswith("label") else (None, *image[1:])
    for key, shape in shapes.items():
        if key not in tensors:
            raise ValueError(f"it lacks {shown(key)}")
        array = tensors[key]
        if array.ndim != len(shape) or any(size not in (None, found) for size, found in zip(shape, array.shape)):
            raise ValueError(f"{shown(key)} has the shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{shown(key)} is not finite")
        if key.endswith("label") and (array.dtype.kind != "i" or not ((array >= 0) & (array < classes)).all()):
            raise ValueError(f"{shown(key)} does not hold classes")
        if not key.startswith("param/") and len(array) != len(tensors["input"]):
            raise ValueError(f"{shown(key)} is not of {len(tensors['input'])} images")
    for row in graph.operations:
        keys = {f"mask/{row.name}", *(key for key in later if key.endswith(f"/mask/{row.name}"))}
        for key in sorted(keys.intersection(tensors) if row.kind == "dropout" else ()):
            wanted = (len(tensors["input"]), *row.output_shape[1:])
            if tensors[key].ndim != len(wanted) or any(a not in (1, b) for a, b in zip(tensors[key].shape, wanted)):
                raise ValueError(f"{shown(key)} has the shape {tensors[key].shape}")
            if not np.isin(tensors[key], (0, 1)).all():
                raise ValueError(f"{shown(key)} does not hold 0 and 1")
