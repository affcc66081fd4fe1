"""What a result may depend on besides its settings: code, versions, processor, threads and devices."""

import functools
import os
from pathlib import Path
import platform
import subprocess
import sys
from typing import Dict, Optional, Tuple

import cv2
import gluon_classics
from gluon_classics.compiler.processor import onednn_isa
import mxnet as mx
import numpy as np

from .record import Processor, Provenance

CPUINFO = Path("/proc/cpuinfo")
SIMD = ("sse4_1", "avx", "avx2", "fma", "avx512", "avx_vnni", "amx")  # prefixes of the flags that select kernels


def provenance(contexts, workers: int = 1) -> Provenance:
    """Return what the results of this process depend on.

    Args:
        contexts: Devices of this process.
        workers: Number of processes that train together.
    """
    commit, dirty = code()
    return Provenance(
        gluon_classics=gluon_classics.__version__,
        commit=commit,
        dirty=dirty,
        python=platform.python_version(),
        mxnet=mx.__version__,
        numpy=np.__version__,
        opencv=cv2.__version__,
        platform=platform.platform(),
        processor=processor(),
        threads=os.environ.get("OMP_NUM_THREADS"),
        devices=tuple(map(str, contexts)),
        workers=workers,
    )


@functools.lru_cache(maxsize=None)
def code() -> Tuple[Optional[str], Optional[bool]]:
    """Return the checkout's commit, and whether the package's files differ from it; (None, None) without a checkout.

    The result of the first call is kept: later changes of the files do not change the code that runs.
    """
    package = Path(gluon_classics.__file__).parent

    def git(*arguments):
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    places = [str(package), str((package / "utils").resolve())]
    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # fails where another project's folder holds this package
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", *places)
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit, bool(changes)


def processor() -> Processor:
    """Return the processor's name and, on Linux for x86-64, what decides which kernels run."""
    if sys.platform != "linux":
        return Processor(platform.processor())
    facts: Dict[str, str] = {}
    for line in CPUINFO.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = tuple(sorted(flag for flag in facts.get("flags", "").split() if flag.startswith(SIMD)))
    numbers = {name: int(facts[key]) for name, key in _NUMBERS.items() if facts.get(key, "").isdecimal()}
    return Processor(
        facts.get("model name", platform.processor()), **numbers, flags=flags, onednn_isa=onednn_isa(flags)
    )


_NUMBERS = {"family": "cpu family", "model": "model", "stepping": "stepping"}
