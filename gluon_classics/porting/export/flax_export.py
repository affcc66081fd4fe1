"""Write a network as a readable Flax source file, with its weights in a safetensors file.

The file uses `flax.nnx`, which Flax's own documentation recommends for new models, and takes images as (N, H, W, C), as
Flax's layers do. Kernels are transposed for it, and those of dense layers behind a feature map are permuted.
"""

from __future__ import annotations

import os

import numpy as np

from ..flattening import order_is_unknown
from ..graph import Graph
from .codegen.dialect import BlockClass, ExportError, shape_text
from .codegen.file import WEIGHTS, class_source, module_docstring, numbered_layers, run_file, write_files
from .codegen.plan import Plan
from .flax_layers import MODE, Flax, channels_last

MODULES = ("flax", "jax", "safetensors")  # that a generated file needs


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
    write_files(graph, parameters, source_code(graph), "flax", path)


def predict(path: str | os.PathLike, graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return the first output for float32 images, (N, C, H, W), computed by Flax with the files of `write`.

    Raises:
        ClassicsError: Flax is not installed; see `codegen.file.run_file`.
    """
    return run_file(path, MODULES, {"input": images})["eval"]


def source_code(graph: Graph) -> str:
    """Return the source of NAME.py for a network in training mode.

    Raises:
        ExportError: The network cannot be written.
    """
    for operation in graph.operations:
        if order_is_unknown(graph, operation):
            what = "takes values of a flattened map that were moved, and Flax flattens in another order"
            raise ExportError(f"{operation.name} ({operation.kind}) {what}: port it by hand")
    dialect = Flax()
    classes = Plan(graph, dialect).classes
    parts = [_class(row, dialect) for row in classes]
    seed = _SEED if any("nnx.Dropout(" in part for part in parts) else ""
    load = _LOAD.format(network=classes[-1].name, seed=seed)
    text = "\n\n".join([*dialect.helpers.values(), *parts, load])
    return _head(graph, text) + text


_LOAD = '''\
def load(path=WEIGHTS):
    """Return the network with its weights, in prediction mode.

    Args:
        path: File of the weights. By default it is next to this file and has its name.
    """
    network = nnx.eval_shape(lambda: {network}(rngs=nnx.Rngs(0)))  # shapes alone, no weights
    weights = load_file(path)
    state = nnx.state(network, nnx.Not(nnx.RngState))
    variables = {{".".join(map(str, name)): variable for name, variable in nnx.to_flat_state(state)}}
    if {{name: row.shape for name, row in variables.items()}} != {{name: row.shape for name, row in weights.items()}}:
        raise ValueError(f"{{path}} does not have the parameters of this network")
    for name, variable in variables.items():
        variable.set_value(weights[name])
    nnx.update(network, state)
{seed}    network.eval()
    return network
'''
_SEED = "    nnx.reseed(network, default=0)  # of dropout\n"


def _head(graph, text):
    standard = ["from functools import partial"] if "partial(" in text else []
    standard += ["from pathlib import Path"]
    other = ["from flax import nnx"]
    other += ["import jax"] if "jax." in text else []
    other += ["import jax.numpy as jnp"] if "jnp." in text else []
    other += ["import numpy as np"] if "np." in text.replace("jnp.", "") else []
    other += ["from safetensors.flax import load_file"]
    weights = f'WEIGHTS = Path(__file__).with_suffix("{WEIGHTS}")'
    (shape,) = graph.inputs.values()
    docstring = module_docstring(graph, "Flax", shape_text(channels_last(shape)), "Channels are the last axis.")
    return "\n".join([*docstring, "", *standard, "", *other, "", weights, "", "", ""])


def _class(row: BlockClass, dialect) -> str:
    base = dialect.helper("Sequential") if row.numbered else "nnx.List" if row.keeps_list else "nnx.Module"
    opening, forward = [], list(row.forward or ())
    if row.numbered:
        opening = ["layers = [", *(line[8:] for line in numbered_layers(row)), "]", "super().__init__(layers)"]
    elif row.forward is None:
        *names, last = [entry.name for entry in row.entries]
        forward = [*(f"x = self.{name}(x)" for name in names), f"return self.{last}(x)"]
    elif any(dialect.in_prediction in line for line in forward):
        opening = [f"self.{MODE} = False  # `eval()` and `train()` set it"]
    common = "*, rngs" if dialect.common(row.entries) else ""
    return class_source(row, base, opening, common, "__call__", forward)
