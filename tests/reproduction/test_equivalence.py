"""The statistics of the verdicts, against cases computed by hand and simulations."""

import math
import re
import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.reproduction.equivalence import (
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Range,
    Spread,
    compare,
    prediction_interval,
    runs_needed,
    share,
    welch_df,
    widened,
)
import numpy as np
import pytest
from scipy import stats

LENET = Spread(n=87, mean=0.472, sd=0.002, margin=0.005)


@pytest.mark.parametrize(("sd", "n"), [(3, 10), (2, 2), (0.001, 5)])
def test_welchs_test_is_scipys(sd, n):
    target = Spread(20, 0, 2, 1)
    difference = 1.5
    t = difference / math.sqrt(sd**2 / n + target.sd**2 / target.n)
    p = 2 * stats.t.sf(t, welch_df(sd, n, target))
    expected = stats.ttest_ind_from_stats(difference, sd, n, target.mean, target.sd, target.n, equal_var=False)
    assert (t, p) == pytest.approx(tuple(expected))


def test_without_scipy_one_line_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert compare([0.3], Range(0.2, 0.4)).verdict == REPRODUCED, "a range needs no SciPy"
    with pytest.raises(ClassicsError, match=r"pip install 'gluon-classics\[reproduce\]'"):
        compare([0.47], LENET)


def test_the_interval_of_the_difference_is_the_hand_computed_one():
    # ours: mean .474, sd .001, n 3; theirs: mean .472, sd .002, n 87
    # error sqrt(1e-6/3 + 4e-6/87) = 6.158e-4, df = 2.5886, t(.95, 2.5886) = 2.5139: .002 +- .001548
    statement = compare([0.473, 0.474, 0.475], LENET).statement
    assert "+0.0005 to +0.0035" in statement


def test_equal_means_of_five_runs_are_reproduced():
    result = compare([0.470, 0.471, 0.472, 0.473, 0.474], LENET)
    assert result.verdict == REPRODUCED
    assert "TOST" in result.statement
    assert "0.0050" in result.statement


def test_means_further_apart_than_the_margin_are_not_reproduced():
    assert compare([0.500, 0.501, 0.502, 0.503], LENET).verdict == NOT_REPRODUCED
    assert compare([0.440, 0.441, 0.442, 0.443], LENET).verdict == NOT_REPRODUCED


def test_a_difference_about_as_large_as_the_margin_is_undecided():
    assert compare([0.4760, 0.4765, 0.4770, 0.4775, 0.4780], LENET).verdict == UNDECIDED
    assert compare([0.4660, 0.4665, 0.4670, 0.4675, 0.4680], LENET).verdict == UNDECIDED


def test_too_few_runs_are_undecided_and_say_how_many_are_needed():
    result = compare([0.471, 0.4755], LENET)
    assert result.verdict == UNDECIDED
    assert "too few runs to confirm or reject equivalence; about 4 runs would show equivalence" in result.statement


def test_the_number_of_runs_that_are_needed_follows_from_their_own_spread():
    ours = [0.4705, 0.479, 0.4655, 0.477, 0.468]
    result = compare(ours, LENET)
    assert result.verdict == UNDECIDED
    (runs,) = map(int, re.findall("about ([0-9]+) runs", result.statement))
    assert runs > len(ours)


def test_one_run_can_contradict_a_distribution_but_not_confirm_it():
    undecided = compare([0.4721], LENET)
    assert undecided.verdict == UNDECIDED
    assert "runs would show equivalence if this is their mean and they spread" in undecided.statement
    assert compare([0.4815], LENET).verdict == NOT_REPRODUCED
    assert compare([0.4809], LENET).verdict == UNDECIDED  # .472 + .005 + 1.9993 * .002 = .4810
    low, high = prediction_interval(LENET)
    # t(.975, 86) = 1.9879, sqrt(1 + 1/87) = 1.0057
    assert high - low == pytest.approx(2 * 1.9879 * 0.002 * 1.0057, rel=1e-4)


