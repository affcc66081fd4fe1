"""Mistakes in the loss and in the running statistics of batch normalization."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..graph import Graph
from ..replay import replay
from .variants import Variant


class LossCase(NamedTuple):
    """A loss that is not the defined one.

    Attributes:
        graph: The network.
        outputs: Its outputs in training mode by name.
        label: Classes, (N,).
        weights: Trainable parameters by name.
        decay: Weight decay by name of the parameter.
    """

    graph: Graph
    outputs: Any
    label: np.ndarray
    weights: Any
    decay: dict

    def right(self) -> np.ndarray:
        """Return the losses of the examples as defined."""
        return replay.loss(self.graph, self.outputs, self.label)

    def of_terms(self, function):
        """Return the sum over the terms of a function of (outputs, labels), with the terms' factors."""
        return sum(term.factor * function(self.outputs[term.output], self.label) for term in self.graph.loss)


def _softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _log_softmax(x):
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _pick(x, label):
    return x[np.arange(len(x)), label]


def _cross_entropy(x, label):
    return -_pick(_log_softmax(x), label)


def _one_hot(x, label):
    return np.eye(x.shape[1])[label]


def _smoothed(share, among_others):
    def losses(x, label):
        logarithms = _log_softmax(x)
        classes = x.shape[1]
        uniform = -logarithms.sum(axis=1) / classes
        if among_others:
            uniform = -(logarithms.sum(axis=1) - _pick(logarithms, label)) / (classes - 1)
        return (1 - share) * _cross_entropy(x, label) + share * uniform

    return losses


def _binary(x, label):
    return np.logaddexp(0, x) - x * _one_hot(x, label)


def _only_softmax(function):
    """Make the mean loss of a formula that replaces softmax cross-entropy."""

    def result(case):
        if any(term.kind != "softmax_cross_entropy" for term in case.graph.loss):
            return None
        return case.of_terms(function).mean()

    return result


def _reduced(function):
    return lambda case: function(case.right(), case.outputs[case.graph.outputs[0]].shape[1])


def _with_factors(factor):
    """Make the mean loss with another factor of the auxiliary terms."""

    def result(case):
        first, *others = case.graph.loss
        if not others or others[0].factor == factor:
            return None
        changed = replace(case.graph, loss=(first, *(replace(term, factor=factor) for term in others)))
        return replay.loss(changed, case.outputs, case.label).mean()

    return result


def _shifted_label(step):
    def result(case):
        classes = case.outputs[case.graph.outputs[0]].shape[1]
        return replay.loss(case.graph, case.outputs, (case.label + step) % classes).mean()

    return result


def _with_penalty(share, roles):
    def result(case):
        rows = {row.name: row.role for row in case.graph.parameters if row.trainable}
        squares = sum(
            case.decay.get(name, 0.0) * float((case.weights[name] ** 2).sum())
            for name, role in rows.items()
            if roles is None or role in roles
        )
        return case.right().mean() + share * squares

    return result


def _map_with(j):
    def result(case):
        if any(term.kind != "map" for term in case.graph.loss):
            return None
        terms = tuple(replace(term, settings={"j": j}) for term in case.graph.loss)
        return replay.loss(replace(case.graph, loss=terms), case.outputs, case.label).mean()

    return result


def _times(factor):
    return lambda losses, _classes: factor * losses.mean()


