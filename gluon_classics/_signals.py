"""The signals that ask a training to stop."""

from __future__ import annotations

import contextlib
import signal

KILLED_BY = 128  # exit status of a process that a signal ended, as in shells: 128 plus the signal's number
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def handled_by(handler):
    """Within, `handler` gets these signals. Those that were ignored before stay ignored, as under nohup."""
    listened = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in listened}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
