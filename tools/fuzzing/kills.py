"""SIGKILL at random moments, as many as asked for: every run ends with the bits of the uninterrupted one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import random
import shutil
import signal
import subprocess
import tempfile

from . import processes
from .faults import finish, stop_at_random, train


@dataclass(frozen=True)
class Kills:
    """What came of killing.

    Attributes:
        kills: Number of SIGKILLs.
        runs: Number of runs that were finished after them.
        failures: What differed from the uninterrupted run.
    """

    kills: int
    runs: int
    failures: tuple[str, ...]

    @property
    def line(self) -> str:
        """Return the counts in words."""
        failed = f"{len(self.failures)} differed ({self.failures[0]})" if self.failures else "none differed"
        return f"{self.kills} SIGKILLs at random moments of {self.runs} runs; of the finished runs, {failed}."


def run(count: int, seed: int, world: Path) -> Kills:
    """Kill trainings `count` times, resume each one, and compare the finished runs with the uninterrupted one."""
    chance = random.Random(f"kills:{seed}")
    kills, finished, failures = 0, 0, []
    while kills < count:
        with tempfile.TemporaryDirectory(prefix="kills-", dir=world.parent) as folder:
            run = Path(folder, "run")
            while kills < count and not _is_done(run):
                kills += _killed(run, chance)
            problem = finish(world, run)  # of a finished run it removes what the killed process left
            finished += 1
            failures += [problem] if problem else []
    return Kills(kills, finished, tuple(failures))


def _is_done(run):
    return (run / "run.json").exists() and '"status": "done"' in (run / "run.json").read_text()


def _killed(run, chance):
    """Start or resume a run, kill it at a random moment, and return whether it was still running."""
    arguments, started = (("resume", run, "--checkpoint-minutes", "0"), b"Resuming ")
    if not (run / "run.json").exists():
        shutil.rmtree(run, ignore_errors=True)
        arguments, started = train(run), b"Training "
    with subprocess.Popen(
        [*processes.COMMAND, *map(str, arguments)],
        env=processes.environment(MXNET_HOME=str(run.parents[1] / "world" / "home")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        stop_at_random(process, chance, signal.SIGKILL, started)
    return process.returncode == -signal.SIGKILL
