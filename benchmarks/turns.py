"""Compare the speed of contestants: each runs in its own process, they take turns, and ratios are within a turn.

Other load on the machine then affects all contestants of a turn. The spread over the turns shows how much it matters.
"""

from __future__ import annotations

import argparse
from contextlib import contextmanager
import math
import multiprocessing
import os
from pathlib import Path
import platform
import resource
import statistics
import subprocess
import time
import traceback


class Worker:
    """A process that creates an object and calls its methods on request.

    Args:
        make: Function that creates the object in the new process.
        arguments: Arguments of `make`.
        environment: Environment variables for the process. None removes a variable.
    """

    def __init__(self, make, arguments=(), environment=None):
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs, make, arguments), daemon=False)
        with _environment(environment or {}):
            self.process.start()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def ask(self, method, *arguments):
        """Call a method in the process and return its result.

        Raises:
            RuntimeError: If the method fails or the process ends.
        """
        self.pipe.send((method, arguments))
        try:
            failed, answer = self.pipe.recv()
        except EOFError:
            raise RuntimeError(f"a process ended in {method}, possibly out of memory") from None
        if failed:
            raise RuntimeError(answer)
        return answer

    def close(self):
        self.pipe.close()  # the process ends when the pipe closes
        self.process.join()


def _serve(pipe, make, arguments):
    contestant = None
    while True:
        try:
            method, values = pipe.recv()
        except EOFError:
            return
        try:
            if contestant is None:
                contestant = make(*arguments)
            pipe.send((False, getattr(contestant, method)(*values)))
        except Exception:
            pipe.send((True, traceback.format_exc()))


@contextmanager
def _environment(changes):
    before = dict(os.environ)
    os.environ.update({name: value for name, value in changes.items() if value is not None})
    for name in [name for name, value in changes.items() if value is None]:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def peak_memory():
    """Return the peak memory of this process in megabytes.

    On Linux it does not come from getrusage, where a new process starts with its parent's value.
    """
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine():
    """Return the properties of the machine that measurements depend on."""
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def commit():
    """Return the commit of the checkout, followed by "+" if tracked code has uncommitted changes."""
    root = Path(__file__).parents[1]

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", root, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    return git("rev-parse", "HEAD") + (
        "+" if git("status", "--porcelain", "--", "gluon_classics", "utils", "*.py") else ""
    )


def _processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def ratio(ours, theirs):
    """Return median and range of ours / theirs, over the turns in which both were measured."""
    ratios = [a / b for a, b in zip(ours, theirs) if a and b]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "turns": len(ratios)}


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values))


def at_least(least, kind=int):
    """Return a type for argparse that accepts numbers from `least` upwards."""

    def number(text):
        value = kind(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def rate(work, amount, seconds):
    """Repeat `work` for `seconds`, at least once, and return the amount per second."""
    start = time.perf_counter()
    count = 0
    while count == 0 or time.perf_counter() - start < seconds:
        work()
        count += 1
    return amount * count / (time.perf_counter() - start)
