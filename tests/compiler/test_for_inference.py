"""`for_inference` fuses operators for predictions, and evaluation always uses the current weights."""

from arrays import assert_close, assert_gradients_close, terms_of, terms_of_gradients
from chains import chain, operators, randomised, ready
from gluon_classics import get_model, utils
from gluon_classics.compiler import compiled
from gluon_classics.compiler.compiled import for_inference
from gluon_classics.models.resnet import Residual
from gluon_classics.utils import evaluation, training
from gluon_classics.utils.evaluation import predict_probabilities
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest
from twins import Wired

# the side of the smallest image each network takes
SMALLEST = {"lenet": 12, "alexnet": 67, "vgg": 32, "nin": 67, "googlenet": 93, "resnet": 75}
BATCH = 8

needs_onednn = pytest.mark.skipif(
    not (compiled.REWRITES and mx.runtime.Features().is_enabled("MKLDNN")),
    reason="this MXNet cannot fuse operators with oneDNN",
)


def lenet():
    return ready(get_model("lenet"), BATCH, 1, 28, 28)


def is_fused(symbol):
    return any("sg_mkldnn" in op for op in operators(symbol))


# --- what it computes


@pytest.mark.parametrize("name", SMALLEST)
def test_for_inference_predicts_the_same_as_the_network(name):
    net, x = ready(get_model(name), 2, 1, SMALLEST[name], SMALLEST[name])
    expected = net(x).asnumpy()
    forward = for_inference(net)
    for _ in range(2):  # the first call compiles
        assert_close(forward(x).asnumpy(), expected, terms_of(net))


@needs_onednn
def test_neighbouring_layers_are_fused(graphs):
    net, x = ready(chain(nn.Conv2D(6, 3), nn.BatchNorm(), nn.Activation("relu"), nn.Flatten()), 2, 2, 12, 12)
    for_inference(net)(x)
    assert operators(graphs[-1])[0] == "_sg_mkldnn_conv"
    assert not {"Convolution", "BatchNorm", "Activation"} & set(operators(graphs[-1]))
    for name, side, fused in (("lenet", 28, 2), ("resnet", 75, 20)):
        net, x = ready(get_model(name), 2, 1, side, side)
        for_inference(net)(x)
        assert operators(graphs[-1]).count("_sg_mkldnn_conv") == fused
        assert not {"Convolution", "BatchNorm", "relu"} & set(operators(graphs[-1]))


@needs_onednn
def test_evaluation_and_prediction_are_fused(graphs):
    net, x = lenet()
    data = [(x, nd.zeros(len(x)))]
    utils.evaluate_accuracy(data, net)
    predict_probabilities(data, net, mx.cpu())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.001})
    training.TrainingLoop(net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, mx.cpu()).run(data, data, 2)
    assert [is_fused(graph) for graph in graphs] == [True, True, False, True, True]


def two_uses(F, x, conv, other):
    """MXNet writes the sum into the memory of one summand, and all summands are used again."""
    maps = conv(x)
    return F.concat(F.relu(other(maps) + maps), maps, x + conv(x), F.relu(maps), dim=1)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Residual(4),
        lambda: chain(Residual(4), Residual(6, halve=True)),
        lambda: Wired(two_uses, nn.Conv2D(4, 3, padding=1), nn.Conv2D(4, 3, padding=1)),
    ],
)
def test_fusing_a_sum_does_not_change_its_summands(build):
    """The images are one of them."""
    net, x = ready(build(), BATCH, 4, 6, 6)
    before, expected = x.asnumpy(), net(x).asnumpy()
    forward = for_inference(net)
    for _ in range(3):
        assert_close(forward(x).asnumpy(), expected, terms_of(net))
        np.testing.assert_array_equal(x.asnumpy(), before)


