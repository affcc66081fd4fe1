"""No case of any family fails. A small share of the cases runs by default, and most with -m slow."""

from pathlib import Path

import fuzz
import fuzzing
from fuzzing import harness, page
from fuzzing.case import FAILURES
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
OWN_PROCESSES = ("environment", "faults")  # seconds for each case
SHARE = 0.04
SHARE_OF_PROCESSES = 0.4  # of the slow tests; `tools/fuzz.py` runs all
SEED = 17


def failed(results):
    """Return a line for each failure, with the command that replays it."""
    return [
        f"{result.verdict}: {result.what}: {result.reason}: python tools/fuzz.py --replay {result.job.name}"
        for result in results
        if result.verdict in FAILURES
    ]


def test_a_share_of_the_cases_ends_in_one_line_or_in_the_right_result(world):
    families = [family for family in fuzzing.FAMILIES if family not in OWN_PROCESSES]
    results = harness.run(harness.jobs(families, SEED, share=SHARE), world, workers=1)
    assert len(results) > 100
    assert failed(results) == []


@pytest.mark.slow
@pytest.mark.parametrize("family", fuzzing.FAMILIES)
def test_the_cases_of_a_family_end_in_one_line_or_in_the_right_result(family, world):
    share = SHARE_OF_PROCESSES if family in OWN_PROCESSES else 1
    assert failed(harness.run(harness.jobs([family], SEED, share=share), world, workers=2)) == []


def test_there_are_two_thousand_cases():
    assert len(harness.jobs(fuzzing.FAMILIES, 0)) >= 2000


def test_the_page_has_the_counts_of_every_family():
    table = PAGE.read_text(encoding="utf-8").partition(page.BEGIN)[2].partition(page.END)[0]
    rows = [line.split(" | ")[0].lstrip("| ") for line in table.splitlines() if line.startswith("| ")]
    assert rows == ["family", "---", *fuzzing.FAMILIES, "all"], "run python tools/fuzz.py --write docs/reliability.md"
    assert "`python tools/fuzz.py" in table


def test_an_unknown_family_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        fuzz.main(["--family", "nothing"])
    assert ended.value.code == 2
    assert "invalid choice: 'nothing'" in capsys.readouterr().err
