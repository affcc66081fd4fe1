"""Batch normalisation folded into the convolution before it: the function of prediction, in fewer operators."""

from arrays import assert_close
from chains import operators
from gluon_classics.utils.folding import folded
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
import pytest

X = mx.sym.var("data")


def randomised(net):
    net.initialize(mx.init.Xavier())
    net(nd.ones((1, 4, 6, 6)))
    for parameter in net.collect_params().values():
        parameter.set_data(nd.random.uniform(0.3, 1, parameter.shape))
    return {parameter.name: parameter.data() for parameter in net.collect_params().values()}


def outputs(graph, arrays, x):
    results = nd.CachedOp(graph)(*({**arrays, "data": x}[name] for name in graph.list_inputs()))
    return [array.asnumpy() for array in (results if isinstance(results, list) else [results])]


def assert_same(graph, new, arrays, made):
    x = nd.random.normal(shape=(3, 4, 6, 6))
    expected, actual = outputs(graph, arrays, x), outputs(new, {**arrays, **made}, x)
    assert len(expected) == len(actual)
    for old_output, new_output in zip(expected, actual):
        terms = sum(int(np.prod(array.shape[1:])) for array in arrays.values())
        assert_close(new_output, old_output, terms)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2D(8, 3), nn.BatchNorm()),
        (nn.Conv2D(8, 3, use_bias=False), nn.BatchNorm(epsilon=0.1)),
        (nn.Conv2D(8, 3, groups=4), nn.BatchNorm(scale=False)),
        (nn.Conv2D(8, 3), nn.BatchNorm(center=False), nn.Activation("relu"), nn.Conv2D(5, 1), nn.BatchNorm()),
    ],
)
def test_batch_normalisation_behind_a_convolution_is_folded_into_it(layers):
    net = nn.HybridSequential()
    net.add(*layers)
    arrays = randomised(net)
    graph = net(X)
    new, made = folded(graph, arrays)
    assert "BatchNorm" in operators(graph)
    assert "BatchNorm" not in operators(new)
    assert operators(new) == [op for op in operators(graph) if op != "BatchNorm"]
    assert_same(graph, new, arrays, made)
    assert not set(made) & set(arrays)


class Kept(nn.HybridBlock):
    """Batch normalisations that cannot be folded; `case` says why."""

    def __init__(self, case):
        super().__init__()
        self.case = case
        with self.name_scope():
            self.conv, self.norm = nn.Conv2D(4, 1), nn.BatchNorm(axis=2 if case == "another axis" else 1)
            self.own = self.params.get("own", shape=(4, 4, 1, 1))

    def hybrid_forward(self, F, x, own):
        if self.case == "no convolution before":
            return self.norm(F.relu(self.conv(x)))
        maps = self.conv(x)
        if self.case == "maps used twice":
            return self.norm(maps) + maps
        if self.case == "maps are an output":
            return self.norm(maps), maps
        if self.case == "a computed weight":
            maps = F.Convolution(x, 2 * own, kernel=(1, 1), num_filter=4, no_bias=True)
        return self.norm(maps)


@pytest.mark.parametrize(
    "case", ["no convolution before", "maps used twice", "maps are an output", "another axis", "a computed weight"]
)
def test_other_batch_normalisations_stay(case):
    net = Kept(case)
    arrays = randomised(net)
    output = net(X)
    graph = mx.sym.Group(output) if isinstance(output, tuple) else output
    new, made = folded(graph, arrays)
    assert not made
    assert operators(new) == operators(graph)
    assert_same(graph, new, arrays, made)


def test_the_new_parameters_are_those_of_prediction_written_out():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(2, 1), nn.BatchNorm(epsilon=0.5))
    arrays = {name.split("_", 1)[1]: array.asnumpy() for name, array in randomised(net).items()}
    _, made = folded(net(X), {p.name: p.data() for p in net.collect_params().values()})
    weight, bias = (array.asnumpy() for array in made.values())
    by_end = {
        end: value
        for end in ("weight", "bias", "gamma", "beta", "mean", "var")
        for name, value in arrays.items()
        if name.endswith(end)
    }
    factor = by_end["gamma"] / np.sqrt(by_end["var"] + 0.5)
    assert_close(weight, by_end["weight"] * factor[:, None, None, None], terms=4)
    assert_close(bias, (by_end["bias"] - by_end["mean"]) * factor + by_end["beta"], terms=6)