def test_batches_and_images_of_different_sizes_can_alternate():
    net, _ = ready(chain(nn.Conv2D(6, 3, activation="relu"), nn.MaxPool2D(), nn.GlobalAvgPool2D()), 1, 1, 12, 12)
    forward = for_inference(net)
    for batch, side in ((8, 12), (7, 12), (11, 14), (1, 9), (8, 12), (7, 12)):
        x = nd.random.normal(shape=(batch, 1, side, side))
        assert_close(forward(x).asnumpy(), net(x).asnumpy(), terms_of(net) + x[0, 0].size)  # the last layer averages


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_call_completes_deferred_shapes_on_every_context(count):
    contexts = [mx.cpu(i) for i in range(count)]
    net = get_model("lenet")
    net.initialize(mx.init.Xavier(), ctx=contexts)
    forward = for_inference(net)
    x = nd.random.normal(shape=(BATCH, 1, 28, 28))
    for context in reversed(contexts):
        output = forward(x.as_in_context(context))
        assert output.context == context
        assert_close(output.asnumpy(), net(x.as_in_context(context)).asnumpy(), terms_of(net))


def test_a_float64_network_predicts_in_float64():
    net, x = lenet()
    net.cast("float64")
    x = x.astype("float64")
    assert_close(for_inference(net)(x).asnumpy(), net(x).asnumpy(), terms_of(net))


# --- modes


@needs_onednn
@pytest.mark.parametrize("train_mode", [True, False])
def test_for_inference_has_the_gradients_of_the_network(train_mode, graphs):
    """Gradients use the plain operators; predictions before and after them are fused.

    There is no max pool, because MXNet's gradient of max pooling is wrong with `train_mode=False`.
    """
    layers = nn.Conv2D(6, 3, activation="relu"), nn.AvgPool2D(), nn.Conv2D(10, 3, activation="relu"), nn.Dense(3)
    net, x = ready(chain(*layers), BATCH, 1, 12, 12)
    forward = for_inference(net)
    expected = net(x).asnumpy()

    def gradients(forward, x):
        x.attach_grad()
        with autograd.record(train_mode=train_mode):
            output = forward(x)
            loss = (output**2).sum()
        loss.backward()
        return [output.asnumpy(), x.grad.asnumpy(), *(p.grad().asnumpy() for p in net.collect_params().values())]

    def drawn():
        images = nd.random.normal(shape=x.shape)
        return gradients(forward, images), gradients(net, images)

    assert_close(forward(x).asnumpy(), expected, terms_of(net))
    for _ in range(2):
        assert_gradients_close(drawn, terms_of_gradients(net, x))
    assert_close(forward(x).asnumpy(), expected, terms_of(net))
    if mx.runtime.Features().is_enabled("MKLDNN"):
        assert [is_fused(graph) for graph in graphs] == [True, False]


@pytest.mark.parametrize("train_mode", [True, False])
@pytest.mark.parametrize("recording", [True, False])
def test_dropout_follows_the_mode(train_mode, recording):
    net, x = ready(chain(nn.Conv2D(6, 3), nn.Dropout(0.5), nn.Flatten()), BATCH, 1, 6, 6)
    forward = for_inference(net)
    assert (forward(x) != 0).asnumpy().all()
    mode = autograd.train_mode if train_mode else autograd.predict_mode
    around = autograd.record(train_mode=train_mode) if recording else mode()
    with around:
        mx.random.seed(1)
        output = forward(x)
        mx.random.seed(1)
        expected = net(x)
    assert_close(output.asnumpy(), expected.asnumpy(), terms_of(net))
    dropped = (output == 0).asnumpy().mean()
    assert 0.4 < dropped < 0.6 if train_mode else dropped == 0


def test_batch_norm_uses_batch_statistics_in_training_mode():
    net, x = ready(chain(nn.Conv2D(6, 3), nn.BatchNorm(), nn.Flatten()), BATCH, 1, 6, 6)
    forward = for_inference(net)
    by_statistics = forward(x).asnumpy()
    with autograd.train_mode():
        by_batch = forward(x).asnumpy()
        assert_close(by_batch, net(x).asnumpy(), terms_of(net))
    assert np.abs(by_batch - by_statistics).max() > 0.1
    assert_close(forward(x).asnumpy(), by_statistics, terms_of(net))


# --- weights that have changed


def test_a_new_call_uses_the_new_weights():
    """Functions from earlier calls may still use some of the old weights."""
    net, x = lenet()
    forwards = []  # all stay alive
    for _ in range(3):
        forwards.append(for_inference(net))
        assert_close(forwards[-1](x).asnumpy(), net(x).asnumpy(), terms_of(net))
        net.initialize(mx.init.Normal(0.2), force_reinit=True)
        randomised(net)


