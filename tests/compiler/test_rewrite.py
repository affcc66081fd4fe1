"""Compiled graphs are rewritten in faster operators: which ones, and that nothing else changes."""

from typing import NamedTuple, Tuple

from arrays import assert_all_close, terms_of
from chains import chain, needs_rewriting, ready
from gluon_classics import get_model, utils
from gluon_classics.compiler import compiled, rewrite
from gluon_classics.compiler.processor import InstructionSet
from gluon_classics.models.resnet import Residual
import mxnet as mx
from mxnet.gluon import nn
import numpy as np
import pytest
from twins import Wired, assert_trains_the_same, nodes, pool2, predicted

pytestmark = needs_rewriting

# the side of the smallest image each network takes, and the filters that its widest padded convolution then has
NETWORKS = {
    "lenet": (12, 80),
    "alexnet": (67, 280),
    "vgg": (32, 520),
    "nin": (67, 400),
    "googlenet": (93, 200),
    "resnet": (75, 80),
}
BATCH = 8


def filters(symbol):
    return [int(node["attrs"]["num_filter"]) for node in nodes(symbol, "Convolution")]


@pytest.fixture
def block_of(monkeypatch):
    """Sets the channels of a block, in an instruction set that needs no other changes."""

    def set_to(channels):
        monkeypatch.setattr(rewrite, "instruction_set", lambda: InstructionSet("any", channels, True))

    return set_to


# --- the same function


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_with_padded_channels_computes_the_same(name, block_of, graphs):
    """With a block size that divides none of them, so that every convolution before a pool is padded."""
    block_of(40)
    side, widest = NETWORKS[name]
    net, x = ready(get_model(name), 1, 1, side, side)
    net.apply(without_useless_gradients)
    twin = utils.hybridized(net)
    for _ in range(2):  # the first call compiles
        assert_all_close(predicted(twin, x), predicted(net, x), terms_of(net))
    assert max(set(filters(graphs[-1])) - set(filters(net(mx.sym.var("data"))))) == widest
    assert_trains_the_same(twin, net, x.shape)


def without_useless_gradients(block):
    """Batch normalization takes biases before it away again: nothing but rounding is left for their gradients."""
    if isinstance(block, Residual):
        block.conv1.bias.grad_req = block.conv2.bias.grad_req = "null"


class Small(NamedTuple):
    """A net, the shape of an image, the filters of its convolutions, and those that are padded."""

    build: object
    image: Tuple[int, ...]
    filters: Tuple[int, ...]
    padded: Tuple[int, ...]


def shared(net):
    """Its second layer's weights become those of its first."""
    layers = list(net)
    layers[2] = nn.Conv2D(6, 3, padding=1, in_channels=6, activation="relu", params=layers[0].params)
    return chain(*layers)


def normal_then_pool(F, x, conv, norm, pool, dense):
    return dense(pool(F.relu(norm(conv(x)))))


def pool_used_twice(F, x, conv, pool, other):
    pooled = pool(conv(x))
    return F.concat(other(pooled), pooled, dim=1)


def map_used_everywhere(F, x, conv, pool, dense, other):
    maps, others = conv(x), other(x)
    flat = F.concat(F.flatten(maps), F.flatten(pool(others)), dim=1)
    return F.concat(dense(maps), flat, F.flatten(pool(maps)), F.flatten(maps + others), F.flatten(maps * 2), dim=1)


def map_is_an_output(F, x, conv, pool, other):
    maps = conv(x)
    return [maps, pool(maps), other(pool(maps))]


def two_in_a_row(F, x, first, second, pool):
    maps = first(x)
    return F.concat(pool(maps), pool(second(maps)), dim=1)


def three_activations(F, x, conv, pool, dense):
    maps = F.Activation(F.Activation(F.relu(conv(x)), act_type="tanh"), act_type="softsign")
    return dense(pool(maps) + pool(F.relu(conv(x))))


def own_operators(F, x, conv, other):
    maps = F.LeakyReLU(F.Pooling(F.relu(conv(x)), kernel=(2, 2), stride=(2, 2), pool_type="sum"), slope=0.3)
    return F.Pooling(F.LeakyReLU(other(maps)), kernel=(2, 2), pool_type="max")


def branches(F, x, first, second, third, pool):
    """As in an inception block: maps of several widths, joined and pooled."""
    joined = F.concat(first(x), pool(second(x)), pool(third(x)), dim=1)
    return pool(joined)


