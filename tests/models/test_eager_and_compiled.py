"""Networks from ResNet on compute the same in NumPy, in eager execution and compiled, and train the same compiled."""

import re

from arrays import assert_close, assert_gradients_close, rounding, terms_of, terms_of_gradients
from gluon_blocks import backpropagated, filled, formula, of_kind, trained_parameters
from gluon_classics import get_model, utils
from gluon_classics.compiler import compiled
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
from numpy_blocks import PlainBlocks
from numpy_networks import PLAIN
import pytest

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module", params=PLAIN)
def member(request):
    """One edition with parameters from a formula, two images, and its logits in eager execution."""
    shape, plain = PLAIN[request.param]
    x = formula(2, *shape)
    net = filled(get_model(request.param, classes=2), x)
    if request.param == "efficientnet_b0":  # swish and the factors below 1 leave little of the images to the classifier
        for parameter in trained_parameters(net):
            if parameter.name.endswith("gamma"):
                parameter.set_data(1.1 * parameter.data())
    return net, plain, x, net(nd.array(x)).asnumpy()


def test_an_edition_computes_what_its_table_says(member):
    net, plain, x, actual = member
    numpy_net = PlainBlocks(net)
    expected = plain(numpy_net, x)
    assert numpy_net.is_done()
    assert expected.shape == (2, 2)
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.ptp(expected)  # images, not biases, decide
    assert_close(actual, expected, terms_of(net))


def test_compiled_editions_predict_the_same(member):
    net, _, x, expected = member
    assert expected.shape == (2, 2)
    assert np.isfinite(expected).all()
    twin = utils.hybridized(net)
    assert_close(twin(nd.array(x)).asnumpy(), expected, terms_of(net))
    assert_close(compiled.for_inference(net)(nd.array(x)).asnumpy(), expected, terms_of(net))


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18_v1", "densenet_d2l", "se_resnet18", "regnetx_200mf", "efficientnet_b0"),
        *("resnet20_cifar10", "mobilenet_v2", "squeezenet1_1"),
        pytest.param("resnet18_v2", marks=pytest.mark.slow),
    ],
)
def test_a_compiled_edition_trains_as_it_trains_eagerly(name):
    net = get_model(name, classes=2)
    net.initialize(mx.init.Xavier())
    data, labels = nd.random.normal(shape=(4, PLAIN[name][0][0], 48, 48)), nd.array([0, 1, 1, 0])
    net(data)
    twin = utils.hybridized(net)
    terms = terms_of_gradients(net, data)
    names = ["images", *(parameter.name for parameter in trained_parameters(net))]
    # before batch normalization, the bias of a convolution changes nothing, and the scale of an earlier batch
    # normalization nearly nothing: their gradients are rounding
    is_densenet = name == "densenet_d2l"
    useless = [is_densenet and re.search(r"conv.*bias|densenet\d+_batchnorm0_gamma", own) is not None for own in names]

    def drawn():
        images = nd.random.normal(shape=data.shape)
        output, running, gradients = backpropagated(net, net, images, labels)
        twin_output, twin_running, twin_gradients = backpropagated(twin, net, images, labels)
        assert_close(twin_output, output, terms)
        for twins, own in zip(twin_running, running):  # all alike where a deep map vanishes
            np.testing.assert_allclose(twins, own, rtol=0, atol=rounding(terms) * np.abs(own).max())
        assert len(running) == 2 * len(of_kind(net, nn.BatchNorm))
        assert all(np.isfinite(own).all() for own in gradients)
        return tuple([a for a, idle in zip(arrays, useless) if not idle] for arrays in (twin_gradients, gradients))

    assert_gradients_close(drawn, terms)
    weights = [parameter for parameter in trained_parameters(net) if parameter.name.endswith("weight")]
    assert all(np.abs(weight.grad().asnumpy()).max() > 0 for weight in weights)
