"""Load the CUDA libraries that mxnet-cu112 needs from packages of pip, so that a driver is all that must be installed.

The extra `cuda`, which `cu112` includes, installs the packages. Their folders are not on the search path of the system,
so each library is loaded before MXNet, and MXNet then finds it by its name. A library without a package is left to the
system.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import NamedTuple

PACKAGE = "mxnet-cu112"
DRIVER = "libcuda.so.1"
OLDEST_GPU, NEWEST_GPU = (5, 0), (8, 9)  # compute capabilities; the package has code up to 8.6, which 8.9 runs


class Library(NamedTuple):
    """A library that mxnet-cu112 needs.

    Attributes:
        name: Its file name.
        package: The package of pip that has it.
        folder: The folder of that package in the namespace `nvidia`.
    """

    name: str
    package: str
    folder: str


# in this order: each needs only those before it
LIBRARIES = tuple(
    Library(name, f"nvidia-{folder.replace('_', '-')}-cu11", folder)
    for name, folder in (
        ("libcudart.so.11.0", "cuda_runtime"),
        ("libnvToolsExt.so.1", "nvtx"),
        ("libnvrtc.so.11.2", "cuda_nvrtc"),
        ("libcublasLt.so.11", "cublas"),
        ("libcublas.so.11", "cublas"),
        ("libcufft.so.10", "cufft"),
        ("libcurand.so.10", "curand"),
        ("libcusparse.so.11", "cusparse"),
        ("libcusolver.so.11", "cusolver"),
        ("libnccl.so.2", "nccl"),
        ("libcudnn.so.8", "cudnn"),
    )
)


def is_installed() -> bool:
    """Return whether MXNet's package for GPUs is installed."""
    try:
        importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def preload() -> None:
    """Load the libraries that packages of pip have. Those that do not load are left to the system."""
    for library in LIBRARIES:
        path = _path(library)
        if path:
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def missing() -> list[Library]:
    """Return the libraries that neither a package of pip nor the system has. Loads the others."""
    preload()
    return [library for library in LIBRARIES if not _loads(library.name)]


def has_driver() -> bool:
    """Return whether NVIDIA's driver is installed."""
    return _loads(DRIVER)


def _loads(name):
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _path(library):
    try:
        spec = importlib.util.find_spec(f"nvidia.{library.folder}")
    except ImportError:
        return None
    folders = (spec and spec.submodule_search_locations) or ()
    paths = (Path(folder, "lib", library.name) for folder in folders)
    return next((path for path in paths if path.is_file()), None)
