"""Mistakes in the optimizer: each is a rule for the change of a parameter in a step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .variants import Variant


@dataclass
class Step:
    """What a step of a parameter works with.

    Attributes:
        weight: The parameter before the step.
        gradient: Its gradient.
        rate: Learning rate.
        first_rate: Learning rate of the first step.
        momentum: Momentum.
        decay: Weight decay.
        batch: Images per step.
        norm: L2 norm of the gradients of all parameters.
        state: What the rule keeps from step to step; empty before the first one.
    """

    weight: np.ndarray
    gradient: np.ndarray
    rate: float
    first_rate: float
    momentum: float
    decay: float
    batch: int
    norm: float
    state: dict = field(default_factory=dict)

    def velocity(self, gradient=None, rate=None, momentum=None) -> np.ndarray:
        """Return the new momentum buffer, with the learning rate inside, and keep it."""
        gradient = self.decayed() if gradient is None else gradient
        rate = self.rate if rate is None else rate
        momentum = self.momentum if momentum is None else momentum
        self.state["velocity"] = momentum * self.state.get("velocity", 0.0) - rate * gradient
        return self.state["velocity"]

    def buffer(self, gradient=None, dampening=0.0) -> np.ndarray:
        """Return the new momentum buffer, with the learning rate outside, and keep it."""
        gradient = self.decayed() if gradient is None else gradient
        old = self.state.get("buffer")
        self.state["buffer"] = gradient if old is None else self.momentum * old + (1 - dampening) * gradient
        return self.state["buffer"]

    def decayed(self, factor: float = 1.0) -> np.ndarray:
        """Return the gradient with the weight decay."""
        return self.gradient + factor * self.decay * self.weight


def defined(step: Step) -> np.ndarray:
    """Return the change of the parameter as defined: SGD with the learning rate inside the momentum."""
    return step.velocity()


def _nesterov_inside(step):
    velocity = step.velocity()
    return step.momentum * velocity - step.rate * step.decayed()


def _decoupled(step):
    return step.velocity(step.gradient) - step.rate * step.decay * step.weight


def _decoupled_without_rate(step):
    return step.velocity(step.gradient) - step.decay * step.weight


def _averaged(share):
    """Make the rule of recording a moving average of the parameter."""

    def change(step):
        # the next step starts from what the port recorded
        return (1 - share) * step.velocity()

    return change


def _adam(step):
    count = step.state["count"] = step.state.get("count", 0) + 1
    gradient = step.decayed()
    mean = step.state["mean"] = 0.9 * step.state.get("mean", 0.0) + 0.1 * gradient
    square = step.state["square"] = 0.999 * step.state.get("square", 0.0) + 0.001 * gradient**2
    return -step.rate * (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)


def _clipped(norm):
    def change(step):
        factor = min(1.0, norm / step.norm) if step.norm else 1.0
        return step.velocity(factor * step.gradient + step.decay * step.weight)

    return change


def _clipped_values(bound):
    return lambda step: step.velocity(np.clip(step.gradient, -bound, bound) + step.decay * step.weight)


def _rate(factor):
    return lambda step: step.velocity(rate=factor * step.rate)


def _momentum(share):
    return lambda step: step.velocity(momentum=share)


OPTIMIZER_VARIANTS = [
    Variant("the weight decay is missing", (), lambda step: step.velocity(step.gradient)),
    Variant("the learning rate is outside the momentum, as in PyTorch", (), lambda step: -step.rate * step.buffer()),
    Variant("the weight decay is halved", (), lambda step: step.velocity(step.decayed(0.5))),
    Variant("the weight decay is doubled", (), lambda step: step.velocity(step.decayed(2.0))),
    Variant("the weight decay is decoupled from the momentum, times the learning rate", (), _decoupled),
    Variant("the weight decay is decoupled from the momentum, without the learning rate", (), _decoupled_without_rate),
    Variant("the momentum is missing", (), lambda step: -step.rate * step.decayed()),
    Variant("the momentum is Nesterov's", (), _nesterov_inside),
    Variant(
        "the momentum is Nesterov's, with the learning rate outside, as in PyTorch",
        (),
        lambda step: -step.rate * (step.decayed() + step.momentum * step.buffer()),
    ),
    Variant(
        "the gradient is dampened by 1 - momentum",
        (),
        lambda step: step.velocity((1 - step.momentum) * step.decayed()),
    ),
    Variant(
        "the gradient is dampened, with the learning rate outside, as in PyTorch",
        (),
        lambda step: -step.rate * step.buffer(dampening=step.momentum),
    ),
    Variant(
        "the weight decay is missing, and the learning rate is outside the momentum",
        (),
        lambda step: -step.rate * step.buffer(step.gradient),
    ),
    Variant("the learning rate stays that of the first step", (), lambda step: step.velocity(rate=step.first_rate)),
    *(Variant(f"the momentum is {share:g}", (), _momentum(share)) for share in (0.9, 0.99, 0.5)),
    Variant(
        "the gradient is divided by the batch size once more",
        (),
        lambda step: step.velocity(step.gradient / step.batch + step.decay * step.weight),
    ),
    Variant(
        "the gradient is summed over the batch",
        (),
        lambda step: step.velocity(step.gradient * step.batch + step.decay * step.weight),
    ),
    *(
        Variant(f"the learning rate is {factor:g} times as large", (), _rate(factor))
        for factor in (2.0, 4.0, 8.0, 10.0, 0.1, 0.5, 0.25, 0.125, -1.0)
    ),
    *(
        Variant(f"the gradients are clipped to the norm {norm:g}", (), _clipped(norm))
        for norm in (1.0, 5.0, 10.0, 0.1, 0.5, 2.0, 0.25)
    ),
    *(
        Variant(f"the gradients are clipped to +-{bound:g}", (), _clipped_values(bound))
        for bound in (1.0, 0.5, 0.1, 0.01, 5.0, 10.0)
    ),
    *(
        Variant(f"it is a moving average with the share {share:g}", (), _averaged(share))
        for share in (0.999, 0.9999, 0.99, 0.9, 0.995)
    ),
    Variant("it is not updated", (), lambda step: np.zeros_like(step.weight)),
    Variant("it is updated by Adam", (), _adam),
    Variant("it is updated twice", (), lambda step: step.velocity() + step.velocity()),
]
