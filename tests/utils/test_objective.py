"""The loss and the scores of a network, and the settings that it was published with."""

from dataclasses import replace

from gluon_classics import get_model, list_models, model_info, utils
from gluon_classics.data import datasets
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment import build, initializers
from gluon_classics.experiment.diagonal_lm import StepSizeCallback
from gluon_classics.experiment.optimizers import rate_factor
from gluon_classics.experiment.published_training import for_images, published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.models.googlenet import AuxiliaryLoss
from gluon_classics.models.lenet5 import MAPLoss
from gluon_classics.models.objective import SOFTMAX, Objective, objective_of
from gluon_classics.runs.checkpoint import write_checkpoint
from gluon_classics.runs.checkpoint_facts import read_training
from gluon_classics.runs.state import capture, restore
from gluon_classics.utils import training
from gluon_classics.utils.evaluation import predict_probabilities
import mxnet as mx
from mxnet import gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest


class SecondOutput(nn.HybridBlock):
    """A network whose class is the position of the smallest number of its second output."""

    objective = Objective(loss=gluon.loss.L1Loss, scores=lambda outputs: -outputs[1])

    def hybrid_forward(self, F, x):
        return F.zeros_like(x), x


class FirstOutput(SecondOutput):
    objective = SOFTMAX


ROWS = nd.array([[3, 1, 2], [0, 5, 4], [6, 8, 7], [2, 2, 1]])
SMALLEST = nd.array([1, 0, 0, 2])
WAYS = [lambda net: net, utils.hybridized, utils.for_inference, lambda net: utils.for_inference(utils.hybridized(net))]


@pytest.mark.parametrize("way", WAYS, ids=["eager", "compiled", "inference", "both"])
def test_a_compiled_twin_has_the_objective_of_its_network(way):
    assert objective_of(way(SecondOutput())) is SecondOutput.objective
    assert objective_of(way(nn.HybridSequential())) is SOFTMAX


@pytest.mark.parametrize("way", WAYS[:2], ids=["eager", "compiled"])
def test_evaluation_uses_the_networks_own_scores(way):
    net = way(SecondOutput())
    assert utils.evaluate_accuracy([(ROWS, SMALLEST)], net) == 1
    assert utils.evaluate_accuracy([(ROWS, nd.array([1, 0, 0, 1]))], net) == 0.75
    assert utils.evaluate_accuracy([(ROWS, nd.zeros(4))], way(FirstOutput())) == 1  # ties count as the first entry


def test_probabilities_are_the_softmax_of_the_scores():
    rows = ROWS.astype("float64")
    actual = predict_probabilities([(rows, SMALLEST)], SecondOutput(), mx.cpu())
    shares = np.exp(-rows.asnumpy())
    expected = shares / shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(actual, expected, rtol=2**-26)  # half of the digits of float64


@pytest.mark.parametrize(
    "form",
    [
        lambda labels: nd.array(labels, dtype="float32"),
        lambda labels: nd.array(labels, dtype="int32"),
        lambda labels: nd.array(labels, dtype="int64"),
        lambda labels: nd.array(labels, dtype="uint8"),
        lambda labels: labels,
        lambda labels: labels.astype("float64"),
        lambda labels: labels.tolist(),
        lambda labels: mx.np.array(labels),
    ],
)
def test_the_accuracy_is_numpys_for_labels_of_every_accepted_form(form, rng):
    scores, labels = rng.randn(40, 7).astype(np.float32), rng.randint(0, 7, 40)
    expected = np.mean(scores.argmax(axis=1) == labels)
    assert utils.accuracy(nd.array(scores), form(labels)) == pytest.approx(expected)
    net = nn.HybridSequential()
    net.add(nn.HybridLambda("identity"))
    assert utils.evaluate_accuracy([(nd.array(scores), form(labels))], net) == pytest.approx(expected)


def test_accuracy_uses_the_first_of_several_outputs():
    assert utils.accuracy([ROWS, -ROWS], nd.array([0, 1, 1, 0])) == 1
    assert utils.accuracy(-ROWS, SMALLEST) == 1


def test_training_accuracy_uses_the_networks_own_scores():
    net = nn.HybridSequential()
    net.add(nn.Dense(3, weight_initializer="zeros"))
    net.objective = Objective(scores=lambda outputs: -outputs)
    net.initialize()
    net(ROWS)
    net[0].bias.set_data(nd.array([0, 1, 2]))
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1e-9})
    data = [(ROWS, nd.array([0, 0, 0, 2]))]
    (result,) = utils.train(data, data, net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, mx.cpu(), num_epochs=1)
    assert (result.train_accuracy, result.test_accuracy) == (0.75, 0.75)


