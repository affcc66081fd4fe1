"""Which way the arrows point: tests -> utils -> gluon_classics -> mxnet, and never the other way."""

import ast
from importlib import import_module
import importlib.machinery
from pathlib import Path
import sys
import sysconfig
from typing import NamedTuple

import gluon_classics
from gluon_classics import utils
import pytest

NETWORKS = sorted(Path(gluon_classics.__file__).parent.glob("*.py"))
UTILS = sorted(Path(utils.__file__).parent.glob("*.py"))


class Import(NamedTuple):
    module: str
    dots: int


def imports(path):
    """All imports of a file, those within functions and `if TYPE_CHECKING` and by `import_module` too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found += [Import(".".join(filter(None, (module, alias.name))), node.level) for alias in node.names]
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            found.append(by_name(node.args[0]))
    return found


def by_name(argument):
    """The import of `import_module(f".{family}")`, the unknown part as it is."""
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    name = "".join(part.value if isinstance(part, ast.Constant) else "?" for part in parts)
    return Import(name.lstrip("."), len(name) - len(name.lstrip(".")))


def is_standard(name):
    """Whether a top-level module is Python's own (`sys.stdlib_module_names` came with 3.10)."""
    if name in sys.builtin_module_names or name == "__future__":
        return True
    stdlib = sysconfig.get_path("stdlib")
    return importlib.machinery.PathFinder.find_spec(name, [stdlib, f"{stdlib}/lib-dynload"]) is not None


def by_file(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


def test_there_is_something_to_look_at():
    """The folders hold the files that everybody needs, and their imports are seen."""
    assert {"__init__.py", "_runtime.py", "resnet.py"} <= {path.name for path in NETWORKS}
    assert {"__init__.py", "training.py"} <= {path.name for path in UTILS}
    files = {path.name: path for path in NETWORKS}
    assert Import("mxnet.gluon.nn", 0) in imports(files["resnet.py"])
    assert Import("setuptools", 0) in imports(files["_runtime.py"])
    assert Import("?", 1) in imports(files["_registry.py"])
    assert is_standard("json")
    assert is_standard("math")
    assert not is_standard("pytest")


@by_file(NETWORKS)
def test_networks_import_mxnet_and_the_standard_library_only(path):
    allowed = {"mxnet"} | ({"numpy", "setuptools"} if path.name == "_runtime.py" else set())
    strangers = [
        found.module
        for found in imports(path)
        if not found.dots and found.module.split(".")[0] not in allowed and not is_standard(found.module.split(".")[0])
    ]
    assert strangers == []


@by_file(NETWORKS)
def test_networks_reach_each_other_relatively_and_never_utils(path):
    own = [found for found in imports(path) if found.dots]
    assert all(found.dots == 1 for found in own)
    assert not [found for found in own if found.module.split(".")[0] == "utils"]


@by_file(UTILS)
def test_utils_never_climb_above_their_own_folder(path):
    """Two dots would lead elsewhere in the checkout, where `utils` stands beside `gluon_classics`."""
    assert all(found.dots <= 1 for found in imports(path))


@by_file(UTILS)
def test_utils_import_each_other_relatively_and_the_networks_by_name(path):
    absolute = [found.module.split(".") for found in imports(path) if not found.dots]
    if path.name == "__init__.py":  # where both names are made one module object
        absolute.remove(["gluon_classics", "utils"])
    assert not [name for name in absolute if name[0] == "utils" or name[:2] == ["gluon_classics", "utils"]]


@by_file(UTILS)
def test_utils_do_not_know_the_tests(path):
    assert not [found for found in imports(path) if found.module.split(".")[0] in ("tests", "conftest", "pytest")]


@pytest.mark.parametrize("package", [gluon_classics, gluon_classics.utils])
def test_every_public_name_is_found_where_the_package_says(package):
    assert set(package.__all__) == set(package._HOMES)
    for name, home in package._HOMES.items():
        assert getattr(package, name) is getattr(import_module(f"{package.__name__}.{home}"), name)
