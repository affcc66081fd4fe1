"""What no case may do is noticed, and counted for that case."""

from pathlib import Path
import random

from fuzzing import harness, page
from fuzzing.case import VERDICTS
import misbehaving
import pytest

VERDICT = {
    **{"crash": "crash", "hang": "hang", "left": "half-written", "changed": "half-written", "memory": "memory"},
    **dict.fromkeys(("traceback", "two_lines", "noise", "escape"), "traceback"),
    **{"silent": "silent", "other": "silent", "refused": "refused", "usage": "clean error", "fine": "accepted"},
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the result of each case that misbehaves, by its name, in the order in which they ran."""
    jobs = [harness.Job("misbehaving", number) for number in range(len(VERDICT))]
    world = tmp_path_factory.mktemp("world") / "world"
    world.mkdir()
    done = harness.run(jobs, world, workers=1, folders=[Path(__file__).parent])
    return {misbehaving.KINDS[result.job.seed].__name__: result for result in done}


@pytest.mark.parametrize("name", VERDICT)
def test_each_case_gets_its_verdict(name, results):
    assert results[name].verdict == VERDICT[name], results[name].reason
    assert results[name].kind == name


def test_a_case_that_cannot_be_made_is_no_result(tmp_path):
    (tmp_path / "world").mkdir()
    job = harness.Job("misbehaving", misbehaving.KINDS.index(misbehaving.broken))
    with pytest.raises(harness.Broken, match=r"misbehaving:14: Traceback[\s\S]*No such file"):
        harness.run([job], tmp_path / "world", workers=1, folders=[Path(__file__).parent])


def test_a_process_ends_after_its_cases(tmp_path, monkeypatch):
    """What libraries keep of each case would fill its memory."""
    monkeypatch.setattr(harness, "MOST_CASES", 2)
    started = []
    start = harness.subprocess.Popen
    monkeypatch.setattr(harness.subprocess, "Popen", lambda *a, **options: started.append(a) or start(*a, **options))
    (tmp_path / "world").mkdir()
    fine = [harness.Job("misbehaving", misbehaving.KINDS.index(misbehaving.fine))] * 5
    done = harness.run(fine, tmp_path / "world", workers=1, folders=[Path(__file__).parent])
    assert [result.verdict for result in done] == ["accepted"] * 5
    assert len(started) == 3


def test_the_table_counts_each_verdict(results):
    lines = page.table(harness.counts(results.values())).splitlines()
    assert lines[0].split(" | ")[2:] == [*list(VERDICTS)[:-1], f"{list(VERDICTS)[-1]} |"]
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:2] == ["misbehaving", str(len(VERDICT))]
    assert cells[2:] == [str(list(VERDICT.values()).count(verdict)) for verdict in VERDICTS]


def test_failures_of_one_sort_are_listed_once(results):
    listed = harness.failures([*results.values(), *results.values()])
    assert {number for _, number in listed} == {2}
    assert len(listed) == sum(verdict not in ("clean error", "accepted") for verdict in VERDICT.values())
    assert listed[0][0].job.name == "misbehaving:0"


def test_a_seed_always_gives_the_same_bytes():
    from fuzzing.mutations import mutate_bytes

    data = bytes(range(200))
    changed = [mutate_bytes(data, random.Random(f"x:{seed}")) for seed in (1, 1, 2)]
    assert changed[0] == changed[1] != changed[2]
    assert data not in changed
