"""Measure how fast images are read from the disk, and how time and memory grow with the number of files.

    pip install -e '.[cpu,plot]'
    python benchmarks/disk.py [--rounds N] [--images N] [--files N ...] [--publish]

First the readers take turns, each in its own process. All read the same JPEG files, decode them, and return batches of
64 images of 224x224, in a random order where they can, with half of the images mirrored:

files     our loader, from a folder of JPEG files          records   our loader, from what `gluon-classics pack` makes
memory    our loader, from images that were decoded before
iterator  MXNet's ImageRecordIter, from the same records   gluon     Gluon's ImageFolderDataset and DataLoader

What counts is the processor time, because all can use several threads. Then folders with more and more tiny files are
loaded, each in a new process, up to the first batch. The files are links to a few, so that millions of them fit on a
disk. --publish writes benchmarks/disk.json and docs/growth-files.svg.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import resource
import tempfile
import time

from gluon_classics import _console, _files, _runtime
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.pack import pack
import numpy as np
from PIL import Image
import turns

ROOT = Path(__file__).parents[1]
PUBLISHED = Path(__file__).with_name("disk.json")
PLOT = ROOT / "docs" / "growth-files.svg"
BATCH_SIZE, SIDE, CLASSES = 64, 224, 4
STORED_SIDE = 256  # of the JPEG files
FILES = (10_000, 100_000, 1_000_000, 1_281_167)  # the last one is the number of ImageNet's training images
TINY_CLASSES, TINY_SIDE = 1_000, 32
READERS = ("files", "records", "memory", "iterator", "gluon")


class Reader:
    """A loader of the images in a folder. Runs in its own process."""

    def __init__(self, name, folder):
        self.batches = getattr(self, f"_{name}")(Path(folder))

    def measured(self):
        """Return images per second of processor time, and per second, in one pass over the images."""
        start, used = time.perf_counter(), processor_time()
        count = sum(len(batch) for batch in self.batches())
        return count / (processor_time() - used), count / (time.perf_counter() - start)

    def _files(self, folder):
        return self._ours(folder / "jpeg", False)

    def _records(self, folder):
        return self._ours(folder / "packed.rec", False)

    def _memory(self, folder):
        return self._ours(folder / "packed.rec", True)

    def _ours(self, place, in_memory):
        from gluon_classics.utils.loader import make_loaders

        loader, _ = make_loaders(load_dataset(str(place), SIDE, in_memory=in_memory), BATCH_SIZE, augment="flip")
        return lambda: (images for images, _ in loader)

    def _iterator(self, folder):
        import mxnet as mx

        rows = mx.io.ImageRecordIter(
            path_imgrec=str(folder / "packed.rec"),
            path_imgidx=str(folder / "packed.idx"),
            data_shape=(3, SIDE, SIDE),
            resize=SIDE,
            rand_mirror=True,
            shuffle=True,
            batch_size=BATCH_SIZE,
            preprocess_threads=_runtime.usable_cores(),
            round_batch=False,
        )

        def batches():
            rows.reset()
            for batch in rows:
                batch.data[0].wait_to_read()
                yield batch.data[0][: BATCH_SIZE - batch.pad]

        return batches

    def _gluon(self, folder):
        from mxnet.gluon.data import DataLoader
        from mxnet.gluon.data.vision import ImageFolderDataset, transforms

        steps = [transforms.Resize(SIDE), transforms.RandomFlipLeftRight(), transforms.ToTensor()]
        images = ImageFolderDataset(str(folder / "jpeg")).transform_first(transforms.Compose(steps))
        loader = DataLoader(images, BATCH_SIZE, shuffle=True)

        def batches():
            for batch, _ in loader:
                batch.wait_to_read()
                yield batch

        return batches


class FirstBatch:
    """Loads a folder up to the first batch. Runs in its own process."""

    def measured(self, folder):
        """Return the seconds from nothing loaded to the first batch, and the peak memory in megabytes."""
        import gluon_classics.utils.loader as loading  # takes the same time for all folders

        start = time.perf_counter()
        data = load_dataset(str(folder), TINY_SIDE, in_memory=False)
        next(iter(loading.make_loaders(data, BATCH_SIZE)[0]))
        return time.perf_counter() - start, turns.peak_memory()


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def write_jpegs(folder, count):
    """Write JPEG files of smooth noise, which are about as large as photos of this size."""
    random = np.random.RandomState(1)
    for number in range(count):
        place = folder / "jpeg" / f"class{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.randint(0, 256, (32, 32, 3), np.uint8))
        image = coarse.resize((STORED_SIDE, STORED_SIDE), Image.BICUBIC)
        noisy = np.asarray(image, np.int16) + random.randint(-12, 13, (STORED_SIDE, STORED_SIDE, 1))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{number}.jpg", quality=90)


def write_links(folder, count):
    """Write a folder with `count` tiny image files: one in each class, and links to it."""
    random = np.random.RandomState(1)
    for label in range(TINY_CLASSES):
        place = folder / f"n{label:08}"
        place.mkdir()
        first = place / f"n{label:08}_0.png"
        Image.fromarray(random.randint(0, 256, (TINY_SIDE, TINY_SIDE, 3), np.uint8)).save(first)
        for number in range(1, count // TINY_CLASSES + (label < count % TINY_CLASSES)):
            os.link(first, place / f"n{label:08}_{number}.png")


def speeds(options):
    """Return images per second of processor time and per second of each reader, one pair per turn."""
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder), options.images)
        pack(Path(folder, "jpeg"), Path(folder, "packed.rec"))
        measured = {name: [] for name in READERS}
        for _ in range(options.rounds):
            for name in READERS:
                with turns.Worker(Reader, (name, folder)) as worker:
                    worker.ask("measured")  # files in the cache, libraries loaded
                    measured[name].append(worker.ask("measured"))
    return measured


def growth(counts):
    """Return (files, seconds to the first batch, megabytes) for each number of files."""
    points = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            write_links(Path(folder), count)
            with turns.Worker(FirstBatch) as worker:
                points.append((count, *worker.ask("measured", folder)))
    return points


def ratios(measured):
    """Return our readers' ratios to MXNet's in images per second of processor time."""
    rates = {name: [rate for rate, _ in pairs] for name, pairs in measured.items()}
    return {
        f"{ours} / {theirs}": turns.ratio(rates[ours], rates[theirs])
        for theirs in ("iterator", "gluon")
        for ours in ("files", "records")
    }


def show(result):
    rows = [
        (name, *(f"{sorted(column)[len(column) // 2]:,.0f}" for column in zip(*pairs)))
        for name, pairs in result["images_per_second"].items()
    ]
    _console.table(["reader", "images per processor second:", "images per second:"], rows)
    rows = [(name, f"{r['median']:.2f}", f"{r['low']:.2f} to {r['high']:.2f}") for name, r in result["ratios"].items()]
    _console.table(["ratio", "median:", "of turns:"], rows)
    rows = [(f"{files:,}", f"{seconds:.2f}", f"{memory:,.0f}") for files, seconds, memory in result["growth"]]
    _console.table(["files", "s to the first batch:", "peak memory, MB:"], rows)


def draw(points):
    """Draw time and memory by the number of files, side by side."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "gluon_classics"  # equal files from equal numbers
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for panel, column, title in zip(panels, (1, 2), ("seconds to the first batch", "peak memory in MB")):
        panel.plot([point[0] for point in points], [point[column] for point in points], marker="o")
        panel.set_xscale("log")
        panel.set_ylim(bottom=0)
        panel.set_xlabel("image files")
        panel.set_title(title)
        panel.grid(alpha=0.3)
    with _files.atomic_path(PLOT) as path:
        figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=turns.at_least(1), default=5, help="number of turns (default: %(default)s)")
    parser.add_argument(
        "--images", type=turns.at_least(100), default=2_000, help="JPEG files to read (default: %(default)s)"
    )
    parser.add_argument("--files", type=turns.at_least(10_000), nargs="+", default=FILES, help="sizes of the folders")
    parser.add_argument("--publish", action="store_true", help=f"write {PUBLISHED.name} and {PLOT.name}")
    options = parser.parse_args()
    measured = speeds(options)
    result = {
        "machine": turns.machine(),
        "commit": turns.commit(),
        "cores": _runtime.usable_cores(),
        "images": options.images,
        "images_per_second": measured,
        "ratios": ratios(measured),
        "growth": growth(options.files),
    }
    show(result)
    if options.publish:
        _files.write_text(PUBLISHED, json.dumps(result, indent=1) + "\n")
        draw(result["growth"])


if __name__ == "__main__":
    main()
