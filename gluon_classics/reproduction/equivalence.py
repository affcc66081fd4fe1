"""Are our results the published ones? The statistics of the answer.

A published distribution (n, mean, standard deviation) is met by an equivalence test of the means, single published
runs by the range that they span, widened. With a 90 % interval for the difference of two means, the claim "they differ
by less than the margin" is shown at the 5 % level if the interval lies within the margin (TOST, two one-sided tests of
Welch's kind: Schuirmann 1987), refuted if it lies outside; else the runs are too few to tell.

Student's t is computed here: three lines of quadrature, against SciPy's 40 MB in every installation.
"""

from __future__ import annotations

from dataclasses import dataclass
import functools
import math
import statistics

import numpy as np

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NO_PUBLISHED_VALUE = "no published value"
NOT_COMPARABLE = "not comparable"

ONE_SIDED = 0.05  # level of each of the two tests
PREDICTION = 0.95  # probability of the interval for one run
MOST_RUNS = 100  # that we would ask for
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True)
class Spread:
    """The distribution of a figure over `n` published runs; `margin` is how far our mean may be from theirs."""

    n: int
    mean: float
    sd: float
    margin: float


@dataclass(frozen=True)
class Range:
    """What single published runs span, widened: our mean must lie within."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The verdict on one figure, and in words what was tested with which numbers."""

    verdict: str
    statement: str


def compare(ours: list[float], target: Spread | Range) -> Comparison:
    """Compare the figures of our runs, at least one, with the published ones."""
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
    """One run can contradict the published distribution, margin included; it cannot show that the means agree."""
    low, high = prediction_interval(target)
    low, high = low - target.margin, high + target.margin
    interval = f"the interval for {PREDICTION:.0%} of single runs widened by the margin, {_interval(low, high)}"
    if not low <= value <= high:
        return Comparison(NOT_REPRODUCED, f"one run, {value:.4f}, is outside {interval}")
    more = _more(value - target.mean, target.sd, target, "the mean stays and they spread as the published ones")
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
    more = _more(difference, sd, target, "mean and spread stay")
    return Comparison(UNDECIDED, f"{interval} reaches over {margin} (TOST){more}")


def share(failed: int, runs: int, published_failed: int, published_runs: int) -> Comparison:
    """Whether `failed` of our `runs` are as few as can be if runs fail as often as the published ones did.

    Fisher's exact test, one-sided: of all ways in which so many failures fall on so many runs, the part with at least
    ours among ours; below 5 % the verdict is NOT_REPRODUCED.
    """
    failures, everything = failed + published_failed, runs + published_runs
    ways = sum(
        math.comb(runs, ours) * math.comb(published_runs, failures - ours)
        for ours in range(failed, min(runs, failures) + 1)
    )
    probability = ways / math.comb(everything, failures)
    verdict = NOT_REPRODUCED if probability < ONE_SIDED else REPRODUCED
    often = "too often" if verdict == NOT_REPRODUCED else "no more often than chance explains"
    where = f"{published_failed} of {published_runs} published ones did"
    return Comparison(verdict, f"{where}, ours {often} (Fisher's exact test, p = {probability:.2g})")


def _half_interval(sd, n, target):
    """Half of the interval for the difference of the means, our n runs having this standard deviation."""
    return t_quantile(1 - ONE_SIDED, welch_df(sd, n, target)) * math.sqrt(sd**2 / n + target.sd**2 / target.n)


def _more(difference, sd, target, condition):
    runs = runs_needed(difference, sd, target)
    return f"; about {runs} runs would show equivalence if {condition}" if runs else ""


def prediction_interval(target: Spread) -> tuple[float, float]:
    """Where one more run of the published kind would lie with a probability of 95 %."""
    half = t_quantile(0.5 + PREDICTION / 2, target.n - 1) * target.sd * math.sqrt(1 + 1 / target.n)
    return target.mean - half, target.mean + half


def runs_needed(difference: float, sd: float, target: Spread) -> int | None:
    """How many runs show equivalence with this standard deviation, their mean `difference` away from the published one.

    None if that is more than 100.
    """
    for n in range(2, MOST_RUNS + 1):
        if abs(difference) + _half_interval(sd, n, target) < target.margin:
            return n
    return None


def welch_df(sd: float, n: int, target: Spread) -> float:
    """Degrees of freedom (Welch & Satterthwaite) of the difference between the mean of n runs and the published one."""
    a, b = sd**2 / n, target.sd**2 / target.n
    return (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (target.n - 1))


def t_cdf(t: float, df: float) -> float:
    """The probability that Student's t with `df` degrees of freedom, 1 or more, is below t.

    With t = sqrt(df) tan(x) the density becomes cos(x) ** (df - 1), which quadrature sums to 12 digits.
    """
    end = math.atan(t / math.sqrt(df))
    area = end / 2 * float(np.sum(_WEIGHTS * np.cos(end / 2 * (_NODES + 1)) ** (df - 1)))
    return 0.5 + area * math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(math.pi)


@functools.lru_cache(maxsize=None)
def t_quantile(p: float, df: float) -> float:
    """The value below which Student's t with `df` degrees of freedom lies with probability p, .5 <= p < 1."""
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p:
        low, high = high, 2 * high
    while high - low > 1e-11 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, df) < p else (low, middle)
    return high


def widened(values: list[float], least: float) -> Range:
    """The range of single published runs, widened to either side by its own length, by `least` at the least.

    So few runs span less than such runs do: three draws of a normal distribution span 1.7 standard deviations on
    average. The widened range holds a further draw in 67 of 100 cases for two published runs, in 87 for three.
    """
    by = max(max(values) - min(values), least)
    return Range(min(values) - by, max(values) + by)


def _interval(low, high, sign="-"):
    return f"{low:{sign}.4f} to {high:{sign}.4f}"
