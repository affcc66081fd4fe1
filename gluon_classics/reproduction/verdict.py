"""The verdict on a recipe from the records of its runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import statistics
from typing import Sequence

from gluon_classics.runs.record import RunRecord
from gluon_classics.utils.history import METRICS

from . import equivalence
from .equivalence import NOT_REPRODUCED, REPRODUCED, UNDECIDED, Comparison, compare, require_scipy
from .recipes import PUBLISHED_METRICS, Recipe, at_chance, name_of

WORST_FIRST = (NOT_REPRODUCED, UNDECIDED, REPRODUCED)


@dataclass(frozen=True)
class Verdict:
    """What our runs of a recipe show.

    Attributes:
        recipe: The recipe.
        verdict: One of the verdicts of `equivalence`. If metrics were compared, it is the worst of theirs.
        reasons: The reasons for it in words, one for each metric.
        records: The runs that were compared.
        stuck: The runs that stayed at chance. They are not compared; their number is.
        comparisons: The comparison of each published metric; empty if the runs are not comparable.
    """

    recipe: Recipe
    verdict: str
    reasons: tuple[str, ...]
    records: tuple[RunRecord, ...]
    stuck: tuple[RunRecord, ...]
    comparisons: dict[str, Comparison]

    @property
    def statement(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)

    @property
    def n(self) -> int:
        """Number of runs that were compared."""
        return len(self.records)

    def values(self, metric: str, epoch: int | None = None) -> list[float]:
        """Return a metric of the runs that have it after an epoch, counted from 1; None is the last epoch."""
        epochs = [(*record.epochs[:-1], record.result) for record in self.records]
        found = [getattr(rows[(epoch or len(rows)) - 1], metric) for rows in epochs if len(rows) >= (epoch or 1)]
        return [value for value in found if value is not None]

    def as_dict(self) -> dict:
        """Return the verdict as values for JSON."""
        names = dict.fromkeys((*METRICS, *self.comparisons)) if self.records else ()
        metrics = {metric: self.values(metric) for metric in names}
        return {
            "recipe": self.recipe.name,
            "verdict": self.verdict,
            "statement": self.statement,
            "n": self.n,
            "stuck": len(self.stuck),
            "seeds": [record.settings.seed for record in self.records],
            "metrics": {
                metric: {
                    "values": values,
                    "mean": statistics.mean(values),
                    "sd": statistics.stdev(values) if len(values) > 1 else None,
                    **(asdict(self.comparisons[metric]) if metric in self.comparisons else {}),
                }
                for metric, values in metrics.items()
            },
        }


def judge(recipe: Recipe, records: Sequence[RunRecord]) -> Verdict:
    """Return the verdict on a recipe from the records of its runs.

    Args:
        recipe: The recipe.
        records: At least one record, each with at least one epoch.

    Raises:
        ClassicsError: SciPy is needed and not installed.
    """
    reasons = sorted({reason for record in records for reason in incomparable(recipe, record)})
    if reasons:
        return Verdict(recipe, equivalence.NOT_COMPARABLE, tuple(reasons), tuple(records), (), {})
    stuck = tuple(filter(_at_chance, records))
    compared = tuple(record for record in records if not _at_chance(record))
    if not recipe.metrics:
        reason = "no result was found for these settings"
        return Verdict(recipe, equivalence.NO_PUBLISHED_VALUE, (reason,), compared, stuck, {})
    comparisons = _comparisons(recipe, compared) if compared else {}
    verdicts = {comparison.verdict for comparison in comparisons.values()} or {UNDECIDED}
    reasons = [f"{name_of(metric)}: {comparison.statement}" for metric, comparison in comparisons.items()]
    if stuck:
        too_many, counts = equivalence.share(len(stuck), len(records), *recipe.published_failures())
        verdicts |= {NOT_REPRODUCED} if too_many else set()
        reasons.append(f"{len(stuck)} of {len(records)} runs stayed at chance and are not compared: {counts}")
    verdict = next(verdict for verdict in WORST_FIRST if verdict in verdicts)
    return Verdict(recipe, verdict, tuple(reasons), compared, stuck, comparisons)


def require_statistics(recipe: Recipe) -> None:
    """Raise ClassicsError if judging the recipe needs SciPy and it is not installed."""
    if recipe.metrics:
        require_scipy()


def incomparable(recipe: Recipe, record: RunRecord) -> list[str]:
    """Return the reasons why a run is not comparable with the recipe's published values; empty if it is."""
    settings, data = record.settings, record.data
    reasons = []
    if record.status != "done":
        reasons.append(f"the run is {record.status}")
    elif len(record.epochs) != settings.epochs and not record.has_stopped:
        reasons.append(f"it has {len(record.epochs)} of its {settings.epochs} epochs")
    elif any(getattr(record.result, metric) is None for metric in recipe.metrics):
        reasons.append("an older version of the package has not recorded its top-5 accuracy")
    for name, wanted in asdict(recipe.settings).items():
        found = getattr(settings, name)
        if name not in ("data", "seed", "subset") and found != wanted:
            reasons.append(f"{name} is {found}, not {wanted}")
    if data.is_sample:
        reasons.append("the data is the embedded sample")
    elif settings.subset:
        reasons.append(f"{settings.subset:,} training images only")
    elif data.name != recipe.settings.data or data.is_published is False:
        reasons.append(f"the data is not the published {recipe.settings.data}")
    elif not data.is_published:
        reasons.append(f"whether the data is the published {recipe.settings.data} is unknown, as it has no checksum")
    return reasons


def _comparisons(recipe, records):
    targets = {metric: recipe.target(metric) for metric in PUBLISHED_METRICS}
    return {
        metric: compare([getattr(record.result, metric) for record in records], target)
        for metric, target in targets.items()
        if target
    }


def _at_chance(record):
    return at_chance(record.last, len(record.data.classes))
