"""Initializers by name, and the weights that they draw."""

import math
import subprocess
import sys
import textwrap

from gluon_classics import get_model
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.initializers import initialize, initializer
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.utils.seeding import seed_everything
import mxnet as mx
import numpy as np
import pytest


def weights(rule, name="lenet_d2l", shape=(1, 1, 28, 28)):
    """Return the parameters of a network, initialized as `rule` says, by their position in the network."""
    net = get_model(name)
    net.initialize(initializer(rule))
    net(mx.nd.zeros(shape)).wait_to_read()  # a convolution reorders its weights in the background
    return {name: parameter.data().asnumpy() for name, parameter in net._collect_params_with_prefix().items()}


@pytest.mark.parametrize(
    ("rule", "bound"),  # of a uniform distribution
    [
        ("uniform(0.07)", 0.07),
        ("uniform", 0.07),
        ("uniform(0.3)", 0.3),
        ("xavier", math.sqrt(3 / ((120 + 400) / 2))),
        ("xavier(2.24)", math.sqrt(2.24 / ((120 + 400) / 2))),
    ],
)
def test_uniform_initializers_fill_their_interval(rule, bound):
    weight = weights(rule)[f"{dense()}.weight"]
    assert abs(weight).max() == pytest.approx(bound, rel=15 / weight.size)  # fails by chance with probability e^-15
    assert abs(weight).max() <= bound
    # within five standard errors
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=5 / math.sqrt(5 * weight.size))


@pytest.mark.parametrize(("rule", "sigma"), [("normal(0.01)", 0.01), ("normal", 0.01), ("normal(2e-2)", 0.02)])
def test_the_normal_initializer_has_its_standard_deviation(rule, sigma):
    weight = weights(rule)[f"{dense()}.weight"]
    assert weight.std() == pytest.approx(sigma, rel=5 / math.sqrt(2 * weight.size))  # five standard errors
    assert abs(weight).max() > 3 * sigma


def dense():
    """Return the position of the first dense layer of D2L's LeNet, with 120 units and 400 inputs."""
    return next(name[: -len(".weight")] for name, values in weights("xavier").items() if values.shape == (120, 400))


@pytest.mark.parametrize("rule", ["xavier", "normal(0.01)", "uniform(0.07)"])
def test_biases_start_from_zero(rule):
    biases = [values for name, values in weights(rule).items() if name.endswith("bias")]
    assert len(biases) == 5
    assert not any(values.any() for values in biases)


def test_parameters_with_their_own_initializer_keep_it():
    found = weights("uniform(0.07)", "lenet_bn")
    gammas = [values for name, values in found.items() if name.endswith("gamma")]
    assert gammas
    assert all((values == 1).all() for values in gammas)


@pytest.mark.parametrize("rule", ["", "zero", "normal()", "normal(-1)", "normal(0.01", "xavier 3", "Xavier"])
def test_the_error_for_an_unknown_initializer_lists_the_known_ones(rule):
    with pytest.raises(ClassicsError, match=r"unknown initializer .*xavier, xavier\(2.24\)"):
        initializer(rule)


def prepared(init, name="lenet_cifar10", shape=(3, 32, 32)):
    """Return the parameters that a run with this initializer starts from, by position; None is the published one."""
    seed_everything(0)
    net = get_model(name)
    initialize(net, published_settings(name, init=init), [mx.cpu()], shape)
    net(mx.nd.zeros((1, *shape))).wait_to_read()  # a convolution reorders its weights in the background
    return {name: parameter.data().asnumpy() for name, parameter in net._collect_params_with_prefix().items()}


@pytest.mark.parametrize(
    ("name", "init", "count"),
    [
        *(("lenet_cifar10", "pytorch", 5), ("resnet18_d2l", "pytorch", 21)),
        *((f"lenet_pytorch{version}", None, 4) for version in ("_2017", "_2018", "")),  # as they are trained
    ],
)
def test_pytorchs_weights_and_biases_fill_their_interval(name, init, count):
    """PyTorch's reset_parameters: uniform within +-1 / sqrt(fan-in), of the weight for both."""
    found = prepared(init, name)
    weights = {key[: -len("weight")]: values for key, values in found.items() if key.endswith("weight")}
    assert len(weights) == count
    for key, weight in weights.items():
        bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
        for values in (weight, found[f"{key}bias"]):
            assert abs(values).max() <= np.float32(bound)
            assert abs(values).max() == pytest.approx(bound, rel=15 / values.size)  # fails with probability e^-15
            assert abs(values.mean()) < 5 * bound / math.sqrt(3 * values.size)
    assert all((found[key] == 1).all() for key in found if key.endswith("gamma"))


def test_he_initialization_has_its_standard_deviation():
    found = prepared("he")
    for key, values in found.items():
        if key.endswith("weight"):
            sigma = math.sqrt(2 / math.prod(values.shape[1:]))
            assert values.std() == pytest.approx(sigma, rel=5 / math.sqrt(2 * values.size))
            assert abs(values).max() > 2 * sigma  # not uniform: that would end at 1.73
        else:
            assert not values.any()


# --- unseeded weights


def drawn(seed, weights):
    """Return the kernels of LeNet's second convolution after seeding."""
    seed_everything(seed)
    net = get_model("lenet_d2l")
    initialize(net, published_settings("lenet_d2l", weights=weights, seed=seed), [mx.cpu()], (1, 28, 28))
    net(mx.nd.zeros((1, 1, 28, 28)))
    mx.nd.waitall()  # a convolution reorders its weights in the background: MXNet fails where they are read meanwhile
    return net[2].weight.data().asnumpy()


NOTEBOOK = """
    import gluon_classics, mxnet as mx
    {mode}
    image = {numpy}.random.uniform(0, 1, (1, 1, 28, 28))
    net = gluon_classics.get_model("lenet_d2l")
    net.initialize()
    net(image)
    net.initialize(mx.init.Xavier(), force_reinit=True)
    net(image)
    mx.nd.waitall()
    print(*map(float.hex, map(float, net[2].weight.data().asnumpy().ravel())))
"""


@pytest.mark.parametrize(
    ("weights", "words"),
    [("unseeded", {"mode": "", "numpy": "mx.nd"}), ("unseeded-numpy", {"mode": "mx.npx.set_np()", "numpy": "mx.np"})],
)
def test_unseeded_weights_are_those_of_a_process_that_is_never_seeded(weights, words):
    """The new process repeats the notebook: an image for the untrained network, then the weights to train."""
    code = textwrap.dedent(NOTEBOOK).format(**words)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    expected = np.array([float.fromhex(word) for word in result.stdout.split()], np.float32)
    for seed in (0, 7):
        np.testing.assert_array_equal(drawn(seed, weights).ravel(), expected)


def test_seeded_weights_differ_from_seed_to_seed():
    assert (drawn(0, "seeded") == drawn(7, "seeded")).mean() < 0.01
