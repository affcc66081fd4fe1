"""Subcommands about published results: recipes, reproduce, results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from gluon_classics import _console

if TYPE_CHECKING:
    from gluon_classics.reproduction.verdict import Verdict

from .options import (
    Count,
    Seed,
    UserPath,
    checkpoint_option,
    ctx_option,
    dry_run_option,
    json_option,
    known_recipe,
    show_plan,
)


@click.command()
@json_option
def recipes(as_json):
    """List the recipes.

    A recipe is a set of settings and the results that were published for them.
    """
    from gluon_classics.experiment.settings_words import settings_words
    from gluon_classics.reproduction import formatting
    from gluon_classics.reproduction.recipes import list_recipes

    if as_json:
        _console.echo_json([formatting.as_dict(recipe) for recipe in list_recipes()])
        return
    rows = [
        (
            recipe.name,
            settings_words(recipe.settings),
            formatting.target_words(recipe),
            formatting.source_words(recipe),
        )
        for recipe in list_recipes()
    ]
    _console.table(["recipe", "settings", "target", "source"], rows)


@click.command()
@click.argument("recipe", callback=known_recipe)
@click.option("--runs", type=Count(), default=1, show_default=True, help="Number of independent runs.")
@click.option(
    "--seed",
    type=Seed(),
    default=0,
    show_default=True,
    help="Seed of the first run; later runs use the following seeds.",
)
@click.option("--subset", type=Count(), help="Number of training images to use; the result is not comparable.")
@click.option("--epochs", type=Count(), help="Number of epochs, if not the recipe's; the result is not comparable.")
@click.option(
    "--data", type=UserPath(), help="Folder or file with the recipe's data set.  [default: found by its name]"
)
@ctx_option
@click.option("--out", type=UserPath(), help="Folder for the run folders seed-N.  [default: runs/RECIPE]")
@click.option("--publish", is_flag=True, help="Add the runs to results/ if they are comparable.")
@checkpoint_option
@dry_run_option
@json_option
def reproduce(recipe, publish, dry_run, as_json, **options):
    """Run a recipe and compare the results with the published ones.

    Print the published and the measured values of RECIPE side by side, and whether the result is reproduced.

    If you run the command again, finished runs are kept and an interrupted run is resumed.
    """
    from gluon_classics.reproduction import results
    from gluon_classics.reproduction.reproduce import reproduce as run_recipe
    from gluon_classics.reproduction.verdict import judge, require_statistics

    if dry_run and publish:
        raise click.UsageError("--dry-run trains nothing that could be published: leave --publish out.")
    if dry_run:
        _show_recipe_plan(recipe, as_json, **options)
        return
    require_statistics(recipe)
    if publish:
        results.require_known_code()
    runs = run_recipe(recipe, **options)
    verdict = judge(recipe, [run.record for run in runs])
    if as_json:
        _console.echo_json(verdict.as_dict())
    else:
        _show_verdict(verdict, results.recorded(recipe))
    if publish:
        results.add(runs)


@click.command("results")
@click.option(
    "--add",
    "added",
    multiple=True,
    metavar="RUN",
    type=UserPath(),
    help="Run folder to add to the results first. May be repeated.",
)
@click.option("--results", "folder", type=UserPath(), help="Folder of results.  [default: results/ of the repository]")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown, as in docs/results.md.")
@json_option
def show_results(added, folder, markdown, as_json):
    """Show the recorded results next to the published ones.

    The table shows one metric of each recipe and the verdicts on all of them. With --markdown, there is also a table
    of all metrics.
    """
    from gluon_classics.reproduction import results, table

    if markdown and as_json:
        raise click.UsageError("--markdown cannot be used with --json.")
    if added:
        from gluon_classics.runs.record import read_run

        results.add([read_run(run) for run in added], folder)
    verdicts = results.read(folder)
    if as_json:
        _console.echo_json([verdict.as_dict() for verdict in verdicts])
        return
    if markdown or not verdicts:
        for line in table.markdown_tables(verdicts).split("\n"):
            _console.echo(line)
        return
    rows = table.summary(verdicts)
    titles = [f"{title}:" if title in table.NUMBERS else title for title in rows[0]]
    _console.table(titles, [tuple(row.values()) for row in rows])


def _show_verdict(verdict: Verdict, recorded: Verdict | None) -> None:
    """Print published and own results side by side, the verdict with its reason, and that of the `recorded` runs."""
    from gluon_classics.experiment.settings_words import settings_words
    from gluon_classics.reproduction.formatting import source_words, verdict_words

    recipe = verdict.recipe
    _console.echo(f"{recipe.name}: {recipe.settings.model} with the settings of {recipe.edition}")
    _console.echo(settings_words(recipe.settings))
    if recipe.metrics:
        _console.echo(f"published by: {source_words(recipe)}")
    titles = ["epoch:", "metric", "published:", f"ours, n = {verdict.n}:", "difference:", "margin:", "verdict on it"]
    _console.table(titles, list(_rows(verdict)))
    _console.echo(f"Verdict: {verdict_words(verdict)}")
    for reason in verdict.reasons:
        _console.echo(f"- {reason}")
    if recorded and recorded.n > verdict.n:
        _console.echo(
            f"The {recorded.n} recorded runs together: {verdict_words(recorded)} "
            "(see 'gluon-classics results'; --runs makes more runs)"
        )
    for note in recipe.notes:
        _console.echo(f"Note: {note}")


def _show_recipe_plan(recipe, as_json, runs, seed, ctx, out, data, checkpoint_minutes, **changes):
    """Print the plan of one run of a recipe, and what its results will be compared with."""
    from gluon_classics.reproduction.formatting import source_words, target_words
    from gluon_classics.reproduction.reproduce import settings_of
    from gluon_classics.runs.plan import plan_settings

    plan = plan_settings(replace(settings_of(recipe, data, **changes), seed=seed), ctx)
    show_plan(plan, as_json)
    if as_json:
        return
    _console.echo(f"This is one of {runs:,} runs." if runs > 1 else "This is one run.")
    _console.echo(f"Target: {target_words(recipe)} ({source_words(recipe)})")
    for note in recipe.notes:
        _console.echo(f"Note: {note}")


def _rows(verdict):
    from gluon_classics.reproduction.formatting import difference_words, margin_words, mean_words, published_words
    from gluon_classics.reproduction.recipes import name_of
    from gluon_classics.utils.history import METRICS

    recipe = verdict.recipe
    ours = {len(record.epochs) for record in verdict.records}
    for epoch in sorted({recipe.settings.epochs, *ours, *(run.epoch for run in recipe.runs)}):
        is_last = epoch == recipe.settings.epochs
        for metric in dict.fromkeys((*METRICS, *recipe.metrics)):
            published, values = published_words(recipe, metric, epoch), verdict.values(metric, epoch)
            if not (published or values):
                continue
            comparison = verdict.comparisons.get(metric) if is_last else None
            yield (
                epoch,
                name_of(metric),
                published,
                mean_words(values),
                difference_words(comparison) if comparison else "",
                margin_words(recipe, metric) if is_last else "",
                comparison.verdict if comparison else "",
            )


COMMANDS = (recipes, reproduce, show_results)
