"""What was published for a run's recipe, as points for the charts."""

from __future__ import annotations

from typing import NamedTuple

from .recipes import FIGURES, Recipe


class Published(NamedTuple):
    """A figure published for a number of epochs: one run's value, or the mean and standard deviation of several."""

    figure: str
    epochs: int
    value: float
    sd: float


def published(recipe: Recipe) -> list[Published]:
    """All figures published for a recipe."""
    found = [
        Published(figure, run.epoch, getattr(run, figure), 0.0)
        for run in recipe.runs
        for figure in FIGURES
        if getattr(run, figure) is not None
    ]
    for figure in FIGURES:
        spread = recipe.builds and recipe.builds.spread(figure)
        if spread:
            found.append(Published(figure, recipe.settings.epochs, spread.mean, spread.sd))
    return found
