"""The rules that draw initial weights, by name."""

import math

from gluon_classics import get_model
from gluon_classics.utils.errors import ClassicsError
from gluon_classics.utils.initialisers import initialiser
import mxnet as mx
import pytest


def weights(rule, name="lenet_d2l", shape=(1, 1, 28, 28)):
    """The network's parameters after initialisation by the rule, by their place in the network."""
    net = get_model(name)
    net.initialize(initialiser(rule))
    net(mx.nd.zeros(shape))
    return {name: parameter.data().asnumpy() for name, parameter in net._collect_params_with_prefix().items()}


@pytest.mark.parametrize(
    ("rule", "bound"),  # half the width of a uniform distribution
    [
        ("uniform(0.07)", 0.07),
        ("uniform", 0.07),
        ("uniform(0.3)", 0.3),
        ("xavier", math.sqrt(3 / ((120 + 400) / 2))),
        ("xavier(2.24)", math.sqrt(2.24 / ((120 + 400) / 2))),
    ],
)
def test_uniform_rules_fill_their_interval(rule, bound):
    weight = weights(rule)[f"{dense()}.weight"]
    assert abs(weight).max() == pytest.approx(bound, rel=1e-3)
    assert abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize(("rule", "sigma"), [("normal(0.01)", 0.01), ("normal", 0.01), ("normal(2e-2)", 0.02)])
def test_the_normal_rule_has_its_standard_deviation(rule, sigma):
    weight = weights(rule)[f"{dense()}.weight"]
    assert weight.std() == pytest.approx(sigma, rel=0.02)
    assert abs(weight).max() > 3 * sigma


def dense():
    """The place of D2L's first dense layer, 120 units of 400 inputs."""
    return next(name[: -len(".weight")] for name, values in weights("xavier").items() if values.shape == (120, 400))


@pytest.mark.parametrize("rule", ["xavier", "normal(0.01)", "uniform(0.07)"])
def test_biases_start_from_zero(rule):
    biases = [values for name, values in weights(rule).items() if name.endswith("bias")]
    assert len(biases) == 5
    assert not any(values.any() for values in biases)


def test_a_network_keeps_the_rules_of_its_own_parameters():
    found = weights("uniform(0.07)", "lenet_bn")
    gammas = [values for name, values in found.items() if name.endswith("gamma")]
    assert gammas
    assert all((values == 1).all() for values in gammas)


@pytest.mark.parametrize("rule", ["", "zero", "normal()", "normal(-1)", "normal(0.01", "xavier 3", "Xavier"])
def test_an_unknown_rule_is_named_with_the_known_ones(rule):
    with pytest.raises(ClassicsError, match=r"unknown initialisation .*xavier, xavier\(2.24\)"):
        initialiser(rule)
