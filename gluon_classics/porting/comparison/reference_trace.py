"""Read a reference trace, a folder or a .zip file, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
import io
import json
import os
from pathlib import Path
import zipfile

from ..graph import Graph, graph_digest
from ..probe import drawn_tensors
from ..replay.replay import SUPPORTED
from .fingerprint import Fingerprint
from .tensor_file import PortError, brief, open_file, read_safetensors, read_safetensors_stream, shown
from .trace_checks import check_drawn, check_fingerprints, check_recipe, check_sizes, check_tensors

COMPACT = "compact"  # level of a trace whose weights and data are drawn from a seed
MOST_BYTES = 1 << 30  # of the files in a .zip
_DAMAGE = (ValueError, AttributeError, TypeError, LookupError, RecursionError, RuntimeError)


@dataclass(frozen=True)
class ReferenceTrace:
    """What a correct port of a network computes.

    Attributes:
        graph: The network.
        recipe: Learning rates, momentum, weight decay and preprocessing; see recipe.json.
        tensors: Arrays by key: at least the input, labels, masks and initial parameters.
        fingerprints: Fingerprint of each value by key.
        layout: Content of layout.json: names and layouts of the parameters in other frameworks.
    """

    graph: Graph
    recipe: dict
    tensors: dict
    fingerprints: dict = field(default_factory=dict)
    layout: dict = field(default_factory=dict)

    @classmethod
    def load(cls, path) -> ReferenceTrace:
        """Return the trace of a folder or .zip file.

        Raises:
            PortError: It is not a trace, or a file of it is damaged.
        """
        path = Path(path)
        try:
            files = _Archive(path) if path.is_file() else _Folder(path)
            graph = Graph.from_json(files.text("graph.json"))
            recipe, layout = json.loads(files.text("recipe.json")), json.loads(files.text("layout.json"))
            rows = json.loads(files.text("fingerprints.json"))
            fingerprints = {key: Fingerprint.from_json(row) for key, row in rows.items()}
            tensors = _of_graph(graph, files, "trace.safetensors")
            check_recipe(recipe)
            check_fingerprints(fingerprints)
            if recipe.get("level") == COMPACT:
                check_sizes(graph, recipe, fingerprints)
                tensors.update(drawn_tensors(graph, recipe, tensors))
                check_drawn(tensors, fingerprints)
            else:
                weights = _of_graph(graph, files, "weights.safetensors")
                tensors.update({f"param/{name}": array for name, array in weights.items()})
            check_tensors(graph, tensors)
        except PortError:
            raise
        except OSError as error:
            raise PortError(f"{path} cannot be read: {error.strerror or error}. Check the path") from error
        except MemoryError as error:
            raise PortError(f"the trace {path} does not fit into memory. Use a machine with more") from error
        except _DAMAGE as error:
            raise PortError(f"the trace {path} is damaged: {brief(error)}. Write it again") from error
        for row in graph.operations:
            if row.kind not in SUPPORTED:
                raise PortError(f"the trace {path} has the operation {shown(row.kind)}. Use the release that wrote it")
        return cls(graph, recipe, tensors, fingerprints, layout)

    def rounding(self, key: str) -> float:
        """Return the relative L2 error of a value in float32, or 0 if it is unknown."""
        row = self.fingerprints.get(key)
        return (row.rounding or 0.0) if row else 0.0


def _of_graph(graph, files, name):
    """Return the tensors of a file. Raises ValueError if they are those of another network."""
    tensors, metadata = files.tensors(name)
    if metadata.get("graph_sha256", graph_digest(graph)) != graph_digest(graph):
        raise ValueError(f"graph.json is not that of {name}")
    return tensors


class _Folder:
    """The files of a folder."""

    def __init__(self, path):
        self.path = path
        if os.path.isfile(path / "suite.json"):
            raise PortError(f"{path} is a suite. Name one of its traces, such as {path}/networks/resnet18_v1.zip")
        if not os.path.isfile(path / "graph.json"):
            raise PortError(f"{path} is not a trace: graph.json is missing. Check the path")

    def text(self, name):
        with open_file(self.path / name) as stream:
            return stream.read().decode("utf-8")

    def tensors(self, name):
        return read_safetensors(self.path / name)


class _Archive:
    """The files of a .zip file."""

    def __init__(self, path):
        self.path = path
        with open_file(path) as stream:
            try:
                self.files = self._read(stream)
            except (OSError, MemoryError):
                raise
            except Exception as error:  # zipfile raises errors of many kinds for damaged data, also those of lzma
                raise ValueError(f"it is not a readable .zip file: {brief(error)}") from error

    @staticmethod
    def _read(stream):
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > MOST_BYTES:
                raise ValueError(f"its files have {size} bytes, more than {MOST_BYTES}")
            return {member.filename: archive.read(member) for member in members}

    def text(self, name):
        return self._file(name).decode("utf-8")

    def tensors(self, name):
        data = self._file(name)
        return read_safetensors_stream(io.BytesIO(data), len(data), name)

    def _file(self, name):
        if name not in self.files:
            raise PortError(f"{self.path} is not a trace: {name} is missing. Check the path")
        return self.files[name]
