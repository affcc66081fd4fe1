"""A process of a training with several workers: `python -m gluon_classics.cli.member`, started by the launcher.

It reads what to do from standard input, in one line of JSON, and ends when standard input is closed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback

import click
from gluon_classics import _console
from gluon_classics._runtime import usable_cores
from gluon_classics._signals import SIGNALS
from gluon_classics.distributed.reports import tell, tell_when_reached

from .command import errors_in_one_line


def main() -> None:
    """Do the work of a process, and end it at once: MXNet's exit may wait for processes that are gone."""
    _console.prepare_streams()
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    is_first = job.get("rank") == 0
    for number in () if is_first else SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the first worker stops all; a closed input ends this process
    for name in [name for name in os.environ if name.startswith("DMLC_")]:
        del os.environ[name]  # with such variables, `import mxnet` starts MXNet's own server
    os.environ["OMP_NUM_THREADS"] = threads_of(job)
    tell(started=True)
    tell_when_reached(job["variables"])
    try:
        with errors_in_one_line(click.Context(click.Command("member"))):
            status = _work(job)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except click.exceptions.Exit as end:
        status = end.exit_code
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the launcher is gone
            stream.flush()
    os._exit(status)


def threads_of(job: dict) -> str:
    """Return the number of threads of a process: the user's, or the cores of this machine divided by its workers."""
    return job["threads"] or str(max(1, usable_cores() // job["workers_of_host"]))


def _work(job):
    if job["role"] == "worker":
        from gluon_classics.runs.worker import run_worker

        return run_worker(job)
    from gluon_classics.distributed.server import serve
    from gluon_classics.experiment.optimizers import make_optimizer
    from gluon_classics.experiment.settings import Settings

    serve(job["variables"], lambda settings: make_optimizer(Settings(**settings)))
    return 0


def _end_with_launcher():
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
