"""Subcommands about published results: recipes, reproduce, results."""

from __future__ import annotations

import json

import click

from . import console
from .cli_options import checkpoint_option, ctx_option, json_option, known_recipe


@click.command()
@json_option
def recipes(as_json):
    """List the recipes: settings with the results that were published for them."""
    from . import recipe_words
    from .recipes import list_recipes

    if as_json:
        click.echo(json.dumps([recipe_words.as_dict(recipe) for recipe in list_recipes()], indent=2))
        return
    rows = [
        (
            recipe.name,
            recipe_words.settings_words(recipe.settings),
            recipe_words.target_words(recipe),
            recipe_words.source_words(recipe),
        )
        for recipe in list_recipes()
    ]
    console.table(["recipe", "settings", "target", "source"], rows)


@click.command()
@click.argument("recipe", callback=known_recipe)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="Number of independent runs.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first run; it counts on.")
@click.option("--subset", type=click.IntRange(1), help="Train on the first so many images; not comparable then.")
@click.option("--epochs", type=click.IntRange(1), help="Other than the recipe's; not comparable then.")
@click.option("--data", type=click.Path(), help="Folder of the recipe's data set, where it is not found by name.")
@ctx_option
@click.option("--out", type=click.Path(), help="Folder for the run folders seed-N.  [default: runs/RECIPE]")
@click.option("--publish", is_flag=True, help="Enter the runs in results/, if they are comparable.")
@checkpoint_option
@json_option
def reproduce(recipe, publish, as_json, **options):
    """Run RECIPE, print target and result side by side, and say whether it is reproduced.

    Started again, it goes on: finished runs are not repeated, an interrupted one is resumed.
    """
    from . import reproduce_command, results
    from .verdict import judge

    if publish:
        results.refuse_code_that_nobody_knows()
    runs = reproduce_command.run(recipe, **options)
    verdict = judge(recipe, [run.record for run in runs])
    if as_json:
        click.echo(json.dumps(verdict.as_dict(), indent=2))
    else:
        reproduce_command.show(verdict, results.recorded(recipe))
    if publish:
        results.add(runs)


@click.command("results")
@click.option("--add", "added", multiple=True, metavar="RUN", help="Enter a run folder first; may be repeated.")
@click.option("--results", "folder", type=click.Path(), help="Folder of results.  [default: the checkout's]")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown, as the README has it.")
@json_option
def show_results(added, folder, markdown, as_json):
    """Show what was reproduced: the table of all results, made from the records of their runs."""
    from . import results

    if added:
        from .runs import read_run

        results.add([read_run(run) for run in added], folder)
    verdicts = results.read(folder)
    if as_json:
        click.echo(json.dumps([verdict.as_dict() for verdict in verdicts], indent=2))
    elif markdown or not verdicts:
        click.echo(results.markdown(verdicts))
    else:
        console.table(results.TITLES, results.rows(verdicts))


COMMANDS = (recipes, reproduce, show_results)
