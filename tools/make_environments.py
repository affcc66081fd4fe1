"""Write docs/environments.md: what depends on the versions of Python, NumPy and MXNet.

    python tools/make_environments.py

In each environment our networks train two steps. What they compute is compared with the first environment. Environments
that are not supported must fail, and the table says how. This takes about half an hour and 15 GB of disk, and needs the
Pythons of the table. If an environment cannot be made or compared, its row stays as it was.
"""

from __future__ import annotations

import os
from pathlib import Path
import sys
import tempfile
from typing import NamedTuple

import era
from gluon_classics import _files
import parity
import tensors

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "environments.md"
NETWORKS = ("lenet", "alexnet", "resnet")
INSTALL = ("-m", "pip", "install", "-q", "--disable-pip-version-check")
HEAD = """# Environments

<!-- written by python tools/make_environments.py -->

This page compares what our networks compute with different versions of MXNet, Python and NumPy. In each environment
they train two steps with the same seed: eager, as the blog runs them, and compiled, as `gluon-classics train` does.
Outputs, losses, gradients and parameters of both steps are compared with those of another run of the first row, on the
same processor.

- *equal* means that all bits are equal in float32.
- A number means that they are not. It is the largest difference in float64, divided by the largest absolute value of
  the array: the formulas are the same, and only rounding differs. With 0, all bits are equal in float64. In float32,
  batch normalization
  [amplifies rounding](findings.md#resnets-second-step-differs-between-versions-of-mxnet-because-of-rounding).
- *not supported* is followed by the last line of the error, from the installation or from `import mxnet`.

The initial weights and the images have the same bits in every row.

"""
TAIL = """
- MXNet 1.6 to 1.9.0: networks, training and evaluation work. Compiled graphs are not rewritten, so they are slower.
- MXNet 1.1 to 1.5: the programs in `original/` run there, on Python 3.6, and `python tools/parity.py` compares our
  networks with them.
- Without MXNet, on Python 3.8 to 3.14: `gluon-classics` lists networks and compares ports (`tox -e base,oldest-numpy`).
"""


class Setup(NamedTuple):
    """An environment: versions of MXNet, Python and NumPy."""

    mxnet: str
    python: str
    numpy: str


SETUPS = (
    Setup("1.9.1", "3.11", "1.23.5"),
    *(Setup("1.9.1", python, "1.23.5") for python in ("3.8", "3.9", "3.10")),
    Setup("1.9.1", "3.12", "1.26.4"),
    *(Setup("1.9.1", python, "2.3.5") for python in ("3.11", "3.12", "3.13", "3.14")),
    Setup("1.9.1", "3.14", "2.5.5"),
    *(Setup(version, "3.8", "1.23.5") for version in ("1.9.0", "1.8.0.post0", "1.7.0.post2", "1.6.0")),
)
UNSUPPORTED = (  # MXNet alone can be installed there
    *(Setup("1.9.1", python, "1.26.4") for python in ("3.13", "3.14")),
    Setup("1.5.1", "3.8", "1.23.5"),
)


def make(setup: Setup, folder: Path) -> Path:
    """Make the environment in a folder, and return its Python. Raises era.EraError if this fails."""
    python = make_with_mxnet(setup, folder)
    add_package(python, setup.numpy)
    return python


def make_with_mxnet(setup: Setup, folder: Path) -> Path:
    """Make an environment with nothing but MXNet, and return its Python. Raises era.EraError if this fails."""
    python = folder / "bin" / "python"
    era.call(era.interpreter(setup.python), "-m", "venv", folder)
    # MXNet's own requirements exclude NumPy 2
    era.call(python, *INSTALL, "--no-deps", f"mxnet=={setup.mxnet}")
    return python


def add_package(python: Path, numpy: str) -> None:
    """Install this package with a version of NumPy, from wheels only. Raises era.EraError if this fails."""
    era.call(python, *INSTALL, "--only-binary", ":all:", f"{ROOT}[runtime]", f"numpy=={numpy}", "graphviz<0.9")


def trace(python: Path, dtype: str, folder: Path) -> Path:
    """Run our networks in an environment, and return the folder of the traces. Raises era.EraError if this fails."""
    folder.mkdir()
    command = (python, ROOT / "tools" / "parity.py", *NETWORKS, "--type", dtype, "--trace", folder)
    era.call(*command, environment={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    return folder


def row(setup: Setup, reference: dict[str, Path], folder: Path) -> list[str]:
    """Return the cells of an environment, which is made in the folder. Float64 is only needed where float32 differs."""
    python = make(setup, folder)
    single = _errors(setup, reference["float32"], trace(python, "float32", folder / "float32"))
    if any(single):
        double = _errors(setup, reference["float64"], trace(python, "float64", folder / "float64"))
    else:
        double = single
    return [*setup, *(_words(error, exact) for error, exact in zip(single, double))]


def unsupported_row(setup: Setup, folder: Path) -> list[str]:
    """Return the cells of an environment that must fail. Raises era.EraError if it works or cannot be tried."""
    python = make_with_mxnet(setup, folder)
    try:
        add_package(python, setup.numpy)
        era.call(python, "-c", "import gluon_classics, mxnet")
    except era.EraError as error:
        _, _, reason = str(error).splitlines()[-1].partition(": ")
        return [*setup, f"not supported: {reason}", *[""] * (len(NETWORKS) * len(parity.WAYS) - 1)]
    raise era.EraError(f"{setup} works. Move it to the supported environments")


def _words(error, exact):
    if not error:
        return "equal"
    return f"{exact:.0e}" if exact else "0"


def _errors(setup, reference, folder):
    errors = []
    for network in NETWORKS:
        for way in parity.WAYS:
            one, other = (tensors.load(str(parity.trace_file(place, network, way))) for place in (reference, folder))
            found = parity.difference(one, other)
            if not (found.batches and found.weights):
                raise era.EraError(f"{setup} draws other images or weights. Look for the cause with tools/parity.py")
            errors.append(max(found.errors.values()))
    return errors


def written_rows() -> dict[Setup, list[str]]:
    """Return the rows of the page as it is."""
    text = PAGE.read_text(encoding="utf-8")
    _, _, *rows = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {Setup(*cells[:3]): cells for cells in rows}


def main():
    titles = ["MXNet", "Python", "NumPy", *(f"{network}, {way}" for network in NETWORKS for way in parity.WAYS)]
    rows, failed = written_rows(), []
    with tempfile.TemporaryDirectory() as folder:
        try:
            python = make(SETUPS[0], Path(folder, "reference"))
            reference = {dtype: trace(python, dtype, Path(folder, dtype)) for dtype in ("float32", "float64")}
        except era.EraError as error:
            sys.exit(f"error: {error}")
        for setup in (*SETUPS, *UNSUPPORTED):
            with tempfile.TemporaryDirectory(dir=folder) as name:
                home = Path(name)
                try:
                    rows[setup] = unsupported_row(setup, home) if setup in UNSUPPORTED else row(setup, reference, home)
                except era.EraError as error:
                    failed.append(f"{setup}: {error}")
                else:
                    print(" | ".join(rows[setup]), flush=True)
    lines = [titles, ["---"] * 3 + ["--:"] * (len(titles) - 3)]
    lines += [rows[setup] for setup in (*SETUPS, *UNSUPPORTED) if setup in rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    _files.write_text(PAGE, f"{HEAD}{table}\n{TAIL}")
    if failed:
        sys.exit("\n".join(["error: the page does not change for environments that could not be compared:", *failed]))


if __name__ == "__main__":
    main()