def split_in_two(F, x, conv, pool, other):
    """An operator of two outputs, of which the second one is used first."""
    first, second = F.split(pool(conv(x)), num_outputs=2)
    return other(second) + first * 2


class ScaledWeight(nn.HybridBlock):
    """A convolution whose weights are computed, so that they are no parameter."""

    def __init__(self):
        super().__init__()
        with self.name_scope():
            self.weight = self.params.get("weight", shape=(6, 2, 3, 3))

    def hybrid_forward(self, F, x, weight):
        return F.Convolution(x, weight * 3, kernel=(3, 3), num_filter=6, no_bias=True)


SMALL = {
    "sigmoid-and-average": Small(
        lambda: chain(
            *(nn.Conv2D(6, 5, activation="sigmoid"), nn.AvgPool2D()),
            *(nn.Conv2D(16, 5, activation="sigmoid"), nn.AvgPool2D(), nn.Dense(4, activation="sigmoid")),
        ),
        *((1, 20, 20), (6, 16), (6,)),
    ),
    "tanh": Small(
        lambda: chain(nn.Conv2D(20, 5, activation="tanh"), nn.AvgPool2D(), nn.Conv2D(50, 3), pool2(), nn.Dense(4)),
        *((1, 14, 14), (20, 50), (20, 50)),
    ),
    "softplus": Small(  # of a map of zeros is none
        lambda: chain(nn.Conv2D(3, 3, activation="softrelu"), pool2(), nn.Conv2D(5, 3, activation="softrelu")),
        *((2, 10, 10), (3, 5), (3,)),
    ),
    "pool-used-twice": Small(
        lambda: Wired(pool_used_twice, nn.Conv2D(6, 3, padding=1), pool2(), nn.Conv2D(5, 3, padding=1)),
        *((2, 8, 8), (6, 5), (6,)),
    ),
    "map-used-everywhere": Small(
        lambda: Wired(map_used_everywhere, nn.Conv2D(6, 3), pool2(), nn.Dense(4), nn.Conv2D(6, 3)),
        *((2, 8, 8), (6, 6), (6, 6)),
    ),
    "map-is-an-output": Small(
        lambda: Wired(map_is_an_output, nn.Conv2D(6, 3), pool2(), nn.Conv2D(5, 1)), (2, 8, 8), (6, 5), (6,)
    ),
    "two-in-a-row": Small(
        lambda: Wired(two_in_a_row, nn.Conv2D(6, 3, padding=1), nn.Conv2D(10, 3, padding=1), pool2()),
        *((2, 8, 8), (6, 10), (6, 10)),
    ),
    "groups": Small(
        lambda: chain(nn.Conv2D(6, 3), pool2(), nn.Conv2D(12, 3, groups=3), pool2(), nn.Conv2D(12, 1, groups=12)),
        *((2, 14, 14), (6, 12, 12), (6,)),
    ),
    "no-bias": Small(
        lambda: chain(nn.Conv2D(6, 3, use_bias=False), pool2(), nn.Conv2D(10, 3, use_bias=False), pool2()),
        *((2, 14, 14), (6, 10), (6, 10)),
    ),
    "not-before-a-pool": Small(
        lambda: chain(nn.Conv2D(6, 3), pool2(), nn.Conv2D(5, 3), nn.Conv2D(7, 3, activation="relu"), nn.Dense(4)),
        *((2, 14, 14), (6, 5, 7), (6,)),
    ),
    "global-pools": Small(
        lambda: chain(nn.Conv2D(6, 3), nn.GlobalMaxPool2D(), nn.Conv2D(10, 1), nn.GlobalAvgPool2D(), nn.Flatten()),
        *((2, 8, 8), (6, 10), (6, 10)),
    ),
    "pool-after-pool": Small(
        lambda: chain(nn.Conv2D(6, 3), nn.MaxPool2D(3, 1, 1), nn.AvgPool2D(3, 2, 1), nn.Conv2D(5, 3)),
        *((2, 10, 10), (6, 5), (6,)),
    ),
    "padding-stride-dilation": Small(
        lambda: chain(
            *(nn.Conv2D(6, 3, padding=2, dilation=2, activation="relu"), nn.MaxPool2D(3, 2, ceil_mode=True)),
            *(nn.Conv2D(5, (2, 3), strides=2, padding=1), nn.AvgPool2D(2, 1, 1, count_include_pad=False)),
        ),
        *((2, 14, 11), (6, 5), (6, 5)),
    ),
    "one-dimension": Small(
        lambda: chain(nn.Conv1D(6, 3), nn.MaxPool1D(), nn.Conv1D(5, 3), nn.AvgPool1D()), (2, 14), (6, 5), ()
    ),
    "three-dimensions": Small(
        lambda: chain(nn.Conv3D(6, 3), nn.MaxPool3D(), nn.Conv3D(5, 1), nn.AvgPool3D()), (2, 10, 10, 10), (6, 5), ()
    ),
    "normalized-before-the-pool": Small(
        lambda: Wired(normal_then_pool, nn.Conv2D(6, 3, use_bias=False), nn.BatchNorm(), pool2(), nn.Dense(4)),
        (2, 8, 8),
        (6,),
        (),
    ),
    "normalized-after-the-pool": Small(
        lambda: chain(*(nn.Conv2D(6, 3, use_bias=False), pool2(), nn.BatchNorm(), nn.Conv2D(5, 3), pool2())),
        *((2, 12, 12), (6, 5), (6, 5)),
    ),
    "shared-parameters": Small(
        lambda: shared(chain(nn.Conv2D(6, 3, padding=1, in_channels=6), pool2(), pool2(), pool2(), nn.Dense(4))),
        *((6, 16, 16), (6, 6), (6, 6)),
    ),
    "layer-called-twice": Small(
        lambda: Wired(three_activations, nn.Conv2D(6, 3), pool2(), nn.Dense(4)), (2, 8, 8), (6, 6), (6, 6)
    ),
    "operators-called-by-name": Small(
        lambda: Wired(own_operators, nn.Conv2D(6, 3), nn.Conv2D(5, 3)), (2, 12, 12), (6, 5), (6,)
    ),
    "branches": Small(
        lambda: Wired(branches, *(nn.Conv2D(n, 1) for n in (3, 8, 5)), nn.MaxPool2D(3, 1, 1)),
        *((2, 8, 8), (3, 8, 5), (8, 5)),
    ),
    "outputs-of-one-operator": Small(
        lambda: Wired(split_in_two, nn.Conv2D(6, 3), pool2(), nn.Conv2D(3, 1)), (2, 8, 8), (6, 3), (6,)
    ),
    "computed-weights": Small(
        lambda: chain(ScaledWeight(), pool2(), nn.Conv2D(5, 3), pool2()), (2, 14, 14), (6, 5), (5,)
    ),
    "dropout": Small(
        lambda: chain(nn.Conv2D(6, 3), nn.Dropout(0.5), pool2(), nn.Conv2D(10, 3), pool2(), nn.Dropout(0.5)),
        *((2, 14, 14), (6, 10), (10,)),
    ),
    "whole-blocks-already": Small(
        lambda: chain(nn.Conv2D(16, 3), pool2(), nn.Conv2D(32, 3), pool2()), (2, 14, 14), (16, 32), ()
    ),
}


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("name", SMALL)
def test_a_small_net_computes_the_same(name, block, block_of):
    block_of(block)
    net, x = ready(SMALL[name].build(), BATCH, *SMALL[name].image)
    twin = utils.hybridized(net)
    for _ in range(2):  # the first call compiles
        assert_all_close(predicted(twin, x), predicted(net, x), terms_of(net))
    for _ in range(2):
        assert_trains_the_same(twin, net, x.shape)
    assert_all_close(predicted(twin, x), predicted(net, x), terms_of(net))  # with other running statistics
    assert_all_close(predicted(compiled.for_inference(net), x), predicted(net, x), terms_of(net))


