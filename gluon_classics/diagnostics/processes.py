"""Python processes that this one starts."""

from __future__ import annotations

import os
from pathlib import Path

import gluon_classics


def child_environment() -> dict[str, str]:
    """The environment for a child that shall find gluon_classics where this process did."""
    root = str(Path(gluon_classics.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