def one_class_net():
    """Return a network that predicts one class for all images. The weights of its convolution choose the class."""
    net = chain(
        nn.Conv2D(3, 1, use_bias=False, in_channels=1, activation="relu"),
        nn.MaxPool2D(),
        nn.GlobalAvgPool2D(),
        nn.Flatten(),
    )
    net.initialize()
    return net


def decide(net, label):
    net[0].weight.set_data(nd.one_hot(nd.array([label]), 3).reshape((3, 1, 1, 1)))


@pytest.mark.parametrize("evaluated", ["network", "twin", "active"])
@pytest.mark.parametrize("count", [1, 2])
def test_every_evaluation_uses_the_current_weights(count, evaluated):
    """For a network, for its twin, and for a hybridized network."""
    contexts = [mx.cpu(i) for i in range(count)]
    net = one_class_net()
    if evaluated == "active":
        hybrid_net = nn.HybridSequential()
        hybrid_net.add(*net)
        hybrid_net.hybridize()
        net = hybrid_net
    given = utils.hybridized(net) if evaluated == "twin" else net
    net.collect_params().reset_ctx(contexts)
    images = nd.random.uniform(1, 2, (BATCH * count, 1, 4, 4))
    for label in (0, 1, 2, 1):
        decide(net, label)
        data = [(images, nd.full(len(images), label))] * 2
        assert evaluation.evaluate(data, given, contexts).accuracy == 1
        assert utils.evaluate_accuracy(data, given, contexts) == 1


# --- blocks that are not compiled


class OwnForward(nn.Block):
    def forward(self, x):
        return x if x.max().asscalar() > 0 else -x


class OwnSequence(nn.Sequential):
    def forward(self, x):
        return super().forward(x) * 2


@pytest.mark.parametrize("block", [OwnForward, OwnSequence])
@pytest.mark.parametrize("nested", [False, True])
def test_a_block_that_cannot_be_compiled_is_returned_as_it_is(block, nested):
    net = chain(chain(block())) if nested else block()
    assert for_inference(net) is net
    x = nd.random.normal(shape=(5, 3))
    assert evaluation.evaluate([(x, net(x).argmax(axis=1))], net, mx.cpu()).accuracy == 1


def test_evaluation_does_not_change_a_hybridized_network(graphs):
    """It keeps its flags, and its next call does not compile it again."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(6, 3, activation="relu"), nn.MaxPool2D(), nn.Dense(3))
    net.hybridize(static_alloc=True, inline_limit=5)
    _, x = ready(net, BATCH, 1, 6, 6)

    def state(block):
        return [block._active, dict(block._flags), *(state(child) for child in block._children.values())]

    before, own, expected = state(net), len(graphs), net(x).asnumpy()
    assert before[0] is True
    data = [(x, nd.array(expected.argmax(axis=1)))]
    assert evaluation.evaluate(data, net, [mx.cpu()]).accuracy == 1
    assert utils.evaluate_accuracy(data, net) == 1
    assert state(net) == before
    assert len(graphs) == own + 2
    np.testing.assert_array_equal(net(x).asnumpy(), expected)
    assert len(graphs) == own + 2


class OwnHybridForward(nn.HybridBlock):
    """Depends on values, so it cannot be compiled: `hybridize()` has no effect."""

    def forward(self, x):
        return x if x.max().asscalar() > 0 else -x


def test_a_hybridized_block_that_overrides_forward_can_be_evaluated():
    net = OwnHybridForward()
    net.hybridize()
    x = nd.random.normal(shape=(5, 3))
    assert utils.evaluate_accuracy([(x, net(x).argmax(axis=1))], net) == 1


@pytest.mark.parametrize(("name", "side"), [("resnet", 96), ("lenet", 12)])
def test_predictions_do_not_change_the_parameters(name, side):
    net, x = ready(get_model(name), BATCH, 1, side, side)
    before = [parameter.data().asnumpy() for parameter in net.collect_params().values()]
    forward = for_inference(net)
    for _ in range(3):
        forward(x).wait_to_read()
    for parameter, values in zip(net.collect_params().values(), before):
        np.testing.assert_array_equal(parameter.data().asnumpy(), values)
