"""What `benchmarks/speed.py` computes from its measurements. The measured values are not tested."""

import argparse
import contextlib
import importlib
import importlib.util

from cases import CASES
from gluon_classics.compiler.processor import AVX2, AVX512
import numpy as np
import pytest
import speed
import turns

COMPILED = speed.MODES[-1]


def test_the_fastest_mode_of_pytorch_counts():
    rates = {"ours": [9, 9], "blog": [8, 8], "eager": [3, None], "channels_last": [4, 4.2], COMPILED: [3.5, 4.9]}
    assert speed.fastest(rates) == COMPILED
    assert speed.fastest({"ours": [9], "blog": [8]}) is None


def test_a_clearly_slower_mode_is_not_measured_again():
    rates = {"ours": [1.0], "blog": [0.1], "eager": [5.0], "channels_last": [9.0], COMPILED: [10.0]}
    assert speed.still_in(list(rates), rates, 0) == list(rates)
    assert speed.still_in(list(rates), rates, 1) == ["ours", "blog", "channels_last", COMPILED]


def test_a_turn_measures_every_kind_and_marks_a_mode_that_is_left_out():
    class Worker:
        def __init__(self, rate):
            self.rate, self.asked = rate, []

        def ask(self, *question):
            self.asked.append(question)
            return self.rate

    workers = {"ours": Worker(8), "eager": Worker(5), "channels_last": Worker(10)}
    rates = {kind: {name: [] for name in workers} for kind in speed.KINDS}
    rates[speed.STEP_AFTER_EPOCH] = {"ours": []}
    peaks = [speed.take_turn(CASES["lenet"], workers, rates, 1) for _ in range(2)]
    expected = {"ours": [8, 8], "eager": [5, None], "channels_last": [10, 10]}
    assert rates == {**dict.fromkeys(speed.KINDS, expected), speed.STEP_AFTER_EPOCH: {"ours": [8, 8]}}
    assert peaks == [8, 8]
    assert workers["eager"].asked == [("steps", 1), ("epoch", 1), ("predict", 64, 1), ("predict", 1, 1)]


def test_another_turn_has_new_processes_except_for_modes_that_have_compiled(monkeypatch):
    class Worker:
        def __init__(self, _make, arguments, _environment):
            self.name, self.is_closed = arguments[1], False

        def close(self):
            self.is_closed = True

    monkeypatch.setattr(speed.turns, "Worker", Worker)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(speed.processes(None, ["ours", "eager", COMPILED], None))
        second = speed.renewed(stack, None, first, ["ours", COMPILED], None)
        assert second[COMPILED] is first[COMPILED]
        assert second["ours"] is not first["ours"]
        assert {name for name, worker in first.items() if worker.is_closed} == first.keys() - {COMPILED}
        assert [worker.name for worker in second.values() if not worker.is_closed] == [COMPILED, "ours"]
    assert all(worker.is_closed for worker in (*first.values(), *second.values()))


def test_networks_that_were_measured_alike_are_not_measured_again(tmp_path):
    same = ("options", "commit", "lacking", "instruction_set", "limited_by", "cores", "threads", "data")
    result = {**dict.fromkeys(same, 1), "networks": {}}
    file = tmp_path / "speed.json"
    assert speed.measured_before(None, result) == speed.measured_before(file, result) == {}
    speed.write(file, {**result, "networks": {"lenet": 7}})
    assert speed.measured_before(file, result) == {"lenet": 7}
    for name in same:
        assert speed.measured_before(file, {**result, name: 2}) == {}


def test_ratios_are_taken_within_a_turn():
    assert turns.ratio([10, 30, 8], [5, 10, 4]) == {"median": 2, "low": 2, "high": 3, "turns": 3}
    assert turns.ratio([10, 30], [5, None])["turns"] == 1


def test_a_mode_that_was_dropped_cannot_be_the_fastest():
    assert speed.fastest({"eager": [100, None, None], "channels_last": [90, 91, 92]}) == "channels_last"


OUTPUTS, LOSSES = np.array([[1.0, -2.0]]), [2.0, 1.99, 1.98, 1.97]


def test_the_difference_of_equal_results_is_zero():
    apart = speed.difference((OUTPUTS, LOSSES), (OUTPUTS, LOSSES))
    assert apart == {"outputs": 0, "loss": 0}
    assert speed.is_same("blog", apart)


@pytest.mark.parametrize(
    "other",
    [
        (OUTPUTS + 0.001, LOSSES),
        (OUTPUTS * np.nan, LOSSES),
        (OUTPUTS, [2.0] * 4),  # without any update
        (OUTPUTS, [2.0, 1.99, 1.98, 1.9704]),  # the change of the loss differs by more than 1%
        (OUTPUTS, [2.0, 1.99, 1.98, float("nan")]),
    ],
)
def test_contestants_with_different_results_are_not_measured(other, capsys):
    apart = speed.difference((OUTPUTS, LOSSES), other)
    for name in ("blog", "eager", "channels_last"):
        with pytest.raises(SystemExit, match=f"{name} does not compute the same function"):
            speed.is_same(name, apart)
    assert not speed.is_same(COMPILED, apart)
    assert f"{COMPILED} is left out" in capsys.readouterr().err


