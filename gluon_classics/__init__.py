"""Classic convolutional networks as published, in MXNet Gluon.

    from gluon_classics import ResNet, get_model, list_models, model_info
    from gluon_classics import utils

MXNet loads with the first network. Listing networks and reading their facts do not need it.
"""

from typing import TYPE_CHECKING

from . import _descriptors, _runtime
from ._lazy import public_names

if TYPE_CHECKING:
    from .models.alexnet import AlexNet as AlexNet
    from .models.googlenet import GoogLeNet as GoogLeNet
    from .models.lenet import LeNet as LeNet
    from .models.nin import NiNNet as NiNNet
    from .models.registry import (
        ModelInfo as ModelInfo,
    )
    from .models.registry import (
        get_model as get_model,
    )
    from .models.registry import (
        list_models as list_models,
    )
    from .models.registry import (
        model_info as model_info,
    )
    from .models.resnet import ResNet as ResNet
    from .models.vgg import VGGNet as VGGNet

__version__ = "0.1.0"

_descriptors.open_missing()  # before any file stays open
_runtime.prepare()

_HOMES = {
    "AlexNet": ".models.alexnet",
    "GoogLeNet": ".models.googlenet",
    "LeNet": ".models.lenet",
    "ModelInfo": ".models.registry",
    "NiNNet": ".models.nin",
    "ResNet": ".models.resnet",
    "VGGNet": ".models.vgg",
    "get_model": ".models.registry",
    "list_models": ".models.registry",
    "model_info": ".models.registry",
}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
