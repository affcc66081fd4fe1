"""Test the NumPy formulas against MXNet in float64: each kind of operation alone, and whole networks."""

import itertools

from gluon_classics.models import objective
from gluon_classics.porting.graph import Operation
from gluon_classics.porting.operators import KINDS, MASKED
from gluon_classics.porting.replay import replay
import mxnet as mx
from mxnet import autograd, nd
import numpy as np
import probe
import pytest

# float64 sums of at most some thousand products, each rounded at 1.1e-16; a few of them nearly cancel
TOLERANCE = 1e-11
# MXNet computes a part of these operators in float32: about 60 terms, each rounded at 6e-8
FLOAT32 = 4e-6
PARTLY_FLOAT32 = {"batch_norm", "group_norm", "layer_norm", "leaky_relu", "selu", "prelu", "gelu", "resize_bilinear"}
ONLY_FLOAT32 = {"local_response_norm", "instance_norm"}

MAP, ROWS = (2, 6, 7, 8), (3, 5)
WINDOW = {"kernel": [3, 2], "stride": [2, 2], "padding": [1, 0, 1, 0]}


def _window(pool, convention="valid", **more):
    options = {"kernel": (3, 2), "stride": (2, 2), "pad": (1, 0), "pool_type": pool, **more}
    return lambda x: nd.Pooling(x, pooling_convention=convention, **options)


def _convolution(groups, **more):
    options = {"kernel": (3, 2), "stride": (2, 1), "pad": (1, 0), "dilate": (1, 2), "num_filter": 4, **more}
    return lambda x, weight, bias: nd.Convolution(x, weight, bias, num_group=groups, **options)


def _convolution_settings(groups):
    return {"kernel": [3, 2], "stride": [2, 1], "padding": [1, 0, 1, 0], "dilation": [1, 2], "groups": groups}


def _transposed(groups):
    options = {"kernel": (3, 3), "stride": (2, 3), "pad": (1, 0), "adj": (1, 0), "num_filter": 4, "no_bias": False}
    return lambda x, weight, bias: nd.Deconvolution(x, weight, bias, num_group=groups, **options)


def _transposed_settings(groups):
    common = {"kernel": [3, 3], "stride": [2, 3], "padding": [1, 0, 1, 0], "output_padding": [1, 0]}
    return {**common, "dilation": [1, 1], "groups": groups}


def _pad(mode):
    widths = [[0, 0], [0, 0], [1, 2], [3, 1]]
    flat = [width for pair in widths for width in pair]
    value = {"constant_value": 0.5} if mode == "constant" else {}
    more = {"value": 0.5} if mode == "constant" else {}
    return {"mode": mode, "widths": widths, **more}, [MAP], {}, lambda x: nd.pad(x, mode, flat, **value)


def _resize(size, aligned):
    height, width = size
    settings = {"size": list(size), "align_corners": aligned}
    options = {"height": height, "width": width, "align_corners": aligned}
    return settings, [MAP], {}, lambda x: nd.contrib.BilinearResize2D(x, **options)


def _matrix_product(turn_a, turn_b):
    shapes = [(2, 4, 3) if turn_a else (2, 3, 4), (2, 5, 4) if turn_b else (2, 4, 5)]
    options = {"transpose_a": turn_a, "transpose_b": turn_b}
    return {"transposed": [turn_a, turn_b]}, shapes, {}, lambda a, b: nd.batch_dot(a, b, **options)


def _batch_norm(x, gamma, beta, mean, variance, **more):
    return nd.BatchNorm(x, gamma, beta, mean, variance, eps=1e-3, **{"fix_gamma": False, **more})


BATCH_NORM = {"eps": 1e-3, "momentum_keep": 0.9, "variance": "biased", "axis": 1}
STATISTICS = dict.fromkeys(("gamma", "beta", "running_mean", "running_var"), (6,))
AFFINE = {"gamma": (6,), "beta": (6,)}

