"""Test that planted mistakes are located and named."""

from bug import LENET, Bug
from forward_bugs import PAIRS, pair
from gluon_classics.porting.comparison.comparison import compare
from gluon_classics.porting.comparison.findings import UNKNOWN as UNKNOWN_CAUSE
from numpy_port import forward_port
from planted_bugs import NAMED, UNKNOWN
import pytest
import traces

# of the larger networks, every third mistake is tested by default
_EVERY = 3


def _parameters(bugs):
    for number, bug in enumerate(bugs):
        marks = pytest.mark.slow if bug.network != LENET and number % _EVERY else ()
        words = bug.words.replace(" ", "_") or number
        yield pytest.param(bug, id=f"{bug.network}-{bug.place}-{words}", marks=marks)


def _first_finding(bug: Bug):
    trace = traces.small_trace(bug.network, bug.steps)
    report = compare(trace, bug.port(trace))
    assert report.first is not None, "not found"
    return report.first


def test_enough_mistakes_are_planted():
    assert len(NAMED) >= 90
    assert len(UNKNOWN) >= 15
    assert len({(bug.network, bug.place, bug.words) for bug in NAMED}) == len(NAMED)


@pytest.mark.parametrize("bug", list(_parameters(NAMED)))
def test_mistake_is_located_and_named(bug):
    finding = _first_finding(bug)
    assert finding.layer == bug.place
    assert bug.words in finding.cause


@pytest.mark.parametrize("bug", list(_parameters(UNKNOWN)))
def test_mistake_without_a_name_is_located(bug):
    finding = _first_finding(bug)
    assert (finding.layer, finding.cause) == (bug.place, UNKNOWN_CAUSE)
    assert finding.residual > finding.limit


@pytest.mark.parametrize("places", PAIRS, ids=str)
def test_both_of_two_mistakes_are_found(places):
    trace = traces.small_trace(LENET)
    first, second, plants = pair(places)
    report = compare(trace, forward_port(trace, plants))
    found = {finding.layer: finding.cause for finding in report.findings}
    assert set(found) == {first.place, second.place}
    assert first.words in found[first.place]
    assert second.words in found[second.place]


def test_mistake_behind_unrecorded_outputs_is_named():
    """Only the outputs of two layers are recorded; the mistake is between them."""
    trace = traces.small_trace(LENET)
    port = forward_port(trace, {"2.act": lambda case: case.x}, modes=("eval",), drop=("2", "2.act", "3"))
    finding = compare(trace, port).first
    assert (finding.layer, finding.cause) == ("2.act", "it is missing")


def test_unknown_mistake_behind_unrecorded_outputs_has_suspects():
    trace = traces.small_trace(LENET)
    plants = {"2.act": lambda case: case.x * abs(case.x)}
    port = forward_port(trace, plants, modes=("eval",), drop=("2", "2.act", "3"))
    finding = compare(trace, port).first
    assert finding.cause == UNKNOWN_CAUSE
    assert finding.layer == "4"
    assert "2.act" in finding.suspects
