"""Recipes in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, fields
import statistics

from gluon_classics.experiment.settings import WEIGHTS, Settings
from gluon_classics.utils.history import METRICS

from .equivalence import Spread
from .recipes import Recipe, name_of

UNUSUAL = {  # settings that are shown where they are not the default
    "momentum": "momentum {}",
    "weight_decay": "weight decay {}",
    "fit": "fit {}",
    "resize_in": "resizing {}",
    "augment": "random {}s",
    "last_batch": "last batch {}",
    "reported": "{} test accuracy",
}
DIGITS = {"train_loss": 4, "train_accuracy": 3, "test_accuracy": 3}  # decimals in tables


def settings_words(settings: Settings, without: Collection[str] = ()) -> str:
    """Return what decides a run, in one line. `without` names fields to leave out."""
    optimizer = "lr" if "optimizer" in without else settings.optimizer
    schedule = f" ({settings.schedule})" if settings.schedule else ""
    weights = f" ({settings.weights} weights)" if settings.weights != WEIGHTS[0] else ""
    parts = {
        "resize": f"{settings.size}x{settings.size}",
        "batch_size": f"batch {settings.batch_size}",
        "learning_rate": f"{optimizer} {settings.learning_rate:g}{schedule}",
        "init": f"{settings.init}{weights}",
        **{
            field.name: UNUSUAL[field.name].format(getattr(settings, field.name))
            for field in fields(Settings)
            if field.name in UNUSUAL and getattr(settings, field.name) != field.default
        },
        "epochs": f"{settings.epochs} epochs" if settings.epochs > 1 else "1 epoch",
    }
    return ", ".join(words for name, words in parts.items() if name not in without)


def published_words(recipe: Recipe, metric: str, epoch: int, digits: int | None = None) -> str:
    """Return the published values of a metric after an epoch, counted from 1; empty if there are none.

    `digits` is the number of decimals to round to; None does not round.
    """

    def words(value):
        return f"{value if digits is None else round(value, digits):.10g}"

    builds = recipe.builds
    spread = builds.spread(metric) if builds and epoch == recipe.settings.epochs else None
    if builds and spread:
        span = builds.test_range if metric == "test_accuracy" else None
        extremes = f" [{words(span[0])}, {words(span[1])}]" if span else ""
        return f"{words(spread.mean)} +- {words(spread.sd)}{extremes} (n = {spread.n})"
    values = [getattr(run, metric) for run in recipe.runs if run.epoch == epoch]
    return ", ".join(words(value) for value in values if value is not None)


def accepted_words(recipe: Recipe, metric: str) -> str:
    """Return how far our mean may be from the published values; empty if there are none."""
    target = recipe.target(metric)
    if target is None:
        return ""
    return f"within {target.margin:g}" if isinstance(target, Spread) else f"{target.low:.4g} to {target.high:.4g}"


def target_words(recipe: Recipe) -> str:
    """Return the metric that decides, and what it is compared with."""
    metric = recipe.deciding
    if metric is None:
        return "no published value"
    published = published_words(recipe, metric, recipe.settings.epochs)
    return f"{name_of(metric)} {published}; accepted {accepted_words(recipe, metric)}"


def source_words(recipe: Recipe) -> str:
    """Return the sources of the published values; without any, the edition."""
    sources = [recipe.builds.source] if recipe.builds else []
    sources += [run.source for run in recipe.runs if run.epoch == recipe.settings.epochs]
    return "; ".join(dict.fromkeys(sources)) or recipe.edition


def mean_words(values: list[float], digits: int = 4) -> str:
    """Return mean and standard deviation with this number of decimals; empty without values."""
    if not values:
        return ""
    spread = f" +- {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def as_dict(recipe: Recipe) -> dict:
    """Return a recipe as values for JSON, with what its metrics are compared with and which of them decides."""
    targets = {metric: recipe.target(metric) for metric in METRICS}
    return {
        "name": recipe.name,
        **asdict(recipe),
        "targets": {
            metric: {"kind": type(target).__name__.lower(), **asdict(target)}
            for metric, target in targets.items()
            if target
        },
        "deciding": recipe.deciding,
    }
