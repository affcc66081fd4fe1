"""`gluon-classics reproduce`: run a recipe, and say whether the published results come out."""

from __future__ import annotations

from dataclasses import asdict, replace
import gc
from pathlib import Path

import click

from . import console, resume_command
from .context import parse_contexts
from .errors import RunError
from .experiment import load_data, prepare
from .locking import locked
from .recipe_words import accepted_words, mean_words, name_of, published_words, settings_words, source_words
from .recipes import FIGURES, Recipe
from .running import carry_out
from .runs import RECORD, Run, RunFolder, read_run
from .settings import Settings
from .train_command import lasting
from .verdict import Verdict


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
        console.say(f"{recipe.name}, seed {number}: training on {len(images.train):,} images; run folder {path}")
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
        console.say(f"{recipe.name}, seed {wanted.seed}: done before, in {path}")
    else:
        resume_command.run(path, None, checkpoint_minutes)


def show(verdict: Verdict, recorded: Verdict | None) -> None:
    """Print target and result side by side, the verdict and its reason, and what the `recorded` runs say."""
    recipe = verdict.recipe
    click.echo(f"{recipe.name}: {recipe.settings.model} with the settings of {recipe.edition}")
    click.echo(settings_words(recipe.settings))
    if recipe.deciding:
        click.echo(f"published by: {source_words(recipe)}")
    titles = ["epoch:", "figure", "published:", "accepted:", f"ours, n = {verdict.n}:", "by itself"]
    console.table(titles, list(_rows(verdict)))
    click.echo(f"Verdict: {verdict.verdict} ({verdict.statement})")
    if recorded and recorded.n > verdict.n:
        click.echo(
            f"The {recorded.n} recorded runs together: {recorded.verdict} ('gluon-classics results'); --runs makes more"
        )
    for note in recipe.notes:
        click.echo(f"Note: {note}")
    if recipe.widening.why:
        click.echo(
            f"Note: ranges of single runs are widened by their length, but at least so far: {recipe.widening.why}"
        )


def _rows(verdict):
    recipe = verdict.recipe
    ours = {len(record["epochs"]) for record in verdict.records}
    for epoch in sorted({recipe.settings.epochs, *ours, *(run.epoch for run in recipe.runs)}):
        is_last = epoch == recipe.settings.epochs
        for figure in FIGURES:
            published, values = published_words(recipe, figure, epoch), verdict.values(figure, epoch)
            if not (published or values):
                continue
            alone = verdict.comparisons.get(figure) if is_last else None
            yield (
                epoch,
                name_of(figure),
                published,
                accepted_words(recipe, figure) if is_last else "",
                mean_words(values),
                alone.verdict if alone else "",
            )
