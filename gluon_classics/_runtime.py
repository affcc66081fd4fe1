"""What must happen before MXNet 1.9.1 loads, wherever its import comes from.

`prepare()` runs when `gluon_classics` is imported and costs nothing: it only puts a finder in front of
`sys.meta_path`. The first `import mxnet` after it, ours or the user's, then gets these in order:

NumPy alias   MXNet reads `numpy.bool`, which NumPy 1.24 removed. It is put back for the duration of the import
              and taken away again, so that the user's NumPy stays as it is. NumPy 2 lacks more than this one
              name, and MXNet declares `numpy<2`, so there we stop with the remedy.
Threads       Without OMP_NUM_THREADS MXNet takes half of the processors it sees, whatever this process may use.
              We set the variable to `usable_cores()` (the wheel's OpenMP reads it once, while it loads), unless
              the user has set it. It stays set: MXNet reads it again when its engine starts. OpenMP takes a list there,
              MXNet would end the process: then there is an ImportError.
Waiting       OpenMP's threads wait for each other by spinning. Where another process wants a core, the one that
              spins keeps the one it waits for from running, and small layers become many times slower. With
              OMP_WAIT_POLICY=passive, unless the user has set it, they sleep (`benchmarks/NOTES.md` has figures).
Scratch       MXNet keeps four areas of scratch memory for its CPU operators and takes them in turn, so that each grows
              to the largest need. Operators run one after the other here: with MXNET_CPU_TEMP_COPY=1, unless the user
              has set it, one area does, and training takes less memory.
Updates       MXNet's SGD updates four parameters in one operator, which saves launches on a GPU, but is slower on the
              CPU. A build for the CPU updates them one by one, unless MXNET_OPTIMIZER_AGGREGATION_SIZE says otherwise.
SciPy         Where SciPy is installed, every `nd.array` asks for `scipy.sparse.csr`, which is deprecated and which
              SciPy 2 removes. MXNet gets the class from `scipy.sparse`. SciPy stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.util
import math
import os
from pathlib import Path
import sys
from types import SimpleNamespace
import warnings

NEWEST_PYTHON = (3, 13)  # of those that NumPy 1.26 runs on, the newest that MXNet runs on
RUNTIME_MODULES = ("cv2", "pooch", "requests", "setuptools")  # what the extra `runtime` brings, besides NumPy


def prepare():
    """Arrange for the next import of mxnet; warn where it is too late to set the threads."""
    if "mxnet" in sys.modules:
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
        if fullname != "mxnet":
            return None
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            setattr(spec.loader, "exec_module", functools.partial(_load, spec.loader.exec_module))  # noqa: B010  for mypy
        return spec


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
        message = f"{error.name} is not installed. {_install('runtime')}."
        raise ModuleNotFoundError(message, name=error.name) from error


def no_mxnet() -> str:
    """Return in one line that MXNet is not installed, and what to do."""
    return f"MXNet is not installed. {how_to_get_mxnet()}"


def how_to_get_mxnet() -> str:
    """Return in one line what to install to get MXNet with what it needs."""
    if sys.version_info[:2] > NEWEST_PYTHON:
        newest = ".".join(map(str, NEWEST_PYTHON))
        return f"MXNet 1.9.1 runs on Python 3.8 to {newest}: use one of these."
    return f"{_install('cpu')}. For a GPU with CUDA 11.2, use the extra cu112 instead of cpu."


def _install(extra):
    return f"Install it with: pip install 'gluon-classics[{extra}]' (from a checkout: pip install -e '.[{extra}]')"


def _load(exec_module, module):
    import numpy

    if int(numpy.__version__.split(".")[0]) >= 2:
        raise ImportError(f"MXNet 1.9.1 cannot run on NumPy {numpy.__version__}: pip install 'numpy<2'")
    if not given_threads():
        os.environ["OMP_NUM_THREADS"] = str(usable_cores())
    elif not is_thread_count(given_threads()):
        what = f"OMP_NUM_THREADS={given_threads()}: MXNet takes one number"
        raise ImportError(f"{what}, set it to {usable_cores()} or unset it")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("MXNET_CPU_TEMP_COPY", "1")
    missing_alias = "bool" not in vars(numpy)
    if missing_alias:
        vars(numpy)["bool"] = bool
    try:
        with warnings.catch_warnings():
            # MXNet looks up deprecated NumPy names and distutils classes while it loads; -W error would be fatal.
            warnings.simplefilter("ignore")
            if sys.version_info >= (3, 12):
                import setuptools  # noqa: F401  brings back distutils, which MXNet imports
            exec_module(module)
        for part in (module.ndarray.utils, module.ndarray.sparse):
            sparse = part.spsp  # scipy.sparse, or None; used are .csr.csr_matrix, .csr_matrix and .coo_matrix
            if sparse is not None:
                part.spsp = SimpleNamespace(csr=sparse, csr_matrix=sparse.csr_matrix, coo_matrix=sparse.coo_matrix)
        if not module.runtime.Features().is_enabled("CUDA"):
            os.environ.setdefault("MXNET_OPTIMIZER_AGGREGATION_SIZE", "1")
    except OSError as error:
        raise ImportError(f"MXNet cannot load its library ({error}): 'gluon-classics doctor' names the fix") from error
    finally:
        if missing_alias:
            del vars(numpy)["bool"]


def given_threads() -> str:
    """What the user set OMP_NUM_THREADS to; empty if it is not set."""
    return os.environ.get("OMP_NUM_THREADS", "").strip()


def is_thread_count(text: str) -> bool:
    """Whether it is a number that MXNet can read: for others, as OpenMP's lists, it ends the process."""
    return text.isascii() and text.isdigit() and 0 < int(text) < 2**31


def usable_cores(sysfs="/sys", proc="/proc"):
    """Number of processor cores this process may use, at least 1.

    The affinity mask, with the hardware threads of one core counted once, and no more than the cgroup's CPU
    quota rounded up. `sysfs` and `proc` are where Linux shows its topology and cgroups.
    """
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = {_content(f"{sysfs}/devices/system/cpu/cpu{i}/topology/thread_siblings_list") or i for i in processors}
    return max(1, math.ceil(min([len(cores), *_cgroup_quotas(sysfs, proc)])))


def _cgroup_quotas(sysfs, proc):
    """CPU quotas in cores, of this process's cgroup and those above it (version 1 and 2)."""
    try:
        memberships = Path(proc, "self/cgroup").read_text().splitlines()
    except OSError:
        return
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # version 1 names the controllers in any order, and `cpu` links to their folder
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
