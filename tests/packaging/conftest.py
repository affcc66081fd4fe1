"""Fixtures that build the sdist and the wheel. They import nothing that a base installation lacks."""

from pathlib import Path
import shutil
import subprocess
import sys

import pytest

CHECKOUT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "__pycache__")


def left_out(folder, names):
    """Return the names to leave out; runs/ only at the top level, since the package has a folder of that name."""
    return LEFT_OUT(folder, names) | ({"runs"} if Path(folder) == CHECKOUT else set())


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Return a copy of the checkout, in which builds may leave files."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(CHECKOUT, copy, symlinks=True, ignore=left_out)
    return copy


@pytest.fixture(scope="session")
def built(source, tmp_path_factory):
    """Return the folder of the sdist, built from the copy, and of the wheel, built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder


@pytest.fixture(scope="session")
def wheel(built):
    return next(built.glob("*.whl"))
