"""A captured graph states the operations, settings and names of the network."""

import json
import math

from custom_networks import drop_block
from editions import EVERY_NETWORK
from gluon_classics import get_model, model_info
from gluon_classics.errors import ClassicsError, InputSizeError
from gluon_classics.models.objective import Objective
from gluon_classics.porting import Graph
from gluon_classics.porting.network.capture import UnsupportedOperators, capture, capture_symbol
from gluon_classics.porting.operators import KINDS
import mxnet as mx
from mxnet.gluon import nn
import pytest


def _graph(name, trained=False):
    info = model_info(name)
    return capture(get_model(name, **(info.trained_as if trained else {})), info.input_shape, name)


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_every_operation_has_the_settings_of_its_kind(name):
    for operation in _graph(name, trained=True).operations:
        kind = KINDS[operation.kind]
        assert set(kind.settings) <= set(operation.settings) <= {*kind.settings, *kind.sometimes}, operation
        assert set(operation.parameters) <= set(kind.parameters), operation


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_the_graph_does_the_published_work_with_the_published_parameters(name):
    graph, info = _graph(name), model_info(name)
    shapes = {parameter.name: parameter.shape for parameter in graph.parameters}
    shapes.update({operation.name: operation.output_shape for operation in graph.operations})
    if name not in ("lenet_1989", "lenet1", "lenet5"):  # partial convolutions are written with zeros, not counted
        assert sum(_macs(operation, shapes) for operation in graph.operations) == info.macs
    assert sum(math.prod(parameter.shape) for parameter in graph.parameters if parameter.trainable) == info.params


def _macs(operation, shapes):
    if operation.kind not in ("convolution", "dense"):
        return 0
    return math.prod(shapes[operation.parameters["weight"]]) * math.prod(operation.output_shape[2:])


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_operations_follow_what_they_take(name):
    graph = _graph(name, trained=True)
    known = {*graph.inputs, *(parameter.name for parameter in graph.parameters)}
    for operation in graph.operations:
        assert {*operation.inputs, *operation.parameters.values()} <= known
        assert operation.name not in known
        known.add(operation.name)
    assert set(graph.outputs) | set(graph.blocks.values()) <= known


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_json_holds_the_whole_graph(name):
    graph = _graph(name, trained=True)
    assert Graph.from_json(graph.to_json()) == graph


def test_parameters_have_the_names_of_parameter_files():
    net = get_model("resnet18_v1")
    assert [p.name for p in capture(net, (3, 64, 64)).parameters] == list(net._collect_params_with_prefix())


def test_names_follow_the_blocks():
    graph = _graph("resnet18_v1")
    names = [operation.name for operation in graph.operations if operation.name.startswith("conv3_x.0")]
    body = [f"conv3_x.0.body.{number}" for number in range(5)]
    assert names == [*body, "conv3_x.0.projection.0", "conv3_x.0.projection.1", "conv3_x.0:add", "conv3_x.0:relu"]
    assert graph.blocks["conv3_x.0"] == "conv3_x.0:relu"
    assert graph.operation("conv3_x.0:add").inputs == ("conv3_x.0.body.4", "conv3_x.0.projection.1")


def test_batch_normalization_by_hand_is_one_operation():
    by_hand, by_layer = _graph("lenet_bn_scratch"), _graph("lenet_bn")
    assert by_hand.operations == by_layer.operations
    assert by_hand.parameters == by_layer.parameters


def test_local_response_normalization_has_the_alpha_that_mxnet_divides():
    norm = next(row for row in _graph("alexnet_2012").operations if row.kind == "local_response_norm")
    assert norm.settings == {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0, "alpha_divided_by_size": True}


def test_training_has_the_auxiliary_outputs_and_their_weights():
    graph = _graph("googlenet_v1", trained=True)
    assert [(term.output, term.factor) for term in graph.loss] == [
        ("linear", 1.0),
        ("auxiliary_4a.linear", 0.3),
        ("auxiliary_4d.linear", 0.3),
    ]
    prediction = graph.for_prediction()
    assert prediction.outputs == ("linear",)
    assert not [p.name for p in prediction.parameters if p.name.startswith("auxiliary")]
    assert [row.name for row in prediction.operations] == [row.name for row in _graph("googlenet_v1").operations]


def test_stochastic_depth_shares_its_mask_within_an_image():
    drops = [row for row in _graph("efficientnet_b0").operations if row.kind == "dropout" and "stage" in row.name]
    assert {tuple(row.settings["shared_axes"]) for row in drops} == {(), (1, 2, 3)}


