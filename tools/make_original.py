"""File runs of original/run.py in results/original/, and write original_runs.json.

    python tools/make_original.py [RUN ...]

A run is filed under the recipe with its settings. Existing records are not changed.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys

from gluon_classics import _files
from gluon_classics.data.catalogue import KNOWN
from gluon_classics.reproduction.recipes import ORIGINAL, Recipe, list_recipes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "original"


def recipe_of(record: dict) -> Recipe:
    """Return the recipe with the settings of a record.

    A network of D2L without a seed has the weights of its notebook: these are the recipes with unseeded weights, where
    there are any.

    Raises:
        ValueError: There is none, or the data is not the published one.
    """
    settings = record["settings"]
    if record["data"]["sha256"] != KNOWN[record["data"]["name"]].sha256:
        raise ValueError("its data is not the published one")
    wanted = {
        **{"model": settings["network"], "resize": settings["resize"] or 28, "batch_size": settings["batch_size"]},
        **{"learning_rate": settings["lr"], "last_batch": settings["last_batch"], "epochs": settings["epochs"]},
        **{"optimizer": "sgd", "init": "xavier", "data": record["data"]["name"]},
    }
    found = [
        recipe
        for recipe in list_recipes()
        if all(getattr(recipe.settings, name) == value for name, value in wanted.items())
    ]
    unseeded = "unseeded-numpy" if settings["numpy_mode"] else "unseeded"
    weights = "seeded" if settings["seed"] is not None else unseeded
    found = [recipe for recipe in found if recipe.settings.weights == weights] or found
    if not found:
        raise ValueError("no recipe has its settings")
    return found[0]


def add(folder: Path) -> None:
    """Add the record of a run."""
    text = (folder / "record.json").read_text(encoding="utf-8")
    record = json.loads(text)
    seed = record["settings"]["seed"]
    name = f"seed-{seed}" if seed is not None else f"order-{record['order_seed']}"
    path = RESULTS / recipe_of(record).name / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(f"{path} is another run with this seed")
    _files.write_text(path, text)


def content() -> str:
    """Return the content of original_runs.json."""
    runs: dict[str, list] = {}
    for path in sorted(RESULTS.glob("*/*.json")):
        runs.setdefault(path.parent.name, []).append(_row(path))
    return json.dumps(runs, indent=2) + "\n"


def _row(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    last = record["epochs"][-1]
    metrics = {name: last[name] for name in ("train_loss", "train_accuracy", "test_accuracy")}
    return {"source": f"MXNet {record['environment']['mxnet']}", "epoch": len(record["epochs"]), **metrics}


def main(folders):
    for folder in folders:
        try:
            add(Path(folder))
        except (OSError, ValueError, KeyError) as error:
            sys.exit(f"error: {folder} cannot be added: {error}. Name a folder that original/run.py completed")
    ORIGINAL.write_text(content(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
