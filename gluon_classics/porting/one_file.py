"""Join the comparison half of this package into one Python file that needs only NumPy."""

from __future__ import annotations

import ast
from pathlib import Path

import gluon_classics

FILE = "compare_port.py"
_FIRST = "compare_port"
_QUOTES = "'''"
_PUBLIC = {"comparison": ("assert_conforms", "compare"), "reference_trace": ("ReferenceTrace",)}

_HEAD = '''"""Compare a port of a network with the reference trace in this folder. Needs only NumPy.

    python compare_port.py PORT.npz

In tests: from compare_port import FOLDER, assert_conforms; assert_conforms(FOLDER, "PORT.npz", level="G")

Written by gluon_classics {version}. The texts below are modules of its package `porting`.
"""

import pathlib
import sys
import types

FOLDER = pathlib.Path(__file__).resolve().parent
_PACKAGE = "_gluon_classics_porting"
_MODULES = {{}}
'''
_TAIL = """
_package = types.ModuleType(_PACKAGE)
_package.__path__ = []
sys.modules[_PACKAGE] = _package
for _name, _text in _MODULES.items():
    _module = types.ModuleType(_PACKAGE + "." + _name)
    _module.__package__ = _PACKAGE
    sys.modules[_module.__name__] = _module
    exec(compile(_text, "{} of {}".format(_name, __file__), "exec"), vars(_module))
    setattr(_package, _name, _module)
"""
_END = """
if __name__ == "__main__":
    sys.exit(_package.compare_port.main(sys.argv[1:], FOLDER))
"""


def joined() -> str:
    """Return the source of the file."""
    modules = [f"\n_MODULES[{name!r}] = r{_QUOTES}\n{_source(name)}{_QUOTES}\n" for name in _in_order(_FIRST)]
    names = "".join(
        f"{name} = _package.{module}.{name}\n" for module, names in sorted(_PUBLIC.items()) for name in names
    )
    return "".join([_HEAD.format(version=gluon_classics.__version__), *modules, _TAIL, names, _END])


def _in_order(module, done=()):
    """Return the names of a module and of those that it imports, each one after those that it imports itself."""
    found = list(done)
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.ImportFrom) and node.level:
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                if name not in found:
                    found = _in_order(name, found)
    return [*found, module]


def _source(module):
    text = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    if _QUOTES in text:
        raise ValueError(f"{module}.py contains {_QUOTES}, which ends the text that the file holds")
    return text
