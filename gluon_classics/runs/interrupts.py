"""Signal handling that lets a training stop between two batches."""

from __future__ import annotations

import contextlib
import os
import signal

from gluon_classics import _descriptors, _signals

NOTE = b"Stopping after the next checkpoint. Press Ctrl-C again to stop at once.\n"


class Interrupts:
    """Context manager that records SIGINT (Ctrl-C), SIGTERM and SIGHUP in `signal`. Check it between batches.

    Python discards exceptions that are raised inside a `__del__`, and MXNet's arrays have one. A KeyboardInterrupt can
    therefore be lost, so only a second signal raises it. A second SIGHUP does not: a terminal that closes sends it
    twice. Signals that were ignored before stay ignored, as under nohup. SIGQUIT still ends the process at once.

    Args:
        only_first: Whether further signals are ignored, because another process handles them.
    """

    def __init__(self, only_first: bool = False) -> None:
        self._only_first = only_first
        self.signal: int | None = None

    def __enter__(self):
        _descriptors.open_missing()  # `_note` writes to standard error
        self._handled = _signals.handled_by(self._note)
        self._handled.__enter__()
        return self

    def __exit__(self, *exception):
        self._handled.__exit__(*exception)

    def _note(self, number, _frame):
        again = self.signal is not None
        if again and (number == signal.SIGHUP or self._only_first):
            return
        self.signal = number
        if again:
            raise KeyboardInterrupt
        with contextlib.suppress(OSError):  # a terminal or reader that is gone
            os.write(2, NOTE)  # not sys.stderr: the signal may have interrupted a write to it
