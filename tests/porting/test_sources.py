"""Networks by name, run folder, exported model and Python object."""

import sys
import types

from arrays import numbers
from gluon_classics import get_model
from gluon_classics.data.datasets import SAMPLE_FOLDER
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.porting.network.sources import from_block, from_symbol, source
from gluon_classics.porting.reference import execution
import mxnet as mx
from mxnet.gluon import nn
import numpy as np
import pytest

SHAPE = (3, 8, 8)


@pytest.fixture
def net(rng):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3, activation="relu"), nn.BatchNorm(scale=False), nn.MaxPool2D(), nn.Dense(5))
    net.initialize(mx.init.Normal(0.3))
    net.hybridize()
    net(mx.nd.array(numbers(rng, 2, *SHAPE)))
    return net


@pytest.fixture
def exported(net, tmp_path):
    net.export(str(tmp_path / "model"))
    return tmp_path


def checkpoint(folder, epoch=3):
    """Write a checkpoint of a Module with a SoftmaxOutput."""
    weights = {"num_filter": 4, "kernel": (3, 3), "name": "conv"}
    logits = mx.sym.FullyConnected(mx.sym.Convolution(mx.sym.var("data"), **weights), num_hidden=3, name="fc")
    module = mx.mod.Module(mx.sym.SoftmaxOutput(logits, name="softmax"))
    module.bind([("data", (2, *SHAPE))], [("softmax_label", (2,))])
    module.init_params()
    module.save_checkpoint(str(folder / "classifier"), epoch)
    return module


def predicted(network, images):
    (name,) = network.graph.inputs
    values = {name: images, **network.parameters()}
    return execution.predict(network.graph.for_prediction(), values)[network.graph.outputs[0]]


@pytest.mark.parametrize(
    ("released", "pool", "bias"), [(False, ([1, 1, 1, 1], "floor"), False), (True, ([0, 0, 0, 0], "ceil"), True)]
)
def test_the_network_of_the_authors_weights_is_described_as_the_guide_says(released, pool, bias):
    net = get_model("resnet50_v1", released=released)
    net.initialize()
    graph = from_block(net, (3, 64, 64)).graph
    operations = {operation.name: operation for operation in graph.operations}
    settings = operations["pool1"].settings
    assert (settings["padding"], settings["rounding"]) == pool
    assert ("bias" in operations["conv1.0"].parameters) == bias


@pytest.mark.parametrize("name", ["lenet", "resnet"])
def test_initial_weights_are_those_that_training_starts_from(name):
    parameters = source(name).parameters()
    net = prepare(published_settings(name, data=str(SAMPLE_FOLDER)), [mx.cpu()]).net
    own = net._collect_params_with_prefix()
    assert sorted(own) == sorted(parameters)
    for path, array in parameters.items():
        np.testing.assert_array_equal(array, own[path].data().asnumpy())


def test_a_run_folder_gives_its_trained_parameters(trained_run):
    network = source(trained_run)
    stored = mx.nd.load(str(trained_run / "net.params"))
    assert (network.name, network.input_shape) == ("lenet", (1, 28, 28))
    assert network.settings.learning_rate == 0.05
    for name, array in network.parameters().items():
        np.testing.assert_array_equal(array, stored[name].asnumpy())


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 28, 28)])
def test_the_weights_of_a_run_are_for_its_input_size(trained_run, shape):
    with pytest.raises(ClassicsError, match=r"are for 1x28x28 input: leave --input out, or train with this size"):
        source(trained_run, shape)


@pytest.mark.parametrize("path", ["model", "model-symbol.json", "model-0000.params"])
def test_an_exported_model_computes_what_its_network_computes(net, exported, rng, path):
    images = numbers(rng, 2, *SHAPE)
    network = source(exported / path, SHAPE)
    np.testing.assert_array_equal(predicted(network, images), net(mx.nd.array(images)).asnumpy())


def test_gamma_that_mxnet_fixes_is_1_and_not_trained(exported):
    content = mx.nd.load(str(exported / "model-0000.params"))
    gamma = next(name for name in content if name.endswith("gamma"))
    mx.nd.save(str(exported / "model-0000.params"), {**content, gamma: content[gamma] * 7})
    network = source(exported / "model", SHAPE)
    (row,) = (row for row in network.graph.parameters if row.role == "gamma")
    assert not row.trainable
    np.testing.assert_array_equal(network.parameters()[row.name], 1)


def test_a_checkpoint_of_a_module_needs_no_label(tmp_path, rng):
    module = checkpoint(tmp_path)
    network = source(tmp_path / "classifier", SHAPE)
    assert list(network.graph.inputs) == ["data"]
    assert network.graph.outputs == ("softmax",)
    assert [term.output for term in network.graph.loss] == ["fc"]
    images = numbers(rng, 2, *SHAPE)
    module.forward(mx.io.DataBatch([mx.nd.array(images)], [mx.nd.zeros(2)]), is_train=False)
    np.testing.assert_array_equal(predicted(network, images), module.get_outputs()[0].asnumpy())


