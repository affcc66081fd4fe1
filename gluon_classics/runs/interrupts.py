"""Signal handling that lets a training stop between two batches."""

from __future__ import annotations

import os
import signal

KILLED_BY = 128  # exit status of a process that a signal ended, as in shells: 128 plus the signal's number
NOTE = b"Stopping after the next checkpoint. Press Ctrl-C again to stop at once.\n"


class Interrupts:
    """Context manager that records SIGINT (Ctrl-C) and SIGTERM in `signal`. Check it between batches.

    Python discards exceptions that are raised inside a `__del__`, and MXNet's arrays have one. A KeyboardInterrupt can
    therefore be lost, so only a second signal raises it. Signals that were ignored before stay ignored, as under nohup.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self):
        listened = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in listened}
        return self

    def __exit__(self, *_exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, _frame):
        again = self.signal is not None
        self.signal = number
        if again:
            raise KeyboardInterrupt
        os.write(2, NOTE)  # not sys.stderr: the signal may have interrupted a write to it