@pytest.fixture(scope="module")
def sample():
    data = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
    return datasets.DataSet(data.name, data.train.subset(40), data.test.subset(20), data.classes, data.origin)


def test_an_experiment_uses_the_published_loss_initial_weights_and_pixels(sample):
    made = build.prepare(published_settings("lenet5"), [mx.cpu()], sample)
    assert isinstance(made.loss, MAPLoss)
    assert type(made.trainer.optimizer).__name__ == "DiagonalLM"
    images, _ = next(iter(made.train_data))
    assert images.shape == (1, 1, 32, 32)
    images, _ = next(iter(made.test_data))
    assert images.shape == (20, 1, 32, 32)  # all of them: tests take larger batches than the paper's training
    pixels = images.asnumpy()[0, 0]
    expected = sample.test.images[0, :, :, 0] / 255 * 1.275 - 0.1
    np.testing.assert_allclose(pixels[2:30, 2:30], expected, atol=3 * 2**-24 * 1.275, rtol=0)  # / 255, product, sum
    border = np.ones_like(pixels, dtype=bool)
    border[2:30, 2:30] = False
    assert set(pixels[border]) == {np.float32(-0.1)}
    made.net(images)
    assert 0 < abs(made.net[0].weight.data()).max().asscalar() <= 2.4 / 25


def test_other_networks_are_trained_with_the_blogs_settings(sample):
    assert published_settings("lenet") == Settings("lenet")
    made = build.prepare(published_settings("lenet"), [mx.cpu()], sample)
    assert isinstance(made.loss, gluon.loss.SoftmaxCrossEntropyLoss)
    images, _ = next(iter(made.test_data))
    assert (images.min().asscalar(), images.max().asscalar()) == (0, 1)


def test_googlenet_v1_has_its_auxiliary_classifiers_in_training_only(sample):
    settings, _ = for_images(published_settings("googlenet_v1", resize=80), 1, sample.train.labels, {})
    made = build.prepare(settings, [mx.cpu()], sample)
    assert isinstance(made.loss, AuxiliaryLoss)
    assert made.parameters > utils.summarize(build.build("googlenet_v1", 10), (1, 80, 80)).params
    assert not hasattr(build.build("googlenet_v1", 10), "auxiliary_4a")


def test_options_override_the_published_settings():
    own = published_settings("lenet5")
    assert own.epochs != Settings("lenet5").epochs
    options = {"batch_size": 64, "optimizer": "sgd", "fit": "resize"}
    assert published_settings("lenet5", epochs=None, **options) == replace(own, **options) != own


def test_the_published_settings_of_every_network_are_valid():
    for name in list_models():
        assert published_settings(name).size == model_info(name).input_shape[1]


def test_another_initializer_replaces_that_of_the_networks_weights():
    net = get_model("lenet5")
    initializers.initialize(net, published_settings("lenet5", init="normal(0.3)"), [mx.cpu()], (1, 32, 32))
    net(nd.zeros((1, 1, 32, 32))).wait_to_read()  # a convolution reorders its weights in the background
    weight = net[8].weight.data().asnumpy()
    assert weight.std() == pytest.approx(0.3, rel=5 / np.sqrt(2 * weight.size))  # five standard errors
    assert abs(net[-1].codes.data()).min().asscalar() == 1


def test_a_number_of_classes_that_a_network_cannot_have_is_refused():
    with pytest.raises(ClassicsError, match="lenet5 has codes for 10 classes, not for 12"):
        build.build("lenet5", 12)


# --- schedules


def test_lenet5_has_the_published_schedule():
    settings = published_settings("lenet5")
    rates = [settings.learning_rate * rate_factor(settings.schedule, epoch, 20) for epoch in range(settings.epochs)]
    expected = [0.0005] * 2 + [0.0002] * 3 + [0.0001] * 3 + [0.00005] * 4 + [0.00001] * 8
    assert rates == pytest.approx(expected)


def test_training_follows_the_schedule(sample, monkeypatch):
    settings = published_settings("lenet", epochs=4, batch_size=20, learning_rate=0.5, schedule="1:0.1 3:0.02")
    made = build.prepare(settings, [mx.cpu()], sample)
    rates = []
    step = made.trainer.step
    monkeypatch.setattr(made.trainer, "step", lambda size: rates.append(made.trainer.learning_rate) or step(size))
    made.train()
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.05, 0.05, 0.01, 0.01])


