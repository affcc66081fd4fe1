"""`gluon-classics doctor`: find problems with this installation. Works if MXNet is missing or does not load.

Without MXNet, a version of Python that it does not support is not a problem: networks can still be listed.
"""

from __future__ import annotations

from dataclasses import dataclass
import importlib.metadata
import importlib.util
import json
import platform
import re
import subprocess
import sys
import tempfile

from gluon_classics import _cuda, _runtime
from gluon_classics._processes import child_environment
from gluon_classics.errors import DataError

PYTHONS = ((3, 8), _runtime.NEWEST_PYTHON)  # the oldest and the newest version that MXNet runs on
MXNET = "1.9.1"
EARLIER_MXNET = ("1.6.0", "1.7.0.post2", "1.8.0.post0", "1.9.0")  # that the tests run on
EXAMPLE_NETWORK = "resnet"  # whose largest batch is shown
PILLOW = (10, 3)  # the oldest that turns TIFF files
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
    """The result of one check.

    Attributes:
        name: What was checked.
        ok: Whether it works.
        found: What was found.
        fix: What to do if `ok` is False, else an optional improvement.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""


def examine() -> list[Check]:
    """Run all checks and return their results, in the order in which to fix problems."""
    return [
        _python(),
        _system(),
        _numpy(),
        _mxnet_package(),
        _mxnet_loads(),
        _opencv(),
        _pillow(),
        _threads(),
        _gpu(),
        _memory(),
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
        fix = "MXNet's package for Apple silicon contains a Linux library: use Docker, Linux, or Python for x86_64"
    elif system == "Windows":
        fix = f"MXNet {MXNET} does not exist for Windows: use WSL"
    elif system not in ("Linux", "Darwin") or machine not in ("x86_64", "aarch64", "AMD64"):
        fix = f"MXNet {MXNET} does not exist for this system: use Linux on x86_64 or aarch64"
    else:
        fix = ""
    return Check("System", not fix, found, fix)


def _numpy():
    found = _version("numpy")
    if found is None:
        return Check("NumPy", False, "not installed", "pip install 'numpy>=1.20'")
    return Check("NumPy", True, found)


def _mxnet_package():
    installed = {name: _version(name) for name in MXNET_PACKAGES}
    versions = set(installed.values())
    found = ", ".join(f"{name} {version}" for name, version in installed.items() if version) or "not installed"
    if all(installed.values()):
        fix = "the two packages overwrite each other: pip uninstall both, then install one extra, cpu or cu112"
    elif not any(installed.values()):
        fix = f"networks can be listed, but not run. {_runtime.how_to_get_mxnet()}"
    elif versions & set(EARLIER_MXNET):
        advice = f"graphs are rewritten from {MXNET} on: pip install --no-deps mxnet=={MXNET}"
        return Check("MXNet package", True, found, advice)
    elif MXNET not in versions:
        fix = f"this version is not supported: pip install --no-deps mxnet=={MXNET}"
    else:
        fix = ""
    return Check("MXNet package", not fix, found, fix)


def _mxnet_loads():
    """Load MXNet in a new process, because its library may crash."""
    if _missing("mxnet"):
        return Check("MXNet loads", False, "no, not installed", "see MXNet package")
    script = "import gluon_classics, mxnet; print(mxnet.nd.ones(2).sum().asscalar(), mxnet.context.num_gpus())"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=child_environment())
    if result.returncode == 0:
        return Check("MXNet loads", True, f"yes, and computes; {result.stdout.split()[-1]} GPUs")
    message = (result.stderr.strip().splitlines() or [f"ended with status {result.returncode}"])[-1]
    return Check("MXNet loads", False, message, _library_fix(message))


def _library_fix(message):
    if "module 'numpy' has no attribute" in message:
        return "this NumPy is newer than those that MXNet was tried on: pip install 'numpy<2.6'"
    if "OMP_NUM_THREADS" in message:
        return "see Threads"
    if message.startswith("ImportError: MXNET_") or "ulimit" in message:
        return "change this setting"
    library = re.search(r"(lib(?!mxnet)\w+)[\w.+-]*\.so", message)
    if library and library[1] in DEBIAN_PACKAGES:
        return f"apt-get install {DEBIAN_PACKAGES[library[1]]} (or your system's package of {library[1]})"
    if (library and any(each.name.startswith(library[0]) for each in _cuda.LIBRARIES)) or "libcuda." in message:
        return "see GPU"
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
    reinstall = "pip install --force-reinstall --no-deps 'opencv-python-headless<4.12'"  # these run on NumPy 1 and 2
    fix = _library_fix(message) if ".so" in message else reinstall
    return Check("OpenCV", False, message, fix)


def _pillow():
    found = _version("pillow")
    is_new = found is not None and tuple(map(int, found.split(".")[:2])) >= PILLOW
    install = "pip install 'gluon-classics[runtime]'" if _has_mxnet() else "see MXNet package"
    return Check("Pillow", is_new, found or "not installed", "" if is_new else install)


def _threads():
    cores = _runtime.usable_cores()
    given = _runtime.given_threads()
    if given in ("", str(cores)):
        return Check("Threads", True, f"{cores}, one per core")
    if not _runtime.is_thread_count(given):
        return Check(
            "Threads", False, f"OMP_NUM_THREADS={given}", f"MXNet needs one number: set it to {cores}, or unset it"
        )
    return Check("Threads", True, f"{given}, set by OMP_NUM_THREADS", f"{cores} cores are available")


def _gpu():
    if not _cuda.is_installed():
        return Check("GPU", True, "not used", "the extra cu112 supports NVIDIA GPUs (docs/gpu.md)")
    if not _cuda.has_driver():
        return Check("GPU", False, "no NVIDIA driver", "install the driver, or the extra cpu instead of cu112")
    missing = _cuda.missing()
    if missing:
        names = ", ".join(library.name for library in missing)
        packages = " ".join(dict.fromkeys(library.package for library in missing))
        return Check("GPU", False, f"no {names}", f"pip install {packages}")
    gpus = _gpus()
    unsuited = [f"{name} ({'.'.join(map(str, level))})" for name, level in gpus if not _is_suited(level)]
    oldest, newest = (".".join(map(str, level)) for level in (_cuda.OLDEST_GPU, _cuda.NEWEST_GPU))
    if unsuited:
        remedy = f"MXNet runs compute capability {oldest} to {newest}: use --ctx cpu, or export to PyTorch"
        return Check("GPU", False, ", ".join(unsuited), remedy)
    found = ", ".join(name for name, _ in gpus) or "driver found, but no GPU that nvidia-smi shows"
    return Check("GPU", True, found)


def _is_suited(level):
    return _cuda.OLDEST_GPU <= level <= _cuda.NEWEST_GPU


def _gpus():
    """Return the name and the compute capability of each GPU that nvidia-smi shows."""
    command = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = (re.fullmatch(r"(.+), *(\d+)\.(\d+)", line.strip()) for line in output.splitlines())
    return [(row[1], (int(row[2]), int(row[3]))) for row in rows if row]


def _memory():
    """Ask in a new process, because MXNet's library may crash."""
    if _missing("mxnet"):
        return Check("Memory", True, "not checked, since MXNet is not installed")
    command = [sys.executable, "-m", f"{__package__}.memory_worker"]
    result = subprocess.run(command, capture_output=True, text=True, env=child_environment())
    try:
        rooms = json.loads(result.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return Check("Memory", True, "not checked, since MXNet does not compute")
    return memory_check(rooms)


def memory_check(rooms: list[dict]) -> Check:
    """Return the check of the memory.

    Args:
        rooms: For each device, its name ("device"), the free bytes ("available") and the largest batch ("images") of
            `EXAMPLE_NETWORK`. Both are None if they are not known.
    """
    found = "; ".join(_room(**room) for room in rooms)
    small = [room["device"] for room in rooms if room["images"] == 0]
    if small:
        fix = f"too little for one image of {EXAMPLE_NETWORK}: end other programs, or use smaller networks and images"
        return Check("Memory", False, found, fix)
    return Check("Memory", True, found, f"batches of {EXAMPLE_NETWORK} in training; a larger one is refused")


def _room(device, available, images):
    if available is None:
        return f"{device} does not tell"
    power = 2 ** (images.bit_length() - 1) if images else 0
    return f"{device} {available / 1e9:,.1f} GB free, a batch of {power:,}"


def _data():
    name = "fashion-mnist"
    try:
        from gluon_classics.data import datasets
    except ImportError as error:
        return Check("Fashion-MNIST", False, f"cannot be checked ({error})", "fix the problems above first")
    try:
        place, cache = datasets.installed_folder(name), datasets.cache_folder(name)
    except DataError as error:
        return Check("Fashion-MNIST", False, "not found", str(error))
    if place:
        return Check("Fashion-MNIST", True, str(place))
    writable = next(folder for folder in (cache, *cache.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=writable):
            pass
    except OSError as error:
        fix = f"{cache} cannot be written ({error.strerror}): set MXNET_HOME, or use --data"
        return Check("Fashion-MNIST", False, "not found", fix)
    fix = f"will be downloaded to {cache}, or on Debian: apt-get install dataset-{name}"
    return Check("Fashion-MNIST", True, "not downloaded yet", fix)


def _plots():
    found = {package: _version(package) for package in ("matplotlib", "jinja2")}
    words = ", ".join(f"{package} {version or 'not installed'}" for package, version in found.items())
    fix = "" if all(found.values()) else "for curves and reports: pip install 'gluon-classics[plot]'"
    return Check("Plots", True, words, fix)


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
