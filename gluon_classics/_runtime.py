"""Set up what MXNet 1.9.1 needs before it loads.

`prepare()` runs when `gluon_classics` is imported. It only puts a finder in front of `sys.meta_path`, so it is cheap.
The first `import mxnet` after that, by this package or by the user, applies the settings below. A variable that the
user has set is not changed.

NumPy: MXNet reads names that NumPy 1.24 and 2 removed. Its modules get a view of NumPy that has them, from
`_numpy_view.py`. NumPy is unchanged for the user.

Threads (OMP_NUM_THREADS): By default MXNet uses half of the processors it sees, even if this process may use fewer.
The variable is set to `usable_cores()`. It stays set: OpenMP reads it once, while it loads, and MXNet reads it again
when its engine starts. OpenMP accepts a list of numbers, but MXNet aborts the process on a list. The import raises an
ImportError instead, as it does for other variables and limits that would end the process (`_limits.py`).

Waiting (OMP_WAIT_POLICY): By default OpenMP's threads wait for each other in a busy loop. If another process uses the
same core, the waiting thread keeps the thread it waits for from running, and small layers become many times slower.
With `passive` the threads sleep while they wait (measured in `benchmarks/NOTES.md`).

Scratch memory (MXNET_CPU_TEMP_COPY): By default MXNet has four areas of scratch memory for CPU operators and uses them
in turn, so that each one grows to the largest size needed. Here operators run one after the other, so one area is
enough, and training uses less memory.

Updates (MXNET_OPTIMIZER_AGGREGATION_SIZE): By default MXNet's SGD updates four parameters in one operator. This saves
kernel launches on a GPU, but is slower on the CPU. CPU builds of MXNet update one parameter at a time.

CUDA: With the package for GPUs, the libraries of the extra `cuda` are loaded first (`_cuda.py`).

SciPy: If SciPy is installed, every `nd.array` uses `scipy.sparse.csr`, which is deprecated and which SciPy 2 removes.
MXNet gets the class from `scipy.sparse` instead. SciPy itself is unchanged.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import math
import os
from pathlib import Path
import sys
from types import SimpleNamespace
import warnings

from . import _cuda, _limits, _numpy_view

NEWEST_PYTHON = (3, 14)  # the newest that MXNet was tried on
OLDEST_MXNET = (1, 6)
NUMPY_2_PYTHON = (3, 13)  # from here on, only NumPy 2 has wheels
RUNTIME_MODULES = ("cv2", "PIL", "pooch", "requests", "setuptools")  # what the extra `runtime` brings, besides NumPy


def prepare():
    """Prepare the first import of mxnet. Warn if mxnet is already loaded and the threads are not set.

    Raises:
        ImportError: An MXNet that is too old is already loaded.
    """
    if "mxnet" in sys.modules:
        if hasattr(sys.modules["mxnet"], "__version__"):
            _refuse_old(sys.modules["mxnet"])
        if not given_threads():
            warnings.warn(
                "mxnet was imported before gluon_classics, so the number of threads could not be set: "
                f"import gluon_classics first, or set OMP_NUM_THREADS={usable_cores()}.",
                RuntimeWarning,
                stacklevel=3,
            )
    elif not any(isinstance(finder, _MXNetFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MXNetFinder())


class _MXNetFinder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] not in ("mxnet", "gluoncv"):  # GluonCV reads NumPy's old names, too
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, _load if fullname == "mxnet" else _numpy_view.load)
        return spec


class _Loader(importlib.abc.Loader):
    """Runs one module with a function, and gives it back its own loader, which other modules may share."""

    def __init__(self, loader, load):
        self._loader = loader
        self._load = load

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._load(self._loader.exec_module, module)


def require():
    """Raise ModuleNotFoundError, which says what to install, unless MXNet is installed."""
    if importlib.util.find_spec("mxnet") is None:
        raise ModuleNotFoundError(no_mxnet(), name="mxnet")


@contextlib.contextmanager
def missing_modules_explained():
    """Within, a missing module that an extra brings raises a ModuleNotFoundError that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("mxnet", *RUNTIME_MODULES):
            raise
        require()
        message = f"{error.name} is not installed. Install it with: {_install('runtime')}."
        raise ModuleNotFoundError(message, name=error.name) from error


def no_mxnet() -> str:
    """Return in one line that MXNet is not installed, and what to do."""
    return f"MXNet is not installed. {how_to_get_mxnet()}"


