"""MXNet computes the graph of a network as it computes the network itself."""

from arrays import numbers, rounding, terms_of, terms_of_gradients
from custom_networks import drop_block
from gluon_classics import get_model, model_info
from gluon_classics.models.objective import objective_of
from gluon_classics.porting.graph import Operation
from gluon_classics.porting.network.capture import capture
from gluon_classics.porting.operators import KINDS, MASKED
from gluon_classics.porting.probe import probe_batch
from gluon_classics.porting.reference import execution
from gluon_classics.porting.replay import replay
import mxnet as mx
from mxnet import autograd, gluon
import numpy as np
import pytest

SMALL = {"resnet50_v1": 64, "googlenet_v1": 96, "efficientnet_b0": 64, "densenet_d2l": 64}


def initialized(name):
    """Return a network with random weights, its graph and its parameters."""
    info = model_info(name)
    side = SMALL.get(name, info.input_shape[1])
    shape = (info.input_shape[0], side, side)
    net = get_model(name, **info.trained_as)
    net.initialize(mx.init.Xavier())
    with autograd.train_mode():
        net(mx.nd.zeros((2, *shape)))
    graph = capture(net, shape, name)
    parameters = {path: value.data().asnumpy() for path, value in net._collect_params_with_prefix().items()}
    return net, graph, parameters


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "lenet_slides",
            "lenet5",
            "nin_cifar10_caffe",
            "googlenet_v1",
            "resnet50_v1",
            "densenet_d2l",
            "efficientnet_b0",
        ),
        pytest.param("alexnet_2012", marks=pytest.mark.slow),
    ],
)
def test_the_prediction_is_that_of_the_network(name, rng):
    net, graph, parameters = initialized(name)
    images = numbers(rng, 2, *next(iter(graph.inputs.values()))[1:])
    outputs = execution.predict(graph.for_prediction(), {"data": images, **parameters})
    expected = net(mx.nd.array(images)).asnumpy()
    assert relative(outputs[graph.outputs[0]], expected) < rounding(terms_of(net))


@pytest.mark.parametrize("name", ["lenet", "lenet_1989", "lenet5", "lenet_bn", "lenet_bn_scratch"])
def test_loss_gradients_and_running_statistics_are_those_of_the_network(name, rng):
    net, graph, parameters = initialized(name)
    # with two images, batch normalization of single numbers would leave only their signs, and rounding
    images = mx.nd.array(numbers(rng, 8, *next(iter(graph.inputs.values()))[1:]))
    label = np.arange(8)
    passed = execution.train(graph, {"data": images.asnumpy(), **parameters}, label, {})
    with autograd.record():
        loss = objective_of(net).loss()(net(images), mx.nd.array(label)).mean()
    loss.backward()
    limit = rounding(terms_of_gradients(net, images))
    assert abs(passed.loss - loss.asscalar()) < limit * abs(passed.loss)
    own = net._collect_params_with_prefix()
    trained = [path for path, value in own.items() if value.grad_req != "null"]
    assert list(passed.gradients) == trained
    scale = max(np.linalg.norm(gradient) for gradient in passed.gradients.values())
    for path in trained:
        assert np.linalg.norm(passed.gradients[path] - own[path].grad().asnumpy()) < limit * scale
    for path, found in passed.running.items():
        np.testing.assert_allclose(found, own[path].data().asnumpy(), rtol=limit, atol=limit)
    assert len(passed.running) == sum("running" in path for path in own)


def test_every_kind_can_be_computed():
    assert set(execution.COMPUTE) == set(KINDS) - set(MASKED)


