"""Rewrite a graph before it becomes source code."""

from __future__ import annotations

from dataclasses import replace
import re
from typing import Callable

from ...graph import Graph, Operation

LAYER = "Layer"  # the kind of a block that was made for an operation of a model of symbols


def with_layers(graph: Graph, is_layer: Callable[[Operation], bool]) -> Graph:
    """Return a model of symbols with a block for each operation that is a layer.

    Args:
        graph: The network. If it has blocks already, it is returned as it is.
        is_layer: Whether an operation is a layer.
    """
    if graph.block_kinds:
        return graph
    names: dict[str, str] = {}
    for row in graph.operations:
        name = re.sub(r"\W", "_", row.name)
        name = f"layer_{name}" if name[:1].isdigit() else name
        while name in names.values():
            name += "_"
        names[row.name] = name
    layers = {row.name for row in graph.operations if is_layer(row)}
    operations = tuple(
        replace(
            row,
            name=names[row.name],
            inputs=tuple(names.get(name, name) for name in row.inputs),
            block=names[row.name] if row.name in layers else "",
        )
        for row in graph.operations
    )
    blocks = {names[name]: names[name] for name in layers}
    return replace(
        graph,
        operations=operations,
        outputs=tuple(names.get(name, name) for name in graph.outputs),
        blocks=blocks,
        block_kinds={"": graph.network, **dict.fromkeys((row.block for row in operations if row.block), LAYER)},
    )


def with_scatters(graph: Graph) -> Graph:
    """Return the graph with one operation "scatter" for each array that is pieced together from rows and zeros.

    LeNet-5's partial convolution does so: its weight has one kernel for each connected pair of feature maps.
    """
    by_name = {row.name: row for row in graph.operations}
    operations = []
    for row in graph.operations:
        made = by_name.get(row.inputs[0]) if row.kind == "reshape" and row.inputs else None
        runs = made and made.kind == "concat" and _runs(made, by_name)
        if runs:
            source, connected = runs
            settings = {"connected": connected, "shape": list(row.output_shape)}
            row = replace(row, kind="scatter", inputs=(source,), settings=settings)
        operations.append(row)
    needed = set(graph.outputs)
    for row in reversed(operations):
        if row.name in needed:
            needed.update((*row.inputs, *row.parameters.values()))
    return replace(graph, operations=tuple(row for row in operations if row.name in needed))


def _runs(concat, by_name):
    """Return the source of the rows of a concatenation and for each row whether it is from there, or None."""
    source, connected, begin = None, [], 0
    for name in concat.inputs:
        piece = by_name.get(name)
        if piece is None or concat.settings["axis"] != 0:
            return None
        if piece.kind == "zeros_like":
            connected += [False] * piece.output_shape[0]
        elif piece.kind == "slice" and piece.settings["axis"] == 0 and piece.settings["begin"] == begin:
            if source not in (None, piece.inputs[0]):
                return None
            source, begin = piece.inputs[0], piece.settings["end"]
            connected += [True] * piece.output_shape[0]
        else:
            return None
    return (source, connected) if source else None