def test_one_run_does_not_contradict_what_such_runs_together_show():
    assert compare([0.4764, 0.4766], LENET).verdict == REPRODUCED
    assert compare([0.4765], LENET).verdict == UNDECIDED


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [((0, 5), REPRODUCED), ((2, 5), REPRODUCED), ((3, 5), NOT_REPRODUCED), ((5, 5), NOT_REPRODUCED)],
)
def test_more_failures_than_the_published_share_explains_are_not_reproduced(ours, verdict):
    """If 5 of 62 failed, two or more of five have a probability of .081, three or more have .010."""
    assert share(*ours, 5, 62).verdict == verdict


def test_the_probability_of_failures_is_fishers():
    """One of four runs failed. In two of the four ways it is one of our two."""
    assert "p = 0.5)" in share(1, 2, 0, 2).statement


def test_runs_without_any_spread_are_compared():
    assert compare([0.472, 0.472, 0.472], LENET).verdict == REPRODUCED


def test_the_range_of_single_runs_is_widened_by_its_length_or_by_the_minimum():
    assert widened([0.3, 0.5], 0.01) == Range(pytest.approx(0.1), pytest.approx(0.7))
    assert widened([0.3], 0.01) == Range(pytest.approx(0.29), pytest.approx(0.31))


def test_the_mean_of_our_runs_must_lie_in_the_widened_range():
    target = Range(0.29, 0.31)
    assert compare([0.30], target).verdict == REPRODUCED
    assert compare([0.28, 0.31], target).verdict == REPRODUCED  # the mean is inside
    result = compare([0.32, 0.33], target)
    assert result.verdict == NOT_REPRODUCED
    assert "outside the widened range 0.2900 to 0.3100" in result.statement


def test_runs_of_another_mean_are_rarely_called_reproduced(rng):
    """The level of the test: true means one margin apart are called equal in at most 5 of 100 cases."""
    assert share_reproduced(rng, shift=LENET.margin) <= 0.065
    assert share_reproduced(rng, shift=-LENET.margin) <= 0.065


def test_runs_of_the_same_mean_are_mostly_called_reproduced(rng):
    assert share_reproduced(rng, shift=0.0) > 0.95


def test_runs_of_the_same_mean_are_hardly_ever_called_not_reproduced(rng):
    verdicts = [compare(list(values), LENET).verdict for values in rng.normal(LENET.mean, LENET.sd, (500, 5))]
    assert verdicts.count(NOT_REPRODUCED) <= 2


def share_reproduced(rng, shift, cases=800):
    """How often five runs are called reproduced if their true mean is `shift` away from that of the builds."""
    reproduced = 0
    for _ in range(cases):
        builds = rng.normal(0.472, 0.002, 87)
        target = Spread(87, builds.mean(), builds.std(ddof=1), LENET.margin)
        reproduced += compare(list(rng.normal(0.472 + shift, 0.002, 5)), target).verdict == REPRODUCED
    return reproduced / cases


@pytest.mark.parametrize("n", [5, 11, 87])
def test_the_prediction_interval_holds_95_of_100_further_runs(rng, n):
    cases, inside = 3000, 0
    for sample, value in zip(rng.normal(size=(cases, n)), rng.normal(size=cases)):
        low, high = prediction_interval(Spread(n, sample.mean(), sample.std(ddof=1), 1))
        inside += low <= value <= high
    assert inside / cases == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(("runs", "share"), [(2, 0.67), (3, 0.87), (4, 0.94)])
def test_the_widened_range_holds_further_runs_as_often_as_it_is_said_to(rng, runs, share):
    samples, further = rng.normal(size=(6000, runs)), rng.normal(size=6000)
    ranges = [widened(list(sample), 0.0) for sample in samples]
    inside = np.mean([target.low <= value <= target.high for target, value in zip(ranges, further)])
    assert inside == pytest.approx(share, abs=0.015)


def test_the_number_of_runs_asked_for_is_enough_and_not_one_too_many():
    n = runs_needed(0.001, LENET.sd, LENET)
    spread_of_n = [LENET.mean + 0.001 + LENET.sd * value for value in standard(n)]
    one_less = [LENET.mean + 0.001 + LENET.sd * value for value in standard(n - 1)]
    assert compare(spread_of_n, LENET).verdict == REPRODUCED
    assert compare(one_less, LENET).verdict == UNDECIDED
    assert runs_needed(LENET.margin, LENET.sd, LENET) is None


def standard(n):
    """n numbers with mean 0 and standard deviation 1."""
    values = np.arange(n) - (n - 1) / 2
    return values / values.std(ddof=1)
