"""Ctrl-C that is never lost and never comes in the middle."""

from __future__ import annotations

import os
import signal

KILLED_BY = 128  # exit status of a process ended by a signal, as shells have it: 128 and the signal's number
NOTE = b"Stopping after what is under way; once more to stop at once.\n"


class Interrupts:
    """While entered, Ctrl-C (SIGINT) and SIGTERM are noted in `signal`, for the training to look at between batches.

    Python throws away what is raised inside of a `__del__`, and MXNet's arrays have one: a KeyboardInterrupt can be
    lost. The second signal raises it all the same. What was ignored before stays ignored, as under nohup.
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
        os.write(2, NOTE)  # not through sys.stderr, in the middle of whose writing the signal may have come
