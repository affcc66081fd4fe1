"""Recipes and verdicts in words."""

from __future__ import annotations

from dataclasses import asdict, fields
import statistics

from gluon_classics.experiment.settings import WEIGHTS, Settings

from .equivalence import Spread
from .recipes import FIGURES, Recipe

UNUSUAL = {  # settings that are told where they are not the default, and in which words
    "momentum": "momentum {}",
    "weight_decay": "weight decay {}",
    "fit": "fit: {}",
    "resize_in": "resizing: {}",
    "last_batch": "last batch: {}",
}


def name_of(figure: str) -> str:
    """A figure's name as people write it."""
    return figure.replace("_", " ")


def settings_words(settings: Settings) -> str:
    """What decides a run, in a line."""
    schedule = f" ({settings.schedule})" if settings.schedule else ""
    others = "".join(
        f", {UNUSUAL[field.name].format(getattr(settings, field.name))}"
        for field in fields(Settings)
        if field.name in UNUSUAL and getattr(settings, field.name) != field.default
    )
    weights = f" ({settings.weights} weights)" if settings.weights != WEIGHTS[0] else ""
    return (
        f"{settings.size}x{settings.size}, batch {settings.batch_size}, {settings.optimizer} "
        f"{settings.learning_rate:g}{schedule}, {settings.init}{weights}{others}, epochs {settings.epochs}"
    )


def published_words(recipe: Recipe, figure: str, epoch: int) -> str:
    """The published values of a figure after an epoch, counted from 1; empty without any."""
    builds = recipe.builds
    spread = builds.spread(figure) if builds and epoch == recipe.settings.epochs else None
    if builds and spread:
        span = builds.test_range if figure == "test_accuracy" else None
        words = f" [{span[0]:g}, {span[1]:g}]" if span else ""
        return f"{spread.mean:g} +- {spread.sd:g}{words} (n = {spread.n})"
    values = [getattr(run, figure) for run in recipe.runs if run.epoch == epoch]
    return ", ".join(f"{value:.10g}" for value in values if value is not None)


def accepted_words(recipe: Recipe, figure: str) -> str:
    """How far our mean may be from the published values; empty if there are none."""
    target = recipe.target(figure)
    if target is None:
        return ""
    return f"within {target.margin:g}" if isinstance(target, Spread) else f"{target.low:.4g} to {target.high:.4g}"


def target_words(recipe: Recipe) -> str:
    """The figure that decides, and what it is compared with."""
    figure = recipe.deciding
    if figure is None:
        return "no published value"
    published = published_words(recipe, figure, recipe.settings.epochs)
    return f"{name_of(figure)} {published}; accepted {accepted_words(recipe, figure)}"


def source_words(recipe: Recipe) -> str:
    """Where the published values come from; without any, the settings."""
    sources = [recipe.builds.source] if recipe.builds else []
    sources += [run.source for run in recipe.runs if run.epoch == recipe.settings.epochs]
    return "; ".join(dict.fromkeys(sources)) or recipe.edition


def mean_words(values: list[float]) -> str:
    """Mean and standard deviation; empty without values."""
    if not values:
        return ""
    return f"{statistics.mean(values):.4f}" + (f" +- {statistics.stdev(values):.4f}" if len(values) > 1 else "")


def as_dict(recipe: Recipe) -> dict:
    """A recipe as JSON can say it, with what its figures are compared with and which of them decides."""
    targets = {figure: recipe.target(figure) for figure in FIGURES}
    return {
        "name": recipe.name,
        **asdict(recipe),
        "targets": {
            figure: {"kind": type(target).__name__.lower(), **asdict(target)}
            for figure, target in targets.items()
            if target
        },
        "deciding": recipe.deciding,
    }
