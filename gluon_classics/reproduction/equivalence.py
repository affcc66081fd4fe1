"""Whether our results equal the published ones: the statistics.

The means of a metric over our runs and over the published ones are compared with one rule, whether the published side
is a distribution, a few single runs or one run. The margin is the largest difference that counts as equal.

- Reproduced: the 90 % confidence interval for the difference of the means is inside the margin. This is TOST, two
  one-sided tests at the 5 % level (Schuirmann 1987).
- Not reproduced: the difference is larger than the margin, and its 95 % confidence interval excludes zero.
- Undecided: neither, and always after one run.

If all runs spread equally, each wrong verdict occurs in about 5 % of cases or fewer: "reproduced" if the true
difference is the margin or more, and "not reproduced" if there is none. `tests/reproduction/test_error_rates.py`
simulates the rates.
"""

from __future__ import annotations

from dataclasses import dataclass
import statistics

from gluon_classics.errors import require_extra
import numpy as np

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NO_PUBLISHED_VALUE = "no published value"
NOT_COMPARABLE = "not comparable"

EQUAL, DIFFERENT = 0.90, 0.95  # confidence of the intervals that show equivalence and a difference
LEVEL = 0.05  # of the test of failures
FEW = 5  # runs: with fewer on a side, Welch's interval is too short
MOST_RUNS = 100  # that a statement asks for
TOLERANCE = 0.01  # of a loss or an accuracy
PART = 5  # the margin is at most this part of the distance to a perfect result


@dataclass(frozen=True)
class Target:
    """What is published of a metric, and how far our mean may be from it.

    Attributes:
        n: Number of published runs.
        mean: Their mean.
        sd: Their standard deviation; None if it is not known, as of one run.
        margin: Largest difference of the means that counts as equal.
        rounding: Largest error of the mean because published values are rounded.
    """

    n: int
    mean: float
    sd: float | None
    margin: float
    rounding: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """The verdict on one metric.

    Attributes:
        verdict: REPRODUCED, NOT_REPRODUCED or UNDECIDED.
        statement: What was compared, with numbers, in words.
        difference: Our mean minus the published one.
        interval: The 90 % confidence interval for the difference; None if no spread is known.
        margin: Largest difference that counts as equal.
    """

    verdict: str
    statement: str
    difference: float
    interval: tuple[float, float] | None
    margin: float


def margin(distance: float) -> float:
    """Return the margin of a metric whose published mean has this distance to a perfect result.

    It is .01, so that the differences between versions and devices are not called differences. Near a perfect result
    that would be much: 98.3 % would count as equal to 99.3 %. So it is at most a fifth of the distance.
    """
    return min(TOLERANCE, distance / PART)


def require_scipy() -> None:
    """Raise ClassicsError if SciPy is not installed."""
    with require_extra("reproduce", "comparing with published results"):
        import scipy.special
        import scipy.stats  # noqa: F401


def compare(ours: list[float], target: Target) -> Comparison:
    """Compare a metric with its published values.

    Args:
        ours: The metric of each of our runs, at least one.
        target: What it is compared with.

    Raises:
        ClassicsError: SciPy is not installed.
    """
    n, difference = len(ours), statistics.mean(ours) - target.mean
    sd = statistics.stdev(ours) if n > 1 else None
    what = f"the difference of the means is {difference:+.4f}" if n > 1 else f"one run differs by {difference:+.4f}"
    limit = f"the margin of {target.margin:.4f}"
    if sd is None and target.sd is None:
        statement = f"{what}: neither side shows a spread, more runs are needed"
        return Comparison(UNDECIDED, statement, difference, None, target.margin)

    def interval(confidence):
        half = float(half_interval(confidence, n, sd, target))
        return difference - half, difference + half

    def words(confidence):
        low, high = interval(confidence)
        return f"{what} ({confidence:.0%} interval {low:+.4f} to {high:+.4f})"

    equal, different = decide(difference, n, sd, target)
    if equal:
        verdict, statement = REPRODUCED, f"{words(EQUAL)}, inside {limit}"
    elif different:
        verdict, statement = NOT_REPRODUCED, f"{words(DIFFERENT)}, more than {limit}"
    else:
        verdict, statement = UNDECIDED, f"{words(EQUAL)}, compared with {limit}; {_more(difference, n, sd, target)}"
    return Comparison(verdict, statement, difference, interval(EQUAL), target.margin)