@pytest.mark.parametrize(
    ("last_batch", "sizes"), [("keep", [16, 16, 8]), ("discard", [16, 16]), ("scale", [16, 16, 16])]
)
def test_a_last_partial_batch_is_trained_as_the_settings_say(last_batch, sizes, sample, monkeypatch):
    """`sizes` are the divisors of the summed gradients of each batch, with 40 images."""
    settings = published_settings("lenet", batch_size=16, last_batch=last_batch)
    made = build.prepare(settings, [mx.cpu()], sample)
    divisors = []
    step = made.trainer.step
    monkeypatch.setattr(made.trainer, "step", lambda size: divisors.append(size) or step(size))
    made.train()
    assert divisors == sizes


def test_steps_of_a_schedule_may_come_in_any_order():
    assert [rate_factor("3:0.1 1:0.5", epoch, 5) for epoch in range(5)] == [1, 0.5, 0.5, 0.1, 0.1]
    assert rate_factor("", 7, 8) == 1


def test_a_cosine_falls_over_all_epochs_and_a_warm_up_rises_to_it():
    halves = [(1 + np.cos(np.pi * epoch / 8)) / 2 for epoch in range(8)]
    assert [rate_factor("cosine", epoch, 8) for epoch in range(8)] == pytest.approx(halves)
    assert halves[0] == 1
    assert halves[4] == pytest.approx(0.5)
    warm = [0.1, 0.4, 0.7, 1, 1]  # linear from a tenth
    assert [rate_factor("warmup:3", epoch, 5) for epoch in range(5)] == pytest.approx(warm)
    both = [factor * half for factor, half in zip(warm, halves)]
    assert [rate_factor("warmup:3 cosine", epoch, 8) for epoch in range(5)] == pytest.approx(both)
    assert rate_factor("warmup:2 1:0.5", 1, 4) == pytest.approx(0.55 * 0.5)


def test_a_decay_applies_after_every_few_epochs():
    assert [rate_factor("decay:0.96:8", epoch, 30) for epoch in (0, 7, 8, 15, 16)] == pytest.approx(
        [1, 1, 0.96, 0.96, 0.96**2]
    )
    assert [rate_factor("decay:0.5:2.4", epoch, 9) for epoch in range(6)] == [1, 1, 1, 0.5, 0.5, 0.25]


# the rate from each of these epochs on, from the papers or their authors' code (see the docstrings of the families)
RATES = {
    "vgg16_bn": {0: 0.1, 30: 0.01, 60: 0.001},
    "nin_cifar10": {0: 0.1, 200: 0.01, 230: 0.001},
    "nin_imagenet": {0: 0.01, 10: 0.001, 20: 0.0001},
    "resnet56_cifar10": {0: 0.1, 82: 0.01, 123: 0.001},
    "resnet110_cifar10": {0: 0.01, 1: 0.1, 82: 0.01, 123: 0.001},
    "resnet200_v2": {0: 0.1, 30: 0.01, 60: 0.001},
    "inception_v3": {0: 0.045, 2: 0.045 * 0.94, 4: 0.045 * 0.94**2},
    "densenet121": {0: 0.1, 30: 0.01, 60: 0.001},
    "densenet161": {0: 0.1, 30: 0.01, 60: 0.001, 90: 0.0001},
    "resnext50_32x4d": {0: 0.1, 30: 0.01, 60: 0.001, 90: 0.0001},
    "mobilenet_v2": {0: 0.045, 1: 0.045 * 0.98, 2: 0.045 * 0.98**2},
    "se_resnet50": {0: 0.6, 30: 0.06, 60: 0.006, 90: 0.0006},
    "regnetx_400mf": {0: 0.08, 50: 0.4},
    "efficientnet_b0": {0: 0.0256, 5: 0.256 * 0.97**2, 8: 0.256 * 0.97**3},
}


@pytest.mark.parametrize("name", RATES)
def test_networks_of_papers_have_the_papers_rates(name):
    own = published_settings(name)
    found = {epoch: own.learning_rate * rate_factor(own.schedule, epoch, own.epochs) for epoch in RATES[name]}
    assert found == pytest.approx(RATES[name])


