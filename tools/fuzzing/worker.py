"""The process that runs cases, one after the other: python -m fuzzing.worker WORLD

A line on standard input is a family and a seed in JSON. The answer is a line of JSON. The process may die of a case.
Cases run in this process, since starting MXNet takes longer than most of them.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
import importlib
import io
import json
import os
from pathlib import Path
import random
import resource
import subprocess
import sys
import tempfile
import traceback

READY = "ready"  # the first line that the process writes
ADDRESS_SPACE = 4 << 30  # bytes; keeps a case from taking the machine's memory


def main():
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    from fuzzing.case import Place

    world = Path(sys.argv[1])
    os.environ["MXNET_HOME"] = str(world / "home")
    os.environ["XDG_DATA_DIRS"] = "/x"
    os.environ["MXNET_GLUON_REPO"] = "http://127.0.0.1:9"
    print(READY, file=replies, flush=True)
    for line in requests:
        request = json.loads(line)
        with tempfile.TemporaryDirectory(prefix="case-", dir=world.parent) as folder:
            try:
                reply = run(request["family"], request["seed"], Place(Path(folder), world))
            except Exception:
                reply = {"broken": traceback.format_exc()}
        print(json.dumps(reply), file=replies, flush=True)


def run(family: str, seed: int, place) -> dict:
    """Make a case, run it, and return the verdict with its reason, and what the case was."""
    from fuzzing import case as cases

    module = importlib.import_module(family)
    make = module.KINDS[seed % len(module.KINDS)]
    case = make(random.Random(f"{family}:{seed}"), place)
    kept = {path: path.read_bytes() for path in case.kept}
    before = _rss()
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    try:
        answer = _act(case.act, place.folder)
    except subprocess.TimeoutExpired as error:
        return {"kind": make.__name__, "what": case.what, "verdict": cases.HANG, "reason": f"{error.timeout} s"}
    peak = _status("VmHWM") - before
    verdict, reason = cases.verdict(case, answer)
    changed = [path.name for path, content in kept.items() if not path.is_file() or path.read_bytes() != content]
    left = [path.name for path in place.folder.rglob(".*") if path.is_file() and path.suffix]
    if peak > case.memory:
        verdict, reason = cases.MEMORY, f"{peak / 1e6:,.0f} MB; {verdict}: {reason}"
    if changed or left:
        verdict, reason = cases.LEFT, f"changed {changed}, left {left}; {verdict}: {reason}"
    return {"kind": make.__name__, "what": case.what, "verdict": verdict, "reason": reason}


def _act(act, folder):
    """Do it, with the three descriptors of a terminal redirected, since C libraries write to these."""
    from gluon_classics import _console

    from fuzzing.case import Answer, Call, Process

    if isinstance(act, Process):
        return act.run()
    with _captured() as written, _in(folder):
        _console._libraries._is_separate = False  # as in a new process
        if isinstance(act, Call):
            _console.prepare_streams()  # as a command does, so that libraries are quiet
            try:
                answer = Answer(value=act.function())
            except BaseException as error:
                answer = Answer(error=error)
        else:
            answer = _command(act.arguments)
    _console.err.quiet = False  # as a new process has it
    if "mxnet" in sys.modules:
        with contextlib.suppress(Exception):  # an error that MXNet's engine kept belongs to no later case
            sys.modules["mxnet"].nd.waitall()
    printed, said = written
    if answer.status is not None:
        answer = replace(answer, value=printed)
    return replace(answer, said=said)


def _command(arguments):
    from gluon_classics.cli import main as command

    from fuzzing.case import Answer

    try:
        command(list(arguments), prog_name="gluon-classics")
    except SystemExit as exit:
        return Answer(status=exit.code if isinstance(exit.code, int) else int(exit.code is not None))
    except BaseException as error:
        return Answer(status=1, error=error)
    return Answer(status=0)


@contextlib.contextmanager
def _in(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _captured():
    """Yield a list that gets what was written to standard output and standard error, by whatever code."""
    before = [os.dup(number) for number in range(3)]
    streams = sys.stdout, sys.stderr
    written: list = []
    with contextlib.ExitStack() as files:
        opened = [files.enter_context(tempfile.TemporaryFile()) for _ in before]
        for number, file in enumerate(opened):
            os.dup2(file.fileno(), number)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "strict", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        try:
            yield written
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.close()
            sys.stdout, sys.stderr = streams
            for number, handle in enumerate(before):
                os.dup2(handle, number)
                os.close(handle)
        for file in opened[1:]:
            file.seek(0)
            written.append(file.read().decode(errors="replace"))


def _rss():
    return _status("VmRSS")


def _status(name):
    """Return a line of /proc/self/status in bytes."""
    text = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
