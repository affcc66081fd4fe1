"""Start trainings in several processes. This module does not load MXNet, which would set the threads of all of them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
import os
from pathlib import Path
from typing import Any

from gluon_classics import _console
from gluon_classics._files import locked, write_text
from gluon_classics.distributed import launcher
from gluon_classics.distributed.launcher import Placement
from gluon_classics.errors import ClassicsError, SettingsError
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.experiment.settings import ON_SERVERS, Settings

from .checkpoint import checkpoints
from .record import RECORD, read_run


def launch_training(placement: Placement, model: str, data, options: dict[str, Any]) -> None:
    """Train in several processes.

    Args:
        placement: Where the workers run, and how they are started.
        model: Name of the network.
        data: Name of a known data set, or a folder; None is the default.
        options: The other arguments of `train`.

    Raises:
        ClassicsError: The training cannot start, or failed.
    """
    given = {name: value for name, value in {"data": data, **options}.items() if name in Settings.__dataclass_fields__}
    settings = published_settings(model, **given)
    check_settings(settings, placement.workers)
    arguments = {"model": model, "data": data, **options}
    resumed = {name: options[name] for name in ("checkpoint_minutes", "in_memory")}
    _console.say(f"Starting {placement.workers} workers on {_names(placement)}")
    launcher.run(placement, {"do": "train", "arguments": arguments}, {"do": "resume", "arguments": resumed}, _FOLDERS)


def launch_resuming(placement: Placement, path, options: dict[str, Any]) -> None:
    """Resume a run in several processes.

    Args:
        placement: Where the workers run, and how they are started.
        path: Run folder.
        options: The other arguments of `resume`.

    Raises:
        ClassicsError: The training cannot be resumed, or failed.
    """
    work = {"do": "resume", "path": os.path.abspath(path), "arguments": options}
    launcher.run(placement, work, work, _FOLDERS)


def workers_of(path) -> int:
    """Return the number of workers that trained a run, 1 or more. Raises RunError if it is not a run folder."""
    return read_run(path).record.provenance.workers


def check_settings(settings: Settings, workers: int) -> None:
    """Raise SettingsError if several workers cannot train with these settings."""
    if settings.optimizer not in ON_SERVERS:
        words = ", ".join(ON_SERVERS)
        raise SettingsError(f"the optimizer {settings.optimizer} cannot be used with several workers: use {words}")
    if settings.batch_size < workers:
        what = f"a batch of {settings.batch_size} images cannot be divided among {workers} workers"
        raise SettingsError(f"{what}: use a larger batch size, or fewer workers")


def _position(folder):
    found = checkpoints(folder)
    return found[0].name if found else None


def _fail(folder):
    with contextlib.suppress(OSError, ClassicsError), locked(folder):
        record = read_run(folder).record
        if record.status == "running":
            write_text(Path(folder, RECORD), replace(record, status="failed").to_json())


_FOLDERS = launcher.RunFolders(_position, _fail)


def _names(placement):
    return ", ".join(host.name for host in placement.hosts)
