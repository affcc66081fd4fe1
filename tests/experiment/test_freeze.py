"""With a frozen body only the new last layer learns; everything else keeps its bits."""

from dataclasses import replace

from gluon_classics import model_info
from gluon_classics.data import datasets
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.build import build, freeze_body, head_parameters, prepare
from gluon_classics.experiment.parameter_files import fix_shapes, save_parameters
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs.checkpoint import write_checkpoint
from gluon_classics.runs.checkpoint_facts import read_training
from gluon_classics.runs.state import capture, restore
from gluon_classics.utils.training import Callback
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np
import pytest

CPU = [mx.cpu()]
SIDES = {"resnet18_v1": 32, "resnet": 75, "lenet": 28, "lenet_bn": 28, "lenet_bn_scratch": 28}


@pytest.fixture(scope="module")
def data():
    """Return 24 training and 12 test images."""
    sample = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
    return replace(sample, train=sample.train.subset(24), test=sample.test.subset(12))


@pytest.fixture
def settings_of(tmp_path):
    """Return a function that makes the settings of a run which starts from a parameter file of the network."""

    def make(model, **options):
        side = SIDES[model]
        net = build(model, 10, trained=True)
        net.initialize(mx.init.Xavier())
        fix_shapes(net, CPU, (1, side, side))
        for parameter in net.collect_params().values():
            if len(parameter.shape) == 1:  # biases, scales, and running statistics other than 0 and 1
                parameter.set_data(nd.random.uniform(0.2, 1, parameter.shape))
        path = tmp_path / "body.params"
        save_parameters(net, path)
        resize = None if side == model_info(model).input_shape[1] else side
        given = {"batch_size": 8, "epochs": 1, "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.01, **options}
        return Settings(model, resize=resize, init_from=str(path), new_head=True, freeze="body", **given)

    return make


def values(experiment):
    parameters = experiment.net._collect_params_with_prefix()
    return {name: parameter.list_data()[0].asnumpy() for name, parameter in parameters.items()}


@pytest.mark.filterwarnings("ignore:running eagerly:RuntimeWarning")
@pytest.mark.parametrize(
    ("model", "eager", "contexts"),
    [
        ("lenet", False, 1),
        ("lenet_bn", False, 1),
        ("lenet_bn", True, 1),
        ("lenet_bn", False, 2),
        ("lenet_bn_scratch", True, 1),
        ("resnet18_v1", False, 1),
        ("resnet", False, 1),
    ],
)
def test_only_the_last_layer_changes(model, eager, contexts, settings_of, data):
    settings = settings_of(model)
    experiment = prepare(settings, [mx.cpu(number) for number in range(contexts)], data)
    before = values(experiment)
    experiment.train(eager=eager)
    head = head_parameters(model, 10, experiment.input_shape)
    assert 1 <= len(head) <= 2
    for name, value in values(experiment).items():
        assert np.array_equal(value, before[name]) == (name not in head), name
        if contexts == 2:
            copies = [copy.asnumpy() for copy in experiment.net._collect_params_with_prefix()[name].list_data()]
            np.testing.assert_array_equal(*copies)


@pytest.mark.filterwarnings("ignore:running eagerly:RuntimeWarning")
@pytest.mark.parametrize(
    ("model", "eager"), [("lenet_bn", False), ("lenet_bn", True), ("lenet_bn_scratch", True), ("resnet18_v1", False)]
)
def test_batch_normalization_of_the_body_uses_its_running_statistics_in_training(model, eager, settings_of, data):
    """The loss of a batch in training is that of predictions, which do not depend on the other images."""
    experiment = prepare(settings_of(model, batch_size=24, weight_decay=0.0), CPU, data)
    images, labels = next(iter(experiment.train_data))
    with autograd.predict_mode():
        logits = experiment.net(images).asnumpy().astype(np.float64)
    largest = logits.max(axis=1)
    logs = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
    expected = (logs - logits[np.arange(24), labels.asnumpy().astype(int)]).mean()
    (record,) = experiment.train(eager=eager)
    assert record.train_loss == pytest.approx(expected, rel=1e-4)
    free = prepare(replace(experiment.settings, freeze="none"), CPU, data)
    (other,) = free.train(eager=eager)
    assert other.train_loss != pytest.approx(expected, rel=1e-2), "batch statistics give another loss"


def test_no_gradients_are_computed_for_the_body(settings_of, data):
    experiment = prepare(settings_of("lenet_bn"), CPU, data)
    head = head_parameters("lenet_bn", 10, experiment.input_shape)
    parameters = experiment.net._collect_params_with_prefix()
    assert {name for name, parameter in parameters.items() if parameter.grad_req != "null"} == set(head)
    assert all(parameter._grad is None for name, parameter in parameters.items() if name not in head)


def test_the_number_of_parameters_is_that_of_the_network(settings_of, data):
    settings = settings_of("lenet_bn")
    free = prepare(replace(settings, freeze="none"), CPU, data)
    assert prepare(settings, CPU, data).parameters == free.parameters > 840


def test_the_frozen_network_predicts_as_its_parameter_file(settings_of, data, tmp_path):
    """Its file is that of any network of its kind."""
    experiment = prepare(settings_of("resnet18_v1"), CPU, data)
    experiment.train()
    save_parameters(experiment.net, tmp_path / "trained.params")
    net = build("resnet18_v1", 10)
    net.load_parameters(str(tmp_path / "trained.params"))
    ((images, _), *_) = experiment.test_data
    np.testing.assert_array_equal(net(images).asnumpy(), experiment.net(images).asnumpy())


class StopAfter(Callback):
    """Writes a checkpoint after some batches, and goes on."""

    def __init__(self, experiment, batches, path):
        self._experiment, self._batches, self._path = experiment, batches, path

    def after_batch(self, loop):
        if loop.batches == self._batches:
            write_checkpoint(self._path, *capture(self._experiment, loop.position, []))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_resumed_training_is_bit_identical_also_without_the_file_that_it_started_from(
    optimizer, settings_of, data, tmp_path
):
    settings = settings_of("lenet_bn", optimizer=optimizer, momentum=0.9 if optimizer == "sgd" else 0.0, batch_size=4)
    whole = prepare(settings, CPU, data)
    whole = replace(whole, streams=replace(whole.streams, every=3))
    whole.train([StopAfter(whole, 3, tmp_path / "kept.ckpt")])
    (tmp_path / "body.params").unlink()
    rest = replace(prepare(settings, CPU, data, restored=True), streams=whole.streams)
    start, _ = restore(rest, *read_training(tmp_path / "kept.ckpt"))
    rest.train(start=start)
    one, other = values(whole), values(rest)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_network_whose_last_layer_is_fixed_is_refused():
    net = nn.Sequential()
    net.add(nn.Dense(4, in_units=3), nn.Dense(2, in_units=4))
    net.initialize()
    net[1].collect_params().setattr("grad_req", "null")
    with pytest.raises(ClassicsError, match="the last layer of Sequential has fixed weights: leave freeze out"):
        freeze_body(net, ["1.weight", "1.bias"])


class OwnStatistics(nn.HybridBlock):
    """A layer that keeps running statistics in a way that this package does not know."""

    def __init__(self):
        super().__init__()
        self.running_mean = self.params.get("running_mean", shape=(3,), grad_req="null")

    def hybrid_forward(self, F, x, running_mean):
        return x


def test_a_layer_with_running_statistics_of_another_kind_is_refused():
    net = nn.Sequential()
    net.add(OwnStatistics(), nn.Dense(2, in_units=3))
    net.initialize()
    with pytest.raises(ClassicsError, match="OwnStatistics cannot keep its running statistics"):
        freeze_body(net, ["1.weight", "1.bias"])
