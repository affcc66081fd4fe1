"""`frozen`: fused operators for predictions, and that nobody ever sees a weight that is not true any more."""

from arrays import assert_close, assert_gradients_close, terms_of, terms_of_gradients
from chains import chain, operators, randomised, ready
from gluon_classics import get_model, utils
from gluon_classics.resnet import Residual
from gluon_classics.utils import evaluation, hybrid, prediction, training
from gluon_classics.utils.hybrid import frozen
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

# the side of the smallest image each network takes
SMALLEST = {"lenet": 12, "alexnet": 67, "vgg": 32, "nin": 67, "googlenet": 93, "resnet": 75}
FEW, MANY = hybrid.WIDEN_FROM - 1, hybrid.WIDEN_FROM  # images: without and with wider maps

needs_onednn = pytest.mark.skipif(
    not mx.runtime.Features().is_enabled("MKLDNN"), reason="this build of MXNet has no oneDNN to fuse operators"
)


def lenet(batch=MANY):
    return ready(get_model("lenet"), batch, 1, 28, 28)


def is_fused(symbol):
    return any("sg_mkldnn" in op for op in operators(symbol))


# --- what it computes


@pytest.mark.parametrize("batch", [2, MANY])
@pytest.mark.parametrize("name", SMALLEST)
def test_a_frozen_network_predicts_what_the_network_predicts(name, batch):
    net, x = ready(get_model(name), batch, 1, SMALLEST[name], SMALLEST[name])
    expected = net(x).asnumpy()
    forward = frozen(net)
    for _ in range(2):  # the first call compiles
        assert_close(forward(x).asnumpy(), expected, terms_of(net))


@needs_onednn
@pytest.mark.parametrize("batch", [FEW, MANY])
def test_neighbouring_layers_are_fused(batch, graphs):
    net, x = ready(chain(nn.Conv2D(6, 3), nn.BatchNorm(), nn.Activation("relu"), nn.Flatten()), batch, 2, 12, 12)
    frozen(net)(x)
    assert operators(graphs[-1])[0] == "_sg_mkldnn_conv"
    assert not {"Convolution", "BatchNorm", "Activation"} & set(operators(graphs[-1]))
    for name, side, fused in (("lenet", 28, 2), ("resnet", 224, 20)):  # maps that are not narrow (see kernels)
        net, x = ready(get_model(name), batch, 1, side, side)
        frozen(net)(x)
        assert operators(graphs[-1]).count("_sg_mkldnn_conv") == fused
        assert not {"Convolution", "BatchNorm", "relu"} & set(operators(graphs[-1]))


@needs_onednn
def test_evaluation_and_prediction_are_fused(graphs):
    net, x = lenet()
    data = [(x, nd.zeros(len(x)))]
    utils.evaluate_accuracy(data, net)
    prediction.predict_probabilities(data, net, mx.cpu())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.001})
    list(training.train_epochs(data, data, net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, mx.cpu(), 2))
    assert [is_fused(graph) for graph in graphs] == [True, True, False, True, True]


def two_uses(F, x, conv, other):
    """MXNet adds the sum into the memory of one summand; all are used again."""
    maps = conv(x)
    return F.concat(F.relu(other(maps) + maps), maps, x + conv(x), F.relu(maps), dim=1)


class Wired(nn.HybridBlock):
    def __init__(self, join, *layers):
        super().__init__()
        self.join = join
        for layer in layers:
            self.register_child(layer)

    def hybrid_forward(self, F, x):
        return self.join(F, x, *self._children.values())


@pytest.mark.parametrize(
    "build",
    [
        lambda: Residual(4),
        lambda: chain(Residual(4), Residual(6, halve=True)),
        lambda: Wired(two_uses, nn.Conv2D(4, 3, padding=1), nn.Conv2D(4, 3, padding=1)),
    ],
)
def test_fusing_a_sum_does_not_spoil_its_summands(build):
    """The images among them."""
    net, x = ready(build(), MANY, 4, 6, 6)
    before, expected = x.asnumpy(), net(x).asnumpy()
    forward = frozen(net)
    for _ in range(3):
        assert_close(forward(x).asnumpy(), expected, terms_of(net))
        np.testing.assert_array_equal(x.asnumpy(), before)


def test_batches_and_images_of_all_sizes_can_take_turns():
    net, _ = ready(chain(nn.Conv2D(6, 3, activation="relu"), nn.MaxPool2D(), nn.GlobalAvgPool2D()), 1, 1, 12, 12)
    forward = frozen(net)
    for batch, side in ((MANY, 12), (FEW, 12), (MANY + 3, 14), (1, 9), (MANY, 12), (FEW, 12)):
        x = nd.random.normal(shape=(batch, 1, side, side))
        assert_close(forward(x).asnumpy(), net(x).asnumpy(), terms_of(net) + x[0, 0].size)  # the last layer averages


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("batch", [FEW, MANY])
def test_deferred_shapes_are_completed_on_every_context(batch, count):
    contexts = [mx.cpu(i) for i in range(count)]
    net = get_model("lenet")
    net.initialize(mx.init.Xavier(), ctx=contexts)
    forward = frozen(net)
    x = nd.random.normal(shape=(batch, 1, 28, 28))
    for context in reversed(contexts):
        output = forward(x.as_in_context(context))
        assert output.context == context
        assert_close(output.asnumpy(), net(x.as_in_context(context)).asnumpy(), terms_of(net))


