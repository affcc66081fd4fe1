"""Batch normalization written out by hand, next to Gluon's."""

from arrays import assert_close, numbers, terms_of
from chains import ready
from gluon_classics import get_model, utils
from gluon_classics.models._batch_norm import ScratchBatchNorm
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

pytestmark = pytest.mark.numeric


def two_norms(rng, dimensions):
    """Gluon's layer and ours with the same parameters, and a batch."""
    shape = (6, 5) if dimensions == 2 else (3, 5, 4, 2)
    x = numbers(rng, *shape, scale=3) + 1
    gluons, ours = nn.BatchNorm(), ScratchBatchNorm(5, dimensions)
    gluons.initialize()
    ours.initialize()
    gluons(nd.array(x))
    for theirs, own in zip(gluons.collect_params().values(), ours.collect_params().values()):
        values = nd.array(1 + rng.rand(5))
        theirs.set_data(values)
        own.set_data(values)
    return gluons, ours, x


def trained_on(block, x, weights):
    """Output, gradients of images, gamma and beta, and running statistics after a training pass."""
    x = nd.array(x)
    x.attach_grad()
    with autograd.record():
        out = block(x)
        loss = (nd.array(weights) * out**2).sum()
    loss.backward()
    arrays = [out, x.grad, block.gamma.grad(), block.beta.grad(), block.running_mean.data(), block.running_var.data()]
    return [array.asnumpy() for array in arrays]


@pytest.mark.parametrize("dimensions", [2, 4])
def test_batch_normalisation_by_hand_trains_as_gluons(dimensions, rng):
    gluons, ours, x = two_norms(rng, dimensions)
    for step in range(3):  # statistics move on
        batch, weights = x + step, numbers(rng, *x.shape)
        for actual, expected in zip(trained_on(ours, batch, weights), trained_on(gluons, batch, weights)):
            # sums over the batch: mean and variance, then the gradients of these, of gamma and of beta
            assert_close(actual, expected, terms=6 * x[:, 0].size)


@pytest.mark.parametrize("dimensions", [2, 4])
def test_batch_normalisation_by_hand_predicts_as_gluons(dimensions, rng):
    gluons, ours, x = two_norms(rng, dimensions)
    x = nd.array(x)
    before = ours.running_mean.data().asnumpy()
    assert_close(ours(x).asnumpy(), gluons(x).asnumpy(), terms_of(ours))
    with autograd.record(train_mode=False):
        assert_close(ours(x).asnumpy(), gluons(x).asnumpy(), terms_of(ours))
    np.testing.assert_array_equal(ours.running_mean.data().asnumpy(), before)


def test_batch_normalization_by_hand_adds_1e_5_to_the_variance():
    """Values .001 from their mean have the variance 1e-6, a tenth of what is added; ten float32 roundings at most."""
    x = nd.array([[0.0], [0.002]])
    block = ScratchBatchNorm(1, 2)
    block.initialize()
    with autograd.train_mode():
        training = block(x).asnumpy().ravel()
    expected = 0.001 / np.sqrt(1e-6 + 1e-5)
    np.testing.assert_allclose(training, [-expected, expected], rtol=10 * 2**-24)


def test_batch_normalization_by_hand_starts_as_gluons():
    """Scale 1 and shift 0, running mean 0 and variance 1."""
    block = ScratchBatchNorm(3, 2)
    block.initialize(mx.init.Xavier())
    names = ("gamma", "beta", "running_mean", "running_var")
    assert [set(getattr(block, name).data().asnumpy()) for name in names] == [{1}, {0}, {0}, {1}]


def test_the_tutorials_batch_normalization_starts_from_small_numbers():
    """Scales and shifts are drawn from N(0, .01), both running statistics are 0, whatever the weights start from."""
    net = get_model("lenet_bn_scratch_tutorial")
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 28, 28))).wait_to_read()  # a convolution reorders its weights in the background
    parameters = net._collect_params_with_prefix()
    drawn = np.concatenate([parameters[f"{n}.{name}"].data().asnumpy() for n in "15" for name in ("gamma", "beta")])
    assert drawn.shape == (2 * (20 + 50),)
    # five standard errors
    assert drawn.std() == pytest.approx(0.01, rel=5 / np.sqrt(2 * drawn.size))
    assert abs(drawn.mean()) < 5 * 0.01 / np.sqrt(drawn.size)
    assert not any(parameters[f"{n}.running_{name}"].data().asnumpy().any() for n in "15" for name in ("mean", "var"))


def test_files_of_both_of_the_tutorials_lenets_interchange(tmp_path):
    by_hand, x = ready(get_model("lenet_bn_scratch_tutorial"), 2, 1, 28, 28)
    by_hand.save_parameters(str(tmp_path / "by-hand.params"))
    other = get_model("lenet_bn_tutorial")
    other.load_parameters(str(tmp_path / "by-hand.params"))
    assert_close(other(x).asnumpy(), by_hand(x).asnumpy(), terms_of(other))


def test_batch_normalisation_by_hand_moves_its_statistics_in_the_forward_pass():
    """A tenth of the way to the batch's mean and biased variance; MXNet's operator waits for the backward pass."""
    x = nd.array([[0.0], [2.0]])
    block = ScratchBatchNorm(1, 2)
    block.initialize()
    with autograd.train_mode():
        block(x)
    assert block.running_mean.data().asscalar() == pytest.approx(0.1 * 1)
    assert block.running_var.data().asscalar() == pytest.approx(0.9 * 1 + 0.1 * 1)


def test_files_of_both_lenets_with_batch_normalisation_interchange(tmp_path):
    by_hand, x = ready(get_model("lenet_bn_scratch"), 2, 1, 16, 16)
    by_hand.save_parameters(str(tmp_path / "by-hand.params"))
    other = get_model("lenet_bn")
    other.load_parameters(str(tmp_path / "by-hand.params"))
    assert_close(other(x).asnumpy(), by_hand(x).asnumpy(), terms_of(other))
    other.save_parameters(str(tmp_path / "other.params"))
    back = get_model("lenet_bn_scratch")
    back.load_parameters(str(tmp_path / "other.params"))
    np.testing.assert_array_equal(back(x).asnumpy(), by_hand(x).asnumpy())


def test_batch_normalisation_by_hand_is_trained_eagerly(capsys):
    net, x = ready(get_model("lenet_bn_scratch"), 8, 1, 16, 16)
    labels = nd.arange(8)
    with pytest.raises(TypeError, match=r"^ScratchBatchNorm cannot be compiled"):
        utils.hybridized(net)
    before = net[1].running_mean.data().asnumpy()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    with pytest.warns(RuntimeWarning, match=r"^running eagerly: ScratchBatchNorm cannot be compiled"):
        history = utils.train([(x, labels)], [(x, labels)], net, loss, trainer, mx.cpu(), num_epochs=3)
    assert history[-1].train_loss < history[0].train_loss
    assert np.abs(net[1].running_mean.data().asnumpy() - before).max() > 0
