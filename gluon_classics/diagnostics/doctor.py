"""What is wrong with this installation, and the fix: works without MXNet, or with one that does not load.

Without MXNet, the versions of Python and NumPy that it cannot run on are not a fault: networks can be listed there.
"""

from __future__ import annotations

from dataclasses import dataclass
import importlib.metadata
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import tempfile

from gluon_classics import _runtime

from .processes import child_environment

PYTHONS = ((3, 8), _runtime.NEWEST_PYTHON)  # oldest and newest that MXNet runs on
MXNET = "1.9.1"
MXNET_PACKAGES = ("mxnet", "mxnet-cu112")
DEBIAN_PACKAGES = {
    "libgomp": "libgomp1",
    "libquadmath": "libquadmath0",
    "libgfortran": "libgfortran5",
    "libGL": "libgl1",
    "libgthread": "libglib2.0-0",
}


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis; `fix` says what to do where `ok` is False, or what could be better where not."""

    name: str
    ok: bool
    found: str
    fix: str = ""


def examine() -> list[Check]:
    """All checks, in the order in which their fixes should be tried."""
    return [
        _python(),
        _system(),
        _numpy(),
        _mxnet_package(),
        _mxnet_loads(),
        _opencv(),
        _threads(),
        _gpu(),
        _data(),
        _plots(),
    ]


def _python():
    found = platform.python_version()
    if PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return Check("Python", True, found)
    oldest, newest = (".".join(map(str, version)) for version in PYTHONS)
    return Check(
        "Python", not _has_mxnet(), found, f"MXNet {MXNET} runs on Python {oldest} to {newest}: use one of these"
    )


def _system():
    system, machine = platform.system(), platform.machine()
    found = f"{system} {machine}"
    if (system, machine) == ("Darwin", "arm64"):
        fix = "pip's MXNet for Apple silicon is a mislabelled Linux library: use Docker or Linux, or Python for x86_64"
    elif system == "Windows":
        fix = f"there is no MXNet {MXNET} for Windows: use WSL"
    elif system not in ("Linux", "Darwin") or machine not in ("x86_64", "aarch64", "AMD64"):
        fix = f"there is no MXNet {MXNET} for this system: use Linux on x86_64 or aarch64"
    else:
        fix = ""
    return Check("System", not fix, found, fix)


def _numpy():
    found = _version("numpy")
    needed = ">=1.26,<2" if sys.version_info >= (3, 12) else ">=1.20,<1.24"
    if found is None:
        return Check("NumPy", False, "not installed", f"pip install 'numpy{needed}'")
    if int(found.split(".")[0]) < 2:
        return Check("NumPy", True, found)
    fix = f"MXNet cannot run on NumPy 2: pip install 'numpy{needed}', in an environment where nothing needs NumPy 2"
    return Check("NumPy", not _has_mxnet(), found, fix)


def _mxnet_package():
    installed = {name: _version(name) for name in MXNET_PACKAGES}
    found = ", ".join(f"{name} {version}" for name, version in installed.items() if version) or "not installed"
    if all(installed.values()):
        fix = "two packages overwrite each other: pip uninstall both, then install one extra, cpu or cu112"
    elif not any(installed.values()):
        fix = f"networks can be listed, but not run. {_runtime.how_to_get_mxnet()}"
    elif MXNET not in installed.values():
        fix = f"another version than the tested one: pip install 'mxnet=={MXNET}'"
    else:
        fix = ""
    return Check("MXNet package", not fix, found, fix)


def _mxnet_loads():
    """Loads MXNet in a process of its own: a library may be missing, or crash."""
    if _missing("mxnet"):
        return Check("MXNet loads", False, "not installed", "see MXNet package")
    script = "import gluon_classics, mxnet; print(mxnet.nd.ones(2).sum().asscalar(), mxnet.context.num_gpus())"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=child_environment())
    if result.returncode == 0:
        return Check("MXNet loads", True, f"and computes; {result.stdout.split()[-1]} GPUs")
    message = (result.stderr.strip().splitlines() or [f"ended with status {result.returncode}"])[-1]
    return Check("MXNet loads", False, message, _library_fix(message))


def _library_fix(message):
    if "NumPy" in message:
        return "see NumPy"
    if "OMP_NUM_THREADS" in message:
        return "see Threads"
    library = re.search(r"(lib(?!mxnet)\w+)[\w.+-]*\.so", message)
    if library and library[1] in DEBIAN_PACKAGES:
        return f"apt-get install {DEBIAN_PACKAGES[library[1]]} (or your system's package of {library[1]})"
    if library and re.match(r"lib(cud|cublas|cufft|curand|cusolver|nccl|nvrtc)", library[1]):
        return "mxnet-cu112 needs an NVIDIA driver, CUDA 11.2 and cuDNN 8: install them, or the extra cpu instead"
    if library:
        return f"install your system's package of {library[1]}"
    package = "mxnet-cu112" if _version("mxnet-cu112") else "mxnet"
    return f"reinstall: pip install --force-reinstall --no-deps {package}=={MXNET}"


def _opencv():
    result = subprocess.run(
        [sys.executable, "-c", "import cv2; print(cv2.__version__)"], capture_output=True, text=True
    )
    if result.returncode == 0:
        return Check("OpenCV", True, result.stdout.strip())
    if _missing("cv2"):
        fix = "pip install 'gluon-classics[runtime]'" if _has_mxnet() else "see MXNet package"
        return Check("OpenCV", False, "not installed", fix)
    message = (result.stderr.strip().splitlines() or ["does not load"])[-1]
    fix = _library_fix(message) if ".so" in message else "pip install --force-reinstall 'opencv-python-headless<4.12'"
    return Check("OpenCV", False, message, fix)


def _threads():
    cores = _runtime.usable_cores()
    given = _runtime.given_threads()
    if given in ("", str(cores)):
        return Check("Threads", True, f"{cores}, one for each core")
    if not _runtime.is_thread_count(given):
        return Check(
            "Threads", False, f"OMP_NUM_THREADS={given}", f"MXNet takes one number: set it to {cores}, or unset it"
        )
    return Check("Threads", True, f"{given}, set by OMP_NUM_THREADS", f"{cores} cores could be used")


def _gpu():
    if _version("mxnet-cu112") is None:
        return Check("GPU", True, "not used", "for CUDA 11.2 there is the extra cu112")
    ok = shutil.which("nvidia-smi") is not None
    return Check(
        "GPU", ok, "driver found" if ok else "no NVIDIA driver", "" if ok else "install the driver, or the extra cpu"
    )


def _data():
    name = "fashion-mnist"
    try:
        from gluon_classics.data import datasets
    except ImportError as error:
        return Check("Fashion-MNIST", False, f"cannot look ({error})", "see the lines above")
    place = datasets.installed_folder(name)
    if place:
        return Check("Fashion-MNIST", True, str(place))
    cache = datasets.cache_folder(name)
    writable = next(folder for folder in (cache, *cache.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=writable):
            pass
    except OSError as error:
        fix = f"{cache} cannot be written ({error.strerror}): set MXNET_HOME, or use --data"
        return Check("Fashion-MNIST", False, "not here", fix)
    return Check(
        "Fashion-MNIST", True, "not here yet", f"will be downloaded to {cache}; Debian: apt-get install dataset-{name}"
    )


def _plots():
    found = {package: _version(package) for package in ("matplotlib", "jinja2")}
    words = ", ".join(f"{package} {version or 'not installed'}" for package, version in found.items())
    return Check("Plots", True, words, "" if all(found.values()) else "the extra plot draws curves and reports")


def _has_mxnet():
    return any(_version(name) for name in MXNET_PACKAGES)


def _missing(module):
    try:
        return importlib.util.find_spec(module) is None
    except ImportError:
        return True


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
