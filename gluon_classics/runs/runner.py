"""Train an experiment in its run folder, with a record, checkpoints and signal handling."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
import math
import time

from gluon_classics import _console
from gluon_classics._format import resume_command
from gluon_classics._signals import KILLED_BY
from gluon_classics.errors import Interrupted, RunError, TrainingDiverged
from gluon_classics.experiment.build import Experiment
from gluon_classics.utils.history import EpochRecord
from gluon_classics.utils.metrics import RunningMetrics
from gluon_classics.utils.training import Callback, TrainingPosition

from .checkpoint import checkpoint_path, checkpoints, remove_old, write_checkpoint
from .folder import RunFolder
from .interrupts import Interrupts
from .progress import ProgressCallback
from .record import PARAMETERS, RunRecord
from .state import capture, capture_trainer


class _Stopped(Exception):
    """The run was interrupted and has written a checkpoint."""


class RecordCallback(Callback):
    """Writes the metrics of each epoch, and the parameters of the last or the best one."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def after_epoch(self, loop, record):
        with _writing(self._folder):
            self._folder.add_epoch(record)


class CheckpointCallback(Callback):
    """Writes checkpoints: after every epoch, and within an epoch at the first fixed point after `minutes`.

    After a signal it writes a checkpoint at the next fixed point and stops the training.

    Args:
        experiment: The experiment that is trained. Its workers decide together when to write and when to stop.
        folder: Run folder to write to; None in other workers than the first.
        minutes: Time between two checkpoints within an epoch.
        interrupts: Records signals.
    """

    def __init__(
        self, experiment: Experiment, folder: RunFolder | None, minutes: float, interrupts: Interrupts
    ) -> None:
        self._experiment = experiment
        self._folder = folder
        self._seconds_between = 60 * minutes
        self._interrupts = interrupts
        self._last = time.perf_counter()

    def after_batch(self, loop):
        if not self._experiment.streams.is_fixed_point(loop.batches):
            return
        is_due = time.perf_counter() - self._last >= self._seconds_between
        interrupted, is_due = self._experiment.group.share([bool(self._interrupts.signal), is_due])
        if interrupted or is_due:
            self._write(loop.position)
        if interrupted:
            if self._folder:
                with _writing(self._folder):
                    self._folder.save_position()
            raise _Stopped

    def after_epoch(self, loop, record):
        self._write(loop.position)
        interrupted = self._experiment.group.share(bool(self._interrupts.signal))
        if interrupted and not loop.stopped and loop.epoch < self._experiment.settings.epochs:
            raise _Stopped

    def _write(self, position):
        if self._folder is None:
            capture_trainer(self._experiment.net, self._experiment.trainer)  # the first worker gets what is in it
            return
        with _writing(self._folder):
            facts, arrays = capture(self._experiment, position, self._folder.record.epochs)
            write_checkpoint(checkpoint_path(self._folder.path, position.epoch, position.batches), facts, arrays)
            remove_old(self._folder.path)
        self._last = time.perf_counter()


def run_training(
    experiment: Experiment, folder: RunFolder, checkpoint_minutes: float, start: TrainingPosition | None = None
) -> None:
    """Train from `start` to the end in a folder that was started or resumed.

    Ctrl-C, SIGTERM and SIGHUP write a checkpoint, print how to resume, and raise Interrupted. Raises ClassicsError.
    """
    with Interrupts(only_first=experiment.group.size > 1) as interrupts:
        try:
            _train(experiment, folder, checkpoint_minutes, start, interrupts)
        except (KeyboardInterrupt, _Stopped):
            with _writing(folder):
                folder.set_status("interrupted")
            _console.warn(f"Interrupted. To resume: {_resume_words(folder)}")
        except BaseException as error:
            with contextlib.suppress(OSError):  # this may fail too on a full disk; report the first error
                folder.set_status("diverged" if isinstance(error, TrainingDiverged) else "failed")
            raise
    if folder.record.status == "done":
        folder.draw_curves()
        _say_result(experiment, folder)
    if interrupts.signal:
        raise Interrupted(KILLED_BY + interrupts.signal)


def follow_training(experiment: Experiment) -> None:
    """Train with the first worker, which has the run folder, until the end or until it stops.

    Args:
        experiment: The experiment, prepared with the settings of the first worker.

    Raises:
        ClassicsError: The training failed.
    """
    start, history = _shared_start(experiment.group)
    with contextlib.suppress(_Stopped):
        experiment.train([CheckpointCallback(experiment, None, math.inf, Interrupts())], start, history=history)


def _shared_start(group, start=None, history=()):
    """Return the position from which the first worker starts, and the metrics of the epochs before it."""
    if group.size == 1:
        return start, history
    start = start or TrainingPosition()
    own = {"epoch": start.epoch, "batches": start.batches, "seconds": start.seconds, "metrics": start.metrics.state()}
    told = group.share({**own, "history": [asdict(epoch) for epoch in history]})
    metrics = RunningMetrics.of_state(told["metrics"])
    history = [EpochRecord(**epoch) for epoch in told["history"]]
    return TrainingPosition(told["epoch"], told["batches"], metrics, told["seconds"]), history


def _train(experiment, folder, checkpoint_minutes, start, interrupts):
    with ProgressCallback(experiment.settings.epochs, experiment.train_data.examples) as progress:
        checkpoint = CheckpointCallback(experiment, folder, checkpoint_minutes, interrupts)
        start, history = _shared_start(experiment.group, start, folder.record.epochs)
        experiment.train([progress, RecordCallback(folder), checkpoint], start, history=history)
    if folder.record.has_stopped:
        _console.say(f"Stopped {stopped_words(folder.record)}")
    with _writing(folder):
        folder.set_status("done")
        remove_old(folder.path, kept=1)  # enough to train more epochs from


def _say_result(experiment, folder):
    settings, data = experiment.settings, experiment.data
    tested = experiment.test_data.examples
    left_out = f" ({len(data.test) - tested:,} left out)" if tested < len(data.test) else ""
    what = f"{tested:,} test images{left_out}" + (" of the EMBEDDED SAMPLE" if data.is_sample else "")
    accuracy = folder.record.result.test_accuracy
    epoch = folder.record.reported_epoch
    which = f" in the best epoch, {epoch + 1}" if settings.reported == "best" else ""
    _console.say(f"{settings.model}: {accuracy:.2%} of {what} classified correctly{which}; run folder {folder.path}")
    if which and folder.record.parameters_epoch != epoch:
        _console.warn(
            f"{PARAMETERS} does not have the parameters of the best epoch, {epoch + 1}: the run was resumed with other "
            "code or versions. To get them, train again."
        )


def stopped_words(record: RunRecord) -> str:
    """Return after which epoch a training with `patience` stopped, and why."""
    count = record.settings.patience
    epochs = "1 epoch has" if count == 1 else f"{count} epochs have"
    return f"after epoch {len(record.epochs)}: {epochs} not raised the {record.settings.metric.replace('_', ' ')}"


def _resume_words(folder):
    command = resume_command(folder.path.resolve())
    if not folder.record.recipe:
        return command
    return f"{command} (or repeat the 'reproduce' command, which also compares the results)"


@contextlib.contextmanager
def _writing(folder):
    """Turn an error while writing into a one-line RunError that says how to resume."""
    try:
        yield
    except (OSError, RunError) as error:
        what = f"cannot write to {folder.path} ({error.strerror or error})" if isinstance(error, OSError) else error
        kept = "the last checkpoint is intact; " if checkpoints(folder.path) else ""
        raise RunError(f"{what}; {kept}once that is fixed: {_resume_words(folder)}") from error
