"""Whether our results equal the published ones: the statistics.

Our runs are compared with a published distribution (n, mean, standard deviation) by an equivalence test of the means,
and with single published runs by the range that they span, widened.

The equivalence test is TOST, two one-sided Welch tests (Schuirmann 1987). It uses the 90 % confidence interval for the
difference of the means. If this lies inside the margin, "the means differ by less than the margin" is shown at the 5 %
level. If it lies outside, that is refuted. Otherwise there are too few runs to confirm or reject equivalence.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
import statistics

from gluon_classics.errors import require_extra
import numpy as np

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NO_PUBLISHED_VALUE = "no published value"
NOT_COMPARABLE = "not comparable"

ONE_SIDED = 0.05  # level of each of the two tests
PREDICTION = 0.95  # probability of the interval for one run
TOO_FEW = "too few runs to confirm or reject equivalence"
MOST_RUNS = 100  # that a statement asks for


@dataclass(frozen=True)
class Spread:
    """The distribution of a metric over published runs.

    Attributes:
        n: Number of runs.
        mean: Mean.
        sd: Standard deviation.
        margin: How far our mean may be from the published one.
    """

    n: int
    mean: float
    sd: float
    margin: float


@dataclass(frozen=True)
class Range:
    """The range of single published runs, widened. Our mean must lie within it."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The verdict on one metric, and in words what was tested and with which numbers."""

    verdict: str
    statement: str


def require_scipy() -> None:
    """Raise ClassicsError if SciPy is not installed: comparing with a `Spread` needs it."""
    _scipy_stats()


def _scipy_stats():
    with require_extra("reproduce", "comparing with a published distribution"):
        from scipy import stats
    return stats


def compare(ours: list[float], target: Spread | Range) -> Comparison:
    """Compare a metric with its published values.

    Args:
        ours: The metric of each of our runs, at least one.
        target: What it is compared with.

    Raises:
        ClassicsError: SciPy is needed and not installed.
    """
    if isinstance(target, Range):
        return _within_range(ours, target)
    return _one_run(ours[0], target) if len(ours) == 1 else _equivalence(ours, target)


def _within_range(ours, target):
    mean = statistics.mean(ours)
    inside = target.low <= mean <= target.high
    what = f"the mean of {len(ours)} runs" if len(ours) > 1 else "one run"
    verdict = REPRODUCED if inside else NOT_REPRODUCED
    where = "inside" if inside else "outside"
    return Comparison(verdict, f"{what}, {mean:.4f}, is {where} the widened range {_interval(target.low, target.high)}")


def _one_run(value, target):
    """One run can contradict the published distribution with its margin. It cannot show that the means agree."""
    low, high = prediction_interval(target)
    low, high = low - target.margin, high + target.margin
    interval = f"the interval for {PREDICTION:.0%} of single runs widened by the margin, {_interval(low, high)}"
    if not low <= value <= high:
        return Comparison(NOT_REPRODUCED, f"one run, {value:.4f}, is outside {interval}")
    more = _more(value - target.mean, target.sd, target, "this is their mean and they spread as the published ones")
    return Comparison(UNDECIDED, f"one run, {value:.4f}, is inside {interval}{more}")


def _equivalence(ours, target):
    difference = statistics.mean(ours) - target.mean
    sd = statistics.stdev(ours)
    half = _half_interval(sd, len(ours), target)
    low, high = difference - half, difference + half
    interval = f"the {1 - 2 * ONE_SIDED:.0%} interval for the difference of the means, {_interval(low, high, '+')},"
    margin = f"the margin of {target.margin:.4f}"
    if -target.margin < low and high < target.margin:
        return Comparison(REPRODUCED, f"{interval} is inside {margin} (TOST)")
    if high <= -target.margin or low >= target.margin:
        return Comparison(NOT_REPRODUCED, f"{interval} is outside {margin} (TOST)")
    more = _more(difference, sd, target, "mean and spread stay the same")
    return Comparison(UNDECIDED, f"{interval} crosses {margin} (TOST): {TOO_FEW}{more}")


def share(failed: int, runs: int, published_failed: int, published_runs: int) -> Comparison:
    """Test whether our runs failed more often than the published ones: Fisher's exact test, one-sided.

    Args:
        failed: Number of our runs that failed.
        runs: Number of our runs.
        published_failed: Number of published runs that failed.
        published_runs: Number of published runs.

    Returns:
        NOT_REPRODUCED if the probability of at least `failed` failures among ours, given the total number of failures,
        is below 5 %; otherwise REPRODUCED.

    Raises:
        ClassicsError: SciPy is not installed.
    """
    counts = [[failed, runs - failed], [published_failed, published_runs - published_failed]]
    _, probability = _scipy_stats().fisher_exact(counts, alternative="greater")
    verdict = NOT_REPRODUCED if probability < ONE_SIDED else REPRODUCED
    how = "too many" if verdict == NOT_REPRODUCED else "no more than chance explains"
    published = f"of the published runs, {published_failed} of {published_runs} did"
    return Comparison(verdict, f"{published}, so that ours are {how} (Fisher's exact test, p = {probability:.2g})")


def _half_interval(sd, n, target):
    """Half the interval for the difference of the means, with n runs (a number or an array) of this deviation."""
    quantile = _scipy_stats().t.ppf(1 - ONE_SIDED, welch_df(sd, n, target))
    return quantile * np.sqrt(sd**2 / n + target.sd**2 / target.n)


def _more(difference, sd, target, condition):
    runs = runs_needed(difference, sd, target)
    return f"; about {runs} runs would show equivalence if {condition}" if runs else ""


def prediction_interval(target: Spread) -> tuple[float, float]:
    """Return the interval that contains one more run like the published ones with a probability of 95 %."""
    half = float(_scipy_stats().t.ppf(0.5 + PREDICTION / 2, target.n - 1)) * target.sd * math.sqrt(1 + 1 / target.n)
    return target.mean - half, target.mean + half


def runs_needed(difference: float, sd: float, target: Spread) -> int | None:
    """Return how many runs show equivalence, None if more than 100.

    Args:
        difference: Difference between their mean and the published one.
        sd: Their standard deviation.
        target: The published distribution.
    """
    runs = np.arange(2, MOST_RUNS + 1)
    enough = abs(difference) + _half_interval(sd, runs, target) < target.margin
    return int(runs[enough][0]) if enough.any() else None


def welch_df(sd: float, n, target: Spread):
    """Return the degrees of freedom (Welch & Satterthwaite) of the difference between the mean of n runs and `target`.

    `sd` is the standard deviation of the n runs; `n` is a number or an array.
    """
    a, b = sd**2 / n, target.sd**2 / target.n
    return (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (target.n - 1))


def widened(values: list[float], least: float) -> Range:
    """Return the range of single published runs, widened to both sides by its own length, but at least by `least`.

    A few runs span less than the distribution that they come from: three draws of a normal distribution span 1.7
    standard deviations on average. The widened range contains a further draw in 67 of 100 cases for two published runs,
    and in 87 of 100 for three.
    """
    by = max(max(values) - min(values), least)
    return Range(min(values) - by, max(values) + by)


def _interval(low, high, sign="-"):
    return f"{low:{sign}.4f} to {high:{sign}.4f}"
