"""Closed descriptors, full disks, signals, and two processes on one folder: nothing is lost, or one line says what."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
import random
import resource
import shutil
import signal
import subprocess
import time

from . import processes
from .case import Answer, Case, Process
from .world import OPTIONS

CASES = 22
TIME_LIMIT = 4 * processes.LIMIT
TEMPORARY = ".*-????????.*"  # what `atomic_path` leaves if its process is killed
LONGEST = 1.0  # seconds from the start of the training to a signal


def train(out) -> tuple:
    """Return the arguments that make the run `whole` of the world again."""
    return ("train", "lenet", *OPTIONS, "--out", out)


def finish(world: Path, run: Path) -> str | None:
    """Resume a disturbed run to its end, and return what differs from the uninterrupted run, or None."""
    arguments = ("resume", run) if (run / "run.json").exists() else train(run)
    answer = processes.run(*arguments, variables={"MXNET_HOME": str(world / "home")})
    if answer.status:
        return f"{arguments[0]} after it: status {answer.status}: {answer.said[-300:]}"
    return difference(world, run)


def difference(world: Path, run: Path) -> str | None:
    """Return how a finished run differs from the uninterrupted one, or None."""
    whole = world / "whole"
    record, expected = (json.loads((folder / "run.json").read_text()) for folder in (run, whole))
    if record["status"] != "done":
        return f"the status is {record['status']}"
    if (run / "net.params").read_bytes() != (whole / "net.params").read_bytes():
        return "it ended with other parameters than the uninterrupted run"
    losses = [[epoch["train_loss"] for epoch in content["epochs"]] for content in (record, expected)]
    if losses[0] != losses[1]:
        return f"it has other losses: {losses}"
    left = [path.name for path in run.glob(TEMPORARY)]
    return f"temporary files are left: {left}" if left else None


def stop_at_random(process: subprocess.Popen, chance: random.Random, number: int, started=b"Training ") -> None:
    """Send a signal at a random moment after the training has started."""
    for line in process.stderr:
        if line.startswith(started):
            break
    time.sleep(chance.uniform(0, LONGEST))
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _disturbed(place, disturb):
    """Return what to do: disturb a training, then finish it. A problem after it is the answer, else the training's."""
    run = place.folder / "run"

    def act():
        answer = disturb(run)
        problem = finish(place.world, run)
        return Answer(value=problem, status=0) if problem else answer

    return Process(act)


def _case(what, place, disturb):
    return Case(what, _disturbed(place, disturb), check=lambda answer: answer.value if answer.value else None)


def _quiet(answer: Answer) -> Answer:
    """Return an answer without what the command printed, which is no problem."""
    return Answer(status=answer.status, said=answer.said)


def closed_descriptors(rng, place):
    closed = rng.choice(((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)))
    number = rng.choice((None, signal.SIGINT, signal.SIGTERM))

    def close():
        for descriptor in closed:
            os.close(descriptor)

    def disturb(run):
        command = [*processes.COMMAND, *map(str, train(run))]
        with open(place.folder / "said", "w+b") as said:
            with subprocess.Popen(
                command,
                env=processes.environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                preexec_fn=close,
            ) as process:
                if number:
                    _wait_for(run / "points.json", process)
                    with contextlib.suppress(ProcessLookupError):
                        process.send_signal(number)
                status = _end(process)
        return Answer(status=0 if status in _statuses(number) else status, said=(place.folder / "said").read_text())

    return _case(f"descriptors {closed} closed, signal {number and number.name}", place, disturb)


def _statuses(number):
    """Return the right exit statuses after a signal: done, stopped, or ended by it outside of the training."""
    return (0, 128 + number, -number) if number else (0,)


