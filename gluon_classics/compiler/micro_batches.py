"""The stages of a network whose maps are large, for a part of the batch after the other: less memory in training.

In the backward pass MXNet holds three more arrays as large as the largest maps, beside all maps of the network; in
parts, these are as large as the maps of a part. Only from the input on through layers in which images do not depend on
each other: convolutions, activations and pools. Sums over the batch, of the gradients, are taken in another order.
"""

from __future__ import annotations

import mxnet as mx
import numpy as np

from .graph_builder import GraphCopy

PARTS = 4
WORTHWHILE = 2**20  # bytes of one layer's maps for one image: with less, little memory is saved
_IMAGE_BY_IMAGE = ("Convolution", "Activation", "Pooling")


def can_be_parted(batch_size: int) -> bool:
    """Whether a batch falls into equal parts that are not too small to be fast."""
    return batch_size % PARTS == 0 and batch_size >= 4 * PARTS


def in_parts(graph: mx.sym.Symbol, shapes: dict[str, tuple[int, ...]], data: str) -> mx.sym.Symbol:
    """`graph` with its first stages in parts, if that is worthwhile for images of this shape, else itself.

    `shapes` are those of the parameters and of the input `data`, (N, C, H, W), by name; N must be what `can_be_parted`.
    The last stage in parts is the last one with large maps.
    """
    copy = GraphCopy(graph)
    stages = _large_stages(graph, copy, shapes, data)
    if not stages:
        return graph
    parts: dict[int, list] = {}  # the parts of an old node's first output

    def of_part(entry, part):
        number, output, version = entry
        if number not in parts:
            return copy.moved(entry)
        new, first_output, _ = parts[number][part]
        return (new, first_output + output, version)

    for number, node in enumerate(copy.nodes):
        if number in stages:
            parts[number] = [
                copy.add({**node, "name": f"{node['name']}_part{part}"}, [of_part(old, part) for old in node["inputs"]])
                for part in range(PARTS)
            ]
            # nobody asks for the whole of what is in parts but for the last one
            whole = copy.add(_concat(node), parts[number]) if number == stages[-1] else parts[number][0]
            copy.copies.append(whole)
        else:
            copy.copies.append(copy.add(node, [copy.moved(entry) for entry in node["inputs"]]))
        if _is_input(node, data):
            split = copy.add(_split(node), [copy.copies[-1]])
            parts[number] = [(split[0], part, 0) for part in range(PARTS)]
    return copy.symbol([copy.moved(entry) for entry in copy.heads])


def _split(node):
    attributes = {"num_outputs": str(PARTS), "axis": "0", "squeeze_axis": "0"}
    return {"op": "SliceChannel", "name": f"{node['name']}_split", "attrs": attributes}


def _concat(node):
    return {"op": "Concat", "name": f"{node['name']}_joined", "attrs": {"num_args": str(PARTS), "dim": "0"}}


def _is_input(node, data):
    return node["op"] == "null" and node["name"] == data


def _large_stages(graph, copy, shapes, data):
    """Numbers of the nodes from the input to the last pool that has large maps in front of it."""
    insides = graph.get_internals()
    _, inside_shapes, _ = insides.infer_shape(**shapes)
    shape_of = dict(zip(insides.list_outputs(), inside_shapes))
    chain = _chain(copy.nodes, copy.heads, data)
    end, largest = 0, 0
    for length, number in enumerate(chain, start=1):
        node = copy.nodes[number]
        if node["op"] == "Pooling":
            end = length if largest >= WORTHWHILE else end
            largest = 0
        largest = max(largest, 4 * int(np.prod(shape_of[f"{node['name']}_output"][1:])))
    return chain[:end]


def _chain(nodes, heads, data):
    """Numbers of the nodes behind the input that treat images one by one, each used by the next alone."""
    outputs = {number for number, _, _ in heads}
    current = next(number for number, node in enumerate(nodes) if _is_input(node, data))
    chain: list[int] = []
    while current not in outputs:
        users = [number for number, node in enumerate(nodes) if any(entry[0] == current for entry in node["inputs"])]
        if len(users) != 1 or nodes[users[0]]["op"] not in _IMAGE_BY_IMAGE:
            break
        (current,) = users
        chain.append(current)
    return chain