def decide(difference, n, sd, target: Target):
    """Return whether equivalence is shown, and whether a difference larger than the margin is found and not chance.

    Args:
        difference: Our mean minus the published one, a number or an array.
        n: Number of our runs, a number or an array.
        sd: Their standard deviation, a number or an array; None for one run. One run shows neither, because it does
            not show how our runs spread.
        target: The published side. Its `mean` is not used; `sd` may be an array.

    Raises:
        ClassicsError: SciPy is not installed.
    """
    distance = abs(difference)
    equal = distance + half_interval(EQUAL, n, sd, target) < target.margin
    different = (distance > target.margin) & (distance > half_interval(DIFFERENT, n, sd, target))
    return (n > 1) & equal, (n > 1) & different


def half_interval(confidence: float, n, sd, target: Target):
    """Return half the length of the confidence interval for the difference of the means, with the rounding added.

    A side whose spread is not known is taken to spread as the other one. From five runs on each side, the interval is
    Welch's. With fewer, Welch's is too short if the spreads are equal, and the pooled one is too short if the smaller
    side spreads more, so the longer of both is taken.

    Args:
        confidence: Confidence level between 0 and 1.
        n: Number of our runs, a number or an array.
        sd: Their standard deviation, a number or an array, or None.
        target: The published side; `sd` may be an array. It must not be None if `sd` is.
    """

    require_scipy()
    from scipy.special import stdtrit

    def half(error, df):
        return stdtrit(df, 0.5 + confidence / 2) * error + target.rounding

    of_means = 1 / n + 1 / target.n
    if sd is None:
        return half(target.sd * np.sqrt(of_means), target.n - 1)
    if target.sd is None:
        return half(sd * np.sqrt(of_means), n - 1)
    a, b = sd**2 / n, target.sd**2 / target.n
    welch = half(np.sqrt(a + b), (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (target.n - 1)))
    df = n + target.n - 2
    variance = (sd**2 * (n - 1) + target.sd**2 * (target.n - 1)) / df
    pooled = half(np.sqrt(variance * of_means), df)
    return np.where(np.minimum(n, target.n) < FEW, np.maximum(welch, pooled), welch)


def runs_to_settle(difference: float, sd: float, target: Target) -> int | None:
    """Return how many runs with this difference and standard deviation give a verdict, None if more than 100."""
    runs = np.arange(2, MOST_RUNS + 1)
    equal, different = decide(difference, runs, sd, target)
    settled = equal | different
    return int(runs[settled][0]) if settled.any() else None


def _more(difference, n, sd, target):
    runs = runs_to_settle(difference, target.sd if sd is None else sd, target)
    if runs:
        same = "the mean and the spread stay the same" if n > 1 else "their mean is this and they spread as published"
        return f"about {runs} runs would settle it if {same}"
    if target.n >= FEW:
        return f"{MOST_RUNS} runs would not settle it if the mean and the spread stay the same"
    published = "run is" if target.n == 1 else "runs are"
    return f"{MOST_RUNS} runs would not settle it, because only {target.n} {published} published"


def share(failed: int, runs: int, published_failed: int, published_runs: int) -> tuple[bool, str]:
    """Test whether our runs failed more often than the published ones: Fisher's exact test, one-sided.

    Args:
        failed: Number of our runs that failed.
        runs: Number of our runs.
        published_failed: Number of published runs that failed.
        published_runs: Number of published runs.

    Returns:
        Whether the probability of at least `failed` failures among ours, given the total number of failures, is below
        5 %; and the counts in words.

    Raises:
        ClassicsError: SciPy is not installed.
    """
    require_scipy()
    from scipy.stats import fisher_exact

    counts = [[failed, runs - failed], [published_failed, published_runs - published_failed]]
    _, probability = fisher_exact(counts, alternative="greater")
    too_many = bool(probability < LEVEL)
    how = "too many" if too_many else "no more than chance explains"
    published = f"of the published runs, {published_failed} of {published_runs} did"
    return too_many, f"{published}, so that ours are {how} (Fisher's exact test, p = {probability:.2g})"