def _wait_for(path, process):
    end = time.monotonic() + processes.LIMIT
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def _end(process):
    try:
        return process.wait(processes.LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def full_disk(rng, place):
    """Files cannot grow beyond a random size, as on a full disk."""
    limit = rng.choice((rng.randint(1, 4000), rng.randint(4000, 680_000), rng.randint(684_000, 2_200_000)))

    def no_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    def disturb(run):
        answer = _quiet(processes.run(*train(run), limits=no_room))
        if run.exists() and any(run.glob(TEMPORARY)):
            return Answer(value=f"temporary files are left: {list(run.glob(TEMPORARY))}", status=0)
        return answer

    return _case(f"files of at most {limit:,} bytes", place, disturb)


def signals(rng, place):
    number = rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    chance = random.Random(rng.getrandbits(32))

    def disturb(run):
        with _started(run) as process:
            stop_at_random(process, chance, number)
            said = process.stderr.read().decode(errors="replace")
            status = _end(process)
        if (run / "run.json").exists() and status not in _statuses(number):
            return Answer(value=f"status {status} after {number.name}: {said[-200:]}", status=0)
        return Answer(status=0, said=said)

    return _case(f"{number.name} at a random moment", place, disturb)


def _started(run):
    return subprocess.Popen(
        [*processes.COMMAND, *map(str, train(run))],
        env=processes.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def killed(rng, place):
    chance = random.Random(rng.getrandbits(32))

    def disturb(run):
        with _started(run) as process:
            stop_at_random(process, chance, signal.SIGKILL)
            _end(process)
        return Answer(status=0)

    return _case("SIGKILL at a random moment", place, disturb)


def reader_gone(rng, place):
    """The program that reads the messages ends, as in `... 2>&1 | head -1`: the training goes on."""

    def disturb(run):
        with _started(run) as process:
            process.stderr.readline()
            process.stderr.close()
            status = _end(process)
        problem = difference(place.world, run) if (run / "run.json").exists() else "there is no run"
        if status or problem:
            return Answer(value=f"status {status}, {problem}", status=0)
        return Answer(status=0)

    return _case("the reader of the messages is gone", place, disturb)


def full_log(rng, place):
    """Messages go to a full disk; the training goes on."""

    def disturb(run):
        command = [*processes.COMMAND, *map(str, train(run))]
        with open("/dev/full", "wb") as full:
            status = subprocess.run(
                command,
                env=processes.environment(),
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=full,
                timeout=processes.LIMIT,
            ).returncode
        problem = difference(place.world, run) if (run / "run.json").exists() else "there is no run"
        return Answer(value=f"status {status}, {problem}" if problem else None, status=0)

    return _case("messages to a full disk", place, disturb)


def two_at_once(rng, place):
    """Two trainings into one folder: one runs as if alone, the other ends with one line."""
    delay = rng.uniform(0, 2.5)

    def disturb(run):
        with _started(run) as first:
            time.sleep(delay)
            with _started(run) as second:
                said = [process.stderr.read().decode(errors="replace") for process in (first, second)]
                statuses = [_end(process) for process in (first, second)]
        if sorted(statuses) != [0, 1]:
            return Answer(value=f"statuses {statuses}: {said[0][-200:]} {said[1][-200:]}", status=0)
        problem = difference(place.world, run)
        loser = said[statuses.index(1)]
        return Answer(value=problem, status=0) if problem else Answer(status=1, said=loser)

    def act():
        return disturb(place.folder / "run")

    return Case(f"two trainings {delay:.1f} s apart", Process(act), check=lambda answer: answer.value)


def resumed_twice(rng, place):
    """Two processes resume one run: one runs as if alone, the other ends with one line."""
    run = place.folder / "run"

    def act():
        shutil.copytree(place.world / "stopped", run)
        command = [*processes.COMMAND, "resume", str(run)]
        pair = [
            subprocess.Popen(command, env=processes.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=processes.LIMIT)[1].decode(errors="replace") for process in pair]
        statuses = sorted(process.returncode for process in pair)
        if statuses not in ([0, 0], [0, 1]):  # the second may come when the first has ended
            return Answer(value=f"statuses {statuses}: {said}", status=0)
        return Answer(value=difference(place.world, run), status=0)

    return Case("two processes resume one run", Process(act), check=lambda answer: answer.value)


def no_picture(rng, place):
    """A picture that cannot be drawn leaves a finished training finished."""
    variables = rng.choice(({"MPLBACKEND": "nonsense"}, {"MPLCONFIGDIR": "/dev/null"}, {"TMPDIR": "/dev/null"}))
    run = place.folder / "run"

    def act():
        answer = processes.run(*train(run), variables=variables)
        if answer.status:
            return Answer(value=f"status {answer.status}: {answer.said[-200:]}", status=0)
        return Answer(value=difference(place.world, run), status=0)

    return Case(f"a training with {variables}", Process(act), check=lambda answer: answer.value)


KINDS = (
    *(closed_descriptors, full_disk, signals, killed, reader_gone, full_log, two_at_once, resumed_twice, no_picture),
    *(closed_descriptors, full_disk),
)
