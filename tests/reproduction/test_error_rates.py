"""How often the rule of the verdicts is wrong and how often it is right: simulations against docs/results.md."""

from gluon_classics.reproduction.equivalence import Target, decide
from make_results import ERROR_RATES, POWER_MARGINS, UNEQUAL  # a tool, not a module of the package
import numpy as np
import pytest

CASES = 4000
MARGINS = (1, 2, 4, 8)  # in standard deviations of a run
ALMOST_NO_MARGIN = 1e-9


def rates(rng, n, published, true_difference, margin, spread=1.0, published_spread=1.0):
    """Return how often our n runs and the published runs are called equal, and how often different."""
    ours = rng.normal(true_difference, spread, (CASES, n))
    theirs = rng.normal(0, published_spread, (CASES, published))
    sd, published_sd = (side.std(axis=1, ddof=1) if side.shape[1] > 1 else None for side in (ours, theirs))
    target = Target(published, 0.0, published_sd, margin)
    equal, different = decide(ours.mean(axis=1) - theirs.mean(axis=1), n, sd, target)
    return np.mean(equal), np.mean(different)


def wrongly_equal(rng, n, published, **spreads):
    return max(rates(rng, n, published, margin, margin, **spreads)[0] for margin in MARGINS)


def wrongly_different(rng, n, published, **spreads):
    return rates(rng, n, published, 0.0, ALMOST_NO_MARGIN, **spreads)[1]


def with_unequal_spreads(rate, rng, n, published):
    return max(rate(rng, n, published, spread=UNEQUAL), rate(rng, n, published, published_spread=UNEQUAL))


def simulated(rng, n, published):
    """A row of the page's table, in percent."""
    row = (
        wrongly_equal(rng, n, published),
        wrongly_different(rng, n, published),
        with_unequal_spreads(wrongly_equal, rng, n, published),
        with_unequal_spreads(wrongly_different, rng, n, published),
        *(rates(rng, n, published, 0.0, margin)[0] for margin in POWER_MARGINS),
    )
    return [100 * rate for rate in row]


@pytest.mark.parametrize(("n", "published"), ERROR_RATES)
def test_the_page_states_the_rates_of_the_rule(rng, n, published):
    """The standard error of a rate is .35 percent at 5 % and .8 at 50 %; the page's figures are rounded."""
    errors, powers = np.split(np.array(simulated(rng, n, published)), [4])
    stated_errors, stated_powers = np.split(np.array(ERROR_RATES[n, published]), [4])
    np.testing.assert_array_less(errors, stated_errors + np.maximum(2, 0.1 * stated_errors))
    np.testing.assert_allclose(powers, stated_powers, atol=4)


def test_the_stated_errors_are_rare_but_for_single_runs_whose_spread_differs():
    for sizes, (equal, different, equal_unequal, different_unequal, *_) in ERROR_RATES.items():
        assert max(equal, different) <= 6
        assert max(equal_unequal, different_unequal) <= 8 or min(sizes) == 1


@pytest.mark.parametrize("published", [3, 87])
def test_one_run_shows_nothing_but_two_may(rng, published):
    """One run of a side that spreads 2.5 times as much as the published one would look different in 4 of 10 cases."""
    assert rates(rng, 1, published, 0.0, 100) == rates(rng, 1, published, 100.0, 1) == (0, 0)
    assert rates(rng, 2, published, 0.0, 100)[0] > 0.9
    assert rates(rng, 2, published, 100.0, 1)[1] > 0.9


def test_means_two_standard_deviations_apart_are_rarely_called_equal(rng):
    """If the range of three published runs is widened by its length, it contains such a mean in 61 of 100 cases."""
    assert max(rates(rng, 5, 3, 2.0, margin)[0] for margin in (0.5, 1, 2)) < 0.06
