"""The verdict on a recipe from the records of its runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import math
import statistics

from gluon_classics.experiment.settings import Settings

from . import equivalence
from .equivalence import Comparison, compare
from .recipes import FIGURES, Recipe

CHANCE = 0.99  # of ln(classes): a training loss above is that of a network which learned nothing


@dataclass(frozen=True)
class Verdict:
    """What our runs of a recipe say.

    `statement` gives the reason for the verdict in words. `records` are those of the runs that were compared; the
    `stuck` ones stayed at chance, as some of the published ones did, and are set aside. `comparisons` has one for each
    figure that is published, unless the runs are not comparable.
    """

    recipe: Recipe
    verdict: str
    statement: str
    records: list[dict]
    stuck: list[dict]
    comparisons: dict[str, Comparison]

    @property
    def n(self) -> int:
        """The number of runs that were compared."""
        return len(self.records)

    def values(self, figure: str, epoch: int | None = None) -> list[float]:
        """A figure of the runs after an epoch, counted from 1; without one, after their last."""
        epochs = [record["epochs"] for record in self.records]
        return [rows[(epoch or len(rows)) - 1][figure] for rows in epochs if len(rows) >= (epoch or 1)]

    def as_dict(self) -> dict:
        """The verdict as JSON can say it."""
        figures = {figure: self.values(figure) for figure in FIGURES} if self.records else {}
        return {
            "recipe": self.recipe.name,
            "verdict": self.verdict,
            "statement": self.statement,
            "n": self.n,
            "stuck": len(self.stuck),
            "seeds": [record["settings"]["seed"] for record in self.records],
            "figures": {
                figure: {
                    "values": values,
                    "mean": statistics.mean(values),
                    "sd": statistics.stdev(values) if len(values) > 1 else None,
                    **(asdict(self.comparisons[figure]) if figure in self.comparisons else {}),
                }
                for figure, values in figures.items()
            },
        }


def judge(recipe: Recipe, records: list[dict]) -> Verdict:
    """The verdict from the records (run.json) of runs that have done an epoch; one at the least."""
    stuck = [record for record in records if recipe.may_be_stuck and _at_chance(record)]
    compared = [record for record in records if record not in stuck]
    reasons = sorted({reason for record in records for reason in incomparable(recipe, record)})
    comparisons = {} if reasons or not compared else _comparisons(recipe, compared)
    if reasons:
        verdict, statement = equivalence.NOT_COMPARABLE, "; ".join(reasons)
    elif not recipe.deciding:
        verdict, statement = equivalence.NO_PUBLISHED_VALUE, "none was found for these settings"
    elif not compared:
        verdict, statement = equivalence.NOT_REPRODUCED, f"all {len(records)} runs stayed at chance"
    else:
        decision = comparisons[recipe.deciding]
        verdict, statement = decision.verdict, f"{recipe.deciding.replace('_', ' ')}: {decision.statement}"
        if stuck and recipe.builds:
            share = equivalence.share(len(stuck), len(records), recipe.builds.failed, recipe.builds.n)
            statement += f"; {len(stuck)} of {len(records)} runs stayed at chance and are set aside: {share.statement}"
            if share.verdict == equivalence.NOT_REPRODUCED:
                verdict = share.verdict
    return Verdict(recipe, verdict, statement, compared, stuck, comparisons)


def incomparable(recipe: Recipe, record: dict) -> list[str]:
    """Why a run is not comparable with the recipe's published values; empty if it is."""
    settings, data = Settings(**record["settings"]), record["data"]
    reasons = []
    if record["status"] != "done":
        reasons.append(f"the run is {record['status']}")
    elif len(record["epochs"]) != settings.epochs:
        reasons.append(f"it has {len(record['epochs'])} of its {settings.epochs} epochs")
    for name, wanted in asdict(recipe.settings).items():
        found = getattr(settings, name)
        if name not in ("data", "seed", "subset") and found != wanted:
            reasons.append(f"{name} is {found}, the recipe's {wanted}")
    if data["is_sample"]:
        reasons.append("the data is the embedded sample")
    elif settings.subset:
        reasons.append(f"{settings.subset:,} training images only")
    elif data["name"] != recipe.settings.data or data["is_published"] is False:
        reasons.append(f"the data is not the published {recipe.settings.data}")
    return reasons


def _comparisons(recipe, records):
    targets = {figure: recipe.target(figure) for figure in FIGURES}
    return {
        figure: compare([record["epochs"][-1][figure] for record in records], target)
        for figure, target in targets.items()
        if target
    }


def _at_chance(record):
    return record["epochs"][-1]["train_loss"] > CHANCE * math.log(len(record["data"]["classes"]))
