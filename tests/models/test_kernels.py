"""Predictions take oneDNN's training kernels where maps are narrow: when, and that the function stays the same."""

import os
import subprocess
import sys
import textwrap

from arrays import assert_close, terms_of
from chains import chain, ready
from gluon_classics import get_model, utils
from gluon_classics.utils import hybrid, kernels
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np
import pytest

MANY = hybrid.WIDEN_FROM
SIDE = 6  # pixels: narrow


@pytest.fixture
def modes(monkeypatch):
    """Whether MXNet was in training mode, for each run of a compiled graph."""
    seen = []
    compile_graph = mx.nd.CachedOp

    def compiled(graph, flags):
        run = compile_graph(graph, flags)
        return lambda *arrays: seen.append(autograd.is_training()) or run(*arrays)

    monkeypatch.setattr(mx.nd, "CachedOp", compiled)
    return seen


def assert_predicts_the_same(net, x):
    expected = net(x).asnumpy()
    forward = hybrid.frozen(net)
    for _ in range(2):
        assert_close(forward(x).asnumpy(), expected, terms_of(net))
    assert not autograd.is_training()


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2D(8, 3), nn.Dropout(0.5), nn.Dense(3)),
        (nn.Conv2D(8, 3, use_bias=False), nn.BatchNorm(), nn.Activation("relu"), nn.Dense(3)),
        (nn.BatchNorm(), nn.Activation("relu"), nn.Conv2D(8, 3), nn.MaxPool2D(), nn.Dense(3), nn.Dropout(0.9)),
        (nn.Conv2D(8, 3), nn.Dropout(0.5, axes=(1, 2, 3)), nn.BatchNorm(scale=False, center=False), nn.Flatten()),
    ],
)
def test_narrow_maps_are_predicted_by_the_training_kernels_and_stay_predictions(layers, modes):
    net, x = ready(chain(*layers), MANY, 2, SIDE, SIDE)
    statistics = [p.data().asnumpy() for name, p in net.collect_params().items() if "running" in name]
    assert_predicts_the_same(net, x)
    assert modes == [True, True]
    after = [p.data().asnumpy() for name, p in net.collect_params().items() if "running" in name]
    np.testing.assert_array_equal(np.array(after), np.array(statistics))


@pytest.mark.parametrize(
    ("batch", "side", "training"),
    [(MANY, kernels.NARROW + 1, True), (MANY, kernels.NARROW + 2, False), (MANY - 1, SIDE, False)],
)
def test_wide_maps_and_few_images_are_predicted_by_the_kernels_of_prediction(batch, side, training, modes):
    """A 3x3 convolution makes them two pixels narrower."""
    net, x = ready(chain(nn.Conv2D(8, 3), nn.Dense(3)), batch, 2, side, side)
    assert_predicts_the_same(net, x)
    assert modes == [training] * 2


def test_the_size_of_the_images_decides_anew_for_each_size(modes):
    net, _ = ready(chain(nn.Conv2D(8, 3), nn.GlobalAvgPool2D(), nn.Dense(3)), 1, 2, SIDE, SIDE)
    forward = hybrid.frozen(net)
    for side in (SIDE, 20, SIDE, 20):
        forward(nd.ones((MANY, 2, side, side)))
    assert modes == [True, False, True, False]


@pytest.mark.parametrize(("name", "side", "narrow"), [("resnet", 96, True), ("resnet", 224, False), ("vgg", 96, False)])
def test_half_of_the_work_on_narrow_maps_decides(name, side, narrow):
    net = get_model(name)
    net.initialize()
    x = mx.sym.var("data")
    graph = net(x)
    assert kernels.mostly_narrow(graph, (MANY, 1, side, side), "data") is narrow


def leaky(F, x):
    return F.LeakyReLU(x, act_type="rrelu", lower_bound=0.1, upper_bound=0.9)[0]