def test_the_rate_of_a_paper_changes_at_the_published_epoch_and_not_before():
    for name, before in (("densenet161", 89), ("nin_cifar10", 199), ("resnet110_cifar10", 81)):
        own = published_settings(name)
        factors = [rate_factor(own.schedule, epoch, own.epochs) for epoch in (before, before + 1)]
        assert factors[1] == pytest.approx(factors[0] / 10)


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "a:1",
        "1:b",
        "-1:0.5",
        "1:0",
        "1:-2",
        "1:inf",
        "1:nan",
        "1:2:3",
        "warmup",
        "warmup:0",
        "warmup:x",
        "linear",
        "cosine:2",
        "decay:0.9",
        "decay:0:1",
    ],
)
def test_a_malformed_schedule_is_refused(text):
    with pytest.raises(ClassicsError, match="is not a schedule: list epochs"):
        published_settings("lenet", schedule=text)


# --- step sizes during training


def trained(experiment):
    """Return the arguments of a TrainingLoop for the experiment."""
    return experiment.net, experiment.loss, experiment.trainer, experiment.contexts


@pytest.mark.parametrize(("batch_size", "expected"), [(20, [0, 25]), (1000, [0, 1])])
def test_step_sizes_are_estimated_again_after_every_500_examples(batch_size, expected, sample, monkeypatch):
    settings = published_settings("lenet5", batch_size=batch_size)
    made = build.prepare(settings, [mx.cpu()], sample)
    estimated = []
    monkeypatch.setattr(made.trainer.optimizer, "estimate", lambda net, loss, images: estimated.append(images))
    callback, loop, at = StepSizeCallback(made.train_data, made.streams), training.TrainingLoop(*trained(made)), []
    for loop.batches in range(50 if batch_size == 20 else 2):
        callback.before_batch(loop)
        at += [loop.batches] * (len(estimated) > len(at))
    assert at == expected
    assert estimated[0].shape == (40, 1, 32, 32)
    assert not np.array_equal(estimated[0].asnumpy(), estimated[1].asnumpy())  # the examples are in another order


@pytest.mark.parametrize("contexts", [[mx.cpu()], [mx.cpu(0), mx.cpu(1)]], ids=["one device", "two devices"])
def test_a_resumed_training_has_the_step_sizes_of_an_uninterrupted_one(contexts, tmp_path):
    data = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
    training_images = data.train.subset(300 * len(contexts))
    data = datasets.DataSet(data.name, training_images, data.test.subset(20), data.classes, data.origin)
    settings = published_settings("lenet5", epochs=1, batch_size=len(contexts))
    whole = build.prepare(settings, contexts, data)
    middle = whole.streams.every
    assert 0 < middle < len(whole.train_data)

    class Keep(training.Callback):
        def after_batch(self, loop):
            if loop.batches == middle:
                write_checkpoint(tmp_path / "kept.ckpt", *capture(whole, loop.position, []))

    whole.train([Keep()])
    rest = build.prepare(settings, contexts, data)
    start, _ = restore(rest, *read_training(tmp_path / "kept.ckpt"))
    rest.train(start=start)
    for one, other in zip(whole.net.collect_params().values(), rest.net.collect_params().values()):
        for ctx in contexts:
            np.testing.assert_array_equal(one.data(ctx).asnumpy(), other.data(ctx).asnumpy())


def test_lenet5_learns_the_same_on_several_devices(sample):
    trained = []
    for contexts in ([mx.cpu()], [mx.cpu(0), mx.cpu(1)]):
        made = build.prepare(published_settings("lenet5", epochs=1, batch_size=4), contexts, sample)
        before = {name: p.data(contexts[0]).asnumpy() for name, p in made.net._collect_params_with_prefix().items()}
        made.train()
        trained.append([p.data(contexts[-1]).asnumpy() for p in made.net._collect_params_with_prefix().values()])
    for name, one, other in zip(before, *trained):
        assert (name == "output.codes") == np.array_equal(one, before[name])
        # ten steps, each with sums of up to 10,000 float32 products in another order
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-4 * np.abs(one).max())


def test_an_exception_of_lenet5s_optimizer_ends_the_training_on_several_devices(sample):
    """A key-value store would ignore it, and the weights would stay as they are."""
    made = build.prepare(published_settings("lenet5", epochs=1, batch_size=4), [mx.cpu(0), mx.cpu(1)], sample)
    made.trainer.optimizer.estimate = lambda *_: None
    with pytest.raises(KeyError):
        made.train()
