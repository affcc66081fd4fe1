"""The results in the repository: one record a run, results/RECIPE/seed-N.json, and the table made from them."""

from __future__ import annotations

import json
from pathlib import Path
import re
import statistics
from typing import TYPE_CHECKING

import gluon_classics
from gluon_classics import _console
from gluon_classics._files import write_text
from gluon_classics.errors import RunError
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs.record import check_record

from .formatting import mean_words, name_of, published_words, settings_words, source_words
from .recipes import DECIDING, get_recipe, list_recipes
from .verdict import Verdict, incomparable, judge

if TYPE_CHECKING:
    from gluon_classics.runs.record import Run

TITLES = (
    *("recipe", "edition", "settings", "parameters:", "published", "source"),
    *("ours:", "n:", "time a run", "device", "verdict"),
)
NONE = "No runs yet."
CODE = {"commit", "dirty"}  # of the environment: what says which code ran


def results_folder(folder=None) -> Path:
    """`folder`, or results/ of the checkout that this package is run from.

    Raises RunError if there is no such folder, or no checkout.
    """
    checkout = Path(gluon_classics.__file__).parents[1]
    if folder is None and not (checkout / "setup.cfg").exists():
        raise RunError("this package is installed away from its repository: name a folder of results with --results")
    path = Path(folder) if folder else checkout / "results"
    if not path.is_dir():
        raise RunError(f"there is no folder {path}: make it, or name another with --results")
    return path


def refuse_code_that_nobody_knows() -> None:
    """Raise RunError now if the runs of this moment could not be published for the state of the checkout."""
    from gluon_classics.runs.provenance import environment

    reasons = _unknown_code(environment(()))
    if reasons:
        raise RunError(f"runs cannot be published now: {'; '.join(reasons)}")


def add(runs: list[Run], folder=None) -> None:
    """Enter the records of runs in the results; what is there already stays as it is.

    Raises RunError, and enters none, unless every run is comparable with its recipe, its commit says exactly what
    ran, and no other run of its seed is there.
    """
    place = results_folder(folder)
    entries: dict[Path, str] = {}
    for run in runs:
        path, text = _entry(run, place)
        if entries.setdefault(path, text) != text:
            raise RunError(f"{run.path} and another run named here have the same recipe and seed: a seed counts once")
    for path, text in entries.items():
        try:
            path.parent.mkdir(exist_ok=True)
            write_text(path, text)
        except OSError as error:
            raise RunError(f"cannot write {path} ({error.strerror}): nothing after it was published") from error
        _console.say(f"published: {path}")


def _entry(run, folder):
    """The file of a run in the results, and what it is to hold."""
    record = run.record
    if record["recipe"] is None:
        raise RunError(f"{run.path} cannot be published: it is not the run of a recipe")
    recipe = get_recipe(record["recipe"])
    reasons = incomparable(recipe, record)
    reasons += _unknown_code(record["environment"])
    if any(CODE & set(resumption["changed"]) for resumption in record.get("resumed", [])):
        reasons.append("it was resumed with other code")
    if reasons:
        raise RunError(f"{run.path} cannot be published: {'; '.join(reasons)}")
    path = folder / recipe.name / f"seed-{run.settings.seed}.json"
    text = json.dumps(_portable(record, recipe), indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise RunError(f"{path} is of another run with this seed: a seed counts once")
    return path, text


def _unknown_code(environment):
    if environment["commit"] is None:
        return ["they are of no checkout, so that nobody knows the code"]
    if not re.fullmatch("[0-9a-f]{40}", environment["commit"]):
        return [f"{environment['commit']!r} is no commit"]
    return ["the package's files differ from the commit"] if environment["dirty"] else []


def _portable(record, recipe):
    """The record without paths, which mean something on its machine only."""
    data = {name: value for name, value in record["data"].items() if name != "origin"}
    return {**record, "settings": {**record["settings"], "data": recipe.settings.data}, "data": data}


def read(folder=None) -> list[Verdict]:
    """The verdicts on all recipes of which there are results, in the recipes' order. Raises RunError."""
    path = results_folder(folder)
    known = {recipe.name: recipe for recipe in list_recipes()}
    found = {child.name: child for child in sorted(path.iterdir()) if any(child.glob("*.json"))}
    for name, child in found.items():
        if name not in known:
            raise RunError(f"{child} is of a recipe that this version does not know")
    return [judge(recipe, _records(found[name])) for name, recipe in known.items() if name in found]


def recorded(recipe) -> Verdict | None:
    """The verdict on a recipe by the checkout's results; None without any that can be read: `results` says why."""
    try:
        folder = results_folder() / recipe.name
        return judge(recipe, _records(folder)) if any(folder.glob("*.json")) else None
    except RunError:
        return None


def _records(folder):
    records = []
    for file in sorted(folder.glob("*.json"), key=lambda file: (len(file.name), file.name)):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            check_record(record)
            Settings(**record["settings"])
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{file} is no record of a run ({error})") from error
        records.append(record)
    return records


def rows(verdicts: list[Verdict]) -> list[tuple[str, ...]]:
    """A row of the table for each verdict, a cell for each of `TITLES`."""
    return [_row(verdict) for verdict in verdicts]


def _row(verdict):
    recipe, records = verdict.recipe, [*verdict.records, *verdict.stuck]
    figures = DECIDING if recipe.deciding is None else [figure for figure in DECIDING if recipe.target(figure)]
    published = [f"{name_of(figure)} {published_words(recipe, figure, recipe.settings.epochs)}" for figure in figures]
    ours = [f"{name_of(figure)} {mean_words(verdict.values(figure))}" for figure in figures]
    return (
        recipe.name,
        recipe.edition,
        settings_words(recipe.settings),
        f"{records[0]['parameters']:,}",
        "; ".join(published) if recipe.deciding else "none",
        source_words(recipe) if recipe.deciding else "",
        "; ".join(ours),
        f"{verdict.n}" + (f" ({len(verdict.stuck)} more stayed at chance)" if verdict.stuck else ""),
        _duration(statistics.mean(record["seconds"] for record in records)),
        "; ".join(dict.fromkeys(map(_device, records))),
        verdict.verdict,
    )


def _device(record):
    environment = record["environment"]
    if any(device.startswith("gpu") for device in environment["devices"]):
        return ", ".join(environment["devices"])
    return f"{environment['processor']}, {environment['threads']} threads"


def _duration(seconds):
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def markdown(verdicts: list[Verdict]) -> str:
    """The table for the README."""
    if not verdicts:
        return NONE
    lines = [
        "| " + " | ".join(title.rstrip(":") for title in TITLES) + " |",
        "|" + "|".join("--:" if title.endswith(":") else "---" for title in TITLES) + "|",
    ]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows(verdicts))])
