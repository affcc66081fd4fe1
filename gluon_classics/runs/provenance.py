"""What a result may depend on besides its settings: code, versions, processor, threads and devices."""

from __future__ import annotations

import functools
import os
from pathlib import Path
import platform
import subprocess
import sys

import cv2
import gluon_classics
import mxnet as mx
import numpy as np


def environment(contexts) -> dict:
    """What a result may depend on besides its settings."""
    commit, dirty = code()
    return {
        "gluon_classics": gluon_classics.__version__,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "mxnet": mx.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "opencv": cv2.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "devices": [str(ctx) for ctx in contexts],
    }


@functools.lru_cache(maxsize=None)
def code() -> tuple[str | None, bool | None]:
    """The checkout's commit, and whether the package's files differ from it; twice None outside of a checkout.

    It is that of the first call in a process: what happens to the files later is not what runs here.
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


def _processor():
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
