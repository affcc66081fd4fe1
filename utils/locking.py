"""One process at a time in a run folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os

from .errors import RunError


@contextlib.contextmanager
def locked(folder):
    """Keep other processes that ask for it out of `folder`; the system lets go when this one ends, however it ends.

    Raises RunError if another process is in it, or there is no such folder. Where the file system has no locks, there
    is none.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RunError(f"{folder} is no run folder ({error.strerror})") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                raise RunError(f"another process is at work in {folder}: wait for it, or end it") from error
        yield
    finally:
        os.close(handle)
