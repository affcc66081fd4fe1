"""Ports in pure NumPy, in which mistakes can be planted."""

from gluon_classics.porting.graph import Operation
from gluon_classics.porting.mistakes.variants import Case
from gluon_classics.porting.replay import replay
import numpy as np


def _rounded(array, dtype):
    return np.asarray(np.asarray(array, dtype), np.float64)


def run(graph, values, training=False, masks=None, planted=None, dtype=np.float32):
    """Return all values of a network, rounded to a type, with other operations in some places.

    Args:
        graph: The network.
        values: Inputs and parameters by name.
        training: Whether the mode is training.
        masks: Keep masks by the dropout's name.
        planted: Functions from a `Case` to the output, or to the `Operation` that is computed instead, by name.
        dtype: The type.
    """
    values = dict(values)
    for row in graph.operations:
        mask = (masks or {}).get(row.name)
        result = None
        if row.name in (planted or {}):
            result = planted[row.name](Case(row, values, training, mask, graph))
        if isinstance(result, Operation):
            result = replay.forward(result, values, training, mask)
        result = replay.forward(row, values, training, mask) if result is None else result
        values[row.name] = _rounded(result, dtype)
    return values


def _masks(trace, step=1):
    prefix = "mask/" if step == 1 else f"step/{step}/mask/"
    return {key[len(prefix) :]: array for key, array in trace.tensors.items() if key.startswith(prefix)}


def start(trace):
    """Return the initial parameters and the images of a trace, by name."""
    arrays = {row.name: np.float64(trace.tensors[f"param/{row.name}"]) for row in trace.graph.parameters}
    (name,) = trace.graph.inputs
    return arrays, np.float64(trace.tensors["input"]), name


def copies(trace, parameters=None, images=None):
    """Return what every port records: its parameters, input, labels and masks."""
    arrays, own, _ = start(trace)
    tensors = {f"param/{name}": array for name, array in {**arrays, **(parameters or {})}.items()}
    tensors.update({"input": own if images is None else images, "label": trace.tensors["label"]})
    tensors.update({f"mask/{name}": mask for name, mask in _masks(trace).items()})
    return tensors


def forward_port(trace, planted=None, parameters=None, images=None, modes=("eval", "train"), drop=()):
    """Return the tensors of a port that records its outputs, with mistakes.

    Args:
        trace: The reference trace.
        planted: See `run`.
        parameters: Parameters that differ from the trace's, by name.
        images: Its images, if they differ.
        modes: The modes that it records.
        drop: Operations whose outputs it does not record.
    """
    arrays, own, name = start(trace)
    values = {**arrays, **(parameters or {}), name: own if images is None else images}
    tensors = copies(trace, parameters, images)
    for mode in modes:
        graph = trace.graph if mode == "train" else trace.graph.for_prediction()
        found = run(graph, values, mode == "train", _masks(trace), planted)
        tensors.update({f"{mode}/{row.name}": found[row.name] for row in graph.operations if row.name not in drop})
    return {key: np.asarray(array, np.float32) if array.dtype.kind == "f" else array for key, array in tensors.items()}


