"""Recipes: settings with the results that were published for them.

A recipe is named `<model>-<data>-<variant>`. The tables are in `recipes_blog` (the blog and the Gluon tutorial),
`recipes_d2l` (Dive into Deep Learning), `recipes_imagenet` (the papers' networks for ImageNet) and `recipes_other`.
"""

from __future__ import annotations

from dataclasses import dataclass
import functools
from importlib import import_module
import json
import math
from pathlib import Path
import statistics
from typing import NamedTuple

import gluon_classics
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.settings import Settings
from gluon_classics.models.registry import suggestion
from gluon_classics.utils.history import METRICS

from .equivalence import Target, margin

PUBLISHED_METRICS = (*METRICS, "test_top_5_accuracy")
BAND_METRICS = ("train_loss", "test_accuracy")  # of the short runs
LOSS_DECIMALS = 3  # that every published loss has
FULL_DECIMALS = 6  # of accuracies that were not rounded
GUESSING = 1.2  # times the accuracy of guessing: a network that is no better has learned nothing
NOT_PUBLISHED = "no published result is known"  # a note
ROWS = ("recipes_blog", "recipes_d2l", "recipes_other", "recipes_imagenet")
BANDS = Path(__file__).with_name("short_bands.json")
ORIGINAL = Path(__file__).with_name("original_runs.json")  # written by tools/make_original.py from results/original/


@dataclass(frozen=True)
class PublishedRun:
    """The metrics of one published run after an epoch, or of one run of ours of the source's program.

    Attributes:
        source: Who published them, or the version of MXNet that the program ran on.
        epoch: Number of epochs done.
        train_loss: Training loss; None if it was not published.
        train_accuracy: Fraction 0..1 or None.
        test_accuracy: Fraction 0..1 or None.
        decimals: Number of decimals of the accuracies, at least.
        test_top_5_accuracy: Fraction 0..1 or None.
    """

    source: str
    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    decimals: int = 3
    test_top_5_accuracy: float | None = None


@dataclass(frozen=True)
class Builds:
    """The metrics of official builds after the last epoch.

    Attributes:
        source: Who published them.
        n: Number of builds.
        train_loss: Mean and standard deviation, which is None if it is not published; None without a mean.
        train_accuracy: The same.
        test_accuracy: The same.
        test_range: Lowest and highest test accuracy, or None.
        failed: Number of builds that stayed at chance. The means are over the others.
        decimals: Number of decimals of the accuracies, at least.
        test_top_5_accuracy: As `test_accuracy`.
    """

    source: str
    n: int
    train_loss: tuple[float, float | None] | None = None
    train_accuracy: tuple[float, float | None] | None = None
    test_accuracy: tuple[float, float | None] | None = None
    test_range: tuple[float, float] | None = None
    failed: int = 0
    decimals: int = 3
    test_top_5_accuracy: tuple[float, float | None] | None = None


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
        builds: Published results of official builds. Where these have a metric, single runs of it are not compared.
        notes: What is a guess, and what differs from the text.
        short: Settings of a run that takes a minute on the embedded sample.
    """

    variant: str
    edition: str
    settings: Settings
    runs: tuple[PublishedRun, ...] = ()
    builds: Builds | None = None
    notes: tuple[str, ...] = ()
    short: Settings | None = None

    @property
    def name(self) -> str:
        """`<model>-<data>-<variant>`."""
        return f"{self.settings.model}-{self.settings.data}-{self.variant}"

    def target(self, metric: str) -> Target | None:
        """Return what a metric after the last epoch is compared with: the published values.

        If there are none, it is compared with our runs of the source's program on the software of its time. Without
        these return None.
        """
        if self.builds and getattr(self.builds, metric):
            mean, sd = getattr(self.builds, metric)
            return _target(metric, self.builds.n, mean, sd, self.builds.decimals)
        runs = self._with(metric, self._final_runs()) or self._with(metric, self.original)
        if not runs:
            return None
        values = [getattr(run, metric) for run in runs]
        sd = statistics.stdev(values) if len(values) > 1 else None
        return _target(metric, len(values), statistics.mean(values), sd, min(run.decimals for run in runs))

    @property
    def original(self) -> tuple[PublishedRun, ...]:
        """Our runs of the source's program on the software of its time, after the last epoch."""
        return _original_runs().get(self.name, ())

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics with a target."""
        return tuple(metric for metric in PUBLISHED_METRICS if self.target(metric))

    def published_failures(self) -> tuple[int, int]:
        """Return how many published runs stayed at chance, and how many there are. Without any, those of `original`."""
        runs = self._final_runs() or ([] if self.builds else list(self.original))
        builds = (self.builds.failed, self.builds.n) if self.builds else (0, 0)
        return sum(map(at_chance, runs)) + builds[0], len(runs) + builds[1]

    def _final_runs(self):
        return [run for run in self.runs if run.epoch == self.settings.epochs]

    @staticmethod
    def _with(metric, runs):
        return [run for run in runs if getattr(run, metric) is not None and not at_chance(run)]

    def bands(self) -> dict[str, Band]:
        """Return the results of the short run by metric. Raises KeyError if they were not measured."""
        row = json.loads(BANDS.read_text(encoding="utf-8"))[self.name]
        return {metric: Band(row["n"], **row[metric]) for metric in BAND_METRICS}

    def published(self) -> list[Published]:
        """Return all published metrics."""
        found = [
            Published(metric, run.epoch, getattr(run, metric), 0.0)
            for run in self.runs
            for metric in PUBLISHED_METRICS
            if getattr(run, metric) is not None
        ]
        for metric in PUBLISHED_METRICS:
            if self.builds and getattr(self.builds, metric):
                mean, sd = getattr(self.builds, metric)
                found.append(Published(metric, self.settings.epochs, mean, sd or 0.0))
        return found


@functools.lru_cache(maxsize=None)
def _original_runs() -> dict[str, tuple[PublishedRun, ...]]:
    runs = json.loads(ORIGINAL.read_text(encoding="utf-8"))
    return {name: tuple(PublishedRun(**run, decimals=FULL_DECIMALS) for run in rows) for name, rows in runs.items()}


def _target(metric, n, mean, sd, decimals):
    is_loss = metric == "train_loss"
    rounding = 0.5 * 10.0 ** -(LOSS_DECIMALS if is_loss else decimals)
    if sd is not None:
        sd = max(sd, rounding / math.sqrt(3))  # equal values may differ by rounding, whose errors spread as much
    return Target(n, mean, sd, margin(mean if is_loss else 1 - mean), rounding)


def at_chance(metrics, classes: int = 10) -> bool:
    """Return whether a run has learned nothing: no accuracy that is known is better than guessing.

    Args:
        metrics: What has `train_accuracy` and `test_accuracy`, which may be None.
        classes: Number of classes.
    """
    known = [value for value in (metrics.train_accuracy, metrics.test_accuracy) if value is not None]
    return bool(known) and max(known) < GUESSING / classes


def name_of(metric: str) -> str:
    """Return a metric's name in words."""
    return metric.replace("top_5", "top-5").replace("_", " ")


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
