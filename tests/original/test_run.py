"""Whole runs of the blog's programs, on this MXNet and a small data set."""

import json
from types import SimpleNamespace

import blog
import pytest
import run


@pytest.fixture
def options(small_home, tmp_path):
    """Return a function from a name to the options of a run of two epochs in a folder of that name."""

    def make(name, **changes):
        (tmp_path / name).mkdir()
        fixed = {"network": "lenet", "data": str(small_home / "datasets" / "fashion-mnist"), "batch_size": 64}
        options = {
            **fixed,
            "resize": 0,
            "lr": 0.1,
            "last_batch": "discard",
            "numpy_mode": False,
            "seed": 5,
            "epochs": 2,
            "out": str(tmp_path / name),
            **changes,
        }
        return SimpleNamespace(**options)

    return make


def record_of(options):
    with open(f"{options.out}/record.json") as file:
        return json.load(file)


def metrics(options):
    return [{**epoch, "seconds": None} for epoch in record_of(options)["epochs"]]


@pytest.mark.short
@pytest.mark.parametrize("stop_before", [3, 7], ids=["first epoch", "second epoch"])
def test_a_resumed_run_has_the_results_of_an_uninterrupted_one(options, monkeypatch, stop_before):
    whole, broken = options("whole"), options("broken")
    run.run(whole)
    calls = []

    def stop(*arguments):
        calls.append(None)
        if len(calls) == stop_before:
            raise KeyboardInterrupt
        return blog_step(*arguments)

    blog_step = blog.forward_and_backward
    monkeypatch.setattr(run, "SAVE_EVERY", -1)
    monkeypatch.setattr(blog, "forward_and_backward", stop)
    with pytest.raises(KeyboardInterrupt):
        run.run(broken)
    run.run(broken)
    assert metrics(broken) == metrics(whole)
    assert record_of(broken)["resumed"] == [{"epoch": (stop_before - 1) // 5, "batches": (stop_before - 1) % 5}]
    assert not record_of(whole)["resumed"]


@pytest.mark.short
def test_without_a_seed_the_order_is_drawn_and_recorded(options):
    first, second = options("first", seed=None, epochs=1), options("second", seed=None, epochs=1)
    run.run(first)
    run.run(second)
    assert record_of(first)["order_seed"] != record_of(second)["order_seed"]
    assert record_of(first)["settings"]["seed"] is None