def test_a_stopwatch_divides_the_time_into_parts(monkeypatch):
    times = iter([10.0, 12.5, 12.5, 20.0])
    monkeypatch.setattr(speed.time, "monotonic", lambda: next(times))
    stopwatch = speed.Stopwatch()
    for part in ("checks", "turn 1", "memory"):
        stopwatch.lap(part)
    assert stopwatch.seconds == {"checks": 2.5, "turn 1": 0, "memory": 7.5}


def test_memory_is_compared_with_the_mode_that_needs_least():
    memory = {"ours": [100, 110], "blog": [50, 50], "eager": [300, 320], "channels_last": [280, 290]}
    assert speed.leanest(memory) == "channels_last"
    assert speed.leanest({"ours": [100], "blog": [50]}) is None


def test_an_incomplete_or_disturbed_table_is_not_published(monkeypatch, capsys):
    parser = argparse.ArgumentParser()
    whole, part = argparse.Namespace(networks=list(CASES)), argparse.Namespace(networks=["lenet"])
    monkeypatch.setattr(turns, "machine", lambda: {"load": 0.0})
    speed.refuse_half_a_table(parser, whole, [])
    for options, lacking, load in ((part, [], 0.0), (whole, ["PyTorch is not installed"], 0.0), (whole, [], 99.0)):
        monkeypatch.setattr(turns, "machine", lambda load=load: {"load": load})
        with pytest.raises(SystemExit):
            speed.refuse_half_a_table(parser, options, lacking)
    assert "its load is 99.0:" in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        speed.refuse_half_a_table(parser, whole, [])
    assert "which needs SciPy" in capsys.readouterr().err


def test_contestants_have_equally_many_threads_and_pytorch_its_waiting_policy(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    policies = {}
    for name, waiting in (("ours", "spinning"), ("eager", "spinning"), (COMPILED, "asleep")):
        with turns.Worker(importlib.import_module, ("os",), speed.environment_of(name, waiting)) as worker:
            assert worker.ask("getenv", "OMP_NUM_THREADS") == str(speed.CORES)
            policies[name] = worker.ask("getenv", "OMP_WAIT_POLICY")
    assert policies == {"ours": "passive", "eager": None, COMPILED: "passive"}


@pytest.mark.parametrize(
    ("limit", "is_avx2", "is_limited"), [(None, True, False), ("AVX2", True, True), ("ALL", False, False)]
)
def test_pytorch_is_limited_to_avx2_if_mxnet_is(limit, is_avx2, is_limited, monkeypatch):
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    if limit:
        monkeypatch.setenv("DNNL_MAX_CPU_ISA", limit)
    monkeypatch.setattr(speed, "instruction_set", lambda: AVX2 if is_avx2 else AVX512)
    environment = speed.environment_of("eager", None)
    assert (environment.get("ONEDNN_MAX_CPU_ISA"), environment.get("ATEN_CPU_CAPABILITY")) == (
        ("AVX2", "avx2") if is_limited else (None, None)
    )
    assert "ONEDNN_MAX_CPU_ISA" not in speed.environment_of("ours", None)


def test_an_error_in_a_worker_process_is_raised_here():
    with turns.Worker(dict, ()) as worker:
        with pytest.raises(RuntimeError, match="no_such_method"):
            worker.ask("no_such_method")
        assert worker.ask("get", "key", 5) == 5
    assert worker.process.exitcode == 0


def test_the_memory_of_a_worker_does_not_include_that_of_its_parent():
    held = np.ones(50_000_000)  # 400 MB
    assert turns.peak_memory() > 400
    with turns.Worker(importlib.import_module, ("turns",)) as worker:
        assert 0 < worker.ask("peak_memory") < 300
    assert held[-1] == 1


def test_the_blogs_six_networks_are_measured():
    assert list(CASES) == ["lenet", "alexnet", "vgg", "nin", "googlenet", "resnet"]


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is absent: pip install -e '.[cpu,bench]'"
)
@pytest.mark.parametrize("network", ["lenet", "resnet", "googlenet"])
def test_the_networks_in_pytorch_compute_the_same_as_ours(network):
    case = CASES[network]
    workers = {
        name: turns.Worker(speed.make, (case, name), speed.environment_of(name, None)) for name in ("ours", "eager")
    }
    try:
        weights = workers["ours"].ask("weights")
        assert speed.is_same("eager", speed.difference(*(worker.ask("check", weights) for worker in workers.values())))
    finally:
        for worker in workers.values():
            worker.close()