def test_a_network_of_doubles_predicts_in_doubles():
    net, x = lenet()
    net.cast("float64")
    x = x.astype("float64")
    assert_close(frozen(net)(x).asnumpy(), net(x).asnumpy(), terms_of(net))


# --- modes


@pytest.mark.parametrize("train_mode", [True, False])
def test_a_frozen_network_has_the_gradients_of_the_network(train_mode, graphs):
    """They need the plain operators; predictions before and after are fused.

    No max pools: in `train_mode=False` MXNet's own gradients of these are wrong.
    """
    layers = nn.Conv2D(6, 3, activation="relu"), nn.AvgPool2D(), nn.Conv2D(10, 3, activation="relu"), nn.Dense(3)
    net, x = ready(chain(*layers), MANY, 1, 12, 12)
    forward = frozen(net)
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
def test_the_mode_decides_of_dropout(train_mode, recording):
    net, x = ready(chain(nn.Conv2D(6, 3), nn.Dropout(0.5), nn.Flatten()), MANY, 1, 6, 6)
    forward = frozen(net)
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


def test_normalisation_in_training_mode_is_by_the_batch():
    net, x = ready(chain(nn.Conv2D(6, 3), nn.BatchNorm(), nn.Flatten()), MANY, 1, 6, 6)
    forward = frozen(net)
    by_statistics = forward(x).asnumpy()
    with autograd.train_mode():
        by_batch = forward(x).asnumpy()
        assert_close(by_batch, net(x).asnumpy(), terms_of(net))
    assert np.abs(by_batch - by_statistics).max() > 0.1
    assert_close(forward(x).asnumpy(), by_statistics, terms_of(net))


# --- weights that have changed


@pytest.mark.parametrize("batch", [FEW, MANY])
def test_a_new_one_has_the_new_weights(batch):
    """An old one may have those from before, in part."""
    net, x = lenet(batch)
    forwards = []  # all stay alive
    for _ in range(3):
        forwards.append(frozen(net))
        assert_close(forwards[-1](x).asnumpy(), net(x).asnumpy(), terms_of(net))
        net.initialize(mx.init.Normal(0.2), force_reinit=True)
        randomised(net)


def one_class_net():
    """Takes every image for the same class, which its convolution's weights decide, before a ReLU to be fused with."""
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
@pytest.mark.parametrize("batch", [FEW, MANY])
@pytest.mark.parametrize("count", [1, 2])
def test_every_evaluation_is_of_the_weights_as_they_are(count, batch, evaluated):
    """Of the network, of its twin, and of a network that is hybridized itself."""
    contexts = [mx.cpu(i) for i in range(count)]
    net = one_class_net()
    if evaluated == "active":
        hybrid_net = nn.HybridSequential()
        hybrid_net.add(*net)
        hybrid_net.hybridize()
        net = hybrid_net
    given = utils.hybridized(net) if evaluated == "twin" else net
    net.collect_params().reset_ctx(contexts)
    images = nd.random.uniform(1, 2, (batch * count, 1, 4, 4))
    for label in (0, 1, 2, 1):
        decide(net, label)
        data = [(images, nd.full(len(images), label))] * 2
        assert evaluation.evaluate(data, given, contexts).accuracy == 1
        assert utils.evaluate_accuracy(data, given, contexts) == 1


# --- blocks that are left as they are


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
    assert frozen(net) is net
    x = nd.random.normal(shape=(5, 3))
    assert evaluation.evaluate([(x, net(x).argmax(axis=1))], net, mx.cpu()).accuracy == 1


def test_an_evaluation_leaves_an_active_network_as_it_was(graphs):
    """Hybridized with its own flags and compiled: it is not compiled anew for its next call."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(6, 3, activation="relu"), nn.MaxPool2D(), nn.Dense(3))
    net.hybridize(static_alloc=True, inline_limit=5)
    _, x = ready(net, MANY, 1, 6, 6)

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
    """Looks at values, and so can be run as it is only; `hybridize()` is without effect."""

    def forward(self, x):
        return x if x.max().asscalar() > 0 else -x


def test_an_active_block_with_its_own_forward_can_be_evaluated():
    net = OwnHybridForward()
    net.hybridize()
    x = nd.random.normal(shape=(5, 3))
    assert utils.evaluate_accuracy([(x, net(x).argmax(axis=1))], net) == 1


@pytest.mark.parametrize(("name", "side"), [("resnet", 96), ("lenet", 12)])
def test_predictions_leave_the_parameters_as_they_are(name, side):
    net, x = ready(get_model(name), MANY, 1, side, side)
    before = [parameter.data().asnumpy() for parameter in net.collect_params().values()]
    forward = frozen(net)
    for _ in range(3):
        forward(x).wait_to_read()
    for parameter, values in zip(net.collect_params().values(), before):
        np.testing.assert_array_equal(parameter.data().asnumpy(), values)
