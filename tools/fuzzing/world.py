"""The files that many cases start from: python -m fuzzing.world FOLDER

data/      Fashion-MNIST's embedded sample, cut to 48 training and 20 test images, as IDX files
home/      the same as the data set fashion-mnist, for MXNET_HOME
whole/     a finished run of lenet with three epochs
stopped/   the same run, interrupted after its second epoch, with two checkpoints
initial/   a run of another network, for parameters that do not fit
images/    image files
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
import shutil
import signal
import sys

TRAIN, TEST = 48, 20  # images
OPTIONS = ("--epochs", "3", "--batch-size", "8", "--momentum", "0.9", "--lr", "0.05", "--checkpoint-minutes", "0")


def make(folder: Path) -> None:
    """Make the files."""
    from gluon_classics.data.datasets import SAMPLE_FOLDER

    from . import idx_files

    data = folder / "data"
    data.mkdir(parents=True)
    for name, count in zip(idx_files.NAMES, (TRAIN, TRAIN, TEST, TEST)):
        array = idx_files.read((SAMPLE_FOLDER / f"{name}.gz").read_bytes())
        (data / f"{name}.gz").write_bytes(gzip.compress(idx_files.write(array[:count]), mtime=0))
    shutil.copytree(data, folder / "home" / "datasets" / "fashion-mnist")
    os.environ["MXNET_HOME"] = str(folder / "home")
    _train(folder / "whole", "lenet")
    _train(folder / "stopped", "lenet", stop_after=2)
    _train(folder / "initial", "lenet_d2l")
    _images(folder / "images")


def _train(out, model, stop_after=None):
    """Train on the small data set. The run stops after `stop_after` epochs, as after Ctrl-C."""
    from gluon_classics.cli import main
    from gluon_classics.runs import progress

    class Stopping(progress.ProgressCallback):
        def before_batch(self, loop):
            if stop_after and loop.epoch == stop_after - 1 and loop.batches == 1:
                os.kill(os.getpid(), signal.SIGINT)

    from gluon_classics.runs import runner

    runner.ProgressCallback = Stopping
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job of a shell
    try:
        main(["train", model, *OPTIONS, "--out", str(out)], prog_name="gluon-classics")
    except SystemExit as exit:
        status = exit.code
    expected = ("interrupted", stop_after) if stop_after else ("done", 3)
    record = json.loads((out / "run.json").read_text())
    if (record["status"], len(record["epochs"])) != expected:
        raise RuntimeError(f"{out} ended with status {status}: {record['status']}")


def _images(folder):
    import cv2
    import numpy as np

    folder.mkdir()
    generator = np.random.RandomState(0)
    for number, shape in enumerate(((28, 28), (28, 28, 3), (28, 28, 4))):
        cv2.imwrite(str(folder / f"{number}.png"), generator.randint(256, size=shape).astype(np.uint8))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