# --- the rewriting


@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("name", ["one-dimension", *(name for name in SMALL if name != "one-dimension")])
def test_only_the_convolutions_before_a_pool_are_padded(name, block, block_of, graphs):
    block_of(block)
    small = SMALL[name]
    net, x = ready(small.build(), BATCH, *small.image)
    utils.hybridized(net)(x)
    wide = [-(-n // block) * block if n in small.padded else n for n in small.filters]
    assert sorted(filters(graphs[-1])) == sorted(wide)


@pytest.mark.parametrize(
    ("name", "cuts"), [("not-before-a-pool", 0), ("two-in-a-row", 2), ("groups", 1), ("pool-used-twice", 1)]
)
def test_padding_is_removed_only_before_operators_other_than_convolutions(name, cuts, block_of, graphs):
    block_of(8)
    net, x = ready(SMALL[name].build(), BATCH, *SMALL[name].image)
    utils.hybridized(net)(x)
    assert len(nodes(graphs[-1], "slice_axis")) == cuts


@pytest.mark.parametrize(("block", "padded"), [(8, [24, 56]), (16, [32, 64])])
def test_lenets_maps_fill_whole_blocks(block, padded, block_of, graphs):
    """The padding is removed only once, after the last pool. One graph serves all batch sizes."""
    block_of(block)
    net, x = ready(get_model("lenet"), BATCH, 1, 28, 28)
    twin = utils.hybridized(net)
    for size in (1, BATCH):
        twin(x[:size])
    assert filters(graphs[0]) == padded
    assert len(nodes(graphs[0], "slice_axis")) == 1
    assert len(graphs) == 1


def test_padded_parameters_are_constants_in_predictions(block_of, graphs):
    block_of(8)
    net, x = ready(get_model("lenet"), BATCH, 1, 28, 28)
    compiled.for_inference(net)(x)
    utils.hybridized(net)(x)
    assert [len(nodes(graph, "_zeros")) for graph in graphs] == [0, 5]


def test_no_relu_of_mxnets_own_is_left_in_resnet(graphs):
    net, x = ready(get_model("resnet"), 2, 1, 75, 75)
    twin = utils.hybridized(net)
    twin(x)
    assert not nodes(graphs[-1], "relu")
    assert [node["attrs"]["act_type"] for node in nodes(graphs[-1], "Activation")] == ["relu"] * 16


# --- deferred ReLU


def relu_used_twice(F, x, conv, pool, dense):
    maps = F.relu(conv(x))
    return dense(F.concat(maps, pool(maps), dim=1))


def pooled_and_returned(F, x, conv, pool):
    maps = F.relu(conv(x))
    return [pool(maps), maps]


def split_then_rectified(F, x, conv, pool):
    """An operator's second output, rectified and pooled."""
    first, second = F.split(conv(x), num_outputs=2)
    return F.concat(pool(F.relu(second)), pool(first), dim=1)


DEFERRED = {  # a net, an image, and the operators from convolutions to ReLUs, in order of the graph
    "pool": (lambda: chain(nn.Conv2D(16, 3, activation="relu"), pool2()), "conv pool relu"),
    "pools": (lambda: chain(nn.Conv2D(16, 3, activation="relu"), pool2(), pool2()), "conv pool pool relu"),
    "average": (lambda: chain(nn.Conv2D(16, 3, activation="relu"), nn.AvgPool2D()), "conv relu pool"),
    "other": (lambda: chain(nn.Conv2D(16, 3, activation="sigmoid"), pool2()), "conv sigmoid pool"),
    "used-twice": (
        lambda: Wired(relu_used_twice, nn.Conv2D(16, 1), nn.MaxPool2D(3, 1, 1), nn.Dense(4)),
        "conv relu pool join",
    ),
    "returned": (lambda: Wired(pooled_and_returned, nn.Conv2D(16, 1), pool2()), "conv relu pool"),
    "second-output": (
        lambda: Wired(split_then_rectified, nn.Conv2D(32, 1), pool2()),
        "conv pool relu pool join",
    ),
}
WORDS = {"Convolution": "conv", "Pooling": "pool", "Concat": "join"}


@pytest.mark.parametrize("name", DEFERRED)
def test_relu_is_deferred_past_max_pools_only(name, graphs):
    """And everything computed stays equal to the last bit, as no sum is taken in another order."""
    build, expected = DEFERRED[name]
    net, x = ready(build(), BATCH, 2, 10, 10)
    twin = utils.hybridized(net)
    for a, b in zip(predicted(twin, x), predicted(net, x)):
        np.testing.assert_array_equal(a, b)
    order = [WORDS.get(node["op"], node.get("attrs", {}).get("act_type")) for node in nodes(graphs[-1])]
    assert " ".join(word for word in order if word) == expected
    assert_trains_the_same(twin, net, x.shape)


def test_predictions_keep_relu_next_to_its_convolution(graphs):
    """It is fused into the convolution."""
    net, x = ready(chain(nn.Conv2D(16, 3, activation="relu"), pool2()), BATCH, 2, 10, 10)
    compiled.for_inference(net)(x)
    assert not nodes(graphs[-1], "Activation")
    assert [node["op"] for node in nodes(graphs[-1]) if node["op"] != "null"] == ["_sg_mkldnn_conv", "Pooling"]
