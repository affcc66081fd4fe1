"""Test what layout.json says: with it, layers of other frameworks compute the same."""

from __future__ import annotations

import json

from gluon_classics import get_model, model_info
from gluon_classics.porting.graph import graph_digest
from gluon_classics.porting.network.capture import capture
from gluon_classics.porting.network.parameter_layout import layout, to_json
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
import pytest

# float32 sums of at most 150 terms, each rounded at 6e-8
TOLERANCE = 1e-5


def captured(name):
    info = model_info(name)
    return capture(get_model(name, **info.trained_as), info.input_shape, name)


def entries(graph):
    return {entry["name"]: entry for entry in layout(graph, "1.0")["parameters"]}


def converted(array, entry):
    """Apply the rule of the file."""
    return array.reshape(entry.get("reshape", array.shape)).transpose(entry["transpose"]).reshape(entry["shape"])


class Small(nn.HybridSequential):
    """A grouped convolution, batch normalization, a pool, and a dense layer behind an explicit flatten and ReLU."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.add(nn.Conv2D(6, (3, 2), groups=2, in_channels=4), nn.BatchNorm(), nn.Flatten())
            self.add(nn.Activation("relu"), nn.Dropout(0.5), nn.Dense(5))


@pytest.fixture
def small():
    net = Small()
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 4, 6, 5))).wait_to_read()  # a convolution reorders its weights in the background
    parameters = {name: parameter.data().asnumpy() for name, parameter in net._collect_params_with_prefix().items()}
    return net, entries(capture(net, (4, 6, 5))), parameters


@pytest.mark.parametrize("framework", ["flax", "keras"])
def test_a_converted_kernel_convolves_with_channels_last(rng, small, framework):
    net, layouts, parameters = small
    kernel = converted(parameters["0.weight"], layouts["0.weight"][framework])
    assert kernel.shape == (3, 2, 2, 6)  # height, width, in / groups, out
    x = rng.normal(size=(4, 3, 2)).astype(np.float32)
    expected = net[0](nd.array(x[None])).asnumpy()[0, :, 0, 0]
    last = x.transpose(1, 2, 0)
    groups = [np.tensordot(last[..., 2 * g : 2 * g + 2], kernel[..., 3 * g : 3 * g + 3], 3) for g in (0, 1)]
    np.testing.assert_allclose(np.concatenate(groups), expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("framework", ["flax", "keras"])
def test_a_converted_dense_layer_takes_a_flattened_map_with_channels_last(rng, small, framework):
    net, layouts, parameters = small
    entry = layouts["5.weight"]
    assert entry["flattened"] == [6, 4, 4]
    kernel = converted(parameters["5.weight"], entry[framework])
    x = rng.normal(size=(2, 6, 4, 4)).astype(np.float32)
    expected = net[5](nd.array(x)).asnumpy()
    np.testing.assert_allclose(x.transpose(0, 2, 3, 1).reshape(2, -1) @ kernel, expected, rtol=0, atol=TOLERANCE)


def test_pytorch_keeps_every_order(small):
    _, layouts, parameters = small
    for name, array in parameters.items():
        np.testing.assert_array_equal(converted(array, layouts[name]["pytorch"]), array)


def test_batch_normalization_has_the_names_of_each_framework(small):
    _, layouts, _ = small
    roles = ("gamma", "beta", "running_mean", "running_var")
    names = {
        framework: [layouts[f"1.{role}"][framework]["name"] for role in roles]
        for framework in ("pytorch", "flax", "keras")
    }
    assert names == {
        "pytorch": ["1.weight", "1.bias", "1.running_mean", "1.running_var"],
        "flax": ["1.scale", "1.bias", "1.mean", "1.var"],
        "keras": ["1.gamma", "1.beta", "1.moving_mean", "1.moving_variance"],
    }
    assert [layouts[f"1.{role}"]["flax"]["collection"] for role in roles] == ["params"] * 2 + ["batch_stats"] * 2


def test_counters_that_only_pytorch_has_are_listed():
    found = layout(captured("lenet_bn"), "1.0")["pytorch_only"]
    assert found == {f"{number}.num_batches_tracked": {"dtype": "int64", "value": 0} for number in (1, 5, 10, 13)}


@pytest.mark.parametrize("name", ["alexnet_2012", "googlenet_v1", "lenet5", "densenet_d2l", "efficientnet_b0"])
def test_the_layout_has_all_parameters_of_a_network(name):
    graph = captured(name)
    document = json.loads(to_json(layout(graph, "1.0")))
    rows = document["parameters"]
    assert [row["name"] for row in rows] == [row.name for row in graph.parameters]
    for framework in ("pytorch", "flax", "keras"):
        assert len({row[framework]["name"] for row in rows}) == len(rows)
        for row in rows:
            assert np.prod(row[framework]["shape"]) == np.prod(row["shape"])
    assert document["graph_sha256"] == graph_digest(graph)
    assert document["network"] == name


def test_a_parameter_that_no_layer_has_keeps_its_name_and_order():
    codes = entries(captured("lenet5"))["output.codes"]
    assert codes["keras"] == {"name": "output.codes", "transpose": [0, 1], "shape": [10, 84]}


def test_a_model_of_symbols_gets_a_path_for_each_layer():
    from gluon_classics.porting.network.capture import capture_symbol

    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=4, name="conv0")
    x = mx.sym.BatchNorm(x, name="bn0")
    found = entries(capture_symbol(x, {"data": (3, 8, 8)}, "net"))
    assert found["conv0_weight"]["pytorch"]["name"] == "conv0.weight"
    assert found["bn0_moving_mean"]["flax"]["name"] == "bn0.mean"
