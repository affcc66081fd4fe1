"""Initializers of the parameters, by name."""

from __future__ import annotations

from functools import partial
import math

from gluon_classics import model_info
import mxnet as mx
from mxnet import gluon

from . import notebook_weights
from .parameter_files import fix_shapes
from .settings import PUBLISHED, PYTORCH, WEIGHTS, Settings, parse_initializer


@mx.init.register
class PyTorchUniform(mx.init.Initializer):
    """Draw uniformly within +-1 / sqrt(fan-in): PyTorch's default for convolutions and dense layers.

    PyTorch draws biases in the same way, with the fan-in of their layer.

    Args:
        weight: Weight of the layer, for a bias; its shape must be known. None for the weight itself.
    """

    def __init__(self, weight=None):
        super().__init__()
        self._weight = weight

    def _init_weight(self, _name, array):
        shape = array.shape if self._weight is None else self._weight.shape
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        mx.random.uniform(-bound, bound, out=array)


# Gluon's classes, and the argument that the number in parentheses sets (without a number: Gluon's default)
CLASSES = {
    "xavier": (mx.init.Xavier, "magnitude"),  # uniform within sqrt(magnitude / mean of fan-in and fan-out); 3
    "normal": (mx.init.Normal, "sigma"),  # standard deviation; 0.01
    "uniform": (mx.init.Uniform, "scale"),  # within +-scale; 0.07, Gluon's own default
    # normal, with standard deviation sqrt(2 / fan-in)
    "he": (partial(mx.init.Xavier, rnd_type="gaussian", factor_type="in", magnitude=2), ""),
    PYTORCH: (PyTorchUniform, ""),
}


def initializer(text: str) -> mx.init.Initializer:
    """Return the initializer of a name such as "xavier" or "normal(0.01)".

    Biases start from 0, except with "pytorch"; see `initialize`. Parameters for which the network sets an initializer
    keep that one. Raises SettingsError for an unknown name.
    """
    name, number = parse_initializer(text)
    kind, argument = CLASSES[name]
    return kind(**({} if number is None else {argument: number}))


def initialize(net: gluon.nn.Block, settings: Settings, contexts: list[mx.Context], input_shape) -> None:
    """Draw the parameters of a new network, for images of `input_shape`, (C, H, W).

    With the setting init="published" a network uses the initializer that it was published with. Any other initializer
    replaces that of its weights, and "pytorch" that of its biases too.

    Weights that are not "seeded" are those of D2L's notebooks; see `notebook_weights`.
    """
    if settings.init == PUBLISHED:
        net.initialize(ctx=contexts, force_reinit=True)
        return
    if model_info(settings.model).training.get("init") == PUBLISHED:
        net.collect_params(".*weight").setattr("init", None)
    if settings.weights != WEIGHTS[0]:
        net.initialize(ctx=contexts)
        fix_shapes(net, contexts, input_shape)
        numpy_mode = settings.weights == "unseeded-numpy"
        notebook_weights.draw(net, settings.model, initializer(settings.init), input_shape, numpy_mode)
        return
    if settings.init == PYTORCH:
        net.initialize(ctx=contexts)
        fix_shapes(net, contexts, input_shape)  # a bias needs the shape of its weight
        parameters = net._collect_params_with_prefix()
        for name, weight in parameters.items():
            bias = parameters.get(name[: -len("weight")] + "bias") if name.endswith("weight") else None
            if bias:
                bias.init = PyTorchUniform(weight)
    net.initialize(initializer(settings.init), ctx=contexts, force_reinit=True)
