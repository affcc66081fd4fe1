"""Classic convolutional networks as published, in MXNet Gluon.

    from gluon_classics import ResNet, get_model, list_models, model_info
    from gluon_classics import utils

MXNet loads with the first network, so that importing this package and asking what it holds stay cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from . import _runtime

if TYPE_CHECKING:
    from ._registry import ModelInfo, get_model, list_models, model_info
    from .alexnet import AlexNet
    from .googlenet import GoogLeNet
    from .lenet import LeNet
    from .nin import NiNNet
    from .resnet import ResNet
    from .vgg import VGGNet

__version__ = "0.1.0"
__all__ = [
    "AlexNet",
    "GoogLeNet",
    "LeNet",
    "ModelInfo",
    "NiNNet",
    "ResNet",
    "VGGNet",
    "get_model",
    "list_models",
    "model_info",
]

_HOMES = {
    "AlexNet": "alexnet",
    "GoogLeNet": "googlenet",
    "LeNet": "lenet",
    "NiNNet": "nin",
    "ResNet": "resnet",
    "VGGNet": "vgg",
    "ModelInfo": "_registry",
    "get_model": "_registry",
    "list_models": "_registry",
    "model_info": "_registry",
}

_runtime.prepare()


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name] != "_registry":
        _runtime.require()
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *__all__])
