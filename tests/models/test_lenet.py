"""Editions of LeNet: gradients, the initial weights of the networks from scratch, and images as vectors."""

from arrays import assert_close, terms_of
from gluon_classics import get_model, utils
from mxnet import autograd, gluon
import numpy as np
import pytest
from small_images import SMALL, ready

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("name", [name for name in SMALL if name.startswith("lenet")])
def test_every_parameter_of_a_lenet_gets_a_gradient(name):
    net, x, labels = ready(name, SMALL[name], batch=4)
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(x), labels)
    loss.backward()
    for parameter in net.collect_params().values():
        if parameter.grad_req != "null":
            gradient = parameter.grad().asnumpy()
            assert np.isfinite(gradient).all()
            assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("name", ["lenet_scratch_straight_dope", "lenet_bn_scratch_straight_dope"])
def test_all_parameters_of_the_straight_dopes_scratch_networks_are_drawn(name):
    """Biases and shifts from N(0, .01) too, scales from N(1, .01): means and deviations within 5 standard errors."""
    net, *_ = ready(name, 28)
    for key, parameter in net.collect_params().items():
        if parameter.grad_req != "null":
            drawn = parameter.data().asnumpy()
            assert abs(drawn.mean() - key.endswith("gamma")) < 5 * 0.01 / np.sqrt(drawn.size)
            assert drawn.std(ddof=1) == pytest.approx(0.01, rel=5 / np.sqrt(2 * (drawn.size - 1)))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_d2ls_lenet_with_reshape_takes_images_as_vectors(compiled):
    net, x, _ = ready("lenet_d2l", 28)
    reshaping = get_model("lenet_d2l", reshape=True)
    reshaping.initialize()
    reshaping(x)
    for ours, theirs in zip(net.collect_params().values(), reshaping.collect_params().values()):
        theirs.set_data(ours.data())
    run = utils.hybridized(reshaping) if compiled else reshaping
    expected = net(x).asnumpy()
    for images in (x, x.reshape((2, 784))):
        assert_close(run(images).asnumpy(), expected, terms_of(net))
