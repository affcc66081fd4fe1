"""A small network with its trace, made without MXNet."""

import json

from gluon_classics.porting.comparison.fingerprint import fingerprint
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.comparison.tensor_file import write_safetensors
from gluon_classics.porting.graph import Graph, Loss, Operation, Parameter, graph_digest
from gluon_classics.porting.replay import replay
import numpy as np
from numpy_port import forward_port, training_port

CHANNELS, CLASSES, SIDE = 6, 5, 8


def _window(**more):
    return {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0, 0, 0], **more}


def graph(activation=False):
    """Return convolution, batch normalization, ReLU, max pooling, flatten, dropout and a dense layer.

    Args:
        activation: Whether the convolution has a built-in ReLU.
    """
    side = SIDE // 2
    convolution = {"channels": CHANNELS, "kernel": [3, 3], "stride": [1, 1], "padding": [1] * 4}
    convolution.update({"dilation": [1, 1], "groups": 1})
    batch_norm = {"eps": 1e-5, "momentum_keep": 0.9, "variance": "biased"}
    batch_norm.update({"use_running": False, "fixed_gamma": False, "axis": 1})
    roles = ("gamma", "beta", "running_mean", "running_var")
    map_shape, small = (None, CHANNELS, SIDE, SIDE), (None, CHANNELS, side, side)
    flat = CHANNELS * side * side
    features = "conv.act" if activation else "conv"
    operations = (
        Operation(
            "conv", "convolution", ("data",), {"weight": "conv.weight", "bias": "conv.bias"}, convolution, map_shape
        ),
        *([Operation("conv.act", "relu", ("conv",), {}, {}, map_shape)] if activation else []),
        Operation("bn", "batch_norm", (features,), {role: f"bn.{role}" for role in roles}, batch_norm, map_shape),
        Operation("relu", "relu", ("bn",), {}, {}, map_shape),
        Operation("pool", "max_pool", ("relu",), {}, _window(rounding="floor"), small),
        Operation("flatten", "flatten", ("pool",), {}, {}, (None, flat)),
        Operation("drop", "dropout", ("flatten",), {}, {"drop": 0.25, "shared_axes": []}, (None, flat)),
        Operation(
            "fc",
            "dense",
            ("drop",),
            {"weight": "fc.weight", "bias": "fc.bias"},
            {"units": CLASSES, "flatten": True},
            (None, CLASSES),
        ),
    )
    parameters = (
        Parameter("conv.weight", "weight", (CHANNELS, 3, 3, 3), ("out", "in", "height", "width"), True),
        Parameter("conv.bias", "bias", (CHANNELS,), ("out",), True),
        *(Parameter(f"bn.{role}", role, (CHANNELS,), ("channel",), not role.startswith("running")) for role in roles),
        Parameter("fc.weight", "weight", (CLASSES, flat), ("out", "in"), True),
        Parameter("fc.bias", "bias", (CLASSES,), ("out",), True),
    )
    loss = (Loss("softmax_cross_entropy", "fc"),)
    return Graph("small", {"data": (None, 3, SIDE, SIDE)}, operations, parameters, ("fc",), loss, {"conv": features})


def trace(steps=3, activation=False):
    """Return a trace of the network: parameters, data and masks."""
    network, generator = graph(activation), np.random.RandomState(0)
    arrays = {}
    for row in network.parameters:
        scale, middle = (0.2, 1.0) if row.role in ("gamma", "running_var") else (0.3, 0.1)
        arrays[row.name] = np.float32(middle + scale * generator.uniform(-1, 1, row.shape))
    tensors = {f"param/{name}": array for name, array in arrays.items()}
    for step in range(1, steps + 1):
        prefix = "" if step == 1 else f"step/{step}/"
        tensors[f"{prefix}input"] = np.float32(generator.normal(size=(4, 3, SIDE, SIDE)))
        tensors[f"{prefix}label"] = generator.randint(CLASSES, size=4)
        mask = generator.uniform(size=(4, CHANNELS * SIDE * SIDE // 4)) < 0.75
        tensors[f"{prefix}mask/drop"] = np.float32(mask)
    values = replay.run(network, arrays, {"data": tensors["input"]}, True, {"drop": tensors["mask/drop"]})
    for role, array in zip(("running_mean", "running_var"), replay.batch_statistics(network.operation("bn"), values)):
        tensors[f"param/bn.{role}"] = np.float32(array * 1.1)
    recipe = {
        "schema": "gluon-classics recipe",
        "version": 1,
        "optimizer": {"name": "sgd", "momentum": float(np.float32(0.9))},
        "steps": [{"learning_rate": float(np.float32(rate))} for rate in (0.05, 0.02, 0.1)[:steps]],
        "weight_decay": {row.name: float(np.float32(0.01)) for row in network.parameters if row.trainable},
    }
    start = ReferenceTrace(network, recipe, tensors)
    values = {**training_port(start), **forward_port(start)}
    return ReferenceTrace(network, recipe, tensors, {key: fingerprint(array) for key, array in values.items()})


def write(made, folder):
    """Write a trace to a folder."""
    weights = {key[6:]: array for key, array in made.tensors.items() if key.startswith("param/")}
    others = {key: array for key, array in made.tensors.items() if not key.startswith("param/")}
    fingerprints = {key: row.to_json() for key, row in made.fingerprints.items()}
    (folder / "graph.json").write_text(made.graph.to_json(), encoding="utf-8")
    (folder / "recipe.json").write_text(json.dumps(made.recipe), encoding="utf-8")
    (folder / "fingerprints.json").write_text(json.dumps(fingerprints), encoding="utf-8")
    (folder / "layout.json").write_text(json.dumps(made.layout), encoding="utf-8")
    about = {"graph_sha256": graph_digest(made.graph)}
    write_safetensors(folder / "trace.safetensors", others, about)
    write_safetensors(folder / "weights.safetensors", weights, about)
