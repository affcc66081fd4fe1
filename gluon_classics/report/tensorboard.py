"""The metrics of runs as event files for TensorBoard."""

from __future__ import annotations

import calendar
import os
from pathlib import Path
import tempfile
import time

from gluon_classics._files import write_errors
from gluon_classics.errors import ClassicsError, require_extra
from gluon_classics.runs.record import OPTIONAL_ACCURACIES, TIME, Run
from gluon_classics.utils.history import METRICS

SCALARS = (*METRICS, *OPTIONAL_ACCURACIES, "images_per_second")


def check_free(labels, folder) -> None:
    """Raise ClassicsError without the extra tensorboard, or if a folder that `write_events` makes exists already.

    TensorBoard would mix the event files of both.
    """
    with require_extra("tensorboard", "writing TensorBoard's files"):
        import tensorboardX  # noqa: F401
    for label in labels:
        if Path(folder, label).exists():
            raise ClassicsError(f"{Path(folder, label)} exists already: name another folder with --tensorboard")


def write_events(runs: dict[str, Run], folder) -> None:
    """Write the event files of each run to the folder of its label in `folder`, as a whole.

    The scalars after each epoch are `epoch/METRIC`, whose step counts epochs from 1. Those along an epoch are
    `images/loss` and `images/accuracy`, whose step counts images. Raises ClassicsError if they cannot be written.
    """
    from tensorboardX import SummaryWriter

    folder = Path(folder)
    with write_errors(folder, "choose another folder with --tensorboard"):
        folder.mkdir(parents=True, exist_ok=True)
        for label, run in runs.items():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
                written = Path(temporary, "run")
                with SummaryWriter(str(written)) as writer:
                    _write(writer, run.record)
                (folder / label).parent.mkdir(parents=True, exist_ok=True)
                os.replace(written, folder / label)


def _write(writer, record):
    clock = calendar.timegm(time.strptime(record.started, TIME))
    seen = 0
    for epoch in record.epochs:
        start, clock = clock, clock + epoch.seconds
        for images, loss, accuracy in epoch.curve:
            moment = start + epoch.seconds * images / epoch.curve[-1][0]
            writer.add_scalar("images/loss", loss, seen + images, moment)
            writer.add_scalar("images/accuracy", accuracy, seen + images, moment)
        seen += epoch.curve[-1][0] if epoch.curve else 0
        for metric in SCALARS:
            if getattr(epoch, metric) is not None:
                writer.add_scalar(f"epoch/{metric}", getattr(epoch, metric), epoch.epoch + 1, clock)
