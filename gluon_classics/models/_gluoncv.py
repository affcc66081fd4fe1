"""Models of GluonCV's model zoo under names such as "gluoncv:resnet50_v1", for the tools of this package."""

from __future__ import annotations

import inspect

from gluon_classics.errors import ClassicsError, require_extra
from mxnet.gluon import nn

from .registry import GLUONCV, ModelInfo, suggestion


def info(name: str) -> ModelInfo:
    """Return what is known of a model without building it. Its parameters and operations are not counted.

    Args:
        name: The name of the model after "gluoncv:", or with it.

    Raises:
        ClassicsError: GluonCV is not installed.
        ValueError: The name is unknown.
    """
    name = _known(name)
    side = 32 if name.startswith("cifar_") else 299 if "inception" in name else 224
    return ModelInfo(
        name=f"{GLUONCV}{name}",
        family="gluoncv",
        source=f"GluonCV, {name}",
        input_shape=(3, side, side),
        classes=10 if name.startswith("cifar_") else 1000,
        params=None,
        macs=None,
        departures=(),
    )


def build(name: str, classes: int | None = None, **arguments) -> nn.Block:
    """Build a model without initializing it, and without downloading weights.

    Args:
        name: The name of the model after "gluoncv:", or with it.
        classes: The number of classes (default: the model's own).
        **arguments: Further arguments of GluonCV's function.

    Raises:
        ClassicsError: GluonCV is not installed, or cannot build the model in this way.
        ValueError: The name is unknown.
    """
    name = _known(name)
    if classes is not None:
        arguments["classes"] = classes
    reason: Exception
    # which arguments keep a model from downloading weights depends on the model
    for without in ({"pretrained_base": False, "use_kinetics_pretrain": False}, {"pretrained_base": False}, {}):
        try:
            net = _model_zoo().get_model(name, pretrained=False, **without, **arguments)
        except Exception as error:  # of many kinds, from the network, from MXNet, or from GluonCV's own mistakes
            reason = error
            is_unknown = isinstance(error, TypeError) and any(name in str(error) for name in without)
            if not (is_unknown or isinstance(error, Warning)):  # which some models raise for an unknown argument
                break
        else:
            _check_inputs(net, name)
            return net
    if classes is not None and _refuses_classes(reason):
        what = f"GluonCV's {name} does not take a number of classes, so it is not a classifier of images"
        raise ClassicsError(f"{what}: choose another model") from reason
    text = (str(reason).strip().splitlines() or [type(reason).__name__])[-1]
    what = f" with {classes} classes" if classes is not None else ""
    raise ClassicsError(f"GluonCV cannot build {name}{what} without its trained weights: {text}") from reason


def _refuses_classes(error):
    """Return whether the keyword `classes` is unknown, given twice, or a list of names, as in models that detect."""
    return isinstance(error, TypeError) and ("'classes'" in str(error) or "has no len()" in str(error))


def _check_inputs(net, name):
    """Raise a ClassicsError if a model takes more than images."""
    forward = getattr(net, "hybrid_forward", net.forward)
    first = 2 if hasattr(net, "hybrid_forward") else 1  # after F and the images
    others = list(inspect.signature(forward).parameters.values())[first:]
    needed = [each.name for each in others if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD]
    if set(needed) - set(net._reg_params):
        raise ClassicsError(f"GluonCV's {name} takes more inputs than images: choose another model")


def _known(name):
    name = name[len(GLUONCV) :] if name.startswith(GLUONCV) else name
    names = _model_zoo().get_model_list()
    if name.lower() not in names:
        hint = suggestion(name, names, "gluoncv.model_zoo.get_model_list()")
        raise ValueError(f"GluonCV has no model {name!r}: {hint}")
    return name.lower()


def _model_zoo():
    with require_extra("gluoncv", "a model of GluonCV"):
        from gluoncv import model_zoo
    return model_zoo
