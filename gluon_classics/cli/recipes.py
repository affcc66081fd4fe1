"""Subcommands about published results: recipes, reproduce, results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from gluon_classics import _console

if TYPE_CHECKING:
    from gluon_classics.reproduction.verdict import Verdict

from .options import checkpoint_option, ctx_option, json_option, known_recipe


@click.command()
@json_option
def recipes(as_json):
    """List the recipes: settings and the results published for them."""
    from gluon_classics.reproduction import formatting
    from gluon_classics.reproduction.recipes import list_recipes

    if as_json:
        click.echo(json.dumps([formatting.as_dict(recipe) for recipe in list_recipes()], indent=2))
        return
    rows = [
        (
            recipe.name,
            formatting.settings_words(recipe.settings),
            formatting.target_words(recipe),
            formatting.source_words(recipe),
        )
        for recipe in list_recipes()
    ]
    _console.table(["recipe", "settings", "target", "source"], rows)


@click.command()
@click.argument("recipe", callback=known_recipe)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="Number of independent runs.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the first run. Later runs use the following seeds.",
)
@click.option(
    "--subset",
    type=click.IntRange(1),
    help="Train only on the first N images. The results are then not comparable.  [default: all images]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="Number of epochs. Any other number than the recipe's makes the results not comparable.  "
    "[default: the recipe's]",
)
@click.option("--data", type=click.Path(), help="Folder with the recipe's data set, if it is not found by name.")
@ctx_option
@click.option(
    "--out", type=click.Path(), help="Folder for the run folders, which are named seed-N.  [default: runs/RECIPE]"
)
@click.option("--publish", is_flag=True, help="Add the runs to results/ if they are comparable.")
@checkpoint_option
@json_option
def reproduce(recipe, publish, as_json, **options):
    """Run a recipe and compare the results with the published ones.

    Print the published and the measured values of RECIPE side by side, and whether the result is reproduced.

    If you run the command again, finished runs are kept and an interrupted run is resumed.
    """
    from gluon_classics.reproduction import reproduce, results
    from gluon_classics.reproduction.verdict import judge

    if publish:
        results.refuse_code_that_nobody_knows()
    runs = reproduce.run(recipe, **options)
    verdict = judge(recipe, [run.record for run in runs])
    if as_json:
        click.echo(json.dumps(verdict.as_dict(), indent=2))
    else:
        _show_verdict(verdict, results.recorded(recipe))
    if publish:
        results.add(runs)


@click.command("results")
@click.option(
    "--add", "added", multiple=True, metavar="RUN", help="Add a run folder before showing the table. Can be repeated."
)
@click.option(
    "--results", "folder", type=click.Path(), help="Folder with the results.  [default: results/ of the checkout]"
)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@json_option
def show_results(added, folder, markdown, as_json):
    """Show the table of all results.

    The table compares the published values with those of the recorded runs of each recipe.
    """
    from gluon_classics.reproduction import results

    if added:
        from gluon_classics.runs.record import read_run

        results.add([read_run(run) for run in added], folder)
    verdicts = results.read(folder)
    if as_json:
        click.echo(json.dumps([verdict.as_dict() for verdict in verdicts], indent=2))
    elif markdown or not verdicts:
        click.echo(results.markdown(verdicts))
    else:
        _console.table(results.TITLES, results.rows(verdicts))


def _show_verdict(verdict: Verdict, recorded: Verdict | None) -> None:
    """Print published and measured values, the verdict and its reason, and the verdict of the `recorded` runs."""
    from gluon_classics.reproduction.formatting import settings_words, source_words

    recipe = verdict.recipe
    click.echo(f"{recipe.name}: {recipe.settings.model} with the settings of {recipe.edition}")
    click.echo(settings_words(recipe.settings))
    if recipe.deciding:
        click.echo(f"published by: {source_words(recipe)}")
    titles = ["epoch:", "metric", "published:", "accepted:", f"ours, n = {verdict.n}:", "verdict"]
    _console.table(titles, list(_rows(verdict)))
    click.echo(f"Verdict: {verdict.verdict} ({verdict.statement})")
    if recorded and recorded.n > verdict.n:
        click.echo(
            f"Verdict of the {recorded.n} recorded runs: {recorded.verdict} (see 'gluon-classics results'). "
            "Train more runs with --runs."
        )
    for note in recipe.notes:
        click.echo(f"Note: {note}")
    if recipe.widening.why:
        click.echo(
            "Note: the accepted range around single runs is the published range, widened by its length or by a "
            f"minimum, whichever is larger. The minimum: {recipe.widening.why}"
        )


def _rows(verdict):
    from gluon_classics.reproduction.formatting import accepted_words, mean_words, name_of, published_words
    from gluon_classics.reproduction.recipes import FIGURES

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


COMMANDS = (recipes, reproduce, show_results)
