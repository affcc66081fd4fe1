"""A batch that is computed in parts trains as the whole batch, wherever a layer does not look at other images."""

from dataclasses import replace

from arrays import assert_gradients_close, terms_of, terms_of_gradients
from gluon_classics import LeNet, VGGNet
from gluon_classics.data import datasets
from gluon_classics.errors import ClassicsError, MemoryTooSmall
from gluon_classics.experiment import batch_memory, build
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.models.nin import mlpconv
from gluon_classics.utils.training import Callback, TrainingLoop
import mxnet as mx
from mxnet import gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
BATCH, CLASSES = 8, 3


class TwoOutputs(nn.HybridBlock):
    """A network with an auxiliary classifier: its outputs are two arrays of logits."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2D(6, 3, activation="relu")
        self.main, self.auxiliary = nn.Dense(CLASSES), nn.Dense(CLASSES)

    def hybrid_forward(self, F, x):
        maps = self.features(x)
        return self.main(maps), self.auxiliary(maps)


def with_auxiliary_loss(outputs, labels):
    return LOSS(outputs[0], labels) + 0.3 * LOSS(outputs[1], labels)


def chain(*layers):
    net = nn.Sequential()
    net.add(*layers)
    return net


NETWORKS = {
    "lenet": (lambda: LeNet(CLASSES), LOSS, 12),
    "vgg": (lambda: VGGNet(((1, 8), (1, 16)), CLASSES), LOSS, 8),
    "nin": (lambda: chain(mlpconv(16, 3, padding=1), nn.GlobalAvgPool2D(), nn.Dense(CLASSES)), LOSS, 12),
    "auxiliary": (TwoOutputs, with_auxiliary_loss, 8),
}


def without_dropout(block):
    """Set the rate of all dropout layers to 0."""
    block.apply(lambda child: setattr(child, "_rate", 0) if isinstance(child, nn.Dropout) else None)
    return block


class Gradients(Callback):
    """Keeps the gradients of each batch, added up over the contexts."""

    def __init__(self):
        self.kept = []

    def after_batch(self, loop):
        gradients = [p.list_grad() for p in loop.trainer._params if p.grad_req != "null"]
        self.kept.append([np.sum([copy.asnumpy() for copy in copies], axis=0) for copies in gradients])


def step(net, loss, data, size, contexts=None, rate=0.0, **options):
    """Train one batch, and return its gradients, and the metrics."""
    gradients = Gradients()
    trainer = gluon.Trainer(list(net.collect_params().values()), "sgd", {"learning_rate": rate})
    loop = TrainingLoop(net, loss, trainer, contexts or mx.cpu(), [gradients], micro_batch_size=size, **options)
    (record,) = loop.run([data], [data], 1)
    return gradients.kept[0], record


def images_and_labels(side, count=BATCH):
    return nd.random.normal(shape=(count, 1, side, side)), nd.array(np.arange(count) % CLASSES)


@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradients_of_the_parts_add_up_to_those_of_the_batch(name, eager):
    build_network, loss, side = NETWORKS[name]
    net = without_dropout(build_network())
    net.initialize(mx.init.Xavier())
    x, _ = images_and_labels(side)
    net(x)

    def draw():
        data = images_and_labels(side)
        parts, whole = (step(net, loss, data, size, eager=eager) for size in (3, None))
        assert parts[1].train_accuracy == whole[1].train_accuracy
        assert parts[1].train_loss == pytest.approx(whole[1].train_loss, rel=1e-5)
        return parts[0], whole[0]

    assert_gradients_close(draw, terms_of_gradients(net, x))


@pytest.mark.parametrize("size", [1, 3, 5])  # 5: the second part is 3 images; 1: one context has none
def test_each_part_is_split_over_the_contexts(size):
    contexts = [mx.cpu(0), mx.cpu(1)]
    net = LeNet(CLASSES)
    net.initialize(mx.init.Xavier(), ctx=contexts)
    x, _ = images_and_labels(12)
    net(x)

    def draw():
        data = images_and_labels(12)
        return step(net, LOSS, data, size, contexts)[0], step(net, LOSS, data, None, contexts)[0]

    assert_gradients_close(draw, terms_of_gradients(net, x))


@pytest.mark.parametrize("step_size", [None, 20])
def test_the_update_divides_by_the_size_of_the_whole_batch(step_size):
    net = LeNet(CLASSES)
    net.initialize(mx.init.Xavier())
    x, _ = images_and_labels(12)
    net(x)

    def draw():
        data, after = images_and_labels(12), []
        start = [p.data().copy() for p in net.collect_params().values()]
        for size in (3, None):
            for parameter, value in zip(net.collect_params().values(), start):
                parameter.set_data(value)
            gradients, _ = step(net, LOSS, data, size, rate=1.0, step_size=step_size)
            after.append([p.data().asnumpy() for p in net.collect_params().values()])
            moved = [old.asnumpy() - new for old, new in zip(start, after[-1])]
            expected = [gradient / (step_size or BATCH) for gradient in gradients]
            for one, other in zip(moved, expected):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        return after

    assert_gradients_close(draw, terms_of_gradients(net, x))


def layers_that_are_hard_to_repeat():
    return chain(nn.Conv2D(4, 3), nn.BatchNorm(), nn.Activation("relu"), nn.Dropout(0.3), nn.Dense(CLASSES))


def trained(size, sizes=(8, 8, 5), eager=False):
    """Return parameters after an epoch of batches of these sizes, from weights drawn in the first forward pass."""
    mx.random.seed(3)
    rng = np.random.RandomState(3)
    data = [(nd.array(rng.rand(count, 1, 12, 12)), nd.array(rng.randint(0, CLASSES, count))) for count in sizes]
    net = layers_that_are_hard_to_repeat()
    net.initialize(mx.init.Xavier())
    trainer = gluon.Trainer(list(net.collect_params().values()), "sgd", {"learning_rate": 0.1, "momentum": 0.9})
    TrainingLoop(net, LOSS, trainer, mx.cpu(), micro_batch_size=size, eager=eager).run(data, data, 1)
    return [p.data().asnumpy() for p in net.collect_params().values()]


@pytest.mark.parametrize("size", [8, 100])
def test_a_batch_of_one_part_is_bit_identical_to_the_whole_batch(size):
    for whole, parts in zip(trained(None), trained(size)):
        np.testing.assert_array_equal(whole, parts)


def test_batch_normalization_sees_the_parts():
    assert not all(map(np.array_equal, trained(None), trained(3)))


def test_repeated_training_in_parts_is_bit_identical():
    for once, again in zip(trained(3), trained(3)):
        np.testing.assert_array_equal(once, again)


def test_weights_are_drawn_in_the_first_forward_pass_of_the_first_part():
    results = []
    for size in (None, 3):
        mx.random.seed(5)
        net = LeNet(CLASSES)
        net.initialize(mx.init.Xavier())
        rng = np.random.RandomState(5)
        data = nd.array(rng.rand(BATCH, 1, 12, 12)), nd.array(rng.randint(0, CLASSES, BATCH))
        step(net, LOSS, data, size)
        results.append([p.data().asnumpy() for p in net.collect_params().values()])
    for whole, parts in zip(*results):
        np.testing.assert_array_equal(whole, parts)


def test_no_more_examples_than_the_size_are_computed_at_a_time():
    net, seen = LeNet(CLASSES), []
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, 12, 12)))
    net.register_forward_pre_hook(lambda _net, inputs: seen.append(len(inputs[0])))
    data = images_and_labels(12)
    trainer = gluon.Trainer(list(net.collect_params().values()), "sgd", {"learning_rate": 0.1})
    loop = TrainingLoop(net, LOSS, trainer, mx.cpu(), eager=True, micro_batch_size=3)
    loop._train_epoch([data])
    assert seen == [3, 3, 2]


def test_parameters_without_gradients_keep_their_values():
    net = LeNet(CLASSES)
    net.initialize(mx.init.Xavier())
    data = images_and_labels(12)
    net(data[0])
    net[0].weight.grad_req = "null"
    before = net[0].weight.data().asnumpy(), net[0].bias.data().asnumpy()
    step(net, LOSS, data, 3, rate=0.5)
    np.testing.assert_array_equal(net[0].weight.data().asnumpy(), before[0])
    assert not np.array_equal(net[0].bias.data().asnumpy(), before[1])


class OnlyForPositive(nn.Block):
    """A network that uses a second layer only for images that are positive."""

    def __init__(self):
        super().__init__()
        self.always, self.sometimes = nn.Dense(CLASSES, in_units=4), nn.Dense(CLASSES, in_units=4)

    def forward(self, x):
        logits = self.always(x)
        return logits + self.sometimes(x) if x.min().asscalar() > 0 else logits


@pytest.mark.parametrize("places", [(0,), (1,), (0, 2)])
def test_a_part_whose_loss_does_not_depend_on_a_parameter_adds_nothing_to_its_gradient(places):
    net = OnlyForPositive()
    net.initialize(mx.init.Normal(0.5))
    images = -nd.random.uniform(0.5, 1, (6, 4))
    labels = nd.array([0, 1, 2, 0, 1, 2])
    for place in places:
        images[2 * place : 2 * place + 2] *= -1
    gradients, _ = step(net, LOSS, (images, labels), 2, eager=True)
    number = list(net.collect_params().values()).index(net.sometimes.bias)
    outputs = np.concatenate([net(images[start : start + 2]).asnumpy() for start in (0, 2, 4)])
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True) - np.eye(CLASSES)[[0, 1, 2] * 2]
    expected = sum(shares[2 * place : 2 * place + 2].sum(axis=0) for place in places)
    np.testing.assert_allclose(gradients[number], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [0, -1, 2.5, "3", True])
def test_a_size_that_is_not_a_number_of_examples_is_refused(size):
    net = LeNet(CLASSES)
    net.initialize()
    trainer = gluon.Trainer(list(net.collect_params().values()), "sgd")
    with pytest.raises(ClassicsError, match="use None, or a whole number, 1 or more"):
        TrainingLoop(net, LOSS, trainer, mx.cpu(), micro_batch_size=size)


# --- in an experiment


@pytest.fixture(scope="module")
def data():
    """Return 24 training and 20 test images."""
    sample = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
    return replace(sample, train=sample.train.subset(24), test=sample.test.subset(20))


def parameters_after(settings, data):
    experiment = build.prepare(settings, [mx.cpu()], data)
    (record,) = experiment.train()
    return [p.data().asnumpy() for p in experiment.net.collect_params().values()], record, experiment


@pytest.mark.parametrize("last_batch", ["keep", "scale"])
def test_lenet5s_own_optimizer_trains_in_parts(last_batch, data):
    """The step sizes are estimated from other images between the batches, which must not mix with the gradients."""
    settings = published_settings("lenet5", epochs=1, batch_size=16, last_batch=last_batch)
    whole, parts = (parameters_after(replace(settings, micro_batch_size=size), data) for size in (None, 5))
    assert parts[1].train_loss == pytest.approx(whole[1].train_loss, rel=1e-4)
    terms = 16 * terms_of(whole[2].net)
    for one, other in zip(parts[0], whole[0]):
        np.testing.assert_allclose(one, other, rtol=0, atol=2**-22 * np.sqrt(terms) * np.abs(other).max())


def test_only_the_parts_must_fit_into_memory(data, monkeypatch):
    values = 28 * 28 + 20 * 24 * 24 + 50 * 10 * 10 + 128 + 10
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: 4 * 6 * values)
    settings = Settings("lenet", batch_size=24)
    with pytest.raises(MemoryTooSmall, match=r"a batch of 24 images .*6 at most, compute it in parts \(--micro-batch"):
        build.prepare(settings, [mx.cpu()], data)
    experiment = build.prepare(replace(settings, micro_batch_size=6), [mx.cpu()], data)
    assert (experiment.train_data.batch_size, experiment.test_data.batch_size) == (24, 6)
