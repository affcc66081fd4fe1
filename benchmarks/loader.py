"""Measure the images per second of the blog's loader and of ours.

    python benchmarks/loader.py [--seconds N] [--rounds N] [--json FILE]

Both loaders deliver batches of the local Fashion-MNIST, resized from 28 to 224 pixels as in the blog. Each batch is
waited for. The blog's loader resizes the shuffled training images in float32 and the test images in uint8; ours resizes
both in uint8. Each loader runs in its own process, the blog's with MXNet's default number of threads. The two take
turns, so that other load on the machine affects both, and ratios are within a turn.

The rate is measured for `--seconds` after the first batch, or until the end of the pass. A separate column shows the
time to the first batch: the blog's loader shuffles all images before it.
"""

import argparse
import json
import os
import platform
import statistics
import time

import cv2
import gluon_classics  # before MXNet, whose number of threads it sets
from gluon_classics import _console, _files, _runtime, utils
import mxnet as mx
from mxnet import nd
import numpy as np
import turns

SPLITS = ("train", "test")
CORES = os.cpu_count() or 1
THREADS = {  # by default MXNet uses half of the processors, and OpenMP's waiting threads spin for a while
    "blog": {"OMP_NUM_THREADS": str(max(1, CORES // 2)), "OMP_WAIT_POLICY": ""},
    "ours": {"OMP_NUM_THREADS": str(_runtime.usable_cores()), "OMP_WAIT_POLICY": "passive"},
}


class BlogLoader:
    """The blog's loader, rewritten: it resizes images one by one, and shuffled images in float32."""

    def __init__(self, images, labels, batch_size, resize, shuffle):
        self.images, self.labels = nd.array(images, dtype="uint8"), nd.array(labels)
        self.batch_size, self.resize, self.shuffle = batch_size, resize, shuffle

    def __iter__(self):
        count = len(self.images)
        images, labels = self.images, self.labels
        if self.shuffle:
            order = np.arange(count)
            np.random.shuffle(order)
            # nd.array converts NumPy arrays to float32
            images, labels = nd.array(images.asnumpy()[order]), nd.array(labels.asnumpy()[order])
        for start in range(0, count // self.batch_size * self.batch_size, self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self.transform(images[part], labels[part])

    def transform(self, images, labels):
        if self.resize:
            count, _, _, channels = images.shape
            resized = nd.zeros((count, self.resize, self.resize, channels))
            for i in range(count):
                resized[i] = mx.image.imresize(images[i], self.resize, self.resize)
            images = resized
        return nd.transpose(images.astype("float32"), (0, 3, 1, 2)) / 255, labels.astype("float32")


def measure(loader, seconds):
    """Return the seconds to the first batch of a pass, and images/s over the following `seconds` or the rest of it."""
    start = time.perf_counter()
    iterator = iter(loader)
    images, labels = next(iterator)
    images.wait_to_read()
    labels.wait_to_read()
    first = time.perf_counter()
    seen = 0
    for images, labels in iterator:
        images.wait_to_read()
        labels.wait_to_read()
        seen += len(images)
        if time.perf_counter() - first > seconds:
            break
    passed = time.perf_counter() - first
    iterator.close()  # stops the threads that prepare further batches; not timed
    return first - start, seen / passed


class Loaders:
    """The loader `name` on both splits. Runs in its own process."""

    def __init__(self, name, seconds, batch_size, resize):
        self.seconds = seconds
        self.loaders = dict(zip(SPLITS, utils.load_data_fashion_mnist(batch_size, resize)))
        if name == "blog":
            self.loaders = {
                split: BlogLoader(*ours.dataset[:], batch_size, resize, ours.shuffle)
                for split, ours in self.loaders.items()
            }
        for loader in self.loaders.values():
            measure(loader, 0.2)  # warms up

    def measured(self, split):
        return measure(self.loaders[split], self.seconds)


def run(options):
    """Return the measurements of each split and loader, one per turn."""
    workers = {
        name: turns.Worker(Loaders, (name, options.seconds, options.batch_size, options.resize), threads)
        for name, threads in THREADS.items()
    }
    measured = {split: {name: [] for name in workers} for split in SPLITS}
    for _ in range(options.rounds):
        for split in SPLITS:
            for name, worker in workers.items():
                measured[split][name].append(worker.ask("measured", split))
    for worker in workers.values():
        worker.close()
    return measured


def report(measured, options):
    """Return the measurements and their conditions in a form for JSON."""
    return {
        "options": {name: value for name, value in vars(options).items() if name != "json"},
        "machine": platform.platform(),
        "threads": {name: threads["OMP_NUM_THREADS"] for name, threads in THREADS.items()},
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (gluon_classics, mx, np, cv2)},
        },
        "splits": {split: _figures(loaders) for split, loaders in measured.items()},
    }


def _figures(loaders):
    rates = {name: [rate for _, rate in turns] for name, turns in loaders.items()}
    return {
        "seconds_to_first_batch": {name: [first for first, _ in turns] for name, turns in loaders.items()},
        "images_per_second": rates,
        "ratios": [ours / blog for blog, ours in zip(rates["blog"], rates["ours"])],
    }


def show(result):
    rows = [
        (
            split,
            name,
            f"{statistics.median(figures['seconds_to_first_batch'][name]):.3f}",
            f"{statistics.median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
        )
        for split, figures in result["splits"].items()
        for name, rates in figures["images_per_second"].items()
    ]
    _console.table(["split", "loader", "s to first batch:", "images/s:", "of rounds:"], rows)
    for split, figures in result["splits"].items():
        ratios = figures["ratios"]
        spread = f"{min(ratios):.1f} to {max(ratios):.1f} in {len(ratios)} rounds"
        print(f"{split}: ours / blog: median {statistics.median(ratios):.1f}, {spread}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1, help="maximum seconds of each turn (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=turns.at_least(5), default=7, help="number of turns, 5 or more (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-size", type=turns.at_least(1), default=64, help="images per batch (default: %(default)s)"
    )
    parser.add_argument(
        "--resize", type=turns.at_least(1), default=224, help="image side in pixels (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", help="also write all measurements to FILE")
    options = parser.parse_args()
    result = report(run(options), options)
    show(result)
    if options.json:
        _files.write_text(options.json, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
