"""The metrics of runs as event files for TensorBoard."""

from __future__ import annotations

import calendar
import os
from pathlib import Path
import tempfile
import time

from gluon_classics.errors import ClassicsError, require_extra
from gluon_classics.runs.record import Run

METRICS = ("train_loss", "train_accuracy", "test_accuracy", "images_per_second")


def check_free(labels, folder) -> None:
    """Raise ClassicsError without the extra tensorboard, or if a folder that `write_events` would make is there
    already: TensorBoard would mix both.
    """
    with require_extra("tensorboard", "writing TensorBoard's files"):
        import tensorboardX  # noqa: F401
    for label in labels:
        if Path(folder, label).exists():
            raise ClassicsError(f"{Path(folder, label)} exists already: name another folder with --tensorboard")


def write_events(runs: dict[str, Run], folder) -> None:
    """For each run write the folder of its label in `folder`, whole or not at all.

    Scalars after each epoch are `epoch/METRIC`, the step counts epochs from 1; along the way `images/loss` and
    `images/accuracy`, the step counts images. Raises ClassicsError where they cannot be written.
    """
    from tensorboardX import SummaryWriter

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for label, run in runs.items():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
                written = Path(temporary, "run")
                with SummaryWriter(str(written)) as writer:
                    _write(writer, run.record, run.points())
                (folder / label).parent.mkdir(parents=True, exist_ok=True)
                os.replace(written, folder / label)
    except OSError as error:
        raise ClassicsError(f"cannot write to {folder} ({error.strerror}): choose another folder") from error


def _write(writer, record, points):
    clock = calendar.timegm(time.strptime(record["started"], "%Y-%m-%dT%H:%M:%SZ"))
    seen = 0
    for epoch, way in zip(record["epochs"], points):
        start, clock = clock, clock + epoch["seconds"]
        for images, loss, accuracy in way:
            moment = start + epoch["seconds"] * images / way[-1][0]
            writer.add_scalar("images/loss", loss, seen + images, moment)
            writer.add_scalar("images/accuracy", accuracy, seen + images, moment)
        seen += way[-1][0] if way else 0
        for metric in METRICS:
            writer.add_scalar(f"epoch/{metric}", epoch[metric], epoch["epoch"] + 1, clock)
