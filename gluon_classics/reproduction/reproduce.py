"""`gluon-classics reproduce`: run a recipe, and say whether the published results come out."""

from __future__ import annotations

from dataclasses import asdict, replace
import gc
from pathlib import Path

from gluon_classics import _console
from gluon_classics._files import locked
from gluon_classics.errors import RunError
from gluon_classics.experiment.build import load_data, prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import resume
from gluon_classics.runs.folder import RunFolder
from gluon_classics.runs.record import RECORD, Run, read_run
from gluon_classics.runs.runner import carry_out
from gluon_classics.runs.train import lasting
from gluon_classics.utils.context import parse_contexts

from .recipes import Recipe


def run(recipe: Recipe, runs: int, seed: int, ctx: str, out, data, checkpoint_minutes: float, **changes) -> list[Run]:
    """Run `recipe` with the seeds from `seed` on, `runs` of them, and return the runs. Raises ClassicsError.

    Each has the folder seed-N in `out`, by default runs/RECIPE. A finished one is not repeated, an interrupted one
    resumed. `changes` replace settings; with any the result is not comparable. `data` is a folder that holds the
    recipe's data set.
    """
    settings = replace(recipe.settings, **{name: value for name, value in changes.items() if value is not None})
    if data:
        settings = replace(settings, data=lasting(data))
    parent = Path(out) if out else Path("runs", _folder_name(recipe, settings))
    images = None
    for number in range(seed, seed + runs):
        path, wanted = parent / f"seed-{number}", replace(settings, seed=number)
        gc.collect()  # the run before holds memory until its cycles are found
        if (path / RECORD).exists():
            _go_on(path, recipe, wanted, checkpoint_minutes)
            continue
        images = images or load_data(settings)
        experiment = prepare(wanted, parse_contexts(ctx), images)
        folder = RunFolder(path, experiment, recipe.name)
        _console.say(f"{recipe.name}, seed {number}: training on {len(images.train):,} images; run folder {path}")
        with locked(path):
            carry_out(experiment, folder, checkpoint_minutes)
    return [read_run(parent / f"seed-{number}") for number in range(seed, seed + runs)]


def _folder_name(recipe, settings):
    """Runs with other settings get a folder of their own."""
    parts = [recipe.name]
    if settings.subset:
        parts.append(f"{settings.subset}-images")
    if settings.epochs != recipe.settings.epochs:
        parts.append(f"{settings.epochs}-epochs")
    return "-".join(parts)


def _go_on(path, recipe, wanted: Settings, checkpoint_minutes):
    found = read_run(path)
    if found.record["recipe"] != recipe.name or found.settings != wanted:
        before, now = asdict(found.settings), asdict(wanted)
        changed = [f"{name} {before[name]}, not {now[name]}" for name in now if before[name] != now[name]]
        what = ", ".join(changed) or f"recipe {found.record['recipe']}"
        raise RunError(f"{path} holds a run of other settings ({what}): choose another folder with --out")
    if found.record["status"] == "done":
        _console.say(f"{recipe.name}, seed {wanted.seed}: done before, in {path}")
    else:
        resume.run(path, None, checkpoint_minutes)
