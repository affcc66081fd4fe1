"""`benchmarks/choices.py` compares both ways of each choice, and names the chosen one. The speed is not tested."""

import choices
from gluon_classics import _runtime
from gluon_classics.compiler import compiled, rewrite
from gluon_classics.compiler.processor import AVX2
import pytest


@pytest.fixture
def quick(monkeypatch):
    """Measure two convolutions and one network, as on two threads with AVX2."""
    monkeypatch.setattr(choices, "STARTS", (choices.Start(2, 28, 8, 5), choices.Start(2, 16, 8, 5)))
    monkeypatch.setattr(choices, "PREDICTIONS", (("lenet", 28, (1, 64)),))
    monkeypatch.setattr(rewrite, "instruction_set", lambda: AVX2)
    monkeypatch.setattr(_runtime, "given_threads", lambda: "2")
    monkeypatch.setattr("sys.argv", ["choices.py", "--rounds", "1", "--seconds", "0.1"])


def test_each_choice_has_a_row(quick, capsys):
    choices.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "filters" in line or "lenet" in line]
    assert [row[-1] == "yes" for row in rows] == [True, False, True, False]
    assert all(float(row[-4 - (row[-1] == "yes")]) > 0 for row in rows)


def test_both_ways_are_compiled_and_the_compiler_is_left_as_it_was(quick, monkeypatch):
    seen = []
    rewritten = compiled.rewritten
    monkeypatch.setattr(compiled, "rewritten", lambda *arguments: seen.append(arguments[3]) or rewritten(*arguments))
    before = compiled.to_widen, compiled.ONE_THREAD_MACS
    choices.main()
    assert [bool(widened) for widened in seen[:4]] == [False, True, False, True]
    assert (compiled.to_widen, compiled.ONE_THREAD_MACS) == before
