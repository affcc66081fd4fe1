"""Progress of a training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from gluon_classics import _console
from gluon_classics._format import first_line
from gluon_classics.utils.training import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

LINE_EVERY = 10  # seconds between plain lines


class ProgressCallback(Callback):
    """Shows images done, images/s, remaining time, loss and accuracy, and one line after each epoch.

    Use it as a context manager around the training.

    Args:
        epochs: Number of epochs of the run.
        examples: Number of training examples of an epoch.
    """

    def __init__(self, epochs: int, examples: int) -> None:
        self._epochs = epochs
        self._examples = examples
        self._bar = None
        if _console.err.is_terminal and not _console.err.quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[state]}"),
            )
            self._bar = Progress(*columns, console=_console.err, transient=True)

    def __enter__(self) -> ProgressCallback:
        if self._bar:
            self._task = self._bar.add_task("", total=self._examples, state="")
            try:
                self._bar.start()
            except Exception as error:  # such as a thread that cannot be started; plain lines need none
                _console.warn(f"The progress bar cannot be shown ({first_line(error)}).")
                self._bar = None
        return self

    def __exit__(self, *exception) -> None:
        if self._bar:
            self._bar.stop()

    def before_epoch(self, loop):
        self._title = f"epoch {loop.epoch + 1}/{self._epochs}"
        self._last_line = time.perf_counter()

    def after_batch(self, loop):
        now = time.perf_counter()
        if self._bar:
            state = self._state(loop)
            self._bar.update(self._task, description=self._title, completed=loop.metrics.examples, state=state)
        elif now - self._last_line >= LINE_EVERY:
            self._last_line = now
            done = f"{loop.metrics.examples:,}/{self._examples:,} images"
            _console.say(f"{self._title}: {done}, {self._state(loop)}")

    def after_epoch(self, loop, record):
        held_out = record.validation_accuracy
        validation = "" if held_out is None else f"validation accuracy {held_out:.4f}, "
        _console.say(
            f"{self._title}: loss {record.train_loss:.3f}, train accuracy {record.train_accuracy:.3f}, {validation}"
            f"test accuracy {record.test_accuracy:.4f}, {record.seconds:.1f} s, "
            f"{record.images_per_second:,.0f} images/s"
        )

    def _state(self, loop):
        metrics = loop.metrics
        if not metrics.examples:
            return ""
        speed = metrics.examples / loop.seconds
        left = (self._examples - metrics.examples) / speed
        return f"{speed:,.0f} images/s, {left:.0f} s left, loss {metrics.loss:.3f}, accuracy {metrics.accuracy:.3f}"
