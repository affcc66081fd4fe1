"""Write a network as a readable PyTorch source file, with its weights in a safetensors file."""

from __future__ import annotations

from dataclasses import replace
import os

import numpy as np

from ..graph import Graph
from .codegen.dialect import BlockClass, shape_text
from .codegen.file import WEIGHTS, class_source, module_docstring, numbered_layers, run_file, write_files
from .codegen.plan import Plan
from .codegen.text import INDENT
from .pytorch_layers import PyTorch

MODULES = ("torch", "safetensors")  # that a generated file needs


def write(graph: Graph, parameters: dict[str, np.ndarray], path: str | os.PathLike) -> None:
    """Write NAME.py, and the weights next to it as NAME.safetensors; both files atomically.

    Args:
        graph: The network in training mode.
        parameters: Value of each parameter, by name.
        path: NAME.py.

    Raises:
        ExportError: The network cannot be written.
        OSError: A file cannot be written.
    """
    write_files(graph, parameters, source_code(graph), "pytorch", path)


def predict(path: str | os.PathLike, graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return the first output for float32 images, (N, C, H, W), computed by PyTorch with the files of `write`.

    Raises:
        ClassicsError: PyTorch is not installed; see `codegen.file.run_file`.
    """
    return run_file(path, MODULES, {"input": images})["eval"]


def source_code(graph: Graph) -> str:
    """Return the source of NAME.py for a network in training mode.

    Raises:
        ExportError: The network cannot be written.
    """
    dialect = PyTorch(graph.parameters)
    classes = Plan(graph, dialect).classes
    parts = [*dialect.helpers.values(), *map(_class, classes), _LOAD.format(network=classes[-1].name)]
    text = "\n\n".join(parts)
    return _head(graph, text) + text


_LOAD = '''\
def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = {network}()
    network.load_state_dict(load_file(path))
    return network.eval()
'''


def _head(graph, text):
    standard = ["from collections import OrderedDict"] if "OrderedDict(" in text else []
    standard += ["from pathlib import Path"]
    other = ["from safetensors.torch import load_file"]
    other += ["import torch"] if "torch." in text.replace("torch.nn", "") else []
    other += ["from torch import nn"]
    other += ["import torch.nn.functional as F"] if "F." in text else []
    weights = f'WEIGHTS = Path(__file__).with_suffix("{WEIGHTS}")'
    (shape,) = graph.inputs.values()
    docstring = module_docstring(graph, "PyTorch", shape_text(shape))
    return "\n".join([*docstring, "", *standard, "", *other, "", weights, "", "", ""])


def _class(row: BlockClass) -> str:
    chained = row.forward is None
    base = "nn.Sequential" if chained or row.keeps_list else "nn.Module"
    if row.numbered:
        opening = ["super().__init__(", *(line[2 * len(INDENT) :] for line in numbered_layers(row)), ")"]
    else:
        opening = [] if row.keeps_list else ["super().__init__()"]
    if chained and not row.numbered:
        row = replace(row, summary=f"{row.summary} The layers run in this order.")
    return class_source(row, base, opening, "", "forward", list(row.forward or ()))