def how_to_get_mxnet() -> str:
    """Return in one line what to install to get MXNet with what it needs."""
    if sys.version_info[:2] > NEWEST_PYTHON:
        newest = ".".join(map(str, NEWEST_PYTHON))
        return f"MXNet 1.9.1 runs on Python 3.8 to {newest}: use one of these."
    if sys.version_info[:2] >= NUMPY_2_PYTHON:
        # two commands, because MXNet's metadata demands NumPy 1
        first = "pip install --no-deps mxnet==1.9.1 (for an NVIDIA GPU, mxnet-cu112==1.9.1)"
        return f"Install it with: {first}, and then {_install('runtime')}."
    return f"Install it with: {_install('cpu')}. For an NVIDIA GPU, use the extra cu112 instead of cpu."


def _install(extra):
    return f"pip install 'gluon-classics[{extra}]' (from a checkout: pip install -e '.[{extra}]')"


def _load(exec_module, module):
    if not given_threads():
        os.environ["OMP_NUM_THREADS"] = str(usable_cores())
    elif not is_thread_count(given_threads()):
        raise ImportError(
            f"OMP_NUM_THREADS={given_threads():.40} is not a number that MXNet can read: "
            f"set it to {usable_cores()}, or unset it"
        )
    problem = _limits.problem(os.environ, int(given_threads()))
    if problem:
        raise ImportError(problem)
    if _cuda.is_installed():
        _cuda.preload()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("MXNET_CPU_TEMP_COPY", "1")
    try:
        with warnings.catch_warnings():
            # MXNet uses deprecated names of NumPy and distutils while it loads; with -W error these would be fatal
            warnings.simplefilter("ignore")
            if sys.version_info >= (3, 12):
                import setuptools  # noqa: F401  provides distutils, which MXNet imports
            _numpy_view.load(exec_module, module)
        _refuse_old(module)
        for part in (module.ndarray.utils, module.ndarray.sparse):
            sparse = part.spsp  # scipy.sparse, or None; used are .csr.csr_matrix, .csr_matrix and .coo_matrix
            if sparse is not None:
                part.spsp = SimpleNamespace(csr=sparse, csr_matrix=sparse.csr_matrix, coo_matrix=sparse.coo_matrix)
        if not module.runtime.Features().is_enabled("CUDA"):
            os.environ.setdefault("MXNET_OPTIMIZER_AGGREGATION_SIZE", "1")
    except OSError as error:
        raise ImportError(f"MXNet cannot load its library ({error}): run 'gluon-classics doctor'") from error


def _refuse_old(mxnet):
    if tuple(map(int, mxnet.__version__.split(".")[:2])) < OLDEST_MXNET:
        advice = "Install 1.9.1: pip install --no-deps mxnet==1.9.1"
        raise ImportError(f"MXNet {mxnet.__version__} is too old for this package. {advice}")


def given_threads() -> str:
    """Return the value of OMP_NUM_THREADS, or an empty string if it is not set."""
    return os.environ.get("OMP_NUM_THREADS", "").strip()


def is_thread_count(text: str) -> bool:
    """Return whether `text` is a number of threads that MXNet can read. MXNet aborts the process on anything else."""
    return _limits.is_whole_number(text, 1, _limits.MOST_THREADS)


def usable_cores(sysfs="/sys", proc="/proc"):
    """Return the number of processor cores this process may use, at least 1.

    Count the cores of the affinity mask. Several hardware threads of a core count once. The number is limited to the
    CPU quota of the cgroup, rounded up.

    Args:
        sysfs: The folder where Linux shows the processors and the cgroups.
        proc: The folder where Linux shows the processes.
    """
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = {_content(f"{sysfs}/devices/system/cpu/cpu{i}/topology/thread_siblings_list") or i for i in processors}
    return max(1, math.ceil(min([len(cores), *_cgroup_quotas(sysfs, proc)])))


def _cgroup_quotas(sysfs, proc):
    """Yield the CPU quotas, in cores, of this process's cgroup and its parents (cgroup version 1 and 2)."""
    try:
        memberships = Path(proc, "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # version 1 lists the controllers in any order, and `cpu` is a link to their folder
        mount = Path(sysfs, "fs/cgroup", "cpu" if controllers else "")
        group = mount / path.lstrip("/")
        for folder in [group, *group.parents]:
            if controllers:
                quota, period = _content(folder / "cpu.cfs_quota_us"), _content(folder / "cpu.cfs_period_us")
            else:
                quota, _, period = _content(folder / "cpu.max").partition(" ")
            if quota.isdigit() and period.isdigit():
                yield int(quota) / int(period)
            if folder == mount:
                break


def _content(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
