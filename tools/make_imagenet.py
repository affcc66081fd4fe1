"""Write the table of the recipes into docs/imagenet.md, between its markers: python tools/make_imagenet.py"""

from pathlib import Path

from gluon_classics._files import write_text
from gluon_classics.reproduction import results
from gluon_classics.reproduction.formatting import mean_words, published_words, source_words
from gluon_classics.reproduction.recipes import list_recipes
from markers import with_content

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "imagenet.md"
START, END = "<!-- recipes -->\n", "<!-- /recipes -->"
METRICS = ("test_accuracy", "test_top_5_accuracy")


def table() -> str:
    """Return the recipes as a Markdown table, with our results if there are any."""
    ours = {verdict.recipe.name: verdict for verdict in results.read(ROOT / "results")}
    rows = ["| recipe | top-1 | top-5 | source | ours |", "|---|---|---|---|---|"]
    for recipe in list_recipes():
        if recipe.settings.data == "imagenet":
            targets = [published_words(recipe, metric, recipe.settings.epochs) or "none" for metric in METRICS]
            verdict = ours.get(recipe.name)
            found = ", ".join(mean_words(verdict.values(metric)) for metric in METRICS) if verdict else "not run"
            rows.append(" | ".join([f"| `{recipe.name}`", *targets, source_words(recipe), f"{found} |"]))
    return "\n".join(rows)


def with_table(text: str) -> str:
    """Return `text` with the current table between its markers."""
    return with_content(text, START, END, table())


def main():
    write_text(PAGE, with_table(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
