"""Run a recipe with several seeds: what `gluon-classics reproduce` does."""

from __future__ import annotations

from dataclasses import asdict, replace
import gc
from pathlib import Path

from gluon_classics import _console
from gluon_classics.errors import RunError
from gluon_classics.experiment.build import load_data, prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs.folder import RunFolder
from gluon_classics.runs.record import RECORD, Run, read_run
from gluon_classics.runs.resume import resume
from gluon_classics.runs.run_data import absolute_data, data_of
from gluon_classics.runs.runner import run_training
from gluon_classics.utils.context import parse_contexts

from .recipes import Recipe


def reproduce(
    recipe: Recipe, runs: int, seed: int, ctx: str, out, data, checkpoint_minutes: float, **changes
) -> list[Run]:
    """Run a recipe and return its runs. Finished runs are not repeated, interrupted ones are resumed.

    Args:
        recipe: The recipe.
        runs: Number of runs.
        seed: Seed of the first run; later runs use the following seeds.
        ctx: Devices, as `parse_contexts` takes them.
        out: Folder for the run folders seed-N; None is runs/RECIPE.
        data: Folder that holds the recipe's data set; None finds it by name.
        checkpoint_minutes: Time between two checkpoints.
        changes: Other fields of `Settings`; None keeps the recipe's. With any, the result is not comparable.

    Raises:
        ClassicsError: A run cannot be started, or did not reach its end.
    """
    settings = settings_of(recipe, data, **changes)
    parent = Path(out) if out else Path("runs", _folder_name(recipe, settings))
    paths = {number: parent / f"seed-{number}" for number in range(seed, seed + runs)}
    dataset = None
    for number, path in paths.items():
        wanted = replace(settings, seed=number)
        gc.collect()  # the previous run holds memory until its cycles are found
        if (path / RECORD).exists():
            _finish(path, recipe, wanted, checkpoint_minutes)
            continue
        dataset = dataset or load_data(settings)
        experiment = prepare(wanted, parse_contexts(ctx), dataset)
        with RunFolder.claim(path) as folder:
            folder.start(experiment, recipe.name)
            _console.say(f"{recipe.name}, seed {number}: training on {len(dataset.train):,} images; run folder {path}")
            run_training(experiment, folder, checkpoint_minutes)
    return [read_run(path) for path in paths.values()]


def settings_of(recipe: Recipe, data, **changes) -> Settings:
    """Return the settings of a recipe with the images of the folder `data` (None: found by name), and with changes."""
    settings = replace(recipe.settings, **{name: value for name, value in changes.items() if value is not None})
    return replace(settings, data=absolute_data(data)) if data else settings


def _folder_name(recipe, settings):
    """Runs with other settings have another folder."""
    parts = [recipe.name]
    if settings.subset:
        parts.append(f"{settings.subset}-images")
    if settings.epochs != recipe.settings.epochs:
        parts.append(f"{settings.epochs}-epochs")
    return "-".join(parts)


def _finish(path, recipe, wanted: Settings, checkpoint_minutes):
    """Resume an existing run, unless it is done."""
    run = read_run(path)
    record = run.record
    moved = None if record.settings.data == wanted.data else wanted.data
    if record.recipe != recipe.name or replace(record.settings, data=wanted.data) != wanted:
        before, now = asdict(record.settings), asdict(wanted)
        changed = [
            f"{name} {before[name]}, not {now[name]}" for name in now if before[name] != now[name] and name != "data"
        ]
        what = ", ".join(changed) or f"recipe {record.recipe}"
        raise RunError(f"{path} holds a run with other settings ({what}): choose another folder with --out")
    if moved:
        data_of(run, moved)  # its error says that the images are others
    if record.status == "done":
        _console.say(f"{recipe.name}, seed {wanted.seed}: already done, in {path}")
    else:
        resume(path, None, checkpoint_minutes, moved)
