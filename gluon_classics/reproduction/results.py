"""The recorded results: one record per run, results/RECIPE/seed-N.json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import re

import gluon_classics
from gluon_classics import _console
from gluon_classics._files import read_text, write_errors, write_text
from gluon_classics._format import first_line
from gluon_classics.errors import RunError
from gluon_classics.runs.record import Provenance, Run, RunRecord

from .recipes import Recipe, get_recipe, list_recipes
from .verdict import Verdict, incomparable, judge

CODE = {"commit", "dirty"}  # what says which code ran, of a provenance


def results_folder(folder=None) -> Path:
    """Return `folder`, or results/ of the checkout that this package is run from.

    Raises RunError if there is no such folder, or no checkout.
    """
    checkout = Path(gluon_classics.__file__).parents[1]
    if folder is None and not (checkout / "setup.cfg").exists():
        raise RunError("the package is installed outside its repository: name a folder of results with --results")
    path = Path(folder) if folder else checkout / "results"
    if not path.is_dir():
        raise RunError(f"there is no folder {path}: make it, or name another with --results")
    return path


def require_known_code() -> None:
    """Raise RunError if a run that starts now could not be published, because no commit would say what ran."""
    from gluon_classics.runs.provenance import provenance

    reasons = _unknown_code(provenance(()))
    if reasons:
        raise RunError(f"runs cannot be published now: {'; '.join(reasons)}")


def add(runs: list[Run], folder=None) -> None:
    """Add the records of runs to the results. Existing records are not changed.

    Args:
        runs: Finished runs of recipes.
        folder: Folder of results; None is the checkout's.

    Raises:
        RunError: A run is not comparable with its recipe, no commit says what code ran, or there is another run with
            its seed. Then no run is added.
    """
    place = results_folder(folder)
    entries: dict[Path, RunRecord] = {}
    for run in runs:
        path, record = _entry(run, place)
        if entries.setdefault(path, record) != record:
            raise RunError(f"{run.path} and another run named here have the same recipe and seed: name one of them")
    for path, record in entries.items():
        if path.exists():
            continue
        with write_errors(path, "it and the later runs were not published", RunError):
            path.parent.mkdir(exist_ok=True)
            write_text(path, record.to_json())
        _console.say(f"published: {path}")


def _entry(run, folder):
    """The file of a run in the results, and its record without paths of the machine."""
    record = run.record
    if record.recipe is None:
        raise RunError(f"{run.path} cannot be published: it is not the run of a recipe")
    recipe = get_recipe(record.recipe)
    reasons = incomparable(recipe, record)
    reasons += _unknown_code(record.provenance)
    if any(CODE & set(resumption.changed) for resumption in record.resumed):
        reasons.append("it was resumed with other code")
    if reasons:
        raise RunError(f"{run.path} cannot be published: {'; '.join(reasons)}")
    path = folder / recipe.name / f"seed-{record.settings.seed}.json"
    portable = replace(
        record,
        settings=replace(record.settings, data=recipe.settings.data),
        data=replace(record.data, origin=None),
        epochs=tuple(replace(epoch, curve=()) for epoch in record.epochs),
        parameters_sha256=(),  # the file is not published
    )
    if path.exists() and _read_record(path) != portable:
        raise RunError(f"{path} is another run with this seed: publish a run with a new seed")
    return path, portable


def _unknown_code(provenance: Provenance) -> list[str]:
    if provenance.commit is None:
        return ["the code version is unknown (not a git checkout)"]
    if not re.fullmatch("[0-9a-f]{40}", provenance.commit):
        return [f"{provenance.commit!r} is not a commit"]
    return ["the package's files differ from the commit"] if provenance.dirty else []


def read(folder=None) -> list[Verdict]:
    """Return the verdicts on all recipes that have results, in the order of the recipes. Raises RunError."""
    path = results_folder(folder)
    known = {recipe.name: recipe for recipe in list_recipes()}
    found = {child.name: child for child in sorted(path.iterdir()) if any(child.glob("*.json"))}
    for name, child in found.items():
        if name not in known:
            raise RunError(f"{child} belongs to an unknown recipe: remove the folder, or update the package")
    return [judge(recipe, _records(found[name])) for name, recipe in known.items() if name in found]


def recorded(recipe: Recipe) -> Verdict | None:
    """Return the verdict on a recipe by the checkout's results; None if there are none or they cannot be read."""
    try:
        folder = results_folder() / recipe.name
        return judge(recipe, _records(folder)) if any(folder.glob("*.json")) else None
    except RunError:
        return None


def _records(folder):
    return [_read_record(file) for file in sorted(folder.glob("*.json"), key=lambda file: (len(file.name), file.name))]


def _read_record(file):
    try:
        return RunRecord.from_json(read_text(file))
    except (OSError, ValueError) as error:
        raise RunError(f"{file} is not the record of a run ({first_line(error)}): restore it") from error
