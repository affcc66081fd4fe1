"""The blog's `utils`, and what stands around it: data, training, runs and the command line.

In the repository, and in the blog's script:  import utils
Installed:                                     from gluon_classics import utils

Both names are one module object. What a name needs (MXNet above all) loads when the name is first used.
"""

from importlib import import_module
import importlib.abc
import importlib.util
import sys
from typing import TYPE_CHECKING

from gluon_classics import _runtime

if TYPE_CHECKING:
    from .context import try_all_gpus, try_gpu
    from .errors import ClassicsError
    from .evaluation import accuracy, evaluate_accuracy
    from .experiment import do_exp
    from .hybrid import for_inference, hybridized
    from .images import show_images
    from .loader import DataLoader, load_data_fashion_mnist
    from .seeding import seed_everything
    from .summary import summarize
    from .training import train

__all__ = [
    "ClassicsError",
    "DataLoader",
    "accuracy",
    "do_exp",
    "evaluate_accuracy",
    "for_inference",
    "hybridized",
    "load_data_fashion_mnist",
    "seed_everything",
    "show_images",
    "summarize",
    "train",
    "try_all_gpus",
    "try_gpu",
]

_HOMES = {
    "ClassicsError": "errors",
    "DataLoader": "loader",
    "accuracy": "evaluation",
    "do_exp": "experiment",
    "evaluate_accuracy": "evaluation",
    "for_inference": "hybrid",
    "hybridized": "hybrid",
    "load_data_fashion_mnist": "loader",
    "seed_everything": "seeding",
    "show_images": "images",
    "summarize": "summary",
    "train": "training",
    "try_all_gpus": "context",
    "try_gpu": "context",
}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _runtime.require()
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *__all__])


class _OneModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers `import utils.training` with the module `gluon_classics.utils.training`, not with a second copy."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.startswith("utils.") and fullname != "utils.__main__":
            return importlib.util.spec_from_loader(fullname, self)
        return None

    def create_module(self, spec):
        module = import_module(f"gluon_classics.{spec.name}")
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self._own_spec


if __name__ == "utils":  # found on sys.path, next to gluon_classics/: the same module under its short name
    sys.modules["utils"] = import_module("gluon_classics.utils")
    sys.meta_path.insert(0, _OneModule())
