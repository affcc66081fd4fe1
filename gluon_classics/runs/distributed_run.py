"""Runs that several workers train together: what the launcher starts, and what the workers do."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
import hashlib
import json
import os
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any

from gluon_classics import _console
from gluon_classics._files import locked, write_text
from gluon_classics.data.datasets import DataSet, embedded_sample
from gluon_classics.distributed import launcher
from gluon_classics.distributed.launcher import Placement
from gluon_classics.errors import ClassicsError, RunError, SettingsError
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.experiment.settings import ON_SERVERS, Settings
import numpy as np

from .checkpoint import checkpoints
from .record import RECORD, read_run

if TYPE_CHECKING:
    from gluon_classics.utils.group import Group

# The modules that need MXNet are imported by the workers. The launcher does not load it.


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


def run_worker(job: dict[str, Any]) -> int:
    """Do the work of a worker that the launcher started, and leave the group. Return the exit status.

    Args:
        job: The work, the number of this worker and of all workers and servers, and MXNet's variables.

    Raises:
        ClassicsError: The training cannot start, or failed.
    """
    from gluon_classics.distributed.group import connect
    from gluon_classics.errors import Interrupted

    from .resume import resume
    from .train import train

    group = connect(job["rank"], job["size"], job["servers"], job["variables"])
    status, work = 0, job["work"]
    devices = (job["of_host"], job["workers_of_host"])
    if group.rank or job["quiet"]:
        _console.be_quiet()
    if group.rank:
        _follow(group, devices)
    else:
        _tell(connected=True)
        try:
            if work["do"] == "train":
                train(**work["arguments"], group=group, devices=devices, report=_tell)
            else:
                resume(work["path"], **work["arguments"], group=group, devices=devices, report=_tell)
        except Interrupted as interrupted:  # all workers have stopped at the same place
            status = interrupted.status
        if not group.is_announced:  # nothing was left to do
            group.share(None)
    group.close()
    return status


def _tell(**content):
    """Report something to the launcher."""
    print(json.dumps(content), file=sys.__stdout__, flush=True)


def announce(group: Group, settings: Settings, data: DataSet, in_memory: bool | None, ctx: str, devices: int) -> None:
    """Tell the other workers what to train, and compare their data. The first worker calls this before it prepares.

    Args:
        group: The workers.
        settings: Settings of the run.
        data: Data set, as it was loaded.
        in_memory: See `load_dataset`.
        ctx: Devices, as `parse_contexts` takes them.
        devices: Number of devices of this worker.

    Raises:
        RunError: Another worker has other data, or another number of devices.
    """
    if group.size == 1:
        return
    group.is_announced = True
    group.share({"settings": asdict(settings), "sample": data.is_sample, "in_memory": in_memory, "ctx": ctx})
    _compare(group, data, devices)


def _follow(group, devices):
    """Train as the first worker announces it, without a run folder."""
    from gluon_classics.experiment.build import limited, load_data, prepare
    from gluon_classics.utils.context import contexts_of_worker

    from .runner import follow_training

    told = group.share(None)
    if told is None:
        return
    settings = Settings(**told["settings"])
    data = limited(embedded_sample(), settings) if told["sample"] else load_data(settings, told["in_memory"])
    contexts = contexts_of_worker(told["ctx"], *devices)
    _compare(group, data, len(contexts))
    follow_training(prepare(settings, contexts, data, restored=True, group=group))


def _compare(group, data, devices):
    """Raise RunError unless all workers have the data, the code and the number of devices of the first one."""
    from .provenance import provenance

    record, made = data.record(), provenance([])
    labels = [np.asarray(part.labels, np.int64).tobytes() for part in (data.train, data.test)]
    own = {
        "pixels": record.sha256,
        "files": record.files_sha256,
        "labels": [*(hashlib.sha256(part).hexdigest() for part in labels), len(data.classes)],
        "versions": [made.gluon_classics, made.commit, made.python, made.mxnet, made.numpy, made.opencv],
        "devices": devices,
    }
    sent = np.frombuffer(json.dumps(own).encode(), np.uint8)
    first, *others = (json.loads(text.tobytes()) for text in group.gather(sent))
    for rank, other in enumerate(others, 1):
        kind = "files" if None in (first["pixels"], other["pixels"]) else "pixels"  # those on the disk have none
        if (other[kind], other["labels"]) != (first[kind], first["labels"]):
            what = f"worker {rank} has other images or labels than the first one"
            raise RunError(f"{what}: copy the data to its machine, at the same place")
        if other["versions"] != first["versions"]:
            what = f"worker {rank} has other versions of this package, Python or a library than the first one"
            raise RunError(f"{what}: install the same environment on all hosts")
        if other["devices"] != first["devices"]:
            what = f"worker {rank} has {other['devices']} devices, and the first one has {first['devices']}"
            raise RunError(f"{what}: use hosts with the same number of GPUs, or --ctx cpu")


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
