"""Check before training that a network classifies: one output for each class of the data, and a loss for each image."""

from __future__ import annotations

import contextlib
import io

from gluon_classics._format import format_shape
from gluon_classics.errors import InputError
from gluon_classics.models.objective import first_output, objective_of
import mxnet as mx
from mxnet import autograd, gluon

IMAGES = 2  # so that a number of images differs from 1
# what scores, losses and MXNet raise if outputs are not one array of scores: a list, a tuple, or other shapes
_OF_OTHER_OUTPUTS = (mx.base.MXNetError, AssertionError, AttributeError, TypeError, ValueError)


def check_classifier(net: gluon.nn.Block, name: str, classes: int, input_shape) -> None:
    """Raise an InputError unless a network can be trained to classify. No weights are allocated.

    Args:
        net: A network that takes images of this shape.
        name: Its name, for the message.
        classes: Number of classes of the data.
        input_shape: Shape of one image, (C, H, W).
    """
    images, labels = mx.sym.var("data"), mx.sym.var("label")
    objective = objective_of(net)
    with autograd.predict_mode():
        outputs = net(images)
        found = _shape(lambda: objective.scores(outputs), input_shape)
    if found != (IMAGES, classes):
        given = _shape(lambda: first_output(outputs), input_shape)
        what = "not one array" if given is None else f"of shape {format_shape(('N', *given[1:]))}"
        raise InputError(
            f"the outputs of {name} for N images are {what}, and the data need Nx{classes}, one for each class: "
            "choose a classifier that takes the number of classes"
        )
    with autograd.train_mode():
        outputs = net(images)
        losses = _shape(lambda: objective.loss()(outputs, labels), input_shape)
    if losses != (IMAGES,):
        what = "several outputs" if isinstance(outputs, (list, tuple)) else "outputs"
        raise InputError(f"{name} gives {what} in training that its loss cannot take: choose another network")


def _shape(compute, input_shape):
    """Return the shape of the symbol that a function returns, or None if it fails or returns something else."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # MXNet prints before it raises an error about a shape
            symbol = compute()
            shapes = {"data": (IMAGES, *input_shape), "label": (IMAGES,)}
            known = {name: shape for name, shape in shapes.items() if name in symbol.list_arguments()}
            (shape,) = symbol.infer_shape(**known)[1]
    except _OF_OTHER_OUTPUTS:
        return None
    return shape