def training_port(trace, rule=None, running=None, loss=None, change_gradients=None, planted=None, dtype=np.float32):
    """Return the tensors of a port that records training, with mistakes.

    Args:
        trace: The reference trace.
        rule: Function from a `Step` to the change of a parameter; by default MXNet's SGD with momentum.
        running: Function from (name of the operation, old, batch statistics, share to keep, values per channel) to the
            running statistics after a step.
        loss: Function from outputs, labels and weights to the mean loss that it records.
        change_gradients: Function from all gradients to those that it records and trains with.
        planted: See `run`.
        dtype: Type of the arithmetic and of what is recorded.
    """
    graph, recipe = trace.graph, trace.recipe
    arrays, _, input_name = start(trace)
    tensors = copies(trace)
    states = {}
    parameters = dict(arrays)
    for number, row in enumerate(recipe["steps"], start=1):
        prefix = "" if number == 1 else f"step/{number}/"
        images, label = np.float64(trace.tensors[f"{prefix}input"]), trace.tensors[f"{prefix}label"]
        masks = _masks(trace, number)
        values = run(graph, {**parameters, input_name: images}, True, masks, planted, dtype)
        gradients, at_outputs = replay.run_backward(graph, values, label, masks)
        mean = replay.loss(graph, values, label).mean() if loss is None else loss(values, label)
        gradients = {name: _rounded(array, dtype) for name, array in gradients.items()}
        if change_gradients:
            gradients = change_gradients(gradients, parameters)
            gradients = {name: _rounded(array, dtype) for name, array in gradients.items()}
        if number == 1:
            tensors.update({f"train/{row.name}": values[row.name] for row in graph.operations})
            tensors.update({f"grad/{name}": array for name, array in gradients.items()})
            if loss is None and change_gradients is None:
                tensors.update({f"grad_out/{name}": array for name, array in at_outputs.items()})
            tensors["loss"] = np.float64(mean)
        else:
            tensors.update({f"{prefix}input": images, f"{prefix}label": label})
            tensors.update({f"{prefix}mask/{name}": mask for name, mask in masks.items()})
        tensors[f"step/{number}/loss"] = np.float64(mean)
        parameters = _stepped(trace, parameters, values, gradients, row, states, rule, running)
        parameters = {name: _rounded(array, dtype) for name, array in parameters.items()}
        tensors.update({f"step/{number}/param/{name}": array for name, array in parameters.items()})
    return {key: np.asarray(array, dtype) if array.dtype.kind == "f" else array for key, array in tensors.items()}


def _stepped(trace, parameters, values, gradients, row, states, rule, running):
    momentum = trace.recipe["optimizer"]["momentum"]
    result = dict(parameters)
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    for name, gradient in gradients.items():
        decay, state = trace.recipe["weight_decay"][name], states.setdefault(name, {})
        if rule is None:
            state["v"] = momentum * state.get("v", 0) - row["learning_rate"] * (gradient + decay * parameters[name])
            change = state["v"]
        else:
            change = rule(name, parameters[name], gradient, row["learning_rate"], momentum, decay, state, norm)
        result[name] = parameters[name] + change
    for operation in trace.graph.operations:
        if operation.kind == "batch_norm":
            names = [operation.parameters[role] for role in ("running_mean", "running_var")]
            old = np.stack([parameters[name] for name in names])
            batch = np.stack(replay.batch_statistics(operation, values))
            count = values[operation.inputs[0]].size // batch.shape[1]
            keep = operation.settings["momentum_keep"]
            new = keep * old + (1 - keep) * batch
            if running is not None:
                new = running(operation.name, old, batch, keep, count)
            result.update(zip(names, new))
    return result


def channels_last(graph, port):
    """Return a port in the layout of Flax and Keras.

    Images, feature maps and masks are (N, H, W, C), kernels (height, width, in, out), dense weights (in, out). What is
    flattened goes through height, width, channel, and so do the rows of the dense weights for it.
    """
    orders = _flat_orders(graph)
    kernels = {row.name for row in graph.parameters if row.role == "weight"}
    result = {}
    for key, array in port.items():
        parts = key.split("/")
        place, name = parts[-2] if len(parts) > 1 else "", parts[-1]
        if place in ("param", "grad", "optim"):
            if name in kernels and array.ndim == 4:
                array = array.transpose(2, 3, 1, 0)
            elif name in kernels and array.ndim == 2:
                array = array[:, orders[name]].T if name in orders else array.T
        elif name in orders:
            array = array[:, orders[name]]
        elif array.ndim == 4:
            array = array.transpose(0, 2, 3, 1)
        result[key] = array
    return result


def _flat_orders(graph):
    """Return the order of the elements channels last of each flattened value, and of dense weights for it."""
    shapes = {**{row.name: row.output_shape for row in graph.operations}, **graph.inputs}
    orders = {}
    for row in graph.operations:
        shape = shapes.get(row.inputs[0], ())[1:]
        if row.kind in ("flatten", "dense") and len(shape) == 3:
            orders[row.name] = np.arange(np.prod(shape)).reshape(shape).transpose(1, 2, 0).reshape(-1)
        elif row.inputs[0] in orders and row.kind in ("dropout", "relu", "dense"):
            orders[row.name] = orders[row.inputs[0]]
        if row.kind == "dense" and row.name in orders:
            orders[row.parameters["weight"]] = orders.pop(row.name)
    return orders
