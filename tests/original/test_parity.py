"""Our networks and training next to the blog's programs in `original/`: on this MXNet, and on MXNet of the time."""

import math
import os
from types import SimpleNamespace

import first_steps
import numpy as np
import parity
import pytest
import tensors

NETWORKS = list(parity.SIZES)
SLOW = ("alexnet", "vgg", "googlenet")  # they have the layers of the others
EACH = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NETWORKS]
needs_era = pytest.mark.skipif("ERA_HOME" not in os.environ, reason="runs in `tox -e era`: it needs MXNet of the time")

# Sums of up to 100,000 terms, each rounded to float64, differ by about eps * sqrt(terms). A deep network amplifies
# this: batch normalization divides by small deviations. Another formula would differ by far more than this.
ROUNDING = np.finfo(np.float64).eps * math.sqrt(1e5) * 100
# MXNet 1.1 computes the softmax of the loss in float32, also for float64 inputs
SOFTMAX_IN_FLOAT32 = 8 * float(np.finfo(np.float32).eps)


def settings(network, **changes):
    batch = 4 if network == "lenet" else 2
    return parity.Settings(network, parity.SIZES[network], batch)._replace(**changes)


def here(wanted, path):
    """Return the trace of the blog's programs on this MXNet."""
    arguments = {
        **wanted._asdict(),
        "data": None,
        "start": None,
        "out": str(path),
        "last_batch": "discard",
        "numpy_mode": False,
    }
    first_steps.trace(SimpleNamespace(**arguments))
    trace = tensors.load(str(path))
    path.unlink()  # up to 500 MB, which pytest would keep
    return trace


@pytest.mark.short
@pytest.mark.parametrize("network", EACH)
def test_eager_training_has_the_bits_of_the_blogs_programs(network, tmp_path, full_fashion_mnist):
    wanted = settings(network, type="float32", dropout="drawn")
    found = parity.difference(here(wanted, tmp_path / "trace"), parity.ours(wanted))
    assert found.batches
    assert found.weights
    assert max(found.errors.values()) == 0


@pytest.mark.short
@pytest.mark.parametrize("network", [pytest.param("alexnet", marks=pytest.mark.slow), "nin"])
def test_compiled_training_draws_the_weights_and_dropout_masks_of_the_blogs_programs(
    network, tmp_path, full_fashion_mnist
):
    wanted = settings(network, type="float32", dropout="drawn")
    original, compiled = here(wanted, tmp_path / "trace"), parity.ours(wanted, eager=False)
    found = parity.difference(original, compiled)
    assert found.weights
    # a mask with other values would change the outputs by about their size
    assert found.errors["outputs/2"] < 1e-3


def test_a_difference_is_seen():
    arrays = {f"{kind}/1/000.weight": np.ones(3) for kind in ("before", "gradients", "after")}
    arrays["losses/1"] = np.array([2.0, 4.0])
    changed = {**arrays, "gradients/1/000.weight": np.array([1, 1, 1.5]), "losses/1": np.array([2.0, 3.0])}
    other_weights = {**arrays, "before/1/000.weight": np.array([1, 1, 1 + 1e-16 * 4])}
    about = {"batches": ["a"]}
    equal = {"gradients/1": 0, "after/1": 0, "losses/1": 0}
    assert parity.difference((arrays, about), (arrays, about)) == (True, True, equal, {1: 0})
    found = parity.difference((arrays, about), (changed, about))
    assert (found.errors["gradients/1"], found.errors["losses/1"]) == (0.5, 0.25)
    assert found.mean_losses == {1: pytest.approx(1 / 6)}
    assert not parity.difference((arrays, about), (other_weights, about)).weights
    assert not parity.difference((arrays, about), (arrays, {"batches": ["b"]})).batches


@needs_era
@pytest.mark.parametrize("network", NETWORKS)
def test_the_formulas_are_those_of_mxnet_1_1(network, full_fashion_mnist):
    found = parity.compare("1.1.0", settings(network))
    assert found.batches
    assert found.weights
    for kind, error in found.errors.items():
        assert error < (ROUNDING if kind.startswith("outputs") else SOFTMAX_IN_FLOAT32), kind


@needs_era
@pytest.mark.parametrize("version", ["1.5.1", "1.6.0", "1.7.0"])
@pytest.mark.parametrize("network", ["lenet", "resnet"])
def test_the_formulas_did_not_change_since(network, version, full_fashion_mnist):
    found = parity.compare(version, settings(network))
    assert found.batches
    assert found.weights
    assert max(found.errors.values()) < ROUNDING


@needs_era
@pytest.mark.parametrize(
    ("network", "version"),
    [("alexnet", "1.1.0"), ("vgg", "1.1.0"), *(("nin", version) for version in ("1.1.0", "1.5.1", "1.6.0", "1.7.0"))],
)
def test_other_versions_draw_the_same_dropout_masks(network, version, full_fashion_mnist):
    found = parity.compare(version, settings(network, type="float32", dropout="drawn", steps=1), free=True)
    assert found.weights
    assert found.errors["outputs/1"] < 1e-4  # another mask would change them by about their size
