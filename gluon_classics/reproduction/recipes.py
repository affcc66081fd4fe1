"""Recipes: settings with the results that were published for them.

A recipe is named `<model>-<data>-<variant>`. The tables are in `recipes_blog` (the blog and the Gluon tutorial),
`recipes_d2l` (Dive into Deep Learning) and `recipes_other`.
"""

from __future__ import annotations

from dataclasses import dataclass
import functools
from importlib import import_module
import json
from pathlib import Path
from typing import NamedTuple

import gluon_classics
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.settings import Settings
from gluon_classics.models.registry import suggestion
from gluon_classics.utils.history import METRICS

from .equivalence import Range, Spread, widened

DECIDING = ("train_loss", "test_accuracy")  # the first of these that is published decides
LEAST_MARGIN = 0.005
ROWS = ("recipes_blog", "recipes_d2l", "recipes_other")
BANDS = Path(__file__).with_name("short_bands.json")


@dataclass(frozen=True)
class PublishedRun:
    """The published metrics of one run after an epoch.

    Attributes:
        source: Who published them.
        epoch: Number of epochs done.
        train_loss: Training loss; None if it was not published.
        train_accuracy: Fraction 0..1 or None.
        test_accuracy: Fraction 0..1 or None.
    """

    source: str
    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None


@dataclass(frozen=True)
class Builds:
    """The metrics of official builds after the last epoch.

    Our mean may differ from theirs by two standard deviations, as a single build may, but at least by .005: published
    metrics are rounded to .001, and between versions and devices official builds differ by up to .008.

    Attributes:
        source: Who published them.
        n: Number of builds.
        train_loss: Mean and standard deviation; None if not published.
        train_accuracy: Mean and standard deviation, or None.
        test_accuracy: Mean and standard deviation, or None.
        test_range: Lowest and highest test accuracy, or None.
        failed: Number of builds that stayed at chance.
    """

    source: str
    n: int
    train_loss: tuple[float, float] | None = None
    train_accuracy: tuple[float, float] | None = None
    test_accuracy: tuple[float, float] | None = None
    test_range: tuple[float, float] | None = None
    failed: int = 0

    def spread(self, metric: str) -> Spread | None:
        """Return the distribution of a metric, None if it is not published."""
        pair = getattr(self, metric)
        if pair is None:
            return None
        mean, sd = pair
        return Spread(self.n, mean, sd, margin=max(2 * sd, LEAST_MARGIN))


@dataclass(frozen=True)
class Widening:
    """The minimum by which the range of single published runs is widened to both sides, and why."""

    train_loss: float
    accuracy: float
    why: str


NOT_WIDENED = Widening(0.0, 0.0, "")


class Band(NamedTuple):
    """A metric of `n` short runs: mean and standard deviation."""

    n: int
    mean: float
    sd: float


class Published(NamedTuple):
    """A metric published after a number of epochs: the value of one run, or mean and standard deviation of several."""

    metric: str
    epochs: int
    value: float
    sd: float


@dataclass(frozen=True)
class Recipe:
    """Settings and the results that were published for them.

    Attributes:
        variant: Last part of the name.
        edition: The text that the settings come from.
        settings: The settings.
        runs: Published results of single runs.
        builds: Published results of official builds.
        widening: Minimum widening of the range of single runs.
        notes: What is a guess, and what differs from the text.
        short: Settings of a run that takes a minute on the embedded sample.
    """

    variant: str
    edition: str
    settings: Settings
    runs: tuple[PublishedRun, ...] = ()
    builds: Builds | None = None
    widening: Widening = NOT_WIDENED
    notes: tuple[str, ...] = ()
    short: Settings | None = None

    @property
    def name(self) -> str:
        """`<model>-<data>-<variant>`."""
        return f"{self.settings.model}-{self.settings.data}-{self.variant}"

    def target(self, metric: str) -> Spread | Range | None:
        """Return what a metric after the last epoch is compared with, None if nothing is published."""
        spread = self.builds and self.builds.spread(metric)
        if spread:
            return spread
        values = [getattr(run, metric) for run in self.runs if run.epoch == self.settings.epochs]
        values = [value for value in values if value is not None]
        if not values:
            return None
        return widened(values, self.widening.train_loss if metric == "train_loss" else self.widening.accuracy)

    def bands(self) -> dict[str, Band]:
        """Return the results of the short run by metric. Raises KeyError if they were not measured."""
        row = json.loads(BANDS.read_text(encoding="utf-8"))[self.name]
        return {metric: Band(row["n"], **row[metric]) for metric in DECIDING}

    def published(self) -> list[Published]:
        """Return all published metrics."""
        found = [
            Published(metric, run.epoch, getattr(run, metric), 0.0)
            for run in self.runs
            for metric in METRICS
            if getattr(run, metric) is not None
        ]
        for metric in METRICS:
            spread = self.builds and self.builds.spread(metric)
            if spread:
                found.append(Published(metric, self.settings.epochs, spread.mean, spread.sd))
        return found

    @property
    def may_be_stuck(self) -> bool:
        """Whether some published builds stayed at chance, so that ours may too."""
        return self.builds is not None and self.builds.failed > 0

    @property
    def deciding(self) -> str | None:
        """The metric that decides, None if nothing is published."""
        return next((metric for metric in DECIDING if self.target(metric)), None)


def name_of(metric: str) -> str:
    """Return a metric's name in words."""
    return metric.replace("_", " ")


def list_recipes() -> list[Recipe]:
    """Return all recipes whose network exists."""
    known = set(gluon_classics.list_models())
    return [recipe for recipe in _all() if recipe.settings.model in known]


def get_recipe(name: str) -> Recipe:
    """Return the recipe of this name. Raises ClassicsError if there is none."""
    recipes = {recipe.name: recipe for recipe in list_recipes()}
    if name not in recipes:
        raise ClassicsError(f"unknown recipe {name!r}: {suggestion(name, recipes, 'gluon-classics recipes')}")
    return recipes[name]


@functools.lru_cache(maxsize=None)
def _all() -> tuple[Recipe, ...]:
    return tuple(recipe for module in ROWS for recipe in import_module(f".{module}", __package__).RECIPES)
