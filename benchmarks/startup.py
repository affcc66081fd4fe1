"""Seconds from the shell to the end of the commands that only look.

    python benchmarks/startup.py [--runs N]

Runs the installed `gluon-classics`, each time in a process of its own. The commands take turns, so that what else the
machine does meets all of them; one turn before the clock starts reads their files from disk. `limit` is what the
median must stay under.
"""

import argparse
from pathlib import Path
import statistics
import subprocess
import sys
import time

from gluon_classics import _console

LIMITS = {"--help": 0.5, "list": 0.5, "summary vgg": 2}  # seconds
COMMAND = Path(sys.executable).with_name("gluon-classics")


def measure(arguments):
    """Seconds that `gluon-classics` takes with the arguments."""
    start = time.perf_counter()
    subprocess.run([str(COMMAND), *arguments.split()], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def run(runs):
    """Seconds of each command, taking turns."""
    turns = [{arguments: measure(arguments) for arguments in LIMITS} for _ in range(1 + runs)]
    return {arguments: [turn[arguments] for turn in turns[1:]] for arguments in LIMITS}


def show(measured):
    rows = [
        (
            f"gluon-classics {arguments}",
            f"{statistics.median(seconds):.2f}",
            f"{min(seconds):.2f} to {max(seconds):.2f}",
            f"{LIMITS[arguments]:.1f}",
        )
        for arguments, seconds in measured.items()
    ]
    _console.table(["command", "s, median:", "of runs:", "limit:"], rows)


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=positive, default=7, help="of each command (default: %(default)s)")
    show(run(parser.parse_args().runs))


if __name__ == "__main__":
    main()
