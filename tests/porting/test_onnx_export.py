"""Test ONNX files: each kind of operation alone, pools of all sizes, whole networks, and the file itself."""

from __future__ import annotations

import itertools

from editions import EVERY_NETWORK
from gluon_classics import get_model, model_info
from gluon_classics.errors import ClassicsError
from gluon_classics.models.objective import first_output
from gluon_classics.porting.export import export
from gluon_classics.porting.export.onnx_operators import OPSET, WRITERS
from gluon_classics.porting.graph import Graph, Operation, Parameter
from gluon_classics.porting.network.capture import capture, capture_symbol
from gluon_classics.porting.network.sources import from_symbol
from gluon_classics.porting.operators import KINDS, MASKED
import mxnet as mx
from mxnet import nd
import numpy as np
import pytest
from test_replay import CASES

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIDES = {"alexnet_2012": 67}  # of images for networks whose dense layers would be large with 96; others take that
# float32 sums of at most 60 terms of a similar size, each rounded at 6e-8, and powers that triple the error
ONE_OPERATION = 1e-6


def relative_error(ours, theirs):
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / (np.linalg.norm(theirs) or 1)


def one_operation(kind, settings, shapes, parameters, output_shape):
    inputs = {f"x{number}": shape for number, shape in enumerate(shapes)}
    operation = Operation("y", kind, tuple(inputs), {role: role for role in parameters}, settings, output_shape)
    rows = tuple(Parameter(role, role, shape, (), True) for role, shape in parameters.items())
    return Graph("one", inputs, (operation,), rows, ("y",), (), {})


def computed(path, inputs):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)[0]


def test_every_kind_has_a_writer():
    assert set(WRITERS) == set(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind not in MASKED])
def test_an_operation_equals_mxnet(rng, tmp_path, kind):
    for settings, shapes, parameters, function in CASES[kind]:
        values = {}
        for name, shape in {**{f"x{number}": shape for number, shape in enumerate(shapes)}, **parameters}.items():
            value = rng.normal(size=shape).astype(np.float32)
            values[name] = abs(value) + 0.5 if "positive" in settings or name == "running_var" else value
        theirs = function(*map(nd.array, values.values())).asnumpy()
        graph = one_operation(kind, settings, shapes, parameters, theirs.shape)
        export.write(graph, values, "onnx", tmp_path / "one.onnx")
        ours = computed(tmp_path / "one.onnx", {name: values[name] for name in graph.inputs})
        assert relative_error(ours, theirs) < ONE_OPERATION, settings


@pytest.mark.parametrize("kind", MASKED)
def test_dropout_passes_its_input_on(rng, tmp_path, kind):
    settings, shapes, _, _ = CASES[kind][0]
    export.write(one_operation(kind, settings, shapes, {}, shapes[0]), {}, "onnx", tmp_path / "one.onnx")
    x = rng.normal(size=shapes[0]).astype(np.float32)
    np.testing.assert_array_equal(computed(tmp_path / "one.onnx", {"x0": x}), x)


def symbol_error(rng, path, symbol, shape):
    """Return the relative error of the ONNX file of a symbol without parameters."""
    graph = capture_symbol(symbol, {"data": shape}, "pool")
    export.write(graph, {}, "onnx", path)
    x = rng.normal(size=(2, *shape)).astype(np.float32)
    theirs = symbol.eval(data=nd.array(x))[0].asnumpy()
    return relative_error(computed(path, {"data": x}), theirs)


@pytest.mark.parametrize("convention", ["valid", "full"])
@pytest.mark.parametrize("pool", ["max", "avg", "avg without padding"])
def test_pools_of_all_sizes_equal_mxnet(rng, tmp_path, pool, convention):
    compared = 0
    for kernel, stride, pad, size in itertools.product((1, 2, 3), (1, 2, 3), (0, 1, 2), (5, 6, 7)):
        if pad >= kernel:  # MXNet refuses it
            continue
        symbol = mx.sym.Pooling(
            mx.sym.var("data"),
            kernel=(kernel, 2),
            stride=(stride, 2),
            pad=(pad, 0),
            pool_type=pool[:3],
            pooling_convention=convention,
            count_include_pad=pool == "avg",
        )
        _, (output,), _ = symbol.infer_shape(data=(2, 3, size, 7))
        if (output[2] - 1) * stride - pad >= size:  # the last window sees no part of the map: MXNet's own
            continue
        assert symbol_error(rng, tmp_path / "pool.onnx", symbol, (3, size, 7)) < ONE_OPERATION, (kernel, stride, pad)
        compared += 1
    assert compared > 40


def test_asymmetric_padding_of_a_convolution_equals_that_of_the_input(rng, tmp_path):
    settings = {"kernel": [3, 3], "stride": [2, 2], "padding": [0, 0, 1, 1], "dilation": [1, 1], "groups": 1}
    x, weight = (rng.normal(size=shape).astype(np.float32) for shape in ((1, 2, 6, 6), (4, 2, 3, 3)))
    graph = one_operation("convolution", settings, [x.shape], {"weight": weight.shape}, (1, 4, 3, 3))
    export.write(graph, {"weight": weight}, "onnx", tmp_path / "one.onnx")
    padded = nd.array(np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1))))
    theirs = nd.Convolution(padded, nd.array(weight), kernel=(3, 3), stride=(2, 2), num_filter=4, no_bias=True)
    assert relative_error(computed(tmp_path / "one.onnx", {"x0": x}), theirs.asnumpy()) < ONE_OPERATION


