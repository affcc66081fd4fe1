"""Make an environment with MXNet of the time, and run a script in it: python tools/era.py VERSION [SCRIPT ARGUMENT ...]

    python tools/era.py 1.1.0                                           make the environment, print its Python
    python tools/era.py 1.1.0 original/run.py lenet -o runs/original/lenet   run a script in it

The environments are in `.era/` of the checkout; ERA_HOME names another folder. Each needs the Python of its time, 3.6
or 3.8, from pyenv or on the PATH.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Era(NamedTuple):
    """An environment.

    Attributes:
        python: Version of Python.
        package: MXNet, as pip names it.
        pins: What it needs, in versions that this Python can run.
        fast: Environment variables that make its BLAS use AVX2. It takes much slower kernels on processors that it does
            not know: OpenBLAS on those of later years, MKL on those that are not Intel's.
    """

    python: str
    package: str
    pins: tuple[str, ...]
    fast: Mapping[str, str] = MappingProxyType({})


# MXNet 1.1 to 1.5 ask for `requests<2.19` and `numpy<1.15`, whose newest dependencies no longer run on Python 3.6
OLD = (
    *("certifi==2021.10.8", "chardet==3.0.4", "graphviz==0.8.4", "idna==2.6"),
    *("numpy==1.14.6", "requests==2.18.4", "urllib3==1.22"),
)
# MXNet 1.6 to 1.9 use `numpy.bool`, which NumPy 1.24 removed
LATER = (
    *("certifi==2023.7.22", "charset-normalizer==3.3.2", "graphviz==0.8.4", "idna==3.4"),
    *("numpy==1.23.5", "requests==2.31.0", "urllib3==2.0.7"),
)
# MXNet 1.1 to 1.5 take memory from the system for each array and give it back, which is slow
KEEP_MEMORY = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TOP_PAD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
ERAS = {
    **{
        version: Era("3.6", f"mxnet=={version}", OLD, {"OPENBLAS_CORETYPE": "Haswell"})
        for version in ("1.1.0", "1.2.1", "1.3.1", "1.4.1", "1.5.1")
    },
    # the same release with Intel's kernels for convolutions and batch normalization
    "1.1.0-mkl": Era("3.6", "mxnet-mkl==1.1.0", OLD, {"MKL_DEBUG_CPU_TYPE": "5"}),
    **{
        version.rpartition(".post")[0] or version: Era("3.8", f"mxnet=={version}", LATER)
        for version in ("1.6.0", "1.7.0.post2", "1.8.0.post0", "1.9.0", "1.9.1")
    },
}


class EraError(Exception):
    """An environment cannot be made. The message says what to do."""


def python_of(version: str) -> Path:
    """Return the path of the environment of this version of MXNet's Python. Make the environment if it is missing.

    Raises:
        EraError: The version is unknown, its Python is not installed, or pip fails.
    """
    if version not in ERAS:
        raise EraError(f"there is no environment for MXNet {version!r}. Use one of {', '.join(ERAS)}")
    era = ERAS[version]
    home = Path(os.environ.get("ERA_HOME") or ROOT / ".era") / version
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{version}-", dir=home.parent) as folder:
            made = Path(folder, version)
            _make(era, made)
            # in one step: a broken environment never has the final name, and two processes do not disturb each other
            with contextlib.suppress(OSError):  # the other process was faster
                made.rename(home)
    return home / "bin" / "python"


def _make(era, home):
    python = home / "bin" / "python"
    call(interpreter(era.python), "-m", "venv", home)
    # no dependencies: the pins are all that MXNet needs, and old versions of pip read newer metadata wrongly
    call(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", *era.pins, era.package)
    call(python, "-c", "import mxnet")


def run(version: str, *command: str, threads: int | None = None) -> None:
    """Run a script with its arguments in the environment of a version of MXNet.

    Raises:
        EraError: The environment cannot be made, or the script fails.
    """
    python = python_of(version)
    era = ERAS[version]
    is_mkl_on_intel = "mkl" in version and "GenuineIntel" in _processor("vendor_id")
    fast = era.fast if {"avx2", "fma"} <= _processor("flags") and not is_mkl_on_intel else {}
    kept = KEEP_MEMORY if era.pins is OLD else {}
    environment = {**kept, **fast, **os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    code = subprocess.run([python, *command], env=environment).returncode
    if code:
        raise EraError(f"{command[0]} failed on MXNet {version} with status {code}. Its output says why")


def _processor(field):
    """Return the words that the system has for a field of the first processor, such as "flags"."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return set(next((line.split(":")[1] for line in lines if line.startswith(field)), "").split())


def interpreter(version: str) -> str:
    """Return the path of a Python, such as "3.8", from pyenv or the PATH. Raises EraError if it is not installed."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(versions.glob(f"{version}.*/bin/python"))
    path = str(found[-1]) if found else shutil.which(f"python{version}")
    if not path:
        raise EraError(f"Python {version} is not installed. Install it, for example with pyenv")
    return path


def call(*command, environment: dict[str, str] | None = None) -> None:
    """Run a command without showing its output. Raises EraError, with the output, if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if done.returncode:
        raise EraError(f"{' '.join(words[:4])} failed. Its output says why\n{done.stdout.strip()}")


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        print("Versions:", ", ".join(ERAS))
        return
    try:
        if arguments[1:]:
            run(*arguments)
        else:
            print(python_of(arguments[0]))
    except EraError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
