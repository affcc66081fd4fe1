"""Public names of a package that load when they are first used."""

from __future__ import annotations

from importlib import import_module

from . import _runtime


def public_names(package: str, homes: dict[str, str]):
    """Make the `__getattr__`, `__dir__` and `__all__` of a package.

    Args:
        package: The package's `__name__`.
        homes: The module that defines each public name, absolute or relative to the package. Names whose module needs
            MXNet raise ModuleNotFoundError, with what to install, where MXNet is missing.
    """

    def load(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with _runtime.missing_modules_explained():
            return getattr(import_module(homes[name], package), name)

    def names():
        return sorted({*vars(import_module(package)), *homes})

    return load, names, list(homes)