def drawn_network(rng, name):
    """Return a network whose parameters are all off their initial values, its graph, and their values."""
    info = model_info(name)
    channels, own, _ = info.input_shape
    side = SIDES.get(name, min(own, 96))
    net = get_model(name, **info.trained_as)
    net.initialize(mx.init.Xavier())
    with mx.autograd.train_mode():
        net(nd.zeros((1, channels, side, side)))
    for path, parameter in net._collect_params_with_prefix().items():
        value = parameter.data().asnumpy()
        if path.endswith(("gamma", "running_var")):
            value = value * rng.uniform(0.5, 1.5, value.shape)
        elif path.endswith(("beta", "bias", "running_mean")):
            value = value + rng.normal(0, 0.1, value.shape)
        parameter.set_data(nd.array(value))
    graph = capture(net, (channels, side, side), name)
    parameters = {path: p.data().asnumpy() for path, p in net._collect_params_with_prefix().items()}
    return net, graph, parameters


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_the_file_of_a_network_predicts_as_mxnet_does(rng, tmp_path, name):
    net, graph, parameters = drawn_network(rng, name)
    export.write(graph, parameters, "onnx", tmp_path / "net.onnx")
    check = export.verify("onnx", tmp_path / "net.onnx", graph, lambda x: first_output(net(nd.array(x))).asnumpy())
    assert check.output == graph.outputs[0]
    assert check.error <= check.limit


def test_the_file_of_a_symbol_with_a_loss_layer_predicts_as_mxnet_does(rng, tmp_path):
    x = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=4, name="conv")
    x = mx.sym.BatchNorm(x, fix_gamma=True, name="norm")  # MXNet takes 1 for gamma
    x = mx.sym.LeakyReLU(x, act_type="prelu", name="prelu")
    symbol = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=5, name="dense"), name="softmax")
    arguments, _, running = symbol.infer_shape(data=(2, 3, 6, 6))
    names = [*symbol.list_arguments(), *symbol.list_auxiliary_states()]
    values = {
        name: nd.array(rng.uniform(0.5, 1, size) if "norm" in name else rng.normal(0, 0.1, size))
        for name, size in zip(names, [*arguments, *running])
        if name not in ("data", "softmax_label")
    }
    found = from_symbol(symbol, values, (3, 6, 6))
    export.write(found.graph, found.parameters(), "onnx", tmp_path / "net.onnx")
    check = export.verify("onnx", tmp_path / "net.onnx", found.graph, found.predict)
    assert 0 < check.error <= check.limit
    model = onnx.load(str(tmp_path / "net.onnx"))
    assert "norm_gamma" not in [tensor.name for tensor in model.graph.initializer]


def test_a_wrong_epsilon_exceeds_the_limit(rng, tmp_path):
    net, graph, parameters = drawn_network(rng, "lenet_bn")
    for operation in graph.operations:
        if operation.kind == "batch_norm":
            operation.settings["eps"] = 1e-3
    export.write(graph, parameters, "onnx", tmp_path / "net.onnx")
    check = export.verify("onnx", tmp_path / "net.onnx", graph, lambda x: net(nd.array(x)).asnumpy())
    assert check.error > 10 * check.limit
    assert not check.passed


def test_the_file_holds_the_prediction_alone_under_neutral_names(rng, tmp_path):
    _, graph, parameters = drawn_network(rng, "googlenet_v1")
    export.write(graph, parameters, "onnx", tmp_path / "net.onnx")
    model = onnx.load(str(tmp_path / "net.onnx"))
    assert [(row.domain, row.version) for row in model.opset_import] == [("", OPSET)]
    assert model.ir_version == 8
    (x,) = model.graph.input
    assert [size.dim_param or size.dim_value for size in x.type.tensor_type.shape.dim] == ["N", 3, 96, 96]
    prediction = graph.for_prediction()
    names = {tensor.name for tensor in model.graph.initializer}
    assert names >= {row.name for row in prediction.parameters}
    assert not any(name.startswith("auxiliary") for name in names)
    made = {name for node in model.graph.node for name in node.output}
    assert made >= {row.name for row in prediction.operations}
    metadata = {row.key: row.value for row in model.metadata_props}
    assert metadata["network"] == "googlenet_v1"


def test_a_layer_that_onnx_lacks_is_named_and_the_old_file_stays(tmp_path):
    path = tmp_path / "one.onnx"
    path.write_bytes(b"old")
    graph = one_operation("_contrib_magic", {}, [(None, 3)], {}, (None, 3))
    with pytest.raises(ClassicsError, match=r"cannot express the layer y \(_contrib_magic\)"):
        export.write(graph, {}, "onnx", path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_parameters_too_large_for_a_file_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("gluon_classics.porting.export.onnx_export.LARGEST", 10)
    weight = np.zeros((4, 3), np.float32)
    graph = one_operation("dense", {"flatten": True, "units": 4}, [(None, 3)], {"weight": (4, 3)}, (None, 4))
    with pytest.raises(ClassicsError, match="less than 2 GiB"):
        export.write(graph, {"weight": weight}, "onnx", tmp_path / "one.onnx")


def test_a_folder_cannot_be_replaced_by_a_file(rng, tmp_path):
    _, graph, parameters = drawn_network(rng, "lenet")
    with pytest.raises(ClassicsError, match=r"cannot write .*: choose another path with -o"):
        export.write(graph, parameters, "onnx", tmp_path)
