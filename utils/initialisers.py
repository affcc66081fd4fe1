"""Rules that draw the initial weights, by name."""

from __future__ import annotations

import re

import mxnet as mx

from .errors import ClassicsError

# Gluon's classes, and the argument that the number in parentheses sets (without one: Gluon's default)
RULES = {
    "xavier": (mx.init.Xavier, "magnitude"),  # uniform within sqrt(magnitude / mean of fan-in and fan-out); 3
    "normal": (mx.init.Normal, "sigma"),  # standard deviation; 0.01
    "uniform": (mx.init.Uniform, "scale"),  # within +-scale; 0.07: what Gluon does unless told otherwise
}


def initialiser(text: str) -> mx.init.Initializer:
    """The rule of a name, as in "xavier", or of a name with its number, as in "normal(0.01)".

    Biases start from 0 by all of them, and parameters for which a network has a rule of its own keep that one.
    Raises ClassicsError.
    """
    match = re.fullmatch(r"(\w+)(?:\((\d*\.?\d+(?:e-?\d+)?)\))?", text)
    if not match or match[1] not in RULES:
        raise ClassicsError(f"unknown initialisation {text!r}: use xavier, xavier(2.24), normal(0.01), uniform(0.07)")
    rule, argument = RULES[match[1]]
    return rule(**({argument: float(match[2])} if match[2] else {}))
