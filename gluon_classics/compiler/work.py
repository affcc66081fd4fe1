"""How much work a graph is."""

from __future__ import annotations

import math

import mxnet as mx

from .graph_builder import nodes_of

COUNTED = ("Convolution", "FullyConnected")


def macs_per_operator(graph: mx.sym.Symbol, data: str, shape: tuple[int, ...]) -> float:
    """Return the multiply-accumulates of convolutions and dense layers, divided by the number of all operators.

    Args:
        graph: The graph.
        data: The name of its input.
        shape: The shape of a batch.

    Raises:
        MXNetError: The shape does not fit the graph.
    """
    parts = graph.get_internals()
    shapes = dict(zip(parts.list_outputs(), parts.infer_shape(**{data: shape})[1]))
    nodes = nodes_of(graph)
    macs = 0
    for node in nodes:
        if node["op"] in COUNTED:
            batch, _, *sides = shapes[f"{node['name']}_output"]
            weight = nodes[node["inputs"][1][0]]["name"]
            macs += batch * math.prod(sides) * math.prod(shapes.get(weight, (0,)))
    return macs / max(1, sum(node["op"] != "null" for node in nodes))
