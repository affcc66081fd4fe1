"""Measure how time and memory grow with batch size, resolution, number of images and number of threads.

    pip install -e '.[cpu,plot]'
    python benchmarks/growth.py [--of batch resolution images threads] [--seconds N] [--publish]

Trains on real images, each point in a new process. Prints a table. --publish writes benchmarks/growth.json and the
plots docs/growth-*.svg. NOTES.md explains the curves.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
import json
from pathlib import Path
import tempfile

from cases import Case
from gluon_classics import _console, _files, _runtime
from gluon_classics.data.datasets import load_dataset
import numpy as np
import turns

ROOT = Path(__file__).parents[1]
PUBLISHED = Path(__file__).with_name("growth.json")
CORES = _runtime.usable_cores()
POWERS = tuple(2**n for n in range(10))


@dataclass(frozen=True)
class Growth:
    """A quantity to vary.

    Args:
        title: Label of the axis.
        values: The values to measure.
        cases: For each network, a function from a value to the case to measure.
        measured: "steps" or "epoch".
    """

    title: str
    values: tuple[int, ...]
    cases: dict
    measured: str

    def time(self, rate, images):
        """Return milliseconds per image, or seconds per epoch if epochs are measured."""
        return images / rate if self.measured == "epoch" else 1000 / rate

    @property
    def time_title(self):
        return "seconds per epoch" if self.measured == "epoch" else "milliseconds per image"


def case(network, size, batch_size, epoch_batches=1):
    return Case(network, size, batch_size, epoch_batches, learning_rate=0.01)


GROWTHS = {
    "batch": Growth(
        "images per batch",
        POWERS,
        {"lenet": lambda n: case("lenet", 28, n), "resnet": lambda n: case("resnet", 96, n)},
        "steps",
    ),
    "resolution": Growth(
        "side of the images in pixels",
        (96, 128, 160, 192, 224, 256),
        {"resnet": lambda n: case("resnet", n, 16), "nin": lambda n: case("nin", n, 16)},
        "steps",
    ),
    "images": Growth(
        "images per epoch",
        (1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 59_904),
        {"lenet": lambda n: case("lenet", 28, 256, n // 256)},
        "epoch",
    ),
    "threads": Growth(
        "threads",
        tuple(range(1, 2 * CORES + 1)),
        {
            "lenet": lambda _: case("lenet", 28, 256),
            "resnet": lambda _: case("resnet", 96, 64),
            "alexnet": lambda _: case("alexnet", 224, 32),
        },
        "steps",
    ),
}


def make(case):
    """Return our contestant. Runs in a new process."""
    import mxnet_contestants

    return mxnet_contestants.Ours(case)


def point(growth, case, threads, seconds):
    """Return the time and the peak memory in megabytes of one case."""
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    with turns.Worker(make, (case,), environment) as worker:
        worker.ask(growth.measured, seconds)
        rate, memory = worker.ask(growth.measured, seconds), worker.ask("memory")
    return growth.time(rate, case.batch_size * case.epoch_batches), memory


def measure(name, seconds, file):
    """Return a list of (value, time, megabytes) for each network."""
    growth = GROWTHS[name]
    curves = {}
    for network, case_of in growth.cases.items():
        _console.say(f"{name}: {network}")
        curves[network] = []
        for value in growth.values:
            threads = value if name == "threads" else CORES
            with_images = replace(case_of(value), images_file=file)
            curves[network].append((value, *point(growth, with_images, threads, seconds)))
    return curves


def show(result):
    rows = [
        (name, network, f"{value:,}", f"{time:,.3f}", f"{memory:,.0f}")
        for name, curves in result["curves"].items()
        for network, points in curves.items()
        for value, time, memory in points
    ]
    _console.table(["of", "network", "value:", "time (ms per image or s per epoch):", "peak memory, MB:"], rows)


def draw(name, curves):
    """Draw time and memory of one quantity, side by side."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "gluon_classics"  # equal files from equal numbers
    from matplotlib import pyplot, ticker

    growth = GROWTHS[name]
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for panel, column, title in zip(panels, (1, 2), (growth.time_title, "peak memory in MB")):
        for network, points in curves.items():
            panel.plot([p[0] for p in points], [p[column] for p in points], marker="o", label=network)
        if name in ("batch", "images"):
            panel.set_xscale("log", base=2)
        panel.set_xticks(growth.values, [f"{value:,}" for value in growth.values], rotation=45)
        panel.minorticks_off()
        panel.set_xlabel(growth.title)
        panel.set_title(title)
        panel.grid(alpha=0.3)
        panel.legend()
    time, memory = panels
    time.set_yscale("log")
    time.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    time.yaxis.set_major_formatter("{x:,g}")
    time.yaxis.set_minor_formatter(ticker.NullFormatter())
    memory.set_ylim(bottom=0, top=1.1 * memory.dataLim.ymax)
    memory.yaxis.set_major_formatter("{x:,g}")
    with _files.atomic_path(ROOT / "docs" / f"growth-{name}.svg") as path:
        figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", nargs="+", choices=GROWTHS, default=list(GROWTHS), metavar="QUANTITY")
    parser.add_argument("--seconds", type=float, default=2, help="seconds of each point (default: %(default)s)")
    parser.add_argument("--publish", action="store_true", help=f"write {PUBLISHED.name} and the plots")
    options = parser.parse_args()
    if options.publish and set(options.of) != set(GROWTHS):
        parser.error("--publish needs all curves together: leave out --of")
    result = {
        "machine": turns.machine(),
        "commit": turns.commit(),
        "cores": CORES,
        "seconds": options.seconds,
    }
    data = load_dataset("fashion-mnist")
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "images.npz"))
        np.savez(file, images=data.train.images[:], labels=data.train.labels[:])
        result["curves"] = {name: measure(name, options.seconds, file) for name in options.of}
    show(result)
    if options.publish:
        _files.write_text(PUBLISHED, json.dumps(result, indent=1) + "\n")
        for name, curves in result["curves"].items():
            draw(name, curves)


if __name__ == "__main__":
    main()
