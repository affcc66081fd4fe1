"""The network of a run, built and initialised."""

from __future__ import annotations

from gluon_classics import get_model, model_info
import mxnet as mx
from mxnet import gluon

from .errors import ClassicsError
from .initialisers import initialiser
from .settings import WEIGHTS, Settings

PUBLISHED = "published"


def build(model: str, classes: int, trained: bool = False) -> gluon.nn.Block:
    """The network for so many classes, uninitialised; if it is to be `trained`, with what it needs for that alone.

    Raises ClassicsError for a number of classes that it cannot have.
    """
    arguments = model_info(model).trained_as if trained else {}
    try:
        return get_model(model, classes, **arguments)
    except ValueError as error:
        raise ClassicsError(str(error)) from error


def initialise(net: gluon.nn.Block, settings: Settings, contexts: list[mx.Context], input_shape) -> None:
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
    rule = initialiser(settings.init)
    if has_own:
        net.collect_params(".*weight").setattr("init", None)
    net.initialize(rule, ctx=contexts, force_reinit=True)
