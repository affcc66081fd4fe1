"""Read the folder of a reference trace, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
import json
from pathlib import Path

from ..graph import Graph
from .fingerprint import Fingerprint
from .tensor_file import PortError, read_safetensors

RECIPE_SCHEMA, RECIPE_VERSION = "gluon-classics recipe", 1


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
        try:
            graph = Graph.from_json(_text(folder / "graph.json"))
            recipe = json.loads(_text(folder / "recipe.json"))
            rows = json.loads(_text(folder / "fingerprints.json"))
            fingerprints = {key: Fingerprint.from_json(row) for key, row in rows.items()}
            tensors, _ = read_safetensors(folder / "trace.safetensors")
            weights, _ = read_safetensors(folder / "weights.safetensors")
        except OSError as error:
            raise PortError(f"{folder} is not a trace: {error.strerror}: {error.filename}. Write it again") from error
        except PortError:
            raise
        except (ValueError, AttributeError) as error:
            raise PortError(f"the trace {folder} is damaged: {error}. Write it again") from error
        if not isinstance(recipe, dict) or recipe.get("schema") != RECIPE_SCHEMA:
            raise PortError(f"recipe.json in {folder} is not a recipe. Write the trace again")
        if recipe.get("version") != RECIPE_VERSION:
            raise PortError(f"the trace {folder} has version {recipe.get('version')}. Use the release that wrote it")
        tensors.update({f"param/{name}": array for name, array in weights.items()})
        missing = [key for key in ("input", "label") if key not in tensors]
        missing += [row.name for row in graph.parameters if f"param/{row.name}" not in tensors]
        if missing:
            raise PortError(f"the trace {folder} lacks {missing[0]!r}. Write it again")
        return cls(graph, recipe, tensors, fingerprints)

    def rounding(self, key: str) -> float:
        """Return the relative L2 error of a value in float32, or 0 if it is unknown."""
        row = self.fingerprints.get(key)
        return (row.rounding or 0.0) if row else 0.0


def _text(path):
    return path.read_text(encoding="utf-8")
