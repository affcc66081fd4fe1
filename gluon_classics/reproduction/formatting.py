"""Recipes in words."""

from __future__ import annotations

from dataclasses import asdict
import statistics

from gluon_classics._format import joined

from .equivalence import Comparison
from .recipes import PUBLISHED_METRICS, Recipe, name_of
from .verdict import Verdict


def digits(recipe: Recipe, metric: str) -> int:
    """Return the number of decimals of a metric in tables: 4 for losses, and for accuracies close to 1."""
    return 4 if metric == "train_loss" or recipe.settings.data == "mnist" else 3


def published_words(recipe: Recipe, metric: str, epoch: int, decimals: int | None = None) -> str:
    """Return the published values of a metric after an epoch, counted from 1; empty if there are none.

    `decimals` is the largest number of decimals, to which longer values are rounded; None does not round.
    """

    def words(value):
        as_published = f"{value:.10g}"
        if decimals is None or len(as_published.partition(".")[2]) <= decimals:
            return as_published
        return f"{value:.{decimals}f}"

    builds = recipe.builds
    pair = getattr(builds, metric, None) if epoch == recipe.settings.epochs else None
    if builds and pair:
        mean, sd = pair
        spread = "" if sd is None else f" +- {words(sd)}"
        span = builds.test_range if metric == "test_accuracy" else None
        extremes = f" [{words(span[0])}, {words(span[1])}]" if span else ""
        return f"{words(mean)}{spread}{extremes} (n = {builds.n})"
    values = [getattr(run, metric) for run in recipe.runs if run.epoch == epoch]
    return ", ".join(words(value) for value in values if value is not None)


def original_words(recipe: Recipe, metric: str) -> str:
    """Return the results of the source's program on the software of its time; empty if it did not run."""
    values = [value for value in (getattr(run, metric) for run in recipe.original) if value is not None]
    return f"{mean_words(values, digits(recipe, metric))} (n = {len(values)})" if values else ""


def margin_words(recipe: Recipe, metric: str) -> str:
    """Return how far our mean may be from the published one; empty if nothing is published."""
    target = recipe.target(metric)
    return f"{target.margin:.2g}" if target else ""


def difference_words(comparison: Comparison) -> str:
    """Return the difference of the means with its interval."""
    if comparison.interval is None:
        return f"{comparison.difference:+.4f}"
    low, high = comparison.interval
    return f"{comparison.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def target_words(recipe: Recipe) -> str:
    """Return the published value of the first metric that has one, and the margin."""
    if not recipe.metrics:
        return "no published value"
    metric = recipe.metrics[0]
    published = published_words(recipe, metric, recipe.settings.epochs)
    values = published or f"{original_words(recipe, metric)} by the original software"
    return f"{name_of(metric)} {values}; margin {margin_words(recipe, metric)}"


def verdict_words(verdict: Verdict) -> str:
    """Return the verdict, and those on the metrics if they are not the same."""
    by_verdict: dict[str, list[str]] = {}
    for metric, comparison in verdict.comparisons.items():
        by_verdict.setdefault(comparison.verdict, []).append(name_of(metric))
    if set(by_verdict) <= {verdict.verdict}:
        return verdict.verdict
    parts = [f"{joined(names)} {each}" for each, names in by_verdict.items()]
    if verdict.verdict not in by_verdict:
        parts.append("too many runs at chance")
    return f"{verdict.verdict} ({'; '.join(parts)})"


def source_words(recipe: Recipe) -> str:
    """Return the sources of the published values; without any, those of `original`, or else the edition."""
    sources = [recipe.builds.source] if recipe.builds else []
    sources += [run.source for run in recipe.runs if run.epoch == recipe.settings.epochs]
    sources = sources or [run.source for run in recipe.original]
    return "; ".join(dict.fromkeys(sources)) or recipe.edition


def mean_words(values: list[float], decimals: int = 4) -> str:
    """Return mean and standard deviation with this number of decimals; empty without values."""
    if not values:
        return ""
    spread = f" +- {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{decimals}f}{spread}"


def as_dict(recipe: Recipe) -> dict:
    """Return a recipe as values for JSON, with what its metrics are compared with."""
    targets = {metric: recipe.target(metric) for metric in PUBLISHED_METRICS}
    return {
        "name": recipe.name,
        **asdict(recipe),
        "targets": {metric: asdict(target) for metric, target in targets.items() if target},
    }
