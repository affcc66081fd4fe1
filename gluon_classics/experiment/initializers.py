"""Rules that draw the initial weights, by name."""

from __future__ import annotations

import re

from gluon_classics import model_info
from gluon_classics.errors import ClassicsError
import mxnet as mx
from mxnet import gluon

from .settings import WEIGHTS, Settings

PUBLISHED = "published"

# Gluon's classes, and the argument that the number in parentheses sets (without one: Gluon's default)
RULES = {
    "xavier": (mx.init.Xavier, "magnitude"),  # uniform within sqrt(magnitude / mean of fan-in and fan-out); 3
    "normal": (mx.init.Normal, "sigma"),  # standard deviation; 0.01
    "uniform": (mx.init.Uniform, "scale"),  # within +-scale; 0.07: what Gluon does unless told otherwise
}


def initializer(text: str) -> mx.init.Initializer:
    """The rule of a name, as in "xavier", or of a name with its number, as in "normal(0.01)".

    Biases start from 0 by all of them, and parameters for which a network has a rule of its own keep that one.
    Raises ClassicsError.
    """
    match = re.fullmatch(r"(\w+)(?:\((\d*\.?\d+(?:e-?\d+)?)\))?", text)
    if not match or match[1] not in RULES:
        raise ClassicsError(f"unknown initialisation {text!r}: use xavier, xavier(2.24), normal(0.01), uniform(0.07)")
    rule, argument = RULES[match[1]]
    return rule(**({argument: float(match[2])} if match[2] else {}))


def initialize(net: gluon.nn.Block, settings: Settings, contexts: list[mx.Context], input_shape) -> None:
    """Draw the parameters of a new network, for images of `input_shape`, (C, H, W).

    With the settings' weights "notebook" MXNet's generators start as those of a new process that is never seeded, which
    is as from seed 0, and serve as in a notebook of D2L's LeNet: for an image, for Gluon's default weights, which its
    shapes are looked at with, then for the weights to train.

    A network that was published with rules of its own has them with the setting "published"; any other rule replaces
    those of its weights. Raises ClassicsError.
    """
    if settings.weights == WEIGHTS[1]:
        mx.random.seed(0)
        image = mx.nd.random.uniform(shape=(1, *input_shape))
        net.initialize(ctx=contexts)
        net(image.as_in_context(contexts[0]))
    has_own = model_info(settings.model).training.get("init") == PUBLISHED
    if settings.init == PUBLISHED:
        if not has_own:
            raise ClassicsError(f"{settings.model} was published without an initialisation of its own: choose a rule")
        net.initialize(ctx=contexts, force_reinit=True)
        return
    rule = initializer(settings.init)
    if has_own:
        net.collect_params(".*weight").setattr("init", None)
    net.initialize(rule, ctx=contexts, force_reinit=True)
