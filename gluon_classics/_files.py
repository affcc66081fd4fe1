"""Writing files so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
import tempfile

from .errors import RunError


@contextlib.contextmanager
def atomic_path(path):
    """A temporary path beside `path` to write to; on leaving without an error it takes the place of `path`.

    The content is on disk before the name changes. After an error `path` is as it was and the temporary file is
    gone. The temporary name keeps the suffix of `path`. A symbolic link stays one. Raises OSError as writing does, and
    for a device or pipe, which has no content to replace.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    try:
        os.close(handle)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, default_mode())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def remove_leftovers(folder, names) -> None:
    """Remove the temporary files that processes killed within `atomic_path` left in `folder` for files of these names.

    `names` may hold wildcards.
    """
    for name in map(Path, names):
        for path in Path(folder).glob(f".{name.stem}-????????{name.suffix}"):
            path.unlink()


def write_text(path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def default_mode() -> int:
    """The permissions a new file has by the user's umask; temporary files start with fewer."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


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