def by_computed_kernels(F, x):
    kernels = F.split(F.ones((4, 8, 3, 3)), 2, axis=0)  # an operator with two outputs
    return F.Convolution(x, kernels[0], no_bias=True, kernel=(3, 3), num_filter=2)


@pytest.mark.parametrize("forward", [leaky, by_computed_kernels])
def test_what_training_mode_may_change_is_predicted_in_prediction_mode(forward, modes):
    class Other(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return forward(F, x)

    net, x = ready(chain(nn.Conv2D(8, 3), Other(), nn.Flatten()), MANY, 2, SIDE, SIDE)
    assert_predicts_the_same(net, x)
    assert not any(modes)


@mx.operator.register("a_users_own")
class AUsersOwn(mx.operator.CustomOpProp):
    """An operator of a user's own may do anything in training mode."""


def test_a_graph_with_an_operator_of_a_users_own_is_left_to_prediction_mode():
    maps = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=8, name="conv")
    shape = (MANY, 2, SIDE, SIDE)
    assert kernels.mostly_narrow(maps, shape, "data")
    assert not kernels.mostly_narrow(mx.sym.Custom(maps, op_type="a_users_own"), shape, "data")


def test_dropout_that_is_meant_for_predictions_too_stays(modes):
    class Always(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.Dropout(x, p=0.5, mode="always")

    net, x = ready(chain(nn.Conv2D(8, 3), Always(), nn.Flatten()), MANY, 2, SIDE, SIDE)
    forward = hybrid.frozen(net)
    assert (forward(x) != forward(x)).asnumpy().any()
    assert all(modes)


@pytest.mark.parametrize("groups", [2, 4])
def test_convolutions_in_groups_are_predicted_the_same(groups, modes):
    net, x = ready(chain(nn.Conv2D(8, 3, groups=groups), nn.Dense(3)), MANY, 4, SIDE, SIDE)
    assert_predicts_the_same(net, x)
    assert all(modes)


@pytest.mark.parametrize(
    ("name", "channels", "side"), [("resnet", 1, 96), ("regnetx_200mf", 3, 64), ("efficientnet_b0", 3, 64)]
)
def test_on_every_context_training_kernels_predict_the_same_and_leave_the_parameters_alone(name, channels, side, modes):
    net, x = ready(get_model(name), MANY, channels, side, side)
    expected = net(x).asnumpy()
    for ctx in (mx.cpu(0), mx.cpu(1), mx.cpu(2)):
        net.collect_params().reset_ctx(ctx)
        before = [parameter.data().asnumpy() for parameter in net.collect_params().values()]
        forward = hybrid.frozen(net)
        for _ in range(3):
            outputs = forward(x.as_in_context(ctx)).asnumpy()
            assert_close(outputs, expected, terms_of(net))
        for parameter, values in zip(net.collect_params().values(), before):
            np.testing.assert_array_equal(parameter.data().asnumpy(), values)
    assert all(modes)


def test_several_workers_of_mxnet_predict_the_same_from_the_first_call_on():
    code = """
        from arrays import assert_close, terms_of
        from gluon_classics import get_model
        from gluon_classics.utils import hybrid, kernels
        import mxnet as mx
        net, x = get_model("resnet"), mx.nd.random.normal(shape=(hybrid.WIDEN_FROM, 1, 96, 96))
        net.initialize(mx.init.Xavier())
        expected = net(x).asnumpy()
        assert kernels.mostly_narrow(net(mx.sym.var("data")), x.shape, "data")
        for _ in range(3):
            forward = hybrid.frozen(net)
            assert_close(forward(x).asnumpy(), expected, terms_of(net))
    """
    environment = {**os.environ, "MXNET_CPU_WORKER_NTHREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_an_unfused_twin_predicts_in_prediction_mode(modes):
    net, x = ready(chain(nn.Conv2D(8, 3), nn.Dense(3)), MANY, 2, SIDE, SIDE)
    utils.hybridized(net)(x)
    assert modes == [False]
