"""Large stages in parts of the batch: the same function and gradients, for layers that treat images one by one."""

from chains import chain, operators, ready
from gluon_classics import get_model, utils
from gluon_classics.compiler import compiled, micro_batches
import mxnet as mx
from mxnet import autograd
from mxnet.gluon import nn
import numpy as np
import pytest

BATCH = 4 * micro_batches.PARTS
LARGE = 132  # pixels: 16 maps of 130x130 float32 pixels are 1.03 MiB


def outputs_and_gradients(net, forward, x):
    with autograd.record():
        outputs = forward(x)
        loss = (outputs * outputs).sum()
    loss.backward()
    trained = [p for p in net.collect_params().values() if p.grad_req != "null"]
    return [outputs.asnumpy()] + [parameter.grad().asnumpy() for parameter in trained]


def assert_same_as_eager(net, x):
    expected = outputs_and_gradients(net, net, x)
    twin = utils.hybridized(net)
    for _ in range(2):
        for new, old in zip(outputs_and_gradients(net, twin, x), expected):
            assert np.ptp(old) > 0
            np.testing.assert_allclose(new, old, rtol=0, atol=2e-5 * np.abs(old).max())


def layers_to_the_first_pool():
    return nn.Conv2D(16, 3, activation="relu"), nn.Conv2D(16, 3, padding=1), nn.MaxPool2D(4), nn.Activation("relu")


def test_large_maps_are_computed_in_parts_and_small_ones_behind_them_are_not(graphs):
    net, x = ready(
        chain(*layers_to_the_first_pool(), nn.Conv2D(3, 3), nn.MaxPool2D(2), nn.Dense(2)), BATCH, 2, LARGE, LARGE
    )
    assert_same_as_eager(net, x)
    graph = operators(graphs[0])
    assert graph.count("SliceChannel") == 1
    assert graph.count("Convolution") == 2 * micro_batches.PARTS + 1
    assert graph.count("Pooling") == micro_batches.PARTS + 1


def test_the_stages_in_parts_end_with_the_last_large_one(graphs):
    between = nn.Conv2D(2, 3, strides=2), nn.MaxPool2D(2)
    wide = nn.Conv2D(300, 3, padding=1), nn.MaxPool2D(2)
    net, x = ready(chain(*between, *wide, nn.Conv2D(3, 3), nn.Flatten()), BATCH, 1, LARGE, LARGE)
    assert_same_as_eager(net, x)
    assert operators(graphs[0]).count("Convolution") == 2 * micro_batches.PARTS + 1


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2D(16, 3), nn.BatchNorm(), nn.MaxPool2D(4)),  # a batch's images depend on each other
        (nn.Conv2D(16, 3), nn.Dropout(0.5), nn.MaxPool2D(4)),  # its mask would be drawn in parts
        (nn.Conv2D(16, 3), nn.Activation("relu")),  # no pool, so no large gradient of one
        (nn.Conv2D(16, 3, strides=2), nn.MaxPool2D(4)),  # small
    ],
)
def test_what_cannot_or_need_not_be_in_parts_stays_whole(layers, graphs):
    net, x = ready(chain(*layers, nn.Flatten()), BATCH, 1, LARGE, LARGE)
    utils.hybridized(net)(x)
    assert "SliceChannel" not in operators(graphs[0])


def test_maps_that_are_used_twice_stay_whole(graphs):
    class Branches(nn.HybridBlock):
        def __init__(self):
            super().__init__()
            with self.name_scope():
                self.conv, self.pool, self.other = nn.Conv2D(16, 3), nn.MaxPool2D(4), nn.AvgPool2D(4)

        def hybrid_forward(self, F, x):
            maps = self.conv(x)
            return self.pool(maps) + self.other(maps)

    net, x = ready(chain(Branches(), nn.Flatten()), BATCH, 1, LARGE, LARGE)
    assert_same_as_eager(net, x)
    assert "SliceChannel" not in operators(graphs[0])


@pytest.mark.parametrize(
    ("batch", "parted"), [(BATCH, True), (BATCH + micro_batches.PARTS, True), (BATCH + 1, False), (4, False)]
)
def test_the_batch_must_fall_into_equal_parts_that_are_not_tiny(batch, parted, graphs):
    net, x = ready(chain(*layers_to_the_first_pool(), nn.Flatten()), batch, 1, LARGE, LARGE)
    assert_same_as_eager(net, x)
    assert ("SliceChannel" in operators(graphs[0])) is parted


def test_a_last_smaller_batch_uses_the_same_graph(graphs):
    net, x = ready(chain(*layers_to_the_first_pool(), nn.Flatten()), 2 * BATCH, 1, LARGE, LARGE)
    twin = utils.hybridized(net)
    for images in (x, x[:BATCH], x):
        twin(images)
    assert len(graphs) == 1


def test_images_of_another_size_before_do_not_decide_for_these(graphs):
    net, x = ready(chain(*layers_to_the_first_pool(), nn.GlobalAvgPool2D()), BATCH, 1, LARGE, LARGE)
    twin = utils.hybridized(net)
    twin(x[:, :, :20, :20])
    twin(x)
    assert ["SliceChannel" in operators(graph) for graph in graphs] == [False, True]


def test_a_network_that_ends_with_the_pool_can_be_in_parts(graphs):
    net, x = ready(chain(nn.Conv2D(16, 3), nn.MaxPool2D(4)), BATCH, 1, LARGE, LARGE)
    assert_same_as_eager(net, x)
    assert operators(graphs[0])[-1] == "Concat"


@pytest.mark.parametrize(("name", "side", "parted"), [("vgg", 96, True), ("lenet", 28, False), ("resnet", 96, False)])
def test_which_of_the_blogs_networks_are_in_parts(name, side, parted):
    net = get_model(name)
    net.initialize()
    graph = net(mx.sym.var("data"))
    assert (micro_batches.in_parts(graph, {"data": (BATCH, 1, side, side)}, "data") is not graph) is parted


def test_predictions_that_are_fused_are_not_in_parts(graphs):
    net, x = ready(chain(*layers_to_the_first_pool(), nn.Flatten()), BATCH, 1, LARGE, LARGE)
    compiled.frozen(net)(x)
    assert "SliceChannel" not in operators(graphs[0])
