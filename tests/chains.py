"""Small networks to compile, and what they were compiled to."""

import json

from gluon_classics.compiler import compiled
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import pytest

needs_rewriting = pytest.mark.skipif(not compiled.REWRITES, reason="graphs are rewritten from MXNet 1.9.1 on")


def chain(*layers):
    net = nn.Sequential()
    net.add(*layers)
    return net


def randomised(net):
    """With other biases, scales and running statistics than 0 and 1."""
    for parameter in net.collect_params().values():
        if len(parameter.shape) == 1:
            parameter.set_data(nd.random.uniform(0.2, 1, parameter.shape))
    return net


def ready(net, *shape):
    """The net with random parameters, and images for it."""
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=shape)
    net(x)  # completes the deferred shapes
    return randomised(net), x


def operators(graph):
    """The operators of a graph, in its order."""
    return [node["op"] for node in json.loads(graph.tojson())["nodes"] if node["op"] != "null"]
