"""The registry: one row of facts beside each builder, recounted by the tests."""

from __future__ import annotations

from dataclasses import dataclass
import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from mxnet.gluon import nn

FAMILIES = ("lenet", "alexnet", "vgg", "nin", "googlenet", "resnet")


@dataclass(frozen=True)
class ModelInfo:
    """Facts of one edition, for its own input and number of classes.

    `input_shape` is (C, H, W); `params` counts trainable parameters (the running statistics of batch
    normalisation are not); `macs` counts the multiply-accumulates of convolutions and dense layers for one
    image; `departures` says where the edition differs from the paper that gave the network its name.
    """

    name: str
    source: str
    input_shape: tuple[int, int, int]
    classes: int
    params: int
    macs: int
    departures: tuple[str, ...]

    @property
    def gmac(self) -> float:
        """Multiply-accumulates for one image, in units of 1e9."""
        return self.macs / 1e9


_builders: dict[str, Callable[..., nn.Block]] = {}
_infos: dict[str, ModelInfo] = {}


def register(*, source, input_shape, classes, params, macs, departures=()):
    """Decorator: enter a builder under its own name. Raises ValueError if the name is taken."""

    def enter(builder):
        name = builder.__name__
        if name in _builders:
            raise ValueError(f"a network named {name!r} is registered already")
        _builders[name] = builder
        _infos[name] = ModelInfo(name, source, input_shape, classes, params, macs, tuple(departures))
        return builder

    return enter


def get_model(name: str, classes: int | None = None, **kwargs) -> nn.Block:
    """A new, uninitialised network: (N, C, H, W) images to (N, classes) logits.

    `classes` defaults to the edition's own number (10 for the blog's); other arguments go to the builder.
    Raises ValueError for an unknown name.
    """
    info = _known(name)
    return _builders[name](classes=info.classes if classes is None else classes, **kwargs)


def list_models() -> list[str]:
    """Names of all registered networks, family by family, in the order of their history."""
    homes = [import_module(f".{family}", __package__).__name__ for family in FAMILIES]
    return sorted(_infos, key=lambda name: homes.index(_builders[name].__module__))


def model_info(name: str) -> ModelInfo:
    """Facts of the network `name`. Raises ValueError for an unknown name."""
    return _known(name)


def _known(name):
    names = list_models()
    if name not in _infos:
        near = difflib.get_close_matches(str(name).lower(), names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
        raise ValueError(f"unknown network {name!r}: {hint}")
    return _infos[name]
