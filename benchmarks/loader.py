"""Images a second of the blog's loader and of ours.

    python benchmarks/loader.py [--batches N] [--rounds N] [--json FILE]

Both deliver shuffled batches of the training images of the Fashion-MNIST that is found here, resized 28 to 224 as the
blog does, and each batch is waited for. They take turns within one process, so that what else the machine does meets
both; the ratio is taken within a turn. The clock runs from the first delivered batch of a pass to the last one: what
a pass costs once (the blog's loader shuffles all images before the first batch) stands in a column of its own.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import time

import cv2
import gluon_classics  # before MXNet, whose number of threads it sets
from gluon_classics import utils
from gluon_classics.utils import console, files
import mxnet as mx
from mxnet import nd
import numpy as np


class BlogLoader:
    """What the blog's loader does, rewritten: shuffled training images, resized one by one in float32."""

    def __init__(self, images, labels, batch_size, resize):
        self.images, self.labels = nd.array(images, dtype="uint8"), nd.array(labels)
        self.batch_size, self.resize = batch_size, resize

    def __iter__(self):
        count = len(self.images)
        order = np.arange(count)
        np.random.shuffle(order)
        # nd.array makes float32 of a NumPy array
        images, labels = nd.array(self.images.asnumpy()[order]), nd.array(self.labels.asnumpy()[order])
        for start in range(0, count // self.batch_size * self.batch_size, self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self.transform(images[part], labels[part])

    def transform(self, images, labels):
        count, _, _, channels = images.shape
        resized = nd.zeros((count, self.resize, self.resize, channels))
        for i in range(count):
            resized[i] = mx.image.imresize(images[i], self.resize, self.resize)
        return nd.transpose(resized.astype("float32"), (0, 3, 1, 2)) / 255, labels.astype("float32")


def measure(loader, batches):
    """Seconds to the first batch of a pass, and images/s over the `batches` after it (fewer where the pass ends)."""
    start = time.perf_counter()
    iterator = iter(loader)
    images, labels = next(iterator)
    images.wait_to_read()
    labels.wait_to_read()
    first = time.perf_counter()
    seen = 0
    for images, labels in itertools.islice(iterator, batches):
        images.wait_to_read()
        labels.wait_to_read()
        seen += len(images)
    seconds = time.perf_counter() - first
    iterator.close()  # ends the threads that prepare batches ahead, outside of the clock
    return first - start, seen / seconds


def run(rounds, batches, batch_size, resize):
    """Measurements of both loaders, taking turns; the first turn of each is for warming up and is not kept."""
    ours, _ = utils.load_data_fashion_mnist(batch_size, resize)
    loaders = {"blog": BlogLoader(*ours.dataset[:], batch_size, resize), "ours": ours}
    if len(ours) < 2:
        raise SystemExit("the data set is smaller than two batches")
    for loader in loaders.values():
        measure(loader, 2)
    measured = {name: [] for name in loaders}
    for _ in range(rounds):
        for name, loader in loaders.items():
            measured[name].append(measure(loader, batches))
    return measured, len(ours.dataset)


def report(measured, images, options):
    """The measurements and what is needed to judge them, as JSON can hold them."""
    rates = {name: [rate for _, rate in turns] for name, turns in measured.items()}
    return {
        "options": {name: value for name, value in vars(options).items() if name != "json"},
        "training_images": images,
        "machine": {"processor": platform.machine(), "threads": os.environ["OMP_NUM_THREADS"]},
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (gluon_classics, mx, np, cv2)},
        },
        "seconds_to_first_batch": {name: [first for first, _ in turns] for name, turns in measured.items()},
        "images_per_second": rates,
        "ratios": [ours / blog for blog, ours in zip(rates["blog"], rates["ours"])],
    }


def show(result):
    rows = [
        (
            name,
            f"{statistics.median(result['seconds_to_first_batch'][name]):.3f}",
            f"{statistics.median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
        )
        for name, rates in result["images_per_second"].items()
    ]
    console.table(["loader", "s to first batch:", "images/s:", "of rounds:"], rows)
    ratios = result["ratios"]
    spread = f"{min(ratios):.1f} to {max(ratios):.1f} in {len(ratios)} rounds"
    print(f"ours / blog: median {statistics.median(ratios):.1f}, {spread}")


def at_least(least):
    def number(text):
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=at_least(1), default=100, help="batches a turn (default: %(default)s)")
    parser.add_argument("--rounds", type=at_least(5), default=7, help="turns of each, 5 or more (default: %(default)s)")
    parser.add_argument("--batch-size", type=at_least(1), default=64, help="images a batch (default: %(default)s)")
    parser.add_argument("--resize", type=at_least(1), default=224, help="side in pixels (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write all measurements to FILE too")
    options = parser.parse_args()
    measured, images = run(options.rounds, options.batches, options.batch_size, options.resize)
    result = report(measured, images, options)
    show(result)
    if options.json:
        files.write_text(options.json, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
