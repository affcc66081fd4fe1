"""D2L's networks for MXNet of the time, next to ours."""

from gluon_classics import get_model
from gluon_classics.experiment.initializers import initialize
from gluon_classics.experiment.published_training import published_settings
import mxnet as mx
from mxnet import autograd, nd
import networks_d2l
import numpy as np
import pytest


@pytest.mark.parametrize("name", networks_d2l.NETWORKS)
def test_outputs_equal_those_of_our_networks(name, rng):
    ours, theirs = get_model(name.replace("_english", "")), networks_d2l.NETWORKS[name](None)
    for layer in theirs:
        if isinstance(layer, networks_d2l.BatchNormByHand):
            layer._eps = 1e-5  # ours in all editions, theirs in the first
    x = nd.array(rng.rand(4, 1, 28, 28))
    for net in (ours, theirs):
        net.initialize(mx.init.Xavier())
        net(x)
    nd.waitall()  # a convolution reorders its weights in the background: MXNet fails where they are read meanwhile
    for own, other in zip(ours.collect_params().values(), theirs.collect_params().values()):
        value = own.data().asnumpy()
        other.set_data(nd.array(value.reshape(other.shape)))
    for mode in (autograd.predict_mode, autograd.train_mode):
        with mode():
            np.testing.assert_allclose(ours(x).asnumpy(), theirs(x).asnumpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("weights", "mode"), [("unseeded", False), ("unseeded-numpy", True)])
@pytest.mark.parametrize("name", networks_d2l.NETWORKS)
def test_our_unseeded_weights_are_those_of_the_notebook(name, weights, mode):
    model, side = name.replace("_english", ""), networks_d2l.SHOWN.get(name, 28)
    net = get_model(model)
    initialize(net, published_settings(model, weights=weights), [mx.cpu()], (1, side, side))
    mx.random.seed(0)  # as a new process
    theirs = networks_d2l.notebook_weights(name, mode)
    ours = [parameter.data().asnumpy() for parameter in net.collect_params().values()]
    for own, value in zip(ours, theirs):
        if value.std() > 0:  # drawn
            np.testing.assert_array_equal(own, value)


def test_numpy_mode_draws_other_weights_from_the_second_array_on():
    plain, numpy_mode = [], []
    for weights, mode in ((plain, False), (numpy_mode, True)):
        mx.random.seed(0)  # as a new process
        weights += networks_d2l.notebook_weights("lenet_bn_first", mode)
    equal = [np.array_equal(one, other) for one, other in zip(plain, numpy_mode)]
    drawn = [number for number, value in enumerate(plain) if value.std() > 0 and value.ndim > 1]
    assert not any(equal[number] for number in drawn[1:])


def test_the_network_before_in_the_notebook_draws_first():
    mx.random.seed(0)
    after = networks_d2l.notebook_weights("lenet_bn_first", False)
    mx.random.seed(0)
    first = networks_d2l.notebook_weights("lenet_bn_scratch_first", False)
    assert not np.array_equal(first[0], after[0])
