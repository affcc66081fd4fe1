"""The order of the values of a flattened feature map, which is another one with channels last.

A port with channels last flattens a map in the order height, width, channel. The columns of the dense layer behind it,
and the vectors of parameters in between, then need that order too.
"""

from __future__ import annotations

import numpy as np

from .graph import Graph, Operation

# kinds of one input whose output has the input's shape, and whose values do not depend on their order
_SAME_ORDER = (
    *("dropout", "relu", "sigmoid", "tanh", "softplus", "softsign", "leaky_relu", "elu", "selu", "gelu"),
    *("hard_sigmoid", "softmax", "clip", "square", "sqrt", "exp", "abs", "zeros_like", "ones_like", "stop_gradient"),
    *("add_scalar", "subtract_scalar", "subtract_from_scalar", "multiply_scalar", "divide_scalar"),
    *("divide_scalar_by", "power_scalar", "maximum_scalar", "minimum_scalar"),
    *("batch_norm", "layer_norm", "prelu"),  # their vectors have the order of the values
)


def flat_operations(graph: Graph, operation: Operation) -> list[Operation]:
    """Return what leads from a flattened map to a dense layer.

    The operation before the layer is first, and the one that flattens the map is last. The list is empty if there is no
    such map, or if the layer itself flattens it.
    """
    rows = {row.name: row for row in graph.operations}
    found, row = [], rows.get(operation.inputs[0])
    while row is not None and len(row.output_shape) == 2:
        found.append(row)
        if _flattens(graph, row):
            return found
        row = rows.get(row.inputs[0]) if row.kind in _SAME_ORDER else None
    return []


def flattened_shape(graph: Graph, operation: Operation) -> tuple | None:
    """Return the shape of the map that a dense layer takes flattened, such as (C, H, W), or None if there is none."""
    if operation.kind != "dense":
        return None
    if operation.settings.get("flattened"):
        return tuple(operation.settings["flattened"])
    chain = flat_operations(graph, operation)
    return _input_shape(graph, chain[-1])[1:] if chain else None


def moved_shape(graph: Graph, operation: Operation) -> tuple | None:
    """Return `flattened_shape` if the order of the map's values is another one with channels last, else None."""
    shape = flattened_shape(graph, operation)
    return shape if shape and _is_moved(shape) else None


def flat_vectors(graph: Graph, operation: Operation) -> list[str]:
    """Return the names of the parameters that have one number for each column of a dense layer behind a map."""
    size = int(np.prod(flattened_shape(graph, operation) or 0))
    shapes = {row.name: row.shape for row in graph.parameters}
    names = (name for row in flat_operations(graph, operation) for name in row.parameters.values())
    return [name for name in names if shapes[name] == (size,)]


def order_is_unknown(graph: Graph, operation: Operation) -> bool:
    """Return whether a dense layer takes values of a flattened map that were moved, as by a slice or concatenation."""
    if operation.kind != "dense" or flattened_shape(graph, operation):
        return False
    rows = {row.name: row for row in graph.operations}
    names, seen = [operation.inputs[0]], set()
    while names:
        row = rows.get(names.pop())
        if row is None or row.name in seen or row.kind == "dense" or len(row.output_shape) != 2:
            continue
        seen.add(row.name)
        if _flattens(graph, row) and _is_moved(_input_shape(graph, row)[1:]):
            return True
        names += row.inputs
    return False


def channels_last_order(shape: tuple) -> np.ndarray:
    """Return the numbers of the values of a map (C, H, W) in the order height, width, channel."""
    return np.moveaxis(np.arange(int(np.prod(shape))).reshape(shape), 0, -1).reshape(-1)


def _is_moved(shape):
    return shape[0] > 1 and int(np.prod(shape[1:])) > 1


def _flattens(graph, row):
    before = _input_shape(graph, row)
    return row.kind in ("flatten", "reshape") and len(before) > 2 and row.output_shape[1] == int(np.prod(before[1:]))


def _input_shape(graph, row):
    name = row.inputs[0]
    if name in graph.inputs:
        return tuple(graph.inputs[name])
    return tuple(next((other.output_shape for other in graph.operations if other.name == name), ()))
