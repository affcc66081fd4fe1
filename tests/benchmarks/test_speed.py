"""What `benchmarks/speed.py` makes of its measurements. The measuring itself is not a test."""

import importlib
import importlib.util

from cases import CASES
import numpy as np
import pytest
import speed
import turns


def test_the_fastest_mode_of_pytorch_counts():
    rates = {"ours": [9, 9], "blog": [8, 8], "eager": [3, None], "channels_last": [4, 4.2], "compile": [3.5, 4.9]}
    assert speed.fastest(rates) == "compile"
    assert speed.fastest({"ours": [9], "blog": [8]}) is None


def test_a_mode_that_is_clearly_behind_is_not_measured_again():
    rates = {"ours": [1.0], "blog": [0.1], "eager": [5.0], "channels_last": [9.0], "compile": [10.0]}
    assert speed.still_in(list(rates), rates, 0) == list(rates)
    assert speed.still_in(list(rates), rates, 1) == ["ours", "blog", "channels_last", "compile"]


def test_ratios_are_taken_within_a_turn():
    assert turns.ratio([10, 30, 8], [5, 10, 4]) == {"median": 2, "low": 2, "high": 3, "turns": 3}
    assert turns.ratio([10, 30], [5, None])["turns"] == 1


def test_contestants_that_compute_something_else_are_not_measured():
    outputs, losses = np.array([[1.0, -2.0]]), [2.0, 1.9, 1.8, 1.7]
    assert speed.difference((outputs, losses), (outputs, losses)) == {"outputs": 0, "loss": 0}
    with pytest.raises(SystemExit, match="different functions"):
        speed.difference((outputs, losses), (outputs + 0.001, losses))
    with pytest.raises(SystemExit, match="different functions"):
        speed.difference((outputs, losses), (outputs, [2.0, 1.9, 1.8, 1.71]))
    with pytest.raises(SystemExit, match="different functions"):
        speed.difference((outputs, losses), (outputs * np.nan, losses))


def test_a_failure_in_a_process_of_its_own_is_told():
    worker = turns.Worker(dict, ())
    with pytest.raises(RuntimeError, match="no_such_method"):
        worker.ask("no_such_method")
    assert worker.ask("get", "key", 5) == 5
    worker.close()
    assert worker.process.exitcode == 0


def test_the_memory_of_a_process_is_not_that_of_the_one_that_started_it():
    held = np.ones(50_000_000)  # 400 MB
    assert turns.peak_memory() > 400
    worker = turns.Worker(importlib.import_module, ("turns",))
    assert 0 < worker.ask("peak_memory") < 300
    worker.close()
    assert held[-1] == 1


def test_every_registered_family_of_the_blog_is_measured():
    assert list(CASES) == ["lenet", "alexnet", "vgg", "nin", "googlenet", "resnet"]


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is absent: pip install -e '.[cpu,bench]'"
)
@pytest.mark.parametrize("network", ["lenet", "resnet", "googlenet"])
def test_the_networks_in_pytorch_compute_ours(network):
    case = CASES[network]
    workers = {name: turns.Worker(speed.make, (case, name), speed.THREADS) for name in ("ours", "eager")}
    try:
        weights = workers["ours"].ask("weights")
        speed.difference(*(worker.ask("check", weights) for worker in workers.values()))
    finally:
        for worker in workers.values():
            worker.close()
