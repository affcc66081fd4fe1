"""The statistics of the verdicts, against SciPy and cases computed by hand."""

from dataclasses import replace
import math
import re
import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.reproduction.equivalence import (
    FEW,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Target,
    compare,
    half_interval,
    margin,
    runs_to_settle,
    share,
)
import numpy as np
import pytest
from scipy import stats

LENET = Target(n=87, mean=0.472, sd=0.002, margin=0.005)
THREE = Target(n=3, mean=0.472, sd=0.002, margin=0.005)
ONE = Target(n=1, mean=0.472, sd=None, margin=0.005)


def normal_scores(n):
    """n numbers with mean 0 and standard deviation 1."""
    values = np.arange(n) - (n - 1) / 2
    return values / values.std(ddof=1)


@pytest.mark.parametrize(("sd", "n"), [(3, 10), (1, 5), (0.001, 6)])
def test_from_five_runs_on_each_side_the_interval_is_welchs(sd, n):
    target = Target(20, 0, 2, 1)
    shifted = half_interval(0.9, n, sd, target) + sd * normal_scores(n)  # now 0 is at the end of the interval
    assert stats.ttest_ind(shifted, 2 * normal_scores(20), equal_var=False).pvalue == pytest.approx(0.1)


@pytest.mark.parametrize(("n", "sd", "published"), [(5, 1, 3), (4, 1, 87), (2, 1, 2)])
def test_with_fewer_runs_it_is_the_longer_of_welchs_and_the_pooled_one(n, sd, published):
    for published_sd in (sd / 3, sd, 3 * sd):
        shifted = half_interval(0.9, n, sd, Target(published, 0, published_sd, 1)) + sd * normal_scores(n)
        samples = shifted, published_sd * normal_scores(published)
        each = [stats.ttest_ind(*samples, equal_var=equal).pvalue for equal in (False, True)]
        assert max(each) == pytest.approx(0.1)
    assert min(n, published) < FEW


@pytest.mark.parametrize(
    ("n", "sd", "target", "df"), [(1, None, THREE, 2), (5, 0.002, ONE, 4), (5, 0.002, replace(ONE, n=68), 4)]
)
def test_a_side_without_a_known_spread_is_taken_to_spread_as_the_other(n, sd, target, df):
    expected = stats.t.ppf(0.95, df) * 0.002 * math.sqrt(1 / n + 1 / target.n)
    assert half_interval(0.9, n, sd, target) == pytest.approx(expected)


def test_the_interval_of_the_difference_is_the_hand_computed_one():
    # ours: mean .474, sd .0015811, n 5; theirs: mean .472, sd .002, n 87
    # error sqrt(2.5e-6/5 + 4e-6/87) = 7.389e-4, df = 4.767, t(.95, 4.767) = 2.0391: .002 +- .001507
    result = compare([0.472, 0.473, 0.474, 0.475, 0.476], LENET)
    assert result.interval == pytest.approx((0.000493, 0.003507), abs=2e-6)
    assert result.statement.startswith("the difference of the means is +0.0020 (90% interval +0.0005 to +0.0035)")


def test_rounding_makes_the_interval_longer_on_both_sides():
    ours = [0.472, 0.473, 0.474, 0.475, 0.476]
    exact, rounded = compare(ours, LENET).interval, compare(ours, replace(LENET, rounding=0.0005)).interval
    assert np.subtract(exact, rounded) == pytest.approx([0.0005, -0.0005])


def test_without_scipy_one_line_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ClassicsError, match=r"pip install 'gluon-classics\[reproduce\]'"):
        compare([0.47], LENET)


@pytest.mark.parametrize("target", [LENET, THREE])
def test_equal_means_of_five_runs_are_reproduced(target):
    result = compare([0.470, 0.471, 0.472, 0.473, 0.474], target)
    assert result.verdict == REPRODUCED
    assert result.statement.endswith("inside the margin of 0.0050")


@pytest.mark.parametrize("target", [LENET, THREE, ONE])
def test_means_that_are_surely_further_apart_than_the_margin_are_not_reproduced(target):
    above, below = [0.500, 0.501, 0.502, 0.503], [0.440, 0.441, 0.442, 0.443]
    assert {compare(ours, target).verdict for ours in (above, below)} == {NOT_REPRODUCED}


