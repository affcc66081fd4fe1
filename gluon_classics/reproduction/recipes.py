"""Recipes: settings with the results that were published for them.

A recipe is named `<model>-<data>-<variant>`. The rows stand in `recipes_early` (the blog and the Gluon tutorial),
`recipes_d2l` (Dive into Deep Learning) and `recipes_elsewhere`.
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

from .equivalence import Range, Spread, widened

FIGURES = ("train_loss", "train_accuracy", "test_accuracy")
DECIDING = ("train_loss", "test_accuracy")  # the first of these that is published decides
LEAST_MARGIN = 0.005
ROWS = ("recipes_blog", "recipes_d2l", "recipes_other")
BANDS = Path(__file__).with_name("short_bands.json")


@dataclass(frozen=True)
class PublishedRun:
    """What one run printed after epoch `epoch`, counted from 1: loss, and accuracies as fractions 0..1.

    None stands for what it did not print.
    """

    source: str
    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None


@dataclass(frozen=True)
class Builds:
    """Figures of `n` official builds after the last epoch: pairs of mean and standard deviation.

    Our mean may differ by two standard deviations, as far as a single build strays from the mean of all, and by .005
    at the least: figures are rounded to .001, and between versions and devices official builds moved by up to .008.
    `test_range` are the lowest and the highest test accuracy; `failed` builds stayed at chance.
    """

    source: str
    n: int
    train_loss: tuple[float, float] | None = None
    train_accuracy: tuple[float, float] | None = None
    test_accuracy: tuple[float, float] | None = None
    test_range: tuple[float, float] | None = None
    failed: int = 0

    def spread(self, figure: str) -> Spread | None:
        """The distribution of a figure, None if it is not published."""
        pair = getattr(self, figure)
        if pair is None:
            return None
        mean, sd = pair
        return Spread(self.n, mean, sd, margin=max(2 * sd, LEAST_MARGIN))


@dataclass(frozen=True)
class Widening:
    """The least by which the range of single published runs is widened to either side, and why."""

    train_loss: float
    accuracy: float
    why: str


NOT_WIDENED = Widening(0.0, 0.0, "")


class Band(NamedTuple):
    """A figure over `n` short runs."""

    n: int
    mean: float
    sd: float


class Published(NamedTuple):
    """A figure published for a number of epochs: one run's value, or the mean and standard deviation of several."""

    figure: str
    epochs: int
    value: float
    sd: float


@dataclass(frozen=True)
class Recipe:
    """Settings, where they come from, and what was published for them.

    `edition` names the text whose settings these are; `notes` say what is a guess and what differs from it. `short`
    are the settings of a run of a minute on the embedded sample.
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

    def target(self, figure: str) -> Spread | Range | None:
        """What a figure after the last epoch is compared with, None if nothing is published."""
        spread = self.builds and self.builds.spread(figure)
        if spread:
            return spread
        values = [getattr(run, figure) for run in self.runs if run.epoch == self.settings.epochs]
        values = [value for value in values if value is not None]
        if not values:
            return None
        return widened(values, self.widening.train_loss if figure == "train_loss" else self.widening.accuracy)

    def bands(self) -> dict[str, Band]:
        """What the short run gave when it was measured, by figure. Raises KeyError if it never was."""
        row = json.loads(BANDS.read_text(encoding="utf-8"))[self.name]
        return {figure: Band(row["n"], **row[figure]) for figure in DECIDING}

    def published(self) -> list[Published]:
        """Return all published metrics."""
        found = [
            Published(figure, run.epoch, getattr(run, figure), 0.0)
            for run in self.runs
            for figure in FIGURES
            if getattr(run, figure) is not None
        ]
        for figure in FIGURES:
            spread = self.builds and self.builds.spread(figure)
            if spread:
                found.append(Published(figure, self.settings.epochs, spread.mean, spread.sd))
        return found

    @property
    def may_be_stuck(self) -> bool:
        """Whether some of the published builds stayed at chance."""
        return self.builds is not None and self.builds.failed > 0

    @property
    def deciding(self) -> str | None:
        """The figure that decides, None if nothing is published."""
        return next((figure for figure in DECIDING if self.target(figure)), None)


def list_recipes() -> list[Recipe]:
    """All recipes whose network exists."""
    known = set(gluon_classics.list_models())
    return [recipe for recipe in _all() if recipe.settings.model in known]


def get_recipe(name: str) -> Recipe:
    """The recipe of this name. Raises ClassicsError if there is none."""
    recipes = {recipe.name: recipe for recipe in list_recipes()}
    if name not in recipes:
        raise ClassicsError(f"unknown recipe {name!r}: {suggestion(name, recipes, 'gluon-classics recipes')}")
    return recipes[name]


@functools.lru_cache(maxsize=None)
def _all() -> tuple[Recipe, ...]:
    return tuple(recipe for module in ROWS for recipe in import_module(f".{module}", __package__).RECIPES)
