"""docs/imagenet.md has the current recipes, and says of those without results that they were not run."""

from pathlib import Path

from gluon_classics.reproduction.recipes import list_recipes
import make_imagenet

CHECKOUT = Path(__file__).parents[2]

PAGE = make_imagenet.PAGE.read_text(encoding="utf-8")


def test_the_table_is_up_to_date():
    assert make_imagenet.with_table(PAGE) == PAGE, "run python tools/make_imagenet.py"


def test_recipes_without_results_are_called_not_run():
    for recipe in list_recipes():
        if recipe.settings.data == "imagenet" and not (CHECKOUT / "results" / recipe.name).exists():
            (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{recipe.name}` |"))
            assert row.endswith("| not run |")
