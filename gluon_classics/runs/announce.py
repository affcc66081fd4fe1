"""What the first of several workers tells the others before a training."""

from __future__ import annotations

from dataclasses import asdict
import hashlib
import json

from gluon_classics.data.datasets import DataSet, embedded_sample
from gluon_classics.errors import RunError
from gluon_classics.experiment.build import limited, load_data, prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.context import contexts_of_worker
from gluon_classics.utils.group import Group
import numpy as np

from .provenance import provenance
from .runner import follow_training


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
    group.share({"settings": asdict(settings), "sample": data.is_sample, "in_memory": in_memory, "ctx": ctx})
    _compare(group, data, devices)


def announce_nothing(group: Group) -> None:
    """Tell the other workers that nothing is left to train."""
    group.share(None)


def follow(group: Group, devices: tuple[int, int]) -> None:
    """Train as the first worker announces it, without a run folder.

    Args:
        group: The workers.
        devices: `number` and `workers` of `contexts_of_worker`.

    Raises:
        ClassicsError: The training cannot start, or failed.
    """
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
