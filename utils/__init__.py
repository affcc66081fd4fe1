"""The blog's `utils`: contexts, data loaders, training, evaluation and seeds.

In the repository, and in the blog's script:  import utils
Installed:                                     from gluon_classics import utils

Both names are the same module object. MXNet loads when a name is first used.
"""

from importlib import import_module
import importlib.abc
import importlib.util
import sys
from typing import TYPE_CHECKING

from gluon_classics._lazy import public_names

if TYPE_CHECKING:
    from gluon_classics.compiler.compiled import for_inference as for_inference
    from gluon_classics.compiler.compiled import hybridized as hybridized
    from gluon_classics.errors import ClassicsError as ClassicsError
    from gluon_classics.inspection.summary import summarize as summarize

    from .context import try_all_gpus as try_all_gpus
    from .context import try_gpu as try_gpu
    from .evaluation import _get_batch as _get_batch
    from .evaluation import accuracy as accuracy
    from .evaluation import evaluate_accuracy as evaluate_accuracy
    from .experiment import do_exp as do_exp
    from .images import show_images as show_images
    from .loader import DataLoader as DataLoader
    from .loader import load_data_fashion_mnist as load_data_fashion_mnist
    from .seeding import seed_everything as seed_everything
    from .training import train as train

_HOMES = {
    "ClassicsError": "gluon_classics.errors",
    "DataLoader": ".loader",
    "_get_batch": ".evaluation",
    "accuracy": ".evaluation",
    "do_exp": ".experiment",
    "evaluate_accuracy": ".evaluation",
    "for_inference": "gluon_classics.compiler.compiled",
    "hybridized": "gluon_classics.compiler.compiled",
    "load_data_fashion_mnist": ".loader",
    "seed_everything": ".seeding",
    "show_images": ".images",
    "summarize": "gluon_classics.inspection.summary",
    "train": ".training",
    "try_all_gpus": ".context",
    "try_gpu": ".context",
}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)


class _OneModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Load `utils.training` as `gluon_classics.utils.training`, so that there is no second copy."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.startswith("utils."):
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