def test_capturing_leaves_no_trace_in_the_network():
    net = get_model("lenet_bn")
    capture(net, (1, 28, 28))
    assert "__block__" not in net(mx.sym.var("data")).tojson()
    assert not [block for block in net._children.values() if block._forward_hooks or block._forward_pre_hooks]
    assert net[0].weight.shape[1] == 0, "the weight's shape is still unknown"


def test_a_model_of_symbols_has_the_operations_of_its_network():
    net = get_model("resnet18_v1")
    symbol = mx.sym.load_json(net(mx.sym.var("data")).tojson())
    graph, ours = capture_symbol(symbol, {"data": (3, 64, 64)}, "model"), capture(net, (3, 64, 64))
    assert [(row.kind, row.settings) for row in graph.operations] == [(r.kind, r.settings) for r in ours.operations]
    assert [p.trainable for p in graph.parameters].count(False) == [p.trainable for p in ours.parameters].count(False)


def test_unsupported_operators_are_named_with_their_layers():
    class Odd(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.sort(x)

    net = nn.HybridSequential()
    net.add(nn.Dense(3), Odd())
    with pytest.raises(UnsupportedOperators, match=r"1 \(sort\)"):
        capture(net, (4,))
    assert [row.kind for row in capture(net, (4,), partial=True).operations] == ["dense", "sort"]


def test_drop_block_is_one_operation():
    graph = capture(drop_block(), (2, 8, 8))
    assert [row.kind for row in graph.operations] == ["convolution", "relu", "drop_block", "dense"]
    assert graph.operation("1").settings == {"drop": 0.1, "block_size": 3, "shared_axes": [0]}
    assert graph.operation("1").inputs == ("0.act",)
    assert [row.kind for row in capture(drop_block(0), (2, 8, 8)).operations] == ["convolution", "relu", "dense"]


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ((None, 1), (None, -1), [("slice", {"axis": 1, "begin": 1, "end": 4})]),
        ((0, -3), (None, 9), [("slice", {"axis": 1, "begin": 2, "end": 5})]),
        ((0, 1, 2), (None, 3, None), [("crop", {"axes": [1, 2], "begins": [1, 2], "ends": [3, 6]})]),
        ((None, 0, None), (None, 5, None), []),
    ],
)
def test_a_slice_holds_the_axes_that_it_shortens(begin, end, expected):
    symbol = mx.sym.Flatten(mx.sym.slice(mx.sym.var("data"), begin=begin, end=end))
    *found, flatten = capture_symbol(symbol, {"data": (5, 6)}, "slices").operations
    assert [(row.kind, row.settings) for row in found] == expected
    assert flatten.kind == "flatten"


def test_a_slice_with_steps_is_unsupported():
    symbol = mx.sym.slice(mx.sym.var("data"), begin=(None, 0), end=(None, 4), step=(None, 2))
    with pytest.raises(UnsupportedOperators, match="slice"):
        capture_symbol(symbol, {"data": (5,)}, "slices")


def test_an_operator_that_copies_a_shape_takes_one_input():
    x = mx.sym.var("data")
    symbol = mx.sym.reshape_like(mx.sym.Flatten(x), mx.sym.relu(x))
    (reshape,) = [row for row in capture_symbol(symbol, {"data": (5, 6)}, "like").operations if row.kind == "reshape"]
    assert reshape.settings == {"shape": [None, 5, 6]}
    assert len(reshape.inputs) == 1


def test_an_image_that_is_too_small_is_an_error():
    with pytest.raises(InputSizeError):
        capture(get_model("alexnet"), (1, 8, 8))


def test_an_unknown_loss_is_an_error():
    net = get_model("lenet")
    net.objective = Objective(loss=mx.gluon.loss.L2Loss)
    with pytest.raises(ClassicsError, match="L2Loss"):
        capture(net, (1, 28, 28))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "other"}, "schema"),
        ({"version": 99}, "version is 99"),
        ({"operations": [{"name": "a"}]}, "not a graph"),
        ({"loss": None}, "not a graph"),
    ],
)
def test_a_text_that_is_not_a_graph_is_an_error(change, message):
    document = {**json.loads(_graph("lenet").to_json()), **change}
    with pytest.raises(ValueError, match=message):
        Graph.from_json(json.dumps(document))
