"""Names and layouts of a network's parameters in PyTorch, Flax and Keras, as the file layout.json says them.

A parameter becomes that of another framework by `array.reshape(reshape).transpose(transpose).reshape(shape)`, with the
three lists that its entry has for the framework. The first one is left out if it is the array's own shape.
"""

from __future__ import annotations

import json
from typing import Any

from ..flattening import flat_vectors, flattened_shape
from ..graph import Graph, Operation, graph_digest

SCHEMA = "gluon-classics layout"
VERSION = 1

# the name of a role in each framework; other roles keep theirs
_ROLES = {
    "pytorch": {"gamma": "weight", "beta": "bias", "slope": "weight"},
    "flax": {
        **{"weight": "kernel", "gamma": "scale", "beta": "bias", "slope": "negative_slope"},
        **{"running_mean": "mean", "running_var": "var"},
    },
    "keras": {
        **{"weight": "kernel", "slope": "alpha"},
        **{"running_mean": "moving_mean", "running_var": "moving_variance"},
    },
}
_CHANNELS_LAST = ("flax", "keras")


def layout(graph: Graph, release: str) -> dict[str, Any]:
    """Return the content of layout.json for the parameters of a network.

    Args:
        graph: The network.
        release: Version of the package that made the weights.
    """
    uses, flattened = _uses(graph), _flattened(graph)
    entries = [_entry(parameter, uses[parameter.name], flattened.get(parameter.name)) for parameter in graph.parameters]
    tracked = [
        f"{_layer(operation.parameters['running_mean'], 'running_mean', operation)}.num_batches_tracked"
        for operation in graph.operations
        if operation.kind == "batch_norm"
    ]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "network": graph.network,
        "gluon_classics": release,
        "graph_sha256": graph_digest(graph),
        "rule": "array.reshape(reshape).transpose(transpose).reshape(shape), without the first step if it is missing",
        "parameters": entries,
        # counters of PyTorch's batch normalization: the prediction does not depend on them, and with a momentum the
        # training does not either
        "pytorch_only": {name: {"dtype": "int64", "value": 0} for name in tracked},
    }


def to_json(content: dict[str, Any]) -> str:
    """Return the text of layout.json: one line for each parameter."""
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items() if key != "parameters"]
    rows = ",\n".join(f"  {json.dumps(entry)}" for entry in content["parameters"])
    lines.append(f' "parameters": [\n{rows}\n ]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _uses(graph):
    """Return the first operation that uses each parameter, and the role it has there, by the parameter's name."""
    found: dict[str, tuple[Operation, str]] = {}
    for operation in graph.operations:
        for role, name in (*operation.parameters.items(), *((("constant", name)) for name in operation.inputs)):
            found.setdefault(name, (operation, role))
    return found


def _flattened(graph):
    """Return the shape of the flattened map that dense weights, and vectors before them, are for, by their names."""
    found = {}
    for operation in graph.operations:
        shape = flattened_shape(graph, operation)
        if shape:
            for name in (operation.parameters["weight"], *flat_vectors(graph, operation)):
                found[name] = list(shape)
    return found


def _entry(parameter, use, flattened):
    operation, role = use
    entry = {
        "name": parameter.name,
        "role": parameter.role,
        "shape": list(parameter.shape),
        "axes": list(parameter.axes),
        "trainable": parameter.trainable,
        "layer": operation.name,
        "kind": operation.kind,
    }
    if role == "constant":  # a value that no layer of another framework has
        same = {"name": parameter.name, "transpose": list(range(len(parameter.shape))), "shape": entry["shape"]}
        return {**entry, **dict.fromkeys(_ROLES, same)}
    if flattened:
        entry["flattened"] = flattened  # sizes that were (C, H, W) before the layer
    for framework, names in _ROLES.items():
        name = f"{_layer(parameter.name, parameter.role, operation)}.{names.get(role, role)}"
        reshaped = None
        order = list(range(len(parameter.shape)))
        if framework in _CHANNELS_LAST:
            if flattened and role != "weight":
                reshaped = list(flattened)
                order = [*range(1, len(reshaped)), 0]
            elif flattened:
                reshaped = [parameter.shape[0], *flattened]
                order = [*range(2, len(reshaped)), 1, 0]
            elif role == "weight":
                order = [*order[2:], 1, 0]
        before = reshaped or entry["shape"]
        shape = [before[axis] for axis in order]
        if reshaped:
            shape = list(parameter.shape[::-1])
        port: dict[str, Any] = {
            "name": name,
            **({"reshape": reshaped} if reshaped else {}),
            "transpose": order,
            "shape": shape,
        }
        if framework == "flax":
            port["collection"] = "batch_stats" if role.startswith("running_") else "params"
            if operation.kind == "transposed_convolution" and role == "weight":
                port["options"] = {"transpose_kernel": True}  # of nn.ConvTranspose: else its kernel is flipped
        entry[framework] = port
    return entry


def _layer(name, role, operation):
    """Return the path of the layer that has a parameter."""
    path, separator = name[: -len(role) - 1], name[-len(role) - 1 : -len(role)]
    return path if name.endswith(role) and separator in (".", "_") and path else operation.name
