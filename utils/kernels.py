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
# operators that training mode changes in other ways than the two that `in_training_mode` switches off
_TRAINING_DIFFERS = {"RNN", "LeakyReLU", "_contrib_SyncBatchNorm", "_contrib_BatchNormWithReLU"}


def mostly_narrow(graph: mx.sym.Symbol, shape: tuple[int, ...], data: str) -> bool:
    """Whether images of `shape`, (N, C, H, W), for the input `data` make most work slow in prediction's kernels."""
    nodes = json.loads(graph.tojson())["nodes"]
    if any(node["op"] in _TRAINING_DIFFERS for node in nodes):
        return False
    insides = graph.get_internals()
    _, shapes, _ = insides.infer_shape(**{data: shape})
    shape_of = dict(zip(insides.list_outputs(), shapes))
    work = {True: 0, False: 0}
    for node in nodes:
        if node["op"] == "Convolution":
            weight = nodes[node["inputs"][1][0]]
            kernels = shape_of[weight["name"] if weight["op"] == "null" else f"{weight['name']}_output"]
            maps = shape_of[f"{node['name']}_output"]
            work[maps[-1] < NARROW] += int(np.prod(maps) * np.prod(kernels[1:]))
    return work[True] > SHARE * sum(work.values())


def in_training_mode(graph: mx.sym.Symbol) -> mx.sym.Symbol:
    """A graph whose outputs in training mode are those of `graph` in prediction."""
    source = json.loads(graph.tojson())
    switched_off = {"Dropout": {"p": "0"}, "BatchNorm": {"use_global_stats": "True"}}
    for node in source["nodes"]:
        attributes = node.get("attrs", {})
        if node["op"] in switched_off and attributes.get("mode") != "always":
            node["attrs"] = {**attributes, **switched_off[node["op"]]}
    return mx.sym.load_json(json.dumps(source))
