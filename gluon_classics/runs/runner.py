"""Carrying out a run in its folder: training, its record, its checkpoints, and how it ends."""

from __future__ import annotations

import contextlib
import shlex
import time

import click
from gluon_classics import _console
from gluon_classics.errors import RunError, TrainingDiverged
from gluon_classics.experiment.build import Experiment
from gluon_classics.utils.training import Position

from .checkpoint import checkpoint_path, checkpoints, remove_old, write_checkpoint
from .folder import RunFolder
from .interrupts import KILLED_BY, Interrupts
from .progress import TrainingProgress
from .state import take


class _Stopped(Exception):
    """An interrupted run stands at a checkpoint."""


def carry_out(experiment: Experiment, folder: RunFolder, checkpoint_minutes: float, start: Position | None = None):
    """Train from `start` to the end. Raises ClassicsError.

    Checkpoints are written after every epoch and, within one, at the first fixed point after so many minutes. Ctrl-C
    and SIGTERM end in a checkpoint, how to go on, and click's Exit.
    """
    start = start or Position()
    with Interrupts() as interrupts:
        try:
            _train(experiment, folder, _Keeper(experiment, folder, checkpoint_minutes, start, interrupts), start)
        except (KeyboardInterrupt, _Stopped) as error:
            if isinstance(error, _Stopped):
                folder.save_parameters()
            folder.set_status("interrupted")
            _console.warn(f"Interrupted. To go on: {to_go_on(folder)}")
        except BaseException as error:
            with contextlib.suppress(OSError):  # on a full disk this may fail too; the first error is the one to tell
                folder.set_status("diverged" if isinstance(error, TrainingDiverged) else "failed")
            raise
    if interrupts.signal:
        raise click.exceptions.Exit(KILLED_BY + interrupts.signal)


def to_go_on(folder: RunFolder) -> str:
    """The command that continues the run, from anywhere."""
    command = f"gluon-classics resume {shlex.quote(str(folder.path.resolve()))}"
    return f"{command} (or 'reproduce' as before, which also compares the results)" if folder.recipe else command


class _Keeper:
    """Watches a training under way and writes its checkpoints."""

    def __init__(self, experiment, folder, minutes, start, interrupts):
        self._experiment = experiment
        self._folder = folder
        self._seconds_between = 60 * minutes
        self._interrupts = interrupts
        self._epoch = start.epoch
        self._epoch_began = time.perf_counter() - start.seconds
        self._last = time.perf_counter()

    def after_batch(self, number, tally):
        if not self._experiment.streams.is_fixed_point(number):
            return
        now = time.perf_counter()
        if self._interrupts.signal or now - self._last >= self._seconds_between:
            self._write(Position(self._epoch, number, tally, now - self._epoch_began))
        self._stop_if_interrupted()

    def after_epoch(self):
        self._epoch += 1
        self._epoch_began = time.perf_counter()
        self._write(Position(self._epoch))
        if self._epoch < self._experiment.settings.epochs:
            self._stop_if_interrupted()

    def _stop_if_interrupted(self):
        if self._interrupts.signal:
            raise _Stopped

    def _write(self, position):
        facts, arrays = take(self._experiment, position, self._folder.results)
        write_checkpoint(checkpoint_path(self._folder.path, position.epoch, position.batches), facts, arrays)
        remove_old(self._folder.path)
        self._last = time.perf_counter()


def _train(experiment, folder, keeper, start):
    settings, data = experiment.settings, experiment.data

    def on_batch(number, tally):
        progress.show(number, tally)
        with _mendable(folder):
            keeper.after_batch(number, tally)

    with TrainingProgress(settings.epochs, experiment.train_data.examples) as progress:
        progress.start_epoch(start.epoch, start.seconds)
        for result in experiment.epochs(on_batch, start):
            with _mendable(folder):
                folder.add_epoch(result)
                keeper.after_epoch()
            _console.say(
                f"epoch {result.epoch + 1}/{settings.epochs}: loss {result.train_loss:.3f}, "
                f"train accuracy {result.train_accuracy:.3f}, test accuracy {result.test_accuracy:.4f}, "
                f"{result.seconds:.1f} s, {result.images_per_second:,.0f} images/s"
            )
            progress.start_epoch(result.epoch + 1)
    folder.draw_curves()
    folder.set_status("done")
    remove_old(folder.path, kept=1)  # enough to train more epochs from
    what = f"{len(data.test):,} test images" + (" of the EMBEDDED SAMPLE" if data.is_sample else "")
    _console.say(
        f"{settings.model}: {folder.results[-1].test_accuracy:.2%} of {what} classified correctly; "
        f"run folder {folder.path}"
    )


@contextlib.contextmanager
def _mendable(folder):
    """Turn a file that cannot be written into one line that says how to go on once it can."""
    try:
        yield
    except (OSError, RunError) as error:
        what = f"cannot write to {folder.path} ({error.strerror or error})" if isinstance(error, OSError) else error
        kept = "the last checkpoint is intact; " if checkpoints(folder.path) else ""
        raise RunError(f"{what}; {kept}when that is mended: {to_go_on(folder)}") from error
