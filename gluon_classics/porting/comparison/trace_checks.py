"""Check the content of a reference trace after it is read."""

from __future__ import annotations

import numpy as np

from ..operators import MASKED
from .fingerprint import estimated_error, fingerprint
from .tensor_file import PortError, shown

RECIPE_SCHEMA, RECIPE_VERSION = "gluon-classics recipe", 1
DRAWN_LIMIT = 1e-6  # of the estimated relative error of what is drawn: the sums of a fingerprint may be float32
_PIXELS = ("pixel_0_becomes", "pixel_255_becomes")


def check_recipe(recipe) -> None:
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
        isinstance(image, dict) and all(_are_numbers(image[key]) for key in _PIXELS if key in image),
    )
    for key, is_right in zip(("optimizer", "steps", "weight_decay", "preprocessing"), right):
        if not is_right:
            raise ValueError(f"{key} of recipe.json is wrong or missing")


def _is_number(value):
    return isinstance(value, (int, float)) and abs(value) < float("inf")


def _are_numbers(value):
    return all(map(_is_number, value)) if isinstance(value, list) else _is_number(value)


def check_fingerprints(fingerprints) -> None:
    """Check the content of fingerprints.json. Raises ValueError."""
    for key, row in fingerprints.items():
        is_right = row.rounding is None or _is_number(row.rounding)
        if not is_right or not all(isinstance(size, int) for size in row.shape):
            raise ValueError(f"the fingerprint of {shown(key)} is wrong")


def check_tensors(graph, tensors) -> None:
    """Check that the arrays from which everything is computed are there, have their shapes and are finite.

    Raises:
        ValueError: One of them is not.
    """
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
        for key in sorted(keys.intersection(tensors) if row.kind in MASKED else ()):
            wanted = (len(tensors["input"]), *row.output_shape[1:])
            if tensors[key].ndim != len(wanted) or any(a not in (1, b) for a, b in zip(tensors[key].shape, wanted)):
                raise ValueError(f"{shown(key)} has the shape {tensors[key].shape}")
            if not np.isin(tensors[key], (0, 1)).all():
                raise ValueError(f"{shown(key)} does not hold 0 and 1")


def check_sizes(graph, recipe, fingerprints) -> None:
    """Check that what will be drawn has the sizes of what was drawn. Raises ValueError."""
    (image,) = graph.inputs.values()
    shapes = {"input": (recipe["batch"], *image[1:])}
    shapes.update({f"param/{row.name}": row.shape for row in graph.parameters})
    for key, shape in shapes.items():
        if key not in fingerprints or tuple(fingerprints[key].shape) != tuple(shape):
            raise ValueError(f"{shown(key)} has another shape than in fingerprints.json")


def check_drawn(tensors, fingerprints) -> None:
    """Check that what was drawn from a seed is what was drawn when the trace was written. Raises PortError."""
    for key, array in tensors.items():
        if key in fingerprints and not estimated_error(fingerprint(array), fingerprints[key]) <= DRAWN_LIMIT:
            raise PortError(
                f"{shown(key)} of the trace is not what was drawn when it was written: the trace is damaged, or NumPy "
                f"{np.__version__} draws other numbers. Write it again"
            )
