"""What the generated source files of all frameworks have in common."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any

import gluon_classics
from gluon_classics._files import atomic_path
from gluon_classics.errors import ClassicsError
import numpy as np

from ...comparison.tensor_file import read_tensors, write_safetensors
from ...graph import Graph, graph_digest
from ...network.parameter_layout import layout
from .dialect import BlockClass, ExportError, input_names, shape_text
from .rewrite import with_layers
from .text import INDENT, document, laid_out

WEIGHTS = ".safetensors"

_BODY = INDENT * 2


def write_files(
    graph: Graph, parameters: dict[str, np.ndarray], text: str, framework: str, path: str | os.PathLike
) -> None:
    """Write a source file, and its weights next to it as NAME.safetensors; both files atomically.

    Raises:
        ExportError: The name of the file does not end in .py.
        OSError: A file cannot be written.
    """
    if Path(path).suffix != ".py":
        raise ExportError(f"{path} is not the name of a Python file: end it in .py")
    tensors = framework_tensors(graph, parameters, framework)
    with atomic_path(path) as new_source, atomic_path(Path(path).with_suffix(WEIGHTS)) as new_weights:
        Path(new_source).write_text(text, encoding="utf-8")
        write_safetensors(new_weights, tensors, {"network": graph.network, "graph_sha256": graph_digest(graph)})


def framework_tensors(
    graph: Graph, parameters: dict[str, np.ndarray], framework: str, dtype: type = np.float32
) -> dict[str, np.ndarray]:
    """Return parameters, or their gradients, with the names and layouts of a framework, such as "pytorch"."""
    named = with_layers(graph, lambda row: True)
    attributes = {  # of the parameters of a model of symbols
        name: (row.name, role)
        for row, old in zip(named.operations, graph.operations)
        for role, name in old.parameters.items()
        if row.name != old.name
    }
    fixed = {
        row.parameters["gamma"] for row in graph.operations if row.kind == "batch_norm" and row.settings["fixed_gamma"]
    }
    found = {}
    for entry in layout(graph, gluon_classics.__version__)["parameters"]:
        port: dict[str, Any] = entry[framework]
        array: np.ndarray = np.asarray(parameters[entry["name"]], dtype=dtype)
        if entry["name"] in fixed:
            if framework == "flax":  # its layer has no scale then
                continue
            array = np.ones_like(array)
        array = array.reshape(port.get("reshape", array.shape)).transpose(port["transpose"]).reshape(port["shape"])
        name = port["name"]
        if entry["name"] in attributes:
            name = f"{attributes[entry['name']][0]}.{name.rpartition('.')[2]}"
        found[name] = array
    return found


def module_docstring(graph: Graph, framework: str, shape: str, *more: str) -> list[str]:
    """Return the lines of the docstring of a generated file.

    Args:
        graph: The network in training mode.
        framework: Name of the framework.
        shape: Shape of the input.
        *more: Lines about this framework's file.
    """
    known = graph.network in gluon_classics.list_models()
    source = [f"Source: {gluon_classics.model_info(graph.network).source}."] if known else []
    output = next(row.output_shape for row in graph.operations if row.name == graph.outputs[0])
    several = [f"In training mode there are {len(graph.outputs)} outputs. The first one is the prediction."]
    return [
        f'"""`{graph.network}` of gluon-classics in {framework}.',
        "",
        *source,
        f"Input: {shape}, float32. Output: {shape_text(output)}.",
        *(several if len(graph.outputs) > 1 else []),
        "",
        "Blocks, layers and parameters have the names of the MXNet network.",
        *more,
        '"""',
    ]


def class_source(row: BlockClass, base: str, opening: list[str], common: str, method: str, forward: list[str]) -> str:
    """Return the source of a class.

    Args:
        row: The class.
        base: Its base class.
        opening: First statements of the constructor.
        common: Arguments of the constructor after the settings, such as "*, rngs".
        method: Name of the method for the forward pass.
        forward: Statements of this method; it is left out if there are none.
    """
    lines = [f"class {row.name}({base}):", *_class_docstring(row), ""]
    if row.entries:
        settings = [name if default is None else f"{name}={default!r}" for name, default, _ in row.arguments]
        arguments = ", ".join(["self", *settings, *([common] if common else [])])
        lines.append(f"    def __init__({arguments}):")
        lines += [_BODY + line for line in opening]
        lines += [line for entry in row.entries for line in _statement(entry)] if not row.numbered else []
        lines.append("")
    if forward:
        lines.append(f"    def {method}(self, {', '.join(input_names(row.inputs))}):")
        lines += [_BODY + line for line in forward]
    return "\n".join(lines).rstrip() + "\n"


def _class_docstring(row):
    if not row.arguments:
        return [f'    """{row.summary}"""']
    described = [f"        {name}: {text}" for name, _, text in row.arguments]
    return [f'    """{row.summary}', "", "    Args:", *described, '    """']


def numbered_layers(row: BlockClass) -> list[str]:
    """Return the layers of a class as lines of an argument list, with the shapes of their outputs."""
    inner = _BODY + INDENT
    return [line for entry in row.entries for line in laid_out(document(entry.node), inner, ",", entry.comment)]


def _statement(entry):
    target = f"self.{entry.name} = " if entry.name else ""
    if not entry.condition:
        return laid_out(document(entry.node, target), _BODY, comment=entry.comment)
    made = laid_out(document(entry.node, target), _BODY + INDENT, comment=entry.comment)
    return [f"{_BODY}if {entry.condition}:", *made, f"{_BODY}else:", f"{_BODY}{INDENT}{target}None"]


def require_modules(modules: tuple[str, ...]) -> str:
    """Return the Python of the environment variable PORT_PYTHON, by default the one that runs this.

    Raises:
        ClassicsError: That Python lacks one of the packages.
    """
    python = os.environ.get("PORT_PYTHON", sys.executable)
    check = f"import importlib.util as u; print(*[m for m in {modules!r} if u.find_spec(m) is None])"
    missing = _run([python, "-c", check], python).split()
    if missing:
        raise ClassicsError(
            f"{python} has no {' and no '.join(missing)}: run `pip install {' '.join(missing)}` in any environment, "
            "with or without MXNet, and set PORT_PYTHON to its python"
        )
    return python


def run_file(path: str | os.PathLike, modules: tuple[str, ...], data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a generated file computes in a separate process; see `run_port` and `require_modules`.

    Args:
        path: The file.
        modules: Packages that it needs.
        data: Arrays by key, as in `run_port`.

    Raises:
        ClassicsError: That Python lacks a package, or the file fails.
    """
    python = require_modules(modules)
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "data.npz"), Path(folder, "result.npz")
        np.savez(given, **data)
        _run([python, str(Path(__file__).with_name("run_port.py")), str(path), str(given), str(found)], python)
        return read_tensors(found)


def _run(command, python):
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ClassicsError(f"{python} cannot be run: set PORT_PYTHON to a Python with the framework") from error
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1:] or [f"exit status {result.returncode}"]
        raise ClassicsError(f"the generated file fails in {python}: {last[0]}")
    return result.stdout
