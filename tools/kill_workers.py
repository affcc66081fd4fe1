"""Kill processes of a training with several workers at random moments, and compare the results.

    python tools/kill_workers.py --trials 30 --seed 0

Each trial starts the same training, kills one of its processes with SIGKILL when the run has begun, and lets the
launcher restart all from the last checkpoint. A trial fails if the launcher hangs, if a process is left, or if the
metrics or parameters differ in one bit from those of an uninterrupted training.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import tempfile
import time

from gluon_classics._processes import child_environment
from mxnet import nd
import numpy as np

PROCESSES = ("scheduler", "server", "worker 0", "worker 1")
TIMEOUT = 180  # seconds; a training takes a tenth of it
OPTIONS = "--workers 2 --data data.npz --lr 0.05 --momentum 0.9 --epochs 30 --batch-size 250 --checkpoint-minutes 0"


def main() -> int:
    """Run the trials and return the exit status: 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="lenet_bn")
    args = parser.parse_args()
    rng, failures = random.Random(args.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        _write_data(Path(folder, "data.npz"))
        whole = _start(folder, args.model, "whole")
        _wait_for_record(Path(folder, "whole"), whole)
        start = time.monotonic()
        _finish(whole)
        duration = time.monotonic() - start
        wanted = _outcome(Path(folder, "whole"))
        for trial in range(args.trials):
            killed, delay = rng.randrange(len(PROCESSES)), rng.uniform(0, duration)
            what = _trial(folder, args.model, f"trial-{trial}", killed, delay, wanted)
            failures += what.startswith("WRONG")
            print(
                f"{trial}: {PROCESSES[killed]} {delay:.1f} of {duration:.1f} s after the start of the run: {what}",
                flush=True,
            )
    print(f"{args.trials - failures} of {args.trials} trials passed")
    return int(failures > 0)


def _trial(folder, model, out, killed, delay, wanted):
    """Return what happened in a trial, which begins with WRONG if it failed."""
    process = _start(folder, model, out)
    _wait_for_record(Path(folder, out), process)
    time.sleep(delay)
    members = children(process.pid)
    if len(members) <= killed:
        _finish(process)
        return "already at the end"
    with contextlib.suppress(ProcessLookupError):
        os.kill(members[killed], signal.SIGKILL)
    try:
        printed = _finish(process)
    except subprocess.TimeoutExpired:
        process.kill()
        return "WRONG: the launcher hangs"
    if any(map(_is_running, members)):
        return "WRONG: a process is left"
    if process.returncode:
        return f"WRONG: {(printed.strip().splitlines() or [''])[-1]}"
    if _outcome(Path(folder, out)) != wanted:
        return "WRONG: another result"
    return "restarted, bit-identical" if "Restarting" in printed else "at the end, bit-identical"


def _wait_for_record(folder, process):
    while not (folder / "run.json").exists():
        if process.poll() is not None:
            raise RuntimeError(f"the training did not start: {process.stderr.read()}")
        time.sleep(0.01)


def _write_data(path):
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (1033, 28, 28)).astype(np.uint8)
    labels = np.arange(len(images)) % 10
    np.savez(path, x_train=images[:1000], y_train=labels[:1000], x_test=images[1000:], y_test=labels[1000:])


def _start(folder, model, out):
    command = [sys.executable, "-m", "gluon_classics", "train", model, *OPTIONS.split(), "--out", out]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=child_environment())


def _finish(process):
    return process.communicate(timeout=TIMEOUT)[1]


def children(number: int) -> list[int]:
    """Return the running processes that a process has started, in the order of their starts."""
    found = []
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        try:
            state, parent = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == number and state != "Z":
            found.append(int(entry))
    return sorted(found)


def _is_running(number):
    try:
        return Path("/proc", str(number), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _outcome(folder):
    epochs = json.loads((folder / "run.json").read_text())["epochs"]
    metrics = [(epoch["train_loss"], epoch["train_accuracy"], epoch["test_accuracy"]) for epoch in epochs]
    arrays = nd.load(str(folder / "net.params"))
    return metrics, {name: array.asnumpy().tobytes() for name, array in arrays.items()}


if __name__ == "__main__":
    sys.exit(main())
