"""Open standard input, output and error if they are closed.

A process can be started without them, for example by a shell with `2>&-` or by a service manager. Then the next file
that is opened gets the free number, and what is written to standard error goes into that file: a checkpoint, say.
"""

from __future__ import annotations

import os
import sys

STREAMS = ("stdin", "stdout", "stderr")  # in the order of their descriptors, 0 to 2


def open_missing() -> None:
    """Open the null device for each of the descriptors 0, 1 and 2 that is closed, and for its stream in `sys`."""
    for number, name in enumerate(STREAMS):
        try:
            os.fstat(number)
            continue
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
        os.set_inheritable(number, True)
        if getattr(sys, name) is None:  # Python found it closed
            mode = "w" if number else "r"
            stream = open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
