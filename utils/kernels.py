"""Choose between oneDNN's kernels for prediction and for training, to predict faster.

oneDNN's convolutions for prediction are slow on narrow feature maps, its convolutions for training are not. ResNet at
96x96 spends half of its work on maps that are 6 and 3 pixels wide. Such a graph predicts in MXNet's training mode.
Dropout and batch statistics are switched off in the graph, so the function is the same. Batch normalisation is folded
into the convolutions (see `fold_batch_norm`), because MXNet's fused operators change the parameters in training mode.

The choice depends only on shapes, not on measured time: the same network and images always give the same bits.
`benchmarks/NOTES.md` lists what it gains.
"""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np

NARROW = 8  # pixels: narrower maps are slow in prediction
SHARE = 1 / 2  # of the multiply-accumulates of all convolutions: above it, training kernels are used
# attributes that make an operator compute the same in training mode as in prediction mode
_MODE_OFF = {"Dropout": {"p": "0"}, "BatchNorm": {"use_global_stats": "True"}}
_SAME_IN_BOTH_MODES = {  # with these attributes
    *("null", "Convolution", "FullyConnected", "Activation", "Pooling", "LRN", "Concat", "Flatten", "Reshape"),
    *("elemwise_add", "elemwise_mul", "broadcast_add", "broadcast_mul", "slice_axis"),
    *("relu", "sigmoid", "tanh", "softmax", "log_softmax", "_mul_scalar", "_plus_scalar"),
    *_MODE_OFF,
}


def mostly_narrow(graph: mx.sym.Symbol, shape: tuple[int, ...], data: str) -> bool:
    """Return whether most of the work is on narrow maps, so that training kernels are faster.

    Args:
        graph: The graph of a network.
        shape: The shape of the images, (N, C, H, W).
        data: The name of the input.

    Returns:
        True if more than `SHARE` of the multiply-accumulates are on maps narrower than `NARROW`. False if an operator
        could compute something else in training mode, or if the weight of a convolution is not a parameter.
    """
    nodes = json.loads(graph.tojson())["nodes"]
    if any(node["op"] not in _SAME_IN_BOTH_MODES for node in nodes):
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
    """Return a graph whose outputs in training mode equal those of `graph` in prediction mode."""
    source = json.loads(graph.tojson())
    for node in source["nodes"]:
        attributes = node.get("attrs", {})
        if node["op"] in _MODE_OFF and attributes.get("mode") != "always":
            node["attrs"] = {**attributes, **_MODE_OFF[node["op"]]}
    return mx.sym.load_json(json.dumps(source))
