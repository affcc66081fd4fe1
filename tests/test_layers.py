"""Each package imports only from packages in a lower layer of the table in CONTRIBUTING.md."""

import ast
from pathlib import Path

import gluon_classics
import pytest

LAYERS = (
    (
        "errors",
        "_runtime",
        "_console",
        "_cuda",
        "_descriptors",
        "_files",
        "_format",
        "_lazy",
        "_npy_header",
        "_numbers",
        "_processes",
        "_signals",
    ),
    ("models",),
    ("compiler", "inspection", "data"),
    ("utils",),
    ("distributed",),
    ("experiment",),
    ("runs",),
    ("reproduction", "porting"),
    ("report", "diagnostics"),
    ("cli",),
)
HEIGHT = {package: height for height, packages in enumerate(LAYERS) for package in packages}
ROOT = Path(gluon_classics.__file__).parent
FILES = [path.relative_to(ROOT) for path in sorted(ROOT.glob("*/**/*.py")) + sorted((ROOT / "utils").glob("*.py"))]
PUBLIC = {name: home.split(".")[1] for name, home in gluon_classics._HOMES.items()}


def imported(path):
    """Yield, for each import of our modules in a file, the imported package and the number of leading dots."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            if module == ["gluon_classics"]:
                yield from ((PUBLIC.get(alias.name, alias.name), node.level) for alias in node.names)
            elif node.level or module[0] == "gluon_classics":
                yield module[0] if node.level else module[1], node.level


@pytest.mark.parametrize("path", sorted(set(FILES)), ids=str)
def test_a_package_imports_only_from_lower_layers(path):
    height = HEIGHT[path.parts[0]]
    for package, dots in imported(path):
        assert dots < len(path.parts), f"{path} leaves its package with a relative import"
        assert dots or HEIGHT[package] < height, f"{path} imports {package}"
