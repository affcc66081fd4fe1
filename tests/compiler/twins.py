"""Whether a network and its compiled twin compute the same, in both modes."""

import json

from arrays import assert_gradients_close, terms_of_gradients
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

pool2 = nn.MaxPool2D  # of 2 by 2


class Wired(nn.HybridBlock):
    """Layers joined by a function of F, the input and the layers."""

    def __init__(self, join, *layers):
        super().__init__()
        self.join = join
        for layer in layers:
            self.register_child(layer)

    def hybrid_forward(self, F, x):
        return self.join(F, x, *self._children.values())


def listed(outputs):
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def predicted(forward, x):
    return [output.asnumpy() for output in listed(forward(x))]


def trained(forward, net, x):
    """Outputs, all gradients (the images' first) and running statistics of a training pass, as NumPy arrays.

    Masks of dropout and the gradients of the outputs are the same in every call.
    """
    parameters = net.collect_params().values()
    statistics = [p for p in parameters if "running" in p.name]
    for statistic in statistics:
        statistic.set_data(nd.ones(statistic.shape))
    x.attach_grad()
    mx.random.seed(1)
    with autograd.record():
        outputs = listed(forward(x))
    autograd.backward(outputs, [nd.random.normal(shape=output.shape, dtype=output.dtype) for output in outputs])
    gradients = [p.grad() for p in parameters if p.grad_req != "null"]
    return [a.asnumpy() for a in (*outputs, x.grad, *gradients, *(p.data() for p in statistics))]


def nodes(symbol, op=None):
    return [node for node in json.loads(symbol.tojson())["nodes"] if op in (None, node["op"])]


def assert_trains_the_same(twin, net, shape):
    def drawn():
        x = nd.random.normal(shape=shape)
        return trained(twin, net, x), trained(net, net, x)

    assert_gradients_close(drawn, terms_of_gradients(net, nd.zeros(shape)))
