"""Read a reference trace, a folder or a .zip file, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
import io
import json
from pathlib import Path
import zipfile
import zlib

import numpy as np

from ..graph import Graph
from ..probe import drawn_tensors
from .fingerprint import Fingerprint, estimated_error, fingerprint
from .tensor_file import PortError, read_safetensors, read_safetensors_stream

COMPACT = "compact"  # level of a trace whose weights and data are drawn from a seed
MOST_BYTES = 1 << 30  # of the files in a .zip
DRAWN_LIMIT = 1e-6  # of the estimated relative error of what is drawn: the sums of a fingerprint may be float32
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError)
RECIPE_SCHEMA, RECIPE_VERSION = "gluon-classics recipe", 1


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
        try:
            files = _Archive(path) if Path(path).is_file() else _Folder(path)
            graph = Graph.from_json(files.text("graph.json"))
            recipe, layout = json.loads(files.text("recipe.json")), json.loads(files.text("layout.json"))
            rows = json.loads(files.text("fingerprints.json"))
            fingerprints = {key: Fingerprint.from_json(row) for key, row in rows.items()}
            tensors = files.tensors("trace.safetensors")
            _check_recipe(recipe, path)
            if recipe.get("level") == COMPACT:
                tensors.update(drawn_tensors(graph, recipe, tensors))
            else:
                weights = files.tensors("weights.safetensors")
                tensors.update({f"param/{name}": array for name, array in weights.items()})
        except OSError as error:
            raise PortError(f"{path} is not a trace: {error.strerror}: {error.filename}. Write it again") from error
        except PortError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, *_ZIP_ERRORS) as error:
            raise PortError(f"the trace {path} is damaged: {error}. Write it again") from error
        missing = [key for key in ("input", "label") if key not in tensors]
        missing += [row.name for row in graph.parameters if f"param/{row.name}" not in tensors]
        if missing:
            raise PortError(f"the trace {path} lacks {missing[0]!r}. Write it again")
        if recipe.get("level") == COMPACT:
            _check_drawn(tensors, fingerprints, path)
        return cls(graph, recipe, tensors, fingerprints, layout)

    def rounding(self, key: str) -> float:
        """Return the relative L2 error of a value in float32, or 0 if it is unknown."""
        row = self.fingerprints.get(key)
        return (row.rounding or 0.0) if row else 0.0


def _check_recipe(recipe, path):
    if not isinstance(recipe, dict) or recipe.get("schema") != RECIPE_SCHEMA:
        raise PortError(f"recipe.json in {path} is not a recipe. Write the trace again")
    if recipe.get("version") != RECIPE_VERSION:
        raise PortError(f"the trace {path} has version {recipe.get('version')}. Use the release that wrote it")


def _check_drawn(tensors, fingerprints, path):
    """Compare what was drawn from the seed with its fingerprints."""
    for key, array in tensors.items():
        if key in fingerprints and estimated_error(fingerprint(array), fingerprints[key]) > DRAWN_LIMIT:
            raise PortError(
                f"{key} of the trace {path} is not what was drawn when it was written: the file is damaged, or NumPy "
                f"{np.__version__} draws other numbers. Write it again"
            )


class _Folder:
    """The files of a folder."""

    def __init__(self, path):
        self.path = Path(path)

    def text(self, name):
        return (self.path / name).read_text(encoding="utf-8")

    def tensors(self, name):
        return read_safetensors(self.path / name)[0]


class _Archive:
    """The files of a .zip file."""

    def __init__(self, path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MOST_BYTES:
                raise ValueError(f"its files have {size} bytes, more than {MOST_BYTES}")
            self.files = {member.filename: archive.read(member) for member in archive.infolist()}

    def text(self, name):
        return self.files[name].decode("utf-8")

    def tensors(self, name):
        data = self.files[name]
        return read_safetensors_stream(io.BytesIO(data), len(data), name)[0]