def test_a_difference_larger_than_the_margin_may_be_chance():
    result = compare([0.47, 0.49], LENET)
    assert result.difference > LENET.margin
    assert result.verdict == UNDECIDED


def test_a_difference_that_is_shown_but_within_the_margin_is_reproduced():
    result = compare([0.4745, 0.4755, 0.4760, 0.4765, 0.4770], LENET)
    assert 0 < result.interval[0] < result.interval[1] < LENET.margin
    assert result.verdict == REPRODUCED


def test_a_difference_is_shown_if_zero_is_outside_the_interval_even_if_the_margin_is_inside():
    result = compare([0.4760, 0.4775, 0.4800, 0.4775, 0.4785], LENET)
    assert 0 < result.interval[0] < LENET.margin < result.difference
    assert result.verdict == NOT_REPRODUCED
    assert "(95% interval" in result.statement


@pytest.mark.parametrize("value", [0.472, 0.9])
@pytest.mark.parametrize("target", [LENET, THREE, replace(LENET, margin=1)])
def test_one_run_decides_nothing(value, target):
    result = compare([value], target)
    assert result.verdict == UNDECIDED
    assert result.statement.startswith(f"one run differs by {value - 0.472:+.4f} (90% interval ")
    assert compare([value, value], target).verdict != UNDECIDED


@pytest.mark.parametrize("value", [0.472, 0.9])
def test_one_run_and_one_published_run_say_nothing(value):
    result = compare([value], ONE)
    assert (result.verdict, result.interval) == (UNDECIDED, None)
    assert result.statement.endswith("neither side shows a spread, more runs are needed")


def test_runs_without_any_spread_are_compared():
    assert compare([0.472] * 5, LENET).verdict == REPRODUCED
    assert compare([0.472, 0.472], ONE).verdict == REPRODUCED


def test_too_few_runs_say_how_many_would_settle_it():
    result = compare([0.4712, 0.4732], LENET)
    assert result.verdict == UNDECIDED
    (runs,) = map(int, re.findall("about ([0-9]+) runs would settle it", result.statement))
    mean, sd = 0.4722, math.sqrt(2) / 1000
    verdicts = [compare(list(mean + sd * normal_scores(n)), LENET).verdict for n in (runs - 1, runs)]
    assert verdicts == [UNDECIDED, REPRODUCED]


def test_runs_that_show_a_difference_settle_it_too():
    runs = runs_to_settle(0.006, 0.01, LENET)
    verdicts = [compare(list(0.478 + 0.01 * normal_scores(n)), LENET).verdict for n in (runs - 1, runs)]
    assert verdicts == [UNDECIDED, NOT_REPRODUCED]


@pytest.mark.parametrize(("target", "why"), [(ONE, "only 1 run is"), (replace(THREE, sd=0.02), "only 3 runs are")])
def test_what_no_number_of_our_runs_settles_is_said(target, why):
    statement = compare([0.46, 0.47, 0.48, 0.475, 0.474], target).statement
    assert statement.endswith(f"100 runs would not settle it, because {why} published")
    assert runs_to_settle(0.0, 0.01, target) is None


def test_a_difference_as_large_as_the_margin_is_settled_by_no_number_of_runs():
    assert runs_to_settle(LENET.margin, LENET.sd, LENET) is None
    statement = compare(list(0.472 + LENET.margin - 1e-5 + 0.002 * normal_scores(5)), LENET).statement
    assert statement.endswith("100 runs would not settle it if the mean and the spread stay the same")


@pytest.mark.parametrize(("distance", "expected"), [(2.3, 0.01), (0.05, 0.01), (0.012, 0.0024), (0.0089, 0.00178)])
def test_the_margin_is_a_hundredth_but_at_most_a_fifth_of_the_distance_to_a_perfect_result(distance, expected):
    assert margin(distance) == pytest.approx(expected)


@pytest.mark.parametrize(("ours", "too_many"), [((0, 5), False), ((2, 5), False), ((3, 5), True), ((5, 5), True)])
def test_too_many_failures_are_those_that_the_published_share_does_not_explain(ours, too_many):
    """If 5 of 62 failed, two or more of five have a probability of .081, three or more have .010."""
    assert share(*ours, 5, 62)[0] == too_many


def test_the_probability_of_failures_is_fishers():
    """One of four runs failed. In two of the four ways it is one of our two."""
    assert "p = 0.5)" in share(1, 2, 0, 2)[1]
