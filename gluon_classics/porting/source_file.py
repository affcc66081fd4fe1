"""What generated source files of all frameworks have in common."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import gluon_classics

from .graph import Graph
from .source_plan import shape_text


def module_docstring(graph: Graph, framework: str, *more: str) -> list[str]:
    """Return the lines of the docstring of a generated file.

    Args:
        graph: The network in training mode.
        framework: Name of the framework.
        *more: Lines about this framework's file.
    """
    known = graph.network in gluon_classics.list_models()
    source = [f"Source: {gluon_classics.model_info(graph.network).source}."] if known else []
    inputs = " and ".join(shape_text(shape) for shape in graph.inputs.values())
    output = next(row.output_shape for row in graph.operations if row.name == graph.outputs[0])
    several = [f"In training mode there are {len(graph.outputs)} outputs. The first one is the prediction."]
    return [
        f'"""`{graph.network}` of gluon-classics in {framework}.',
        "",
        *source,
        f"Input: {inputs}, float32. Output: {shape_text(output)}.",
        *(several if len(graph.outputs) > 1 else []),
        "",
        "Blocks, layers and parameters have the names of the MXNet network.",
        *more,
        '"""',
    ]


def load_module(path: str | os.PathLike) -> ModuleType:
    """Import a generated file and return its module."""
    path = Path(path)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
