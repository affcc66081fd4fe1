"""Showing how a training goes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from gluon_classics import _console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

LINE_EVERY = 10  # seconds between plain lines


class TrainingProgress:
    """Shows the batches of an epoch: images done, images/s, remaining time, loss and accuracy so far.

    Use as a context manager; `start_epoch` before each epoch, `show` as the `on_batch` of `train_epochs`.
    """

    def __init__(self, epochs: int, examples: int):
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

    def __enter__(self):
        if self._bar:
            self._task = self._bar.add_task("", total=self._examples, state="")
            self._bar.start()
        return self

    def __exit__(self, *_exception):
        if self._bar:
            self._bar.stop()

    def start_epoch(self, epoch: int, seconds: float = 0.0) -> None:
        """Begin epoch `epoch`, counted from 0, or go on with one that had so many seconds."""
        self._title = f"epoch {epoch + 1}/{self._epochs}"
        self._last_line = time.perf_counter()
        self._start = self._last_line - seconds

    def show(self, _number, tally) -> None:
        """Show the state after a batch."""
        now = time.perf_counter()
        speed = tally.examples / (now - self._start)
        if self._bar:
            state = _state(tally, speed, self._examples)
            self._bar.update(self._task, description=self._title, completed=tally.examples, state=state)
        elif now - self._last_line >= LINE_EVERY:
            self._last_line = now
            done = f"{tally.examples:,}/{self._examples:,} images"
            _console.say(f"{self._title}: {done}, {_state(tally, speed, self._examples)}")


def _state(tally, speed, examples):
    if not tally.examples:
        return ""
    left = (examples - tally.examples) / speed
    return f"{speed:,.0f} images/s, {left:.0f} s left, loss {tally.loss:.3f}, accuracy {tally.accuracy:.3f}"
