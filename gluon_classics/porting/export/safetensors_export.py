"""Write the parameters of a network as safetensors, with a JSON file that gives their names in other frameworks."""

from __future__ import annotations

import os
from pathlib import Path

import gluon_classics
from gluon_classics._files import atomic_path
import numpy as np

from ..comparison.tensor_file import read_safetensors, write_safetensors
from ..graph import Graph, graph_digest
from ..network.parameter_layout import layout, to_json
from ..replay import replay

SUFFIX = ".safetensors"
WEIGHTS, LAYOUT = "weights.safetensors", "layout.json"


def write(graph: Graph, parameters: dict[str, np.ndarray], path: str | os.PathLike) -> None:
    """Write float32 parameters under the graph's names, and their layout; both files atomically.

    Args:
        graph: The network.
        parameters: Value of each parameter, by name.
        path: A folder, which is made if it is missing and gets weights.safetensors and layout.json. Or a file
            NAME.safetensors; the layout is then NAME.layout.json.

    Raises:
        OSError: A file cannot be written.
    """
    weights, description = _files(path)
    if weights.name == WEIGHTS:
        weights.parent.mkdir(exist_ok=True)
    tensors = {row.name: np.asarray(parameters[row.name], dtype=np.float32) for row in graph.parameters}
    metadata = {
        "network": graph.network,
        "gluon_classics": gluon_classics.__version__,
        "graph_sha256": graph_digest(graph),
    }
    with atomic_path(weights) as new_weights, atomic_path(description) as new_description:
        write_safetensors(new_weights, tensors, metadata)
        text = to_json(layout(graph, gluon_classics.__version__))
        Path(new_description).write_text(text, encoding="utf-8")


def predict(path: str | os.PathLike, graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return the first output for images, (N, C, H, W), computed by NumPy in float64 with the parameters of a file."""
    tensors, _ = read_safetensors(_files(path)[0])
    graph = graph.for_prediction()
    (name,) = graph.inputs
    return replay.run(graph, tensors, {name: images})[graph.outputs[0]]


def _files(path):
    path = Path(path)
    if path.suffix == SUFFIX:
        return path, path.with_suffix(".layout.json")
    return path / WEIGHTS, path / LAYOUT
