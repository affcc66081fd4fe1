"""Child processes that run Python."""

from __future__ import annotations

import os
from pathlib import Path

import gluon_classics


def child_environment() -> dict[str, str]:
    """Return the environment for a child process that must import the same gluon_classics as this process."""
    root = str(Path(gluon_classics.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
