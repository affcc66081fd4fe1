"""Measure training speed with OMP_WAIT_POLICY unset and passive, on an idle and on a busy machine.

    python benchmarks/waiting.py [--seconds N] [--rounds N]

Trains LeNet (28x28, batch 64) on the embedded sample, each time in a new process, alternating between OMP_WAIT_POLICY
unset (OpenMP's default) and passive (set by this package). First it runs alone, then alongside one busy process per
core. Prints images/s and the ratio to the default within each turn.
"""

import argparse
import os
import statistics
import subprocess
import sys

from gluon_classics import _console
from gluon_classics._runtime import usable_cores

POLICIES = ("", "passive")  # OpenMP treats an empty value like none
BUSY = "while True: pass"
TRAIN = """
import os, sys, time
from gluon_classics.data.datasets import SAMPLE_FOLDER
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.training import Callback
import mxnet as mx

e = prepare(Settings("lenet", data=str(SAMPLE_FOLDER), epochs=10_000), [mx.cpu()])
seconds, images, start = float(sys.argv[1]), 0, None

class Count(Callback):
    def after_batch(self, loop):
        global start, images
        images += e.settings.batch_size
        if start is None and loop.batches == 5:  # compiled and warm
            start, images = time.perf_counter(), 0
        elif start is not None and time.perf_counter() - start > seconds:
            print(images / (time.perf_counter() - start), flush=True)
            os._exit(0)

e.train([Count()])
"""


def speed(policy, seconds):
    """Return the images/s of a training process with this policy."""
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    command = [sys.executable, "-c", TRAIN, str(seconds)]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each training (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="number of turns (default: %(default)s)")
    options = parser.parse_args()
    rows = []
    for place in ("alone", "shared"):
        busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(usable_cores() * (place == "shared"))]
        try:
            turns = [[speed(policy, options.seconds) for policy in POLICIES] for _ in range(options.rounds)]
        finally:
            for process in busy:
                process.kill()
                process.wait()
        for number, policy in enumerate(POLICIES):
            rates = [turn[number] for turn in turns]
            ratios = [turn[number] / turn[0] for turn in turns]
            median, spread = f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"
            rows.append((place, policy or "default", f"{statistics.median(rates):,.0f}", median, spread))
    _console.table(["machine", "waiting", "images/s:", "to default:", "of rounds:"], rows)


if __name__ == "__main__":
    main()
