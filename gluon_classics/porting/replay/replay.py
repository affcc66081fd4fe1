"""Compute the operations of a `Graph` and their gradients in float64, in NumPy.

Values are arrays by name: an operation's output has the operation's name. See `operators` for the formulas.
"""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Operation
from .formulas import FORMULAS, Call
from .normalization_formulas import NORMALIZATION_FORMULAS, batch_axes
from .window_formulas import WINDOW_FORMULAS

_FORMULAS = {**FORMULAS, **WINDOW_FORMULAS, **NORMALIZATION_FORMULAS}
SUPPORTED = frozenset(_FORMULAS)  # kinds of operations
SHAPE_ERRORS = (ValueError, IndexError, TypeError, ZeroDivisionError)  # what NumPy raises if shapes do not fit
_RUNNING = ("running_mean", "running_var")


def _call(operation, values, training, mask):
    return Call(
        [values[name] for name in operation.inputs],
        {role: values[name] for role, name in operation.parameters.items()},
        operation.settings,
        training,
        mask,
    )


def forward(operation: Operation, values, training: bool = False, mask=None) -> np.ndarray:
    """Return the output of an operation.

    Args:
        operation: The operation.
        values: float64 arrays of its inputs and parameters, by name.
        training: Whether the mode is training.
        mask: The keep mask of a dropout in training mode.
    """
    return _FORMULAS[operation.kind][0](_call(operation, values, training, mask))


def gradients(operation: Operation, values, output_gradient, training: bool = False, mask=None) -> dict:
    """Return the gradients of an operation with respect to its inputs and trainable parameters, by name.

    Args:
        operation: The operation.
        values: float64 arrays of its inputs and parameters, by name.
        output_gradient: Gradient with respect to the output.
        training: Whether the mode is training.
        mask: The keep mask of a dropout in training mode.
    """
    call = _call(operation, values, training, mask)
    to_inputs, to_parameters = _FORMULAS[operation.kind][1](call, output_gradient)
    result: dict = {}
    for name, gradient in zip(operation.inputs, to_inputs):
        result[name] = result[name] + gradient if name in result else gradient
    for role, name in operation.parameters.items():
        if role not in _RUNNING:
            result[name] = to_parameters[role]
    return result


def batch_statistics(operation: Operation, values) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the biased variance of the batch, per channel, of a batch normalization's input."""
    x = values[operation.inputs[0]]
    axes = batch_axes(x, operation.settings["axis"])
    return x.mean(axis=axes), x.var(axis=axes)


def _softmax_cross_entropy(x, label, _settings):
    """Return the losses and their gradients with respect to x."""
    shifted = x - x.max(axis=1, keepdims=True)
    logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(x))
    gradient = np.exp(logarithms)
    gradient[rows, label] -= 1
    return -logarithms[rows, label], gradient


def _map(x, label, settings):
    """Return y_D + log(exp(-j) + sum of exp(-y)) of squared distances y, and its gradients."""
    others = np.concatenate([-x, np.full((len(x), 1), -settings["j"], x.dtype)], axis=1)
    losses, gradient = _softmax_cross_entropy(others, label, settings)
    return losses, -gradient[:, :-1]


def _squared_error(x, label, _settings):
    """Return the mean squared differences to the targets, 1 for the label and else -1, and their gradients."""
    differences = x - (2 * np.eye(x.shape[1], dtype=x.dtype)[label] - 1)
    return (differences**2).mean(axis=1), 2 * differences / x.shape[1]


_LOSSES = {"softmax_cross_entropy": _softmax_cross_entropy, "map": _map, "squared_error": _squared_error}


def _terms(graph, values, label):
    for term in graph.loss:
        losses, gradient = _LOSSES[term.kind](values[term.output], np.asarray(label, np.int64), term.settings)
        yield term.output, term.factor * losses, term.factor * gradient


def loss(graph: Graph, values, label) -> np.ndarray:
    """Return the training loss of each example, (N,)."""
    return sum(losses for _, losses, _ in _terms(graph, values, label))


def loss_gradients(graph: Graph, values, label) -> dict:
    """Return the gradient of the mean loss with respect to each output that it takes, by name."""
    result: dict = {}
    for output, _, gradient in _terms(graph, values, label):
        result[output] = result.get(output, 0.0) + gradient / len(gradient)
    return result


def run(graph: Graph, parameters, inputs, training: bool = False, masks=None) -> dict:
    """Return all values of a network: inputs, parameters and the output of each operation.

    Args:
        graph: The network.
        parameters: Arrays by name.
        inputs: Arrays by name.
        training: Whether the mode is training.
        masks: In training mode, the keep mask of each dropout, by the operation's name.
    """
    values = {name: np.asarray(array, np.float64) for name, array in (*parameters.items(), *inputs.items())}
    for operation in graph.operations:
        values[operation.name] = forward(operation, values, training, (masks or {}).get(operation.name))
    return values


def run_backward(graph: Graph, values, label, masks=None) -> tuple[dict, dict]:
    """Return the gradients of the mean loss by parameter, and by output of an operation.

    Args:
        graph: The network.
        values: All values in training mode, as `run` returns them.
        label: Classes, (N,).
        masks: The keep mask of each dropout, by the operation's name.
    """
    found = loss_gradients(graph, values, label)
    for operation in reversed(graph.operations):
        if operation.name in found:
            mask = (masks or {}).get(operation.name)
            for name, gradient in gradients(operation, values, found[operation.name], True, mask).items():
                found[name] = found[name] + gradient if name in found else gradient
    trainable = {p.name: found.get(p.name, np.zeros(p.shape)) for p in graph.parameters if p.trainable}
    return trainable, {row.name: found[row.name] for row in graph.operations if row.name in found}
