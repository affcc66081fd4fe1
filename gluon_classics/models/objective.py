"""Losses and scores of networks that do not use softmax cross-entropy on a single output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from mxnet import gluon


def first_output(outputs):
    """Return the network's own logits.

    Args:
        outputs: (N, classes) logits, or a list or tuple of them whose first item is the network's own.

    Returns:
        (N, classes) logits.
    """
    return outputs[0] if isinstance(outputs, (list, tuple)) and outputs else outputs


@dataclass(frozen=True)
class Objective:
    """How to train a network and how to read its outputs. A network states it in its attribute `objective`.

    Attributes:
        loss: Function that makes the training loss. The loss maps the outputs and (N,) labels to (N,) losses.
        scores: Function from the outputs to (N, classes) scores. The largest score is the predicted class; the
            softmax of the scores gives the probabilities.
    """

    loss: Callable[[], gluon.loss.Loss] = gluon.loss.SoftmaxCrossEntropyLoss
    scores: Callable[[Any], Any] = first_output


SOFTMAX = Objective()


def objective_of(net: gluon.nn.Block) -> Objective:
    """Return the network's own objective, or softmax cross-entropy on its first output if it has none.

    Args:
        net: Any network.
    """
    return getattr(net, "objective", SOFTMAX)
