"""Measure how long the commands that only display something take.

    python benchmarks/startup.py [--runs N]

Runs the installed `gluon-classics`, each time in a new process. The commands take turns, so that other load on the
machine affects all of them. The first turn is not counted: it reads the files from disk. The median must stay below
`limit`.
"""

import argparse
from pathlib import Path
import statistics
import subprocess
import sys
import time

from gluon_classics import _console
from turns import at_least

LIMITS = {"--help": 0.5, "list": 0.5, "summary vgg": 2}  # seconds
COMMAND = Path(sys.executable).with_name("gluon-classics")


def measure(arguments):
    """Return the seconds that `gluon-classics` takes with the arguments."""
    start = time.perf_counter()
    subprocess.run([str(COMMAND), *arguments.split()], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def run(runs):
    """Return the seconds of each command in each turn."""
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=at_least(1), default=7, help="runs of each command (default: %(default)s)")
    show(run(parser.parse_args().runs))


if __name__ == "__main__":
    main()
