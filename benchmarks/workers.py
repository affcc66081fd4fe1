"""Images per second, and per second of processor time, with one process and with several workers on this machine.

    python benchmarks/workers.py [--turns 2] [--json workers.json]

Each training runs with few and with many epochs. The difference leaves out the start of the processes. All have one
thread per process, except for "2 threads". Processor time includes that of the server, the scheduler and the launcher.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from gluon_classics._processes import child_environment
from gluon_classics.runs.provenance import code, processor
import numpy as np


class Case(NamedTuple):
    """A training: the network, the images of an epoch, and the numbers of epochs whose difference is measured."""

    model: str
    images: int
    batch_size: int
    epochs: tuple[int, int]


CASES = (Case("lenet", 10240, 256, (1, 5)), Case("resnet", 256, 64, (1, 3)), Case("alexnet", 256, 64, (1, 3)))
CONTESTANTS = {"1 thread": (1, 1), "2 threads": (1, 2), "2 workers": (2, 1)}  # workers, threads of each
SIDE = {"lenet": 28, "resnet": 96, "alexnet": 224}


def measure(case: Case, workers: int, threads: int, folder: Path) -> tuple[float, float]:
    """Return the images per second, and per second of processor time."""
    taken = [_seconds(case, workers, threads, epochs, folder) for epochs in case.epochs]
    images = case.images * (case.epochs[1] - case.epochs[0])
    wall, cpu = (after - before for before, after in zip(*taken))
    return images / wall, images / cpu


def _seconds(case, workers, threads, epochs, folder):
    """Return the time and the processor time of a training."""
    out = folder / f"run-{time.monotonic_ns()}"
    options = ["--data", "data.npz", "--resize", str(SIDE[case.model]), "--batch-size", str(case.batch_size)]
    options += ["--workers", str(workers), "--epochs", str(epochs), "--out", str(out), "--quiet"]
    environment = {**child_environment(), "OMP_NUM_THREADS": str(threads)}
    begin, before = time.perf_counter(), _processor_time()
    command = [sys.executable, "-m", "gluon_classics", "train", case.model, *options]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return time.perf_counter() - begin, _processor_time() - before


def _processor_time():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_data(folder, case):
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (case.images + 10, 28, 28)).astype(np.uint8)
    labels = np.arange(len(images)) % 10
    train, test = slice(10, None), slice(10)
    parts = {"x_train": images[train], "y_train": labels[train], "x_test": images[test], "y_test": labels[test]}
    np.savez(folder / "data.npz", **parts)


def main() -> None:
    """Measure all cases in turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_data(folder, case)
            speeds = [
                {words: measure(case, *numbers, folder) for words, numbers in CONTESTANTS.items()}
                for _ in range(args.turns)
            ]
        for words in CONTESTANTS:
            of_all = [[turn[words][kind] / turn["1 thread"][kind] for turn in speeds] for kind in (0, 1)]
            row = {"model": case.model, "contestant": words}
            for kind, name in enumerate(("images_per_second", "images_per_cpu_second")):
                row[name] = round(statistics.median(turn[words][kind] for turn in speeds), 1)
                row[f"{name}_ratio"] = round(statistics.median(of_all[kind]), 2)
            rows.append(row)
            print(row, flush=True)
    if args.json:
        commit, dirty = code()
        content = {"commit": commit, "dirty": dirty, "processor": processor().name, "turns": args.turns, "rows": rows}
        args.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
