"""Join the comparison half of this package into one Python file that needs only NumPy."""

from __future__ import annotations

import ast
from pathlib import Path

import gluon_classics

FILE = "compare_port.py"
_COMMAND = "comparison.compare_port"
_QUOTES = "'''"
_PUBLIC = {
    "comparison.comparison": ("assert_conforms", "compare"),
    "comparison.recorder": ("Recorder",),
    "comparison.reference_trace": ("ReferenceTrace",),
    "comparison.suite": ("Suite",),
}

_HEAD = '''"""Compare a port of a network with its reference trace in this folder. Needs only NumPy.

    python compare_port.py PORT.npz         in the folder of a trace
    python compare_port.py NAME PORT.npz    in the folder of a suite

In tests: from compare_port import FOLDER, Recorder, Suite, assert_conforms
          assert_conforms(FOLDER, "PORT.npz", level="G")                          a trace
          assert_conforms(Suite.load(FOLDER).path("NAME"), "PORT.npz", level="G") a suite

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

def _module(name):
    module = types.ModuleType(name)
    sys.modules[name] = module
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, module)
    return module


for _name, _text in _MODULES.items():
    _full = _PACKAGE + "." + _name
    for _number in range(1, _full.count(".") + 1):
        _parent = ".".join(_full.split(".")[:_number])
        if _parent not in sys.modules:
            _module(_parent).__path__ = []
    _new = _module(_full)
    _new.__package__ = _full.rpartition(".")[0]
    exec(compile(_text, "{} of {}".format(_name, __file__), "exec"), vars(_new))

_package = sys.modules[_PACKAGE]
"""
_END = """
if __name__ == "__main__":
    sys.exit(_package.comparison.compare_port.main(sys.argv[1:], FOLDER))
"""


def joined() -> str:
    """Return the source of the file."""
    order: list = []
    for module in (_COMMAND, *_PUBLIC):
        order = _in_order(module, order)
    modules = [f"\n_MODULES[{name!r}] = r{_QUOTES}\n{_source(name)}{_QUOTES}\n" for name in order]
    names = "".join(
        f"{name} = _package.{module}.{name}\n" for module, names in sorted(_PUBLIC.items()) for name in names
    )
    return "".join([_HEAD.format(version=gluon_classics.__version__), *modules, _TAIL, names, _END])


def _in_order(module, done):
    """Return `done` with the names of a module and of those that it imports, each one after its own imports."""
    if module in done:
        return done
    found = done
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.ImportFrom) and node.level:
            place = [*module.split(".")[: -node.level], *(node.module or "").split(".")]
            place = [part for part in place if part]
            is_module = _path(".".join(place)).is_file()
            for imported in [place] if is_module else [[*place, alias.name] for alias in node.names]:
                found = _in_order(".".join(imported), found)
    return [*found, module]


def _path(module):
    return Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")


def _source(module):
    text = _path(module).read_text(encoding="utf-8")
    if _QUOTES in text:
        raise ValueError(f"{module} contains {_QUOTES}, which ends the text that the file holds")
    return text
