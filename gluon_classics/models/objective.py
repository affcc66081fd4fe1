"""What a network is trained on and judged by, where that is not softmax cross-entropy of its one output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from mxnet import gluon


def first_output(outputs):
    """The outputs themselves, (N, classes); of several the first, which is the network's own."""
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


@dataclass(frozen=True)
class Objective:
    """How a network's outputs are to be read. A network states it as its attribute `objective`.

    `loss()` makes the loss that it is trained on, from outputs and labels, (N,), to losses, (N,). `scores(outputs)`
    are (N, classes): the largest one names the network's answer, and their softmax is its probabilities.
    """

    loss: Callable[[], gluon.loss.Loss] = gluon.loss.SoftmaxCrossEntropyLoss
    scores: Callable[[Any], Any] = first_output


SOFTMAX = Objective()


def objective_of(net: gluon.nn.Block) -> Objective:
    """What `net` says of itself, else softmax cross-entropy of its first output."""
    return getattr(net, "objective", SOFTMAX)
