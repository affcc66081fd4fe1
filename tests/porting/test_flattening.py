"""A network behind a flattened map computes the same if the map and its parameters have their channels last."""

from __future__ import annotations

from gluon_classics.porting import from_block
from gluon_classics.porting.comparison.port_tensors import PortTensors
from gluon_classics.porting.export import flax_export
from gluon_classics.porting.export.codegen.dialect import ExportError
from gluon_classics.porting.flattening import channels_last_order, flat_vectors, flattened_shape, moved_shape
from gluon_classics.porting.network.capture import capture
from gluon_classics.porting.network.parameter_layout import layout
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
import pytest

TOLERANCE = 200 * 2**-24  # sums of 48 products of values up to 3
MIDDLES = {
    "none": list,
    "batch_norm": lambda: [nn.BatchNorm()],
    "layer_norm_prelu": lambda: [nn.LayerNorm(), nn.PReLU()],
    "square": lambda: [nn.LeakyReLU(0.1), nn.HybridLambda(lambda F, x: F.square(x) + 1), nn.Dropout(0.5)],
}


def sequential(layers):
    net = nn.HybridSequential()
    net.add(*layers)
    net.initialize(mx.init.Xavier())
    return net


def randomized(net, rng):
    for parameter in net.collect_params().values():
        parameter.set_data(nd.array(rng.uniform(0.5, 2, parameter.shape)))
    return net


@pytest.mark.parametrize("make", MIDDLES.values(), ids=MIDDLES)
def test_the_layers_behind_a_map_take_its_channels_last(make, rng):
    net = sequential([nn.Conv2D(3, 3), nn.Flatten(), *make(), nn.Dense(2)])
    net(nd.zeros((2, 3, 6, 6)))
    randomized(net, rng)
    x = nd.array(rng.normal(size=(5, 3, 6, 6)))
    feature_map = net[0](x)
    rows = layout(capture(net, (3, 6, 6)), "1.0")["parameters"]
    entries = {row["name"]: row["flax"] for row in rows}
    last = sequential([*make(), nn.Dense(2)])
    flat = feature_map.transpose((0, 2, 3, 1)).reshape((5, -1))
    last(flat)
    for number, layer in enumerate(last):
        for name, parameter in layer._collect_params_with_prefix().items():
            value = net[number + 2]._collect_params_with_prefix()[name].data().asnumpy()
            entry = entries.get(f"{number + 2}.{name}") or entries[f"{number + 2}.slope"]
            value = value.reshape(entry.get("reshape", value.shape)).transpose(entry["transpose"])
            value = value.reshape(entry["shape"])
            parameter.set_data(nd.array(value.T))  # a dense layer of Flax has (in, out)
    expected, found = net(x).asnumpy(), last(flat).asnumpy()
    assert np.linalg.norm(found - expected) <= TOLERANCE * np.linalg.norm(expected)


def test_values_that_were_moved_cannot_be_written_for_flax():
    cut = nn.HybridLambda(lambda F, x: F.slice_axis(x, axis=1, begin=0, end=20))
    net = sequential([nn.Conv2D(3, 3), nn.Flatten(), cut, nn.Dense(2)])
    net(nd.zeros((2, 3, 6, 6)))
    graph = capture(net, (3, 6, 6))
    assert flattened_shape(graph, graph.operations[-1]) is None
    with pytest.raises(ExportError, match=r"3 \(dense\) takes values of a flattened map that were moved"):
        flax_export.source_code(graph)


@pytest.mark.parametrize(("channels", "side", "is_moved"), [(5, 1, False), (1, 4, False), (2, 2, True)])
def test_a_map_of_one_pixel_or_one_channel_has_one_order(channels, side, is_moved):
    net = sequential([nn.Conv2D(channels, 1), nn.Flatten(), nn.Dense(2)])
    graph = capture(net, (3, side, side))
    assert moved_shape(graph, graph.operations[-1]) == ((channels, side, side) if is_moved else None)


def test_the_order_with_channels_last():
    np.testing.assert_array_equal(channels_last_order((2, 2, 3)), [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])


def test_a_port_with_channels_last_may_have_batch_normalization_behind_the_map(rng):
    net = sequential([nn.Conv2D(3, 2), nn.Flatten(), nn.BatchNorm(), nn.Dense(2)])
    net(nd.zeros((2, 3, 5, 5)))
    graph = from_block(randomized(net, rng), (3, 5, 5)).graph
    dense = graph.operations[-1]
    assert flattened_shape(graph, dense) == (3, 4, 4)
    assert flat_vectors(graph, dense) == [f"2.{role}" for role in ("gamma", "beta", "running_mean", "running_var")]
    order = channels_last_order((3, 4, 4))
    reference = {f"param/{row.name}": rng.normal(size=row.shape) for row in graph.parameters}
    reference.update({"eval/2": rng.normal(size=(5, 48)), "input": rng.normal(size=(5, 3, 5, 5))})
    moved = {key: value[..., order] if value.shape[-1] == 48 else value for key, value in reference.items()}
    moved["input"] = reference["input"].transpose(0, 2, 3, 1)
    moved["param/0.weight"] = reference["param/0.weight"].transpose(2, 3, 1, 0)
    moved["param/3.weight"] = moved["param/3.weight"].T
    tensors = PortTensors(moved, graph, reference=reference)
    assert {key for key in reference if key in tensors.arrays} == set(reference)
    for key, value in reference.items():
        np.testing.assert_array_equal(tensors.arrays[key], value, err_msg=key)