# kind: rows of (settings, shapes of the inputs, shapes of the parameters, MXNet's function)
CASES = {
    "convolution": [
        (_convolution_settings(groups), [MAP], {"weight": (4, 6 // groups, 3, 2), "bias": (4,)}, _convolution(groups))
        for groups in (1, 2)
    ],
    "transposed_convolution": [
        (_transposed_settings(groups), [MAP], {"weight": (6, 4 // groups, 3, 3), "bias": (4,)}, _transposed(groups))
        for groups in (1, 2)
    ],
    "dense": [
        ({"flatten": flatten}, [shape], {"weight": (4, inputs), "bias": (4,)}, function)
        for flatten, shape, inputs, function in (
            (True, (2, 3, 2, 2), 12, lambda x, w, b: nd.FullyConnected(x, w, b, num_hidden=4)),
            (False, (2, 3, 5), 5, lambda x, w, b: nd.FullyConnected(x, w, b, num_hidden=4, flatten=False)),
        )
    ],
    "batch_norm": [
        ({**BATCH_NORM, "use_running": False, "fixed_gamma": False}, [MAP], STATISTICS, _batch_norm),
        ({**BATCH_NORM, "use_running": False, "fixed_gamma": False}, [(4, 6)], STATISTICS, _batch_norm),
        (
            {**BATCH_NORM, "use_running": True, "fixed_gamma": True},
            [MAP],
            STATISTICS,
            lambda *arrays: _batch_norm(*arrays, use_global_stats=True, fix_gamma=True),
        ),
    ],
    "layer_norm": [
        ({"axis": 1, "eps": 1e-5}, [MAP], AFFINE, lambda x, g, b: nd.LayerNorm(x, g, b, axis=1)),
        ({"axis": -1, "eps": 1e-5}, [(2, 5, 6)], AFFINE, nd.LayerNorm),
    ],
    "instance_norm": [({"eps": 1e-3}, [MAP], AFFINE, nd.InstanceNorm)],
    "group_norm": [
        (
            {"groups": 2, "eps": 1e-5},
            [MAP],
            {"gamma": (2,), "beta": (2,)},
            lambda x, g, b: nd.GroupNorm(x, g, b, num_groups=2),
        )
    ],
    "prelu": [({}, [MAP], {"slope": (6,)}, lambda x, slope: nd.LeakyReLU(x, slope, act_type="prelu"))],
    "max_pool": [
        ({**WINDOW, "rounding": "floor"}, [MAP], {}, _window("max")),
        ({**WINDOW, "rounding": "ceil"}, [MAP], {}, _window("max", "full")),
        ({**WINDOW, "rounding": "floor", "equal": True}, [MAP], {}, _window("max")),
    ],
    "average_pool": [
        ({**WINDOW, "rounding": rounding, "include_pad": include}, [MAP], {}, _window("avg", convention, **more))
        for rounding, convention in (("floor", "valid"), ("ceil", "full"))
        for include, more in ((True, {}), (False, {"count_include_pad": False}))
    ],
    "global_max_pool": [({}, [MAP], {}, lambda x: nd.Pooling(x, pool_type="max", global_pool=True))],
    "global_average_pool": [({}, [MAP], {}, lambda x: nd.Pooling(x, pool_type="avg", global_pool=True))],
    "adaptive_average_pool": [
        ({"size": [3, 5]}, [MAP], {}, lambda x: nd.contrib.AdaptiveAvgPooling2D(x, output_size=(3, 5)))
    ],
    "local_response_norm": [
        (
            {"size": 5, "alpha": 0.3, "beta": 0.75, "k": 2.0, "alpha_divided_by_size": True},
            [MAP],
            {},
            lambda x: nd.LRN(x, nsize=5, alpha=0.3, beta=0.75, knorm=2),
        )
    ],
    "dropout": [({"drop": 0.25, "shared_axes": []}, [MAP], {}, None)],
    "drop_block": [({"drop": 0.25, "block_size": 3, "shared_axes": [0]}, [MAP], {}, None)],
    "relu": [({}, [MAP], {}, nd.relu)],
    "sigmoid": [({}, [MAP], {}, nd.sigmoid)],
    "tanh": [({}, [MAP], {}, nd.tanh)],
    "softplus": [({}, [MAP], {}, lambda x: nd.Activation(x, "softrelu"))],
    "softsign": [({}, [MAP], {}, nd.softsign)],
    "leaky_relu": [({"slope": 0.25}, [MAP], {}, lambda x: nd.LeakyReLU(x, act_type="leaky", slope=0.25))],
    "elu": [({"slope": 0.5}, [MAP], {}, lambda x: nd.LeakyReLU(x, act_type="elu", slope=0.5))],
    "selu": [({}, [MAP], {}, lambda x: nd.LeakyReLU(x, act_type="selu"))],
    "gelu": [({}, [MAP], {}, lambda x: nd.LeakyReLU(x, act_type="gelu"))],
    "hard_sigmoid": [({"alpha": 0.25, "beta": 0.5}, [MAP], {}, lambda x: nd.hard_sigmoid(x, alpha=0.25, beta=0.5))],
    "softmax": [({"axis": 1}, [MAP], {}, lambda x: nd.softmax(x, axis=1))],
    "clip": [({"low": -0.5, "high": 0.75}, [MAP], {}, lambda x: nd.clip(x, -0.5, 0.75))],
    "pad": [_pad(mode) for mode in ("constant", "edge", "reflect")],
    "upsample_nearest": [({"scale": 2}, [MAP], {}, lambda x: nd.UpSampling(x, scale=2, sample_type="nearest"))],
    "resize_bilinear": [_resize(size, aligned) for size in ((11, 5), (1, 8)) for aligned in (True, False)],
    "concat": [({"axis": 1}, [MAP, (2, 1, 7, 8)], {}, lambda *x: nd.concat(*x, dim=1))],
    "add": [({}, [MAP, (1, 6, 1, 1)], {}, nd.broadcast_add)],
    "subtract": [({}, [MAP, (1, 6, 1, 1)], {}, nd.broadcast_sub)],
    "multiply": [({}, [MAP, (2, 6, 1, 1)], {}, nd.broadcast_mul)],
    "divide": [({}, [MAP, (1, 6, 1, 1)], {}, nd.broadcast_div)],
    "maximum": [({}, [MAP, MAP], {}, nd.broadcast_maximum)],
    "matrix_product": [_matrix_product(*turns) for turns in itertools.product((False, True), repeat=2)],
    "sum_of_inputs": [({}, [MAP, MAP, MAP], {}, nd.add_n)],
    "flatten": [({}, [MAP], {}, nd.flatten)],
    "reshape": [({"shape": [None, 3, 112]}, [MAP], {}, lambda x: x.reshape((0, 3, 112)))],
    "slice": [({"axis": 1, "begin": 2, "end": 5}, [MAP], {}, lambda x: nd.slice_axis(x, axis=1, begin=2, end=5))],
    "crop": [
        (
            {"axes": [1, 3], "begins": [2, 0], "ends": [5, 6]},
            [MAP],
            {},
            lambda x: nd.slice(x, begin=(None, 2, None, None), end=(None, 5, None, -2)),
        )
    ],
    "expand_dims": [({"axis": 1}, [MAP], {}, lambda x: nd.expand_dims(x, axis=1))],
    "transpose": [({"order": [0, 2, 3, 1]}, [MAP], {}, lambda x: nd.transpose(x, axes=(0, 2, 3, 1)))],
    "square": [({}, [MAP], {}, nd.square)],
    "sqrt": [({"positive": True}, [MAP], {}, nd.sqrt)],
    "exp": [({}, [MAP], {}, nd.exp)],
    "abs": [({}, [MAP], {}, nd.abs)],
    "zeros_like": [({}, [MAP], {}, nd.zeros_like)],
    "ones_like": [({}, [MAP], {}, nd.ones_like)],
    "stop_gradient": [({}, [MAP], {}, nd.stop_gradient)],
    "mean": [({"axes": [2, 3], "keepdims": True}, [MAP], {}, lambda x: x.mean(axis=(2, 3), keepdims=True))],
    "sum": [({"axes": [1], "keepdims": False}, [MAP], {}, lambda x: x.sum(axis=1))],
    "max": [({"axes": [2, 3], "keepdims": False}, [MAP], {}, lambda x: x.max(axis=(2, 3)))],
    "add_scalar": [({"scalar": 0.3}, [ROWS], {}, lambda x: x + 0.3)],
    "subtract_scalar": [({"scalar": 0.3}, [ROWS], {}, lambda x: x - 0.3)],
    "subtract_from_scalar": [({"scalar": 0.3}, [ROWS], {}, lambda x: 0.3 - x)],
    "multiply_scalar": [({"scalar": 0.3}, [ROWS], {}, lambda x: x * 0.3)],
    "divide_scalar": [({"scalar": 0.3}, [ROWS], {}, lambda x: x / 0.3)],
    "divide_scalar_by": [({"scalar": 0.3}, [ROWS], {}, lambda x: 0.3 / x)],
    "power_scalar": [({"scalar": 2.5, "positive": True}, [ROWS], {}, lambda x: x**2.5)],
    "maximum_scalar": [({"scalar": 0.3}, [ROWS], {}, lambda x: nd.maximum(x, 0.3))],
    "minimum_scalar": [({"scalar": 0.3}, [ROWS], {}, lambda x: nd.minimum(x, 0.3))],
}


def _random_case(rng, kind, settings, shapes, parameters):
    names = [f"x{number}" for number in range(len(shapes))]
    operation = Operation("y", kind, tuple(names), {role: role for role in parameters}, settings, ())
    values = {name: rng.normal(size=shape) for name, shape in {**dict(zip(names, shapes)), **parameters}.items()}
    if settings.get("equal"):
        values["x0"] = np.round(values["x0"])
    for name in ("running_var", *(names if settings.get("positive") else ())):
        if name in values:
            values[name] = 0.5 + abs(values[name])
    return operation, values


def _relative_error(ours, theirs):
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / (np.linalg.norm(theirs) or 1)


def test_every_kind_has_a_case():
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind not in MASKED])
def test_operation_equals_mxnet(rng, kind):
    for settings, shapes, parameters, function in CASES[kind]:
        tolerance = FLOAT32 if kind in PARTLY_FLOAT32 | ONLY_FLOAT32 else TOLERANCE
        dtype = "float32" if kind in ONLY_FLOAT32 else "float64"
        operation, values = _random_case(rng, kind, settings, shapes, parameters)
        for training in (False, True):
            arrays = {name: nd.array(array, dtype=dtype) for name, array in values.items()}
            for name, array in arrays.items():
                if not name.startswith("running"):
                    array.attach_grad()
            with autograd.record(train_mode=training):
                theirs = function(*arrays.values())
            weights = rng.normal(size=theirs.shape)
            ours = replay.forward(operation, values, training)
            assert _relative_error(ours, theirs.asnumpy()) < tolerance
            theirs.backward(nd.array(weights, dtype=dtype), train_mode=training)
            if kind == "selu":  # MXNet's gradient is wrong: it takes the output for the input
                continue
            gradients = replay.gradients(operation, values, weights, training)
            assert set(gradients) == {name for name in values if not name.startswith("running")}
            for name, gradient in gradients.items():
                assert _relative_error(gradient, arrays[name].grad.asnumpy()) < tolerance, name


def test_dropout_scales_what_it_keeps(rng):
    operation, values = _random_case(rng, "dropout", *CASES["dropout"][0][:3])
    mask = rng.uniform(size=(2, 6, 1, 1)) < 0.75
    expected = np.where(mask, values["x0"] / 0.75, 0)
    np.testing.assert_allclose(replay.forward(operation, values, True, mask), expected, rtol=1e-15)
    np.testing.assert_array_equal(replay.forward(operation, values), values["x0"])
    ones = np.ones(MAP)
    np.testing.assert_allclose(
        replay.gradients(operation, values, ones, True, mask)["x0"], mask / 0.75 * ones, rtol=1e-15
    )


def test_drop_block_keeps_the_mean_of_the_mask(rng):
    operation, values = _random_case(rng, "drop_block", *CASES["drop_block"][0][:3])
    mask = np.ones((1, *MAP[1:]))
    mask[0, 2, 1:4, 2:5] = 0
    factor = mask * mask.size / (mask.size - 9)
    np.testing.assert_allclose(replay.forward(operation, values, True, mask), values["x0"] * factor, rtol=1e-15)
    np.testing.assert_array_equal(replay.forward(operation, values), values["x0"])
    gradients = replay.gradients(operation, values, np.ones(MAP), True, mask)
    np.testing.assert_allclose(gradients["x0"], factor * np.ones(MAP), rtol=1e-15)


def test_input_used_twice_gets_both_gradients(rng):
    operation = Operation("y", "multiply", ("x", "x"), {}, {}, ())
    x = rng.normal(size=(3, 4))
    np.testing.assert_allclose(replay.gradients(operation, {"x": x}, np.ones((3, 4)))["x"], 2 * x)


@pytest.mark.parametrize("kind", ["selu", "gelu", "batch_norm", "group_norm", "local_response_norm", "max_pool"])
def test_gradient_is_the_slope_of_the_output(rng, kind):
    step = 1e-5  # the error of a central difference is about step^2, and rounding adds 1e-16 / step
    for settings, shapes, parameters, _ in CASES[kind]:
        operation, values = _random_case(rng, kind, settings, shapes, parameters)
        if settings.get("equal"):  # a slope needs different elements
            continue
        weights = rng.normal(size=replay.forward(operation, values, True).shape)
        for name, gradient in replay.gradients(operation, values, weights, True).items():
            direction = rng.normal(size=values[name].shape)
            ends = (
                replay.forward(operation, {**values, name: values[name] + sign * step * direction}, True)
                for sign in (1, -1)
            )
            slope = ((next(ends) - next(ends)) * weights).sum() / (2 * step)
            expected = (gradient * direction).sum()
            assert abs(slope - expected) <= 1e-6 * (abs(expected) + np.linalg.norm(gradient)), (name, settings)


def _without_dropout(net, graph):
    """Switch dropout off in the network, and return masks that do the same in its graph."""
    net.apply(lambda block: setattr(block, "_rate", 0) if isinstance(block, mx.gluon.nn.Dropout) else None)
    dropouts = [row for row in graph.operations if row.kind == "dropout"]
    return {row.name: np.full((1,) * len(row.output_shape), 1 - row.settings["drop"]) for row in dropouts}


@pytest.mark.parametrize(
    "name", ["lenet", "lenet_1989", "lenet5", "resnet18_v1", "googlenet_v1", "densenet_d2l", "efficientnet_b0"]
)
def test_network_equals_mxnet(rng, name):
    net, graph = probe.network(name)
    images, labels, _ = probe.data(graph, rng)
    masks = _without_dropout(net, graph)
    arrays = probe.parameters(graph, images, masks, rng)
    dtype = "float32" if any(row.kind in ONLY_FLOAT32 for row in graph.operations) else "float64"
    probe.load(net, arrays, dtype)
    x, y = (nd.array(array, dtype=dtype) for array in (images, labels))
    (input_name,) = graph.inputs

    predicted = replay.run(graph.for_prediction(), arrays, {input_name: images})
    theirs = objective.first_output(net(x)).asnumpy()
    # rounding to float32, or MXNet's float32 constants, grows about tenfold in a network
    tolerance = 10 * (FLOAT32 if dtype == "float32" else 1e-7)
    assert _relative_error(predicted[graph.outputs[0]], theirs) < tolerance

    values = replay.run(graph, arrays, {input_name: images}, True, masks)
    with autograd.record():
        outputs = net(x)
        losses = objective.objective_of(net).loss()(outputs, y)
        mean = losses.mean()
    mean.backward()
    ours = replay.loss(graph, values, labels)
    assert _relative_error(ours, losses.asnumpy()) < tolerance
    gradients, _ = replay.run_backward(graph, values, labels, masks)
    theirs = {path: p.grad().asnumpy() for path, p in net._collect_params_with_prefix().items() if path in gradients}
    if dtype == "float32":  # this share of the units is near enough to 0 to switch, and gradients change by its root
        tolerance = np.sqrt(tolerance)
    norm = max(np.linalg.norm(array) for array in theirs.values())
    for path, gradient in theirs.items():
        # the gradient of a bias before batch normalization is zero but for rounding
        assert np.linalg.norm(gradients[path] - gradient) < tolerance * (np.linalg.norm(gradient) + 0.01 * norm), path
