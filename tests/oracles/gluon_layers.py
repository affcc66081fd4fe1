"""Read and fill networks of Gluon, ours and GluonCV's, as lists of layers."""

import math

from gluon_classics.models._blocks import LocalResponseNorm
from layer_lists import STATISTICS, Layer, of_kind
from layer_values import fitted
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn


def layers_of(net, input_shape):
    """Return the layers of `net`, after setting the shapes of its parameters for images of (C, H, W)."""
    _settle_shapes(net, input_shape)
    blocks = {}  # GluonCV's GoogLeNet registers its classifier twice
    net.apply(lambda block: blocks.setdefault(id(block), block))
    return [layer for block in blocks.values() for layer in _described(block)]


def _settle_shapes(net, input_shape):
    outputs = net(mx.sym.var("data"))
    graph = mx.sym.Group(list(outputs)) if isinstance(outputs, (list, tuple)) else outputs
    arguments, _, statistics = graph.infer_shape(data=(1, *input_shape))
    shapes = dict(zip(graph.list_arguments(), arguments))
    shapes.update(zip(graph.list_auxiliary_states(), statistics))
    for parameter in net.collect_params().values():
        parameter.shape = shapes[parameter.name]


def _described(block):
    given = getattr(block, "_kwargs", {})
    if isinstance(block, nn.Conv2D):
        roles, groups = {"weight": block.weight, "bias": block.bias}, given["num_group"]
        channels, inputs = given["num_filter"], block.weight.shape[1] * groups
        geometry = {"kernel": _one(given["kernel"]), "stride": _one(given["stride"]), "padding": _one(given["pad"])}
        bias = block.bias is not None
        yield _layer(
            "convolution", block, roles, channels=channels, inputs=inputs, **geometry, groups=groups, bias=bias
        )
    elif isinstance(block, nn.Dense):
        roles, (units, inputs) = {"weight": block.weight, "bias": block.bias}, block.weight.shape
        yield _layer("dense", block, roles, units=units, inputs=inputs, bias=block.bias is not None)
    elif isinstance(block, nn.BatchNorm):
        # MXNet uses 1 instead of a fixed gamma
        fixed = [given["fix_gamma"], block.gamma.grad_req == "null", block.beta.grad_req == "null"]
        assert all(fixed) or not any(fixed)
        trained = {} if all(fixed) else {"gamma": block.gamma, "beta": block.beta}
        roles = {**trained, "mean": block.running_mean, "variance": block.running_var}
        yield _layer("norm", block, roles, channels=block.gamma.shape[0], epsilon=given["eps"])
    elif isinstance(block, nn.MaxPool2D):
        size, stride, padding = (_one(given[name]) for name in ("kernel", "stride", "pad"))
        rounds_up = given["pooling_convention"] == "full"
        yield _layer("max pool", block, {}, size=size, stride=stride, padding=padding, rounds_up=rounds_up)
    elif isinstance(block, LocalResponseNorm):
        yield _layer("response norm", block, {})


def _layer(kind, block, roles, **settings):
    roles = {role: parameter for role, parameter in roles.items() if parameter is not None}
    return Layer(kind, settings, roles, {role: parameter.shape for role, parameter in roles.items()}, block)


def _one(sides):
    """Return the side of a square, or both sides."""
    height, width = sides
    return height if height == width else (height, width)


def pixels_as_convolutions(layers):
    """Return the layers with all dense layers except the last, which see maps of one pixel, as 1x1 convolutions."""
    *inner, last = layers
    return [*(_as_convolution(layer) if layer.kind == "dense" else layer for layer in inner), last]


def _as_convolution(layer):
    given = layer.settings
    geometry = {"kernel": 1, "stride": 1, "padding": 0, "groups": 1}
    settings = {"channels": given["units"], "inputs": given["inputs"], **geometry, "bias": given["bias"]}
    shapes = {**layer.shapes, "weight": (*layer.shapes["weight"], 1, 1)}
    return Layer("convolution", settings, layer.tensors, shapes, layer.at)


def count(net):
    """Return the number of trainable parameters of a Gluon network."""
    return sum(math.prod(p.shape) for p in net.collect_params().values() if p.grad_req != "null")


def put(layers, values):
    """Set the tensors of the layers to these values."""
    for layer, of_layer in fitted(layers, values):
        for role, array in of_layer.arrays.items():
            parameter = layer.tensors[role]
            parameter.initialize(mx.init.Zero(), force_reinit=True)
            parameter.set_data(nd.array(array.reshape(parameter.shape)))


def get(layer, role):
    return layer.tensors[role].data().asnumpy()


def measure_statistics(net, layers, images):
    """Set the running statistics to those of the images. MXNet updates them in the backward pass."""
    for layer in of_kind(layers, "norm"):
        layer.at._kwargs["momentum"] = 0.0
    with autograd.record():
        logits = net(nd.array(images))
    logits.backward()
    nd.waitall()


def predict(net, images):
    """Return the logits of (N, C, H, W) images as a NumPy array; those of several heads are concatenated."""
    logits = net(nd.array(images))
    return (nd.concat(*logits, dim=1) if isinstance(logits, tuple) else logits).asnumpy()


def gradients(net, layers, images, direction):
    """Return the gradients of the sum of `direction` times logits, in training mode without dropout."""
    net.apply(_without_dropout)
    with autograd.record():
        total = (net(nd.array(images)) * nd.array(direction)).sum()
    total.backward()
    return [
        parameter.grad().asnumpy()
        for layer in layers
        for role, parameter in layer.tensors.items()
        if role not in STATISTICS
    ]


def _without_dropout(block):
    if isinstance(block, nn.Dropout):
        block._rate = 0
