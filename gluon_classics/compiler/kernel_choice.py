"""Which of oneDNN's convolutions predict faster: those of prediction, or those of training.

In prediction oneDNN chooses kernels that are slow on narrow maps, where its training kernels are not: ResNet at 96x96
spends half of its work on maps of 6 and 3 pixels. There a graph for predictions runs in MXNet's training mode, with
dropout and batch statistics switched off in the graph, so that the function is the same; batch normalisation is folded
into the convolutions (see `folding`) in place of MXNet's fusion, whose operators change parameters in training mode.
Chosen by shapes alone, never by a clock: the same network and images give the same bits. Speed: `benchmarks/NOTES.md`.
"""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np

NARROW = 8  # pixels: maps below this width are slow in prediction
SHARE = 1 / 2  # of the multiply-accumulates in convolutions, on narrow maps
# operators that compute in training mode what they compute in prediction, once `in_training_mode` has been at them
_MODE_SWITCHED_OFF = {"Dropout": {"p": "0"}, "BatchNorm": {"use_global_stats": "True"}}
_ALIKE = {
    *("null", "Convolution", "FullyConnected", "Activation", "Pooling", "LRN", "Concat", "Flatten", "Reshape"),
    *("elemwise_add", "elemwise_mul", "broadcast_add", "broadcast_mul", "slice_axis"),
    *("relu", "sigmoid", "tanh", "softmax", "log_softmax", "_mul_scalar", "_plus_scalar"),
    *_MODE_SWITCHED_OFF,
}


def mostly_narrow(graph: mx.sym.Symbol, shape: tuple[int, ...], data: str) -> bool:
    """Whether images of `shape`, (N, C, H, W), for the input `data` make most work slow in prediction's kernels.

    False for a graph that training mode may change, or whose kernels are computed in it.
    """
    nodes = json.loads(graph.tojson())["nodes"]
    if any(node["op"] not in _ALIKE for node in nodes):
        return False
    insides = graph.get_internals()
    _, shapes, _ = insides.infer_shape(**{data: shape})
    shape_of = dict(zip(insides.list_outputs(), shapes))
    work = {True: 0, False: 0}
    for node in nodes:
        if node["op"] == "Convolution":
            weight = nodes[node["inputs"][1][0]]
            if weight["op"] != "null":
                return False
            kernels = shape_of[weight["name"]]
            maps = shape_of[f"{node['name']}_output"]
            work[maps[-1] < NARROW] += int(np.prod(maps) * np.prod(kernels[1:]))
    return work[True] > SHARE * sum(work.values())


def in_training_mode(graph: mx.sym.Symbol) -> mx.sym.Symbol:
    """A graph whose outputs in training mode are those of `graph` in prediction."""
    source = json.loads(graph.tojson())
    for node in source["nodes"]:
        attributes = node.get("attrs", {})
        if node["op"] in _MODE_SWITCHED_OFF and attributes.get("mode") != "always":
            node["attrs"] = {**attributes, **_MODE_SWITCHED_OFF[node["op"]]}
    return mx.sym.load_json(json.dumps(source))
