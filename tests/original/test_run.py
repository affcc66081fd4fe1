"""Whole runs of the blog's programs, on this MXNet and a small data set."""

import json
from types import SimpleNamespace

import blog
from gluon_classics import utils
import mxnet as mx
import numpy as np
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
            "order_seed": None,
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


@pytest.mark.short
def test_a_run_with_the_order_of_another_has_its_results(options):
    def trained(name, order_seed):
        wanted = options(name, network="lenet_d2l_first", seed=None, order_seed=order_seed)
        mx.random.seed(0)  # as a new process
        run.run(wanted)
        return wanted

    first = trained("first", None)
    assert metrics(trained("repeated", record_of(first)["order_seed"])) == metrics(first)
    assert metrics(trained("other", 0)) != metrics(first)


def test_a_seed_and_an_order_cannot_be_combined(capsys):
    with pytest.raises(SystemExit):
        run.parse(["lenet", "-o", "x", "--seed", "0", "--order-seed", "1"])
    assert "Leave out --seed or --order-seed" in capsys.readouterr().err


@pytest.mark.parametrize(("last_batch", "resize_in"), [("discard", "published"), ("keep", "uint8")])
def test_batches_have_the_bits_of_ours(options, last_batch, resize_in):
    """The blog resizes training images in float32, D2L in uint8."""
    wanted = options("run", resize=40, last_batch=last_batch, batch_size=60)
    np.random.seed(0)
    theirs = [list(loader) for loader in blog.loaders(wanted)]
    np.random.seed(0)
    loaders = utils.load_data_fashion_mnist(60, 40, wanted.data, resize_in=resize_in, last_batch=last_batch)
    ours = [list(loader) for loader in loaders]
    for batches, own in zip(theirs, ours):
        assert len(batches) == len(own)
        for (images, labels), (own_images, own_labels) in zip(batches, own):
            np.testing.assert_array_equal(images.asnumpy(), own_images.asnumpy())
            np.testing.assert_array_equal(labels.asnumpy(), own_labels.asnumpy())


@pytest.mark.parametrize("package", ["mxnet", "mxnet-mkl", "mxnet-cu112"])
def test_a_record_names_the_installed_package(package, tmp_path, monkeypatch):
    (tmp_path / f"{package.replace('-', '_')}-1.6.0.dist-info").mkdir()
    (tmp_path / "mxnet").mkdir()
    (tmp_path / "mxnet" / "libmklml_intel.so").touch()  # the package mxnet has it, too
    monkeypatch.setattr(mx, "__file__", str(tmp_path / "mxnet" / "__init__.py"))
    assert blog.environment()["package"] == package