@pytest.mark.parametrize(
    "name",
    [
        *("lenet5", "nin_cifar10_caffe", "googlenet_v1"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet50_v1", "alexnet_2012")),
    ],
)
def test_each_operation_is_replayed_by_numpy_in_float64(name):
    net, graph, parameters = initialized(name)
    batch = probe_batch(graph, 0, 1, 2)
    values = {path: value.astype(np.float64) for path, value in {"data": batch.images, **parameters}.items()}
    passed = execution.train(graph, values, batch.label, batch.masks)
    values.update(passed.outputs)
    limit = rounding(terms_of_gradients(net, batch.images), np.float64)
    summed = replay.loss_gradients(graph, values, batch.label)
    for operation in reversed(graph.operations):
        mask = batch.masks.get(operation.name)
        expected = replay.forward(operation, values, True, mask)
        distance = np.linalg.norm(passed.outputs[operation.name] - expected)
        assert distance <= limit * np.linalg.norm(expected), operation.name
        if operation.name in passed.output_gradients:
            given = passed.output_gradients[operation.name]
            assert np.linalg.norm(given - summed[operation.name]) <= limit * np.linalg.norm(given), operation.name
            for path, gradient in replay.gradients(operation, values, given, True, mask).items():
                summed[path] = summed[path] + gradient if path in summed else gradient
    # a bias in front of batch normalization has the gradient 0, of which only rounding is left
    scale = max(np.linalg.norm(gradient) for gradient in passed.gradients.values())
    for path, gradient in passed.gradients.items():
        assert np.linalg.norm(gradient - summed[path]) <= limit * scale, path


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 5, 4), (2, 3, 2, 5, 4)])
@pytest.mark.parametrize("kind", ["global_max_pool", "global_average_pool"])
def test_a_global_pool_takes_maps_of_any_rank(rng, kind, shape):
    operation = Operation("y", kind, ("x",), {}, {}, ())
    x = rng.normal(size=shape)
    expected = replay.forward(operation, {"x": x})
    assert relative(execution.forward(operation, {"x": x}), expected) < 1e-14  # means of up to 40 terms


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_resized_map_is_exact_in_float64(rng, align_corners):
    settings = {"size": [11, 5], "align_corners": align_corners}
    operation = Operation("y", "resize_bilinear", ("x",), {}, settings, (2, 3, 11, 5))
    x = rng.normal(size=(2, 3, 7, 8))
    expected = replay.forward(operation, {"x": x})
    assert relative(execution.forward(operation, {"x": x}), expected) < 1e-15  # sums of 4 terms
    # MXNet's own operator rounds places of up to 8 to float32
    own = execution.forward(operation, {"x": x.astype(np.float32)})
    assert 1e-8 < relative(own, expected) < 8 * 2**-23


def test_a_step_is_that_of_gluons_trainer(rng):
    weight, gradients = numbers(rng, 3, 4), [numbers(rng, 3, 4) for _ in range(3)]
    parameter = gluon.Parameter("weight", shape=(3, 4))
    parameter.initialize(mx.init.Constant(mx.nd.array(weight)))
    trainer = gluon.Trainer([parameter], "sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-2})
    state = np.zeros_like(weight)
    for gradient, rate in zip(gradients, (0.1, 0.05, 0.2)):
        trainer.set_learning_rate(rate)
        with autograd.record():
            loss = (parameter.data() * mx.nd.array(gradient)).sum()
        loss.backward()
        trainer.step(1)
        weight, state = execution.sgd_step(weight, gradient, state, rate, 0.9, 1e-2)
        np.testing.assert_array_equal(weight, parameter.data().asnumpy())


def test_a_mask_replaces_random_dropout(rng):
    _, graph, parameters = initialized("nin_cifar10_caffe")
    batch = probe_batch(graph, 0, 1, 2)
    outputs = [
        execution.train(graph, {"data": batch.images, **parameters}, batch.label, batch.masks).outputs for _ in range(2)
    ]
    (operation,) = [row for row in graph.operations if row.kind == "dropout"][:1]
    (dropped,) = operation.inputs
    keep = batch.masks[operation.name] / (1 - operation.settings["drop"])
    expected = outputs[0][dropped] * keep.astype(np.float32)
    np.testing.assert_array_equal(outputs[0][operation.name], expected)
    np.testing.assert_array_equal(outputs[1][operation.name], expected)
    assert 0 < batch.masks[operation.name].mean() < 1


def test_a_mask_of_drop_block_consists_of_squares_that_all_images_share(rng):
    net = drop_block(drop=0.3)
    net.initialize(mx.init.Xavier())
    graph = capture(net, (2, 8, 8))
    batch = probe_batch(graph, 0, 1, 2)
    (mask,) = batch.masks.values()
    assert mask.shape == (1, 4, 6, 6)
    assert 0 < mask.mean() < 1
    padded = np.pad(mask, ((0, 0), (0, 0), (2, 2), (2, 2)))  # what is outside counts as dropped
    for channel, row, column in np.argwhere(mask[0] == 0):
        around = padded[0, channel, row : row + 5, column : column + 5]
        assert any(not around[i : i + 3, j : j + 3].any() for i in range(3) for j in range(3))
    net(mx.nd.array(batch.images)).wait_to_read()  # a convolution reorders its weights in the background
    parameters = {path: value.data().asnumpy() for path, value in net._collect_params_with_prefix().items()}
    values = {"data": batch.images, **parameters}
    passed = execution.train(graph, values, batch.label, batch.masks)
    expected = passed.outputs["0.act"] * mask * np.float32(mask.size / mask.sum())
    np.testing.assert_allclose(passed.outputs["1"], expected, rtol=2**-22)  # two roundings
    np.testing.assert_array_equal(execution.predict(graph, values)["2"], net(mx.nd.array(batch.images)).asnumpy())
