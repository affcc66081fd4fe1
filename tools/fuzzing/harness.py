"""Run cases in worker processes, and count the verdicts. A worker that dies or hangs is one answer of its case."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
import contextlib
from dataclasses import dataclass
import importlib
import json
import os
from pathlib import Path
import queue
import re
import selectors
import subprocess
import sys
import tempfile
import time
from typing import Iterable, NamedTuple

from . import FAMILIES
from .case import CRASH, FAILURES, HANG

TOOLS = Path(__file__).parents[1]
ROOT = TOOLS.parent
TIME_LIMIT = 45  # seconds; a case takes about one, and the first one of a process about ten on a busy machine
START_LIMIT = 300  # seconds until a process can take cases
MOST_CASES = 200  # of a process: its memory is limited, and the libraries keep a little of each case
APART = 1_000_000  # case seeds of two neighbouring seeds


class Broken(Exception):
    """A case could not be made: the fault is in the fuzzing."""


class Job(NamedTuple):
    """A case to run: its family's module, and its seed."""

    module: str
    seed: int

    @property
    def name(self) -> str:
        """Return the case as `--replay` takes it."""
        return f"{self.module.rpartition('.')[2]}:{self.seed}"


@dataclass(frozen=True)
class Result:
    """The verdict on a case."""

    job: Job
    verdict: str
    reason: str
    kind: str = ""
    what: str = ""


class Worker:
    """A worker process, which is started again after it died, and after `MOST_CASES` cases.

    Args:
        world: Folder of the shared files.
        folders: Folders with the families' modules.
    """

    def __init__(self, world: Path, folders: Iterable[Path] = ()) -> None:
        self._world = world
        self._folders = [TOOLS, ROOT, *folders]
        self._process: subprocess.Popen | None = None
        self._cases = 0  # of this process

    def run(self, job: Job) -> Result:
        """Run one case."""
        if self._cases == MOST_CASES:
            self.stop()
        process = self._started()
        self._cases += 1
        module = importlib.import_module(job.module)
        limit = getattr(module, "TIME_LIMIT", TIME_LIMIT)
        kind = module.KINDS[job.seed % len(module.KINDS)].__name__
        request = json.dumps({"family": job.module, "seed": job.seed})
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{request}\n".encode())
            process.stdin.flush()
        line = _line(process.stdout, limit)
        if line is None:
            self.stop()
            return Result(job, HANG, f"no answer within {limit} s", kind)
        if not line:
            status = process.wait()
            self.stop()
            return Result(job, CRASH, f"the process ended with status {status}", kind)
        reply = json.loads(line)
        if "broken" in reply:
            raise Broken(f"{job.name}: {reply['broken']}")
        return Result(job, **reply)

    def stop(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()
            self._process.wait()
            self._process, self._cases = None, 0

    def _started(self):
        if self._process is None:
            path = os.pathsep.join(map(str, self._folders))
            environment = {
                **os.environ,
                "PYTHONPATH": path,
                "OMP_NUM_THREADS": "1",
                "PYTHONIOENCODING": "utf-8:strict",  # as a terminal of today
                "COLUMNS": "200",
            }
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fuzzing.worker", str(self._world)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                bufsize=0,
            )
            if not _line(self._process.stdout, START_LIMIT):
                raise Broken("a worker process does not start")
        return self._process


def _line(stream, limit):
    """Return a line from a pipe, b"" at its end, or None if it takes longer than `limit` seconds."""
    end, line = time.monotonic() + limit, b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0, end - time.monotonic())):
                return None
            part = os.read(stream.fileno(), 1 << 16)
            if not part:
                return b""
            line += part
    return line


def jobs(families: Iterable[str], seed: int, cases: int | None = None, share: float = 1) -> list[Job]:
    """Return the cases of families.

    Args:
        families: Names of families.
        seed: Seed of all cases.
        cases: Number of cases of each family; None is the family's own.
        share: Part of the families' own numbers.
    """
    found = []
    for family in families:
        module = f"fuzzing.{family}"
        count = cases or max(1, round(importlib.import_module(module).CASES * share))
        found += [Job(module, seed * APART + number) for number in range(count)]
    return found


def run(cases: list[Job], world: Path, workers: int, folders: Iterable[Path] = (), show=lambda result: None):
    """Run cases on several workers, and return their results in the order of the cases.

    Args:
        cases: The cases.
        world: Folder of the shared files.
        workers: Number of processes.
        folders: Folders with further families' modules.
        show: Called with each result.
    """
    free: queue.SimpleQueue = queue.SimpleQueue()
    started = [Worker(world, folders) for _ in range(workers)]
    for worker in started:
        free.put(worker)

    def one(job):
        worker = free.get()
        try:
            result = worker.run(job)
        finally:
            free.put(worker)
        show(result)
        return result

    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(one, cases))
    finally:
        for worker in started:
            worker.stop()


@contextlib.contextmanager
def new_world():
    """Make the shared files in a new folder, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, "world")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (TOOLS, ROOT))), "OMP_NUM_THREADS": "1"}
        made = subprocess.run(
            [sys.executable, "-m", "fuzzing.world", str(path)], env=environment, capture_output=True, text=True
        )
        if made.returncode:
            raise Broken(f"the shared files could not be made: {made.stderr}")
        yield path


def counts(results: Iterable[Result]) -> dict[str, Counter]:
    """Return the number of each verdict, by family."""
    found: dict[str, Counter] = {}
    for result in results:
        found.setdefault(result.job.module.rpartition(".")[2], Counter())[result.verdict] += 1
    return {family: found[family] for family in (*FAMILIES, *found) if family in found}


def failures(results: Iterable[Result]) -> list[tuple[Result, int]]:
    """Return one failure of each sort, with the number of those like it: same family, verdict, kind and reason."""
    sorts: dict[tuple, list] = {}
    for result in results:
        if result.verdict in FAILURES:
            reason = re.sub(r"^(a library wrote|accepted).*", r"\1", result.reason)
            reason = re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"|/\S+", "#", reason)[:90]
            sorts.setdefault((result.job.module, result.verdict, result.kind, reason), []).append(result)
    return [(alike[0], len(alike)) for alike in sorts.values()]
