"""What a worker does that the launcher has started: the first one trains in a run folder, the others follow it."""

from __future__ import annotations

from typing import Any

from gluon_classics import _console
from gluon_classics.distributed.group import connect
from gluon_classics.distributed.reports import tell
from gluon_classics.errors import Interrupted

from .announce import follow
from .resume import resume
from .train import train


def run_worker(job: dict[str, Any]) -> int:
    """Do the work of a worker that the launcher started, and leave the group. Return the exit status.

    Args:
        job: The work, the number of this worker and of all workers and servers, and MXNet's variables.

    Raises:
        ClassicsError: The training cannot start, or failed.
    """
    group = connect(job["rank"], job["size"], job["servers"], job["workers_of_host"], job["variables"])
    status, work = 0, job["work"]
    devices = (job["of_host"], job["workers_of_host"])
    if group.rank or job["quiet"]:
        _console.be_quiet()
    if group.rank:
        follow(group, devices)
    else:
        tell(connected=True)
        try:
            if work["do"] == "train":
                train(**work["arguments"], group=group, devices=devices, report=tell)
            else:
                resume(work["path"], **work["arguments"], group=group, devices=devices, report=tell)
        except Interrupted as interrupted:  # all workers have stopped at the same place
            status = interrupted.status
    group.close()
    return status