LOSS_VARIANTS = [
    Variant("the loss is summed over the batch, not averaged", (), _reduced(lambda losses, _: losses.sum())),
    Variant("the loss is divided by the batch size twice", (), _reduced(lambda losses, _: losses.mean() / len(losses))),
    Variant(
        "the loss is averaged over the classes as well", (), _reduced(lambda losses, classes: losses.mean() / classes)
    ),
    Variant("softmax is applied twice", (), _only_softmax(lambda x, y: _cross_entropy(_softmax(x), y))),
    Variant("the labels are 1 too large", (), _shifted_label(1)),
    Variant("the labels are 1 too small", (), _shifted_label(-1)),
    *(
        Variant(f"the labels are smoothed by {share:g}{text}", (), _only_softmax(_smoothed(share, others)))
        for share in (0.1, 0.05, 0.2, 0.01)
        for others, text in ((False, ""), (True, ", shared by the other classes"))
    ),
    Variant("the logarithm has base 10", (), _only_softmax(lambda x, y: _cross_entropy(x, y) / np.log(10))),
    Variant("the logarithm has base 2", (), _only_softmax(lambda x, y: _cross_entropy(x, y) / np.log(2))),
    Variant("the loss is squared", (), _only_softmax(lambda x, y: _cross_entropy(x, y) ** 2)),
    Variant(
        "it is the squared error of the probabilities, summed over classes",
        (),
        _only_softmax(lambda x, y: ((_softmax(x) - _one_hot(x, y)) ** 2).sum(axis=1)),
    ),
    Variant(
        "it is the squared error of the probabilities, averaged over classes",
        (),
        _only_softmax(lambda x, y: ((_softmax(x) - _one_hot(x, y)) ** 2).mean(axis=1)),
    ),
    Variant(
        "it is the squared error of the outputs, averaged over classes",
        (),
        _only_softmax(lambda x, y: ((x - _one_hot(x, y)) ** 2).mean(axis=1)),
    ),
    Variant("the outputs are taken for log-probabilities", (), _only_softmax(lambda x, y: -_pick(x, y))),
    Variant("the logarithm is missing", (), _only_softmax(lambda x, y: -_pick(_softmax(x), y))),
    Variant(
        "it is a binary cross-entropy, summed over classes", (), _only_softmax(lambda x, y: _binary(x, y).sum(axis=1))
    ),
    Variant(
        "it is a binary cross-entropy, averaged over classes",
        (),
        _only_softmax(lambda x, y: _binary(x, y).mean(axis=1)),
    ),
    *(
        Variant(f"the factor of the auxiliary losses is {factor:g}", (), _with_factors(factor))
        for factor in (1.0, 0.0, 0.3, 0.4, 0.5, 0.2, 0.1)
    ),
    Variant("the weight decay is added to it as a penalty", (), _with_penalty(0.5, None)),
    Variant("the weight decay is added to it as a penalty of the weights alone", (), _with_penalty(0.5, ("weight",))),
    Variant("the weight decay is added to it as a penalty without the factor 1/2", (), _with_penalty(1.0, None)),
    Variant("the additional class is missing", (), _map_with(np.inf)),
    *(Variant(f"j is {j:g}", (), _map_with(j)) for j in (0.0, 1.0, 2.0, 10.0, 0.1)),
    Variant(
        "only the distance of the label counts",
        (),
        lambda case: (
            None
            if case.graph.loss[0].kind != "map"
            else _pick(case.outputs[case.graph.loss[0].output], case.label).mean()
        ),
    ),
    *(
        Variant(f"it is multiplied by {factor:g}", (), _reduced(_times(factor)))
        for factor in (2.0, 0.5, 128.0, 1024.0, 65536.0, 100.0)
    ),
]


class RunningCase(NamedTuple):
    """Running statistics that are not the defined ones.

    Attributes:
        old: Mean and variance before the step.
        batch: Mean and biased variance of the batch.
        keep: Share of the old value that a step keeps.
        size: Number of values per channel.
    """

    old: np.ndarray
    batch: np.ndarray
    keep: float
    size: int

    def moved(self, keep: float, unbiased: bool = False) -> np.ndarray:
        """Return the statistics after a step, mean and variance, (2, C)."""
        batch = self.batch.copy()
        if unbiased and self.size > 1:
            batch[1] *= self.size / (self.size - 1)
        return keep * self.old + (1 - keep) * batch


def _keeping(keep, unbiased):
    return lambda case: None if keep in (case.keep, 1 - case.keep) else case.moved(keep, unbiased)


_UNBIASED = "the running variance is unbiased (n - 1)"
RUNNING_VARIANTS = [
    Variant(_UNBIASED, (), lambda case: case.moved(case.keep, True)),
    Variant(
        "momentum has the other convention: the share of the batch is kept", (), lambda case: case.moved(1 - case.keep)
    ),
    Variant(f"momentum has the other convention, and {_UNBIASED}", (), lambda case: case.moved(1 - case.keep, True)),
    Variant("they are not updated", (), lambda case: case.old),
    Variant("they are those of the last batch", (), lambda case: case.batch),
    Variant("they are updated twice", (), lambda case: case._replace(old=case.moved(case.keep)).moved(case.keep)),
    *(
        Variant(f"they keep {keep:g}{text}", (), _keeping(keep, unbiased))
        for keep in (0.9, 0.99, 0.999, 0.997, 0.95, 0.5)
        for unbiased, text in ((False, ""), (True, f", and {_UNBIASED}"))
    ),
    Variant(
        "the variance is not updated",
        (),
        lambda case: np.stack([case.moved(case.keep)[0], case.old[1]]),
    ),
    Variant("the mean is not updated", (), lambda case: np.stack([case.old[0], case.moved(case.keep)[1]])),
    Variant(
        "the running variance is a standard deviation",
        (),
        lambda case: case._replace(batch=np.stack([case.batch[0], np.sqrt(case.batch[1])])).moved(case.keep),
    ),
]