def test_the_parameters_of_the_last_epoch_are_used(tmp_path):
    checkpoint(tmp_path, 3)
    last = checkpoint(tmp_path, 12)
    weights, _ = last.get_params()
    found = source(tmp_path / "classifier", SHAPE).parameters()
    np.testing.assert_array_equal(found["fc_weight"], weights["fc_weight"].asnumpy())
    first = source(tmp_path / "classifier-0003.params", SHAPE).parameters()
    assert (first["fc_weight"] != found["fc_weight"]).any()


def test_a_recorded_input_size_is_used(net):
    symbol = net(mx.sym.var("data", shape=(1, *SHAPE)))
    values = {name: parameter.data() for name, parameter in net.collect_params().items()}
    assert from_symbol(symbol, values).input_shape == SHAPE


def test_any_hybrid_block_is_a_source(net, rng):
    images = numbers(rng, 2, *SHAPE)
    np.testing.assert_array_equal(predicted(from_block(net, SHAPE), images), net(mx.nd.array(images)).asnumpy())


def test_a_prediction_takes_the_first_output(net, rng):
    images = numbers(rng, 2, *SHAPE)
    network = from_block(net, SHAPE)
    network.parameters()
    np.testing.assert_array_equal(network.predict(images), net(mx.nd.array(images)).asnumpy())


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_block_that_takes_no_symbols_is_an_error_in_one_line():
    class Numeric(nn.Block):
        def forward(self, x):
            return x.asnumpy()

    with pytest.raises(ClassicsError) as error:
        from_block(Numeric(), SHAPE)
    assert "write it with HybridBlocks" in one_line(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("resnt", "did you mean 'resnet'?"),
        ("gluoncv:resnet18_v1", "pip install 'gluon-classics[gluoncv]'"),
        ("none-symbol.json", "there is no file"),
        ("none-0000.params", "there is no file"),
    ],
)
def test_an_unknown_source_is_an_error_in_one_line(monkeypatch, text, words):
    monkeypatch.setitem(sys.modules, "gluoncv", None)
    with pytest.raises(ClassicsError) as error:
        source(text)
    assert words in one_line(error)


def arrays(folder):
    return mx.nd.load(str(folder / "model-0000.params"))


def lacking_one(folder):
    content = arrays(folder)
    del content[next(name for name in content if name.endswith("weight"))]
    mx.nd.save(str(folder / "model-0000.params"), content)


def with_another(folder):
    mx.nd.save(str(folder / "model-0000.params"), {**arrays(folder), "arg:other": mx.nd.zeros(1)})


def of_another_shape(folder):
    content = arrays(folder)
    name = next(name for name in content if name.endswith("dense0_bias") or name.endswith("bias"))
    mx.nd.save(str(folder / "model-0000.params"), {**content, name: mx.nd.zeros(77)})


def without_names(folder):
    mx.nd.save(str(folder / "model-0000.params"), list(arrays(folder).values()))


def damaged(folder):
    content = (folder / "model-0000.params").read_bytes()
    (folder / "model-0000.params").write_bytes(content[: len(content) // 2])


def damaged_symbol(folder):
    (folder / "model-symbol.json").write_text("{")


def without_parameters(folder):
    (folder / "model-0000.params").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lacking_one, "lack"),
        (with_another, "also have other"),
        (of_another_shape, "use its own .params file"),
        (without_names, "arrays have no names"),
        (damaged, "is not a parameter file, or it is damaged"),
        (damaged_symbol, "is not a model of MXNet, or it is damaged"),
        (without_parameters, "there is no parameter file"),
    ],
)
def test_a_damaged_model_is_an_error_in_one_line(exported, change, words):
    change(exported)
    with pytest.raises(ClassicsError) as error:
        source(exported / "model", SHAPE)
    assert words in one_line(error)


def test_a_model_without_a_recorded_size_needs_one(exported):
    with pytest.raises(ClassicsError, match="give it with --input") as error:
        source(exported / "model")
    one_line(error)


def test_a_model_with_two_inputs_is_rejected():
    symbol = mx.sym.var("left") + mx.sym.var("right")
    with pytest.raises(ClassicsError, match="has the inputs left, right") as error:
        from_symbol(symbol, {}, SHAPE)
    one_line(error)


def test_a_builder_of_gluoncv_that_refuses_an_argument_is_called_without_it(monkeypatch):
    def get_model(name, **arguments):
        if arguments != {"pretrained": False}:
            raise Warning("only accepts pretrained")  # as GluonCV's darknet53 does
        return nn.Dense(3)

    zoo = types.SimpleNamespace(get_model=get_model, get_model_list=lambda: ["odd"])
    monkeypatch.setitem(sys.modules, "gluoncv", types.SimpleNamespace(model_zoo=zoo))
    assert [row.kind for row in source("gluoncv:odd", SHAPE).graph.operations] == ["dense"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18_v1", "mobilenetv3_small", "shufflenet_v1", "resnest14", "nasnet_4_1056"])
def test_a_model_of_gluoncv_computes_what_gluoncv_computes(name, rng):
    pytest.importorskip("gluoncv")
    network = source(f"gluoncv:{name}", (3, 64, 64))
    images = numbers(rng, 2, 3, 64, 64)
    np.testing.assert_array_equal(predicted(network, images), network.predict(images))
