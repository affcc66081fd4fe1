"""Atomic writing of files, and locks on folders."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from pathlib import Path
import stat
import tempfile

from .errors import ClassicsError, RunError

LARGEST_TEXT = 1 << 28  # bytes of a record or of points, which are far smaller


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path next to `path`, which replaces `path` when the `with` block ends without an error.

    Readers see the old content or the new content, never a part. The content is on disk before the file is renamed.
    After an error, `path` is unchanged and the temporary file is removed. The temporary path has the suffix of `path`.
    If `path` is a symbolic link, its target is replaced.

    Raises:
        OSError: Writing failed, or `path` is a device or a pipe, which cannot be replaced.
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
    """Remove temporary files that `atomic_path` left behind because its process was killed.

    Args:
        folder: The folder to clean.
        names: The names of the files that were being written; wildcards are allowed.
    """
    for name in map(Path, names):
        for path in Path(folder).glob(f".{name.stem}-????????{name.suffix}"):
            path.unlink()


def user_path(text, error: type[ClassicsError] = ClassicsError) -> str:
    """Return a path that a user gave, with the home folder for a ~ at its beginning.

    Raises `error` if the path is empty, or the home folder is not known.
    """
    text = os.fspath(text)
    if not text or "\0" in text:
        raise error(f"{text!r} is not a path: name a file or a folder")
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise error(f"{text}: the home folder of this user is not known. Give the whole path, or ./{text}")
    return path


def write_text(path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def default_mode() -> int:
    """Return the permissions of a new file under the user's umask; temporary files have fewer."""
    return 0o666 & ~_umask()


def _umask():
    """Return the umask. Setting it to read it would give files that other threads make meanwhile all permissions."""
    with contextlib.suppress(OSError, StopIteration), open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
    mask = os.umask(0)
    os.umask(mask)
    return mask


def require_regular(path) -> None:
    """Raise OSError if there is no file `path`, or if it is a device or a pipe, which may have no end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_text(path) -> str:
    """Return the content of a small file in UTF-8.

    Raises:
        OSError: The file is missing, is not a regular file, or cannot be read.
        ValueError: It is too large, or not UTF-8.
    """
    require_regular(path)
    if os.path.getsize(path) > LARGEST_TEXT:
        raise ValueError(f"it has {os.path.getsize(path):,} bytes")
    return Path(path).read_text(encoding="utf-8")


def sha256_of(path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal digits, or None if the file is missing."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while part := file.read(1 << 24):
                digest.update(part)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


@contextlib.contextmanager
def locked(folder):
    """Lock `folder` against other processes that use this function.

    The operating system releases the lock when the process ends, even if it crashes. On a file system without locks,
    the folder is not locked.

    Raises:
        RunError: Another process holds the lock, or there is no such folder.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RunError(f"{folder} is not a run folder ({error.strerror})") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                raise RunError(f"another process is using {folder}: wait until it ends, or stop it") from error
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def write_errors(path, advice: str, error: type[ClassicsError] = ClassicsError):
    """Inside the context, an OSError becomes an `error` that names `path`, the reason, and the advice."""
    try:
        yield
    except OSError as cause:
        raise error(f"cannot write {path} ({cause.strerror or cause}): {advice}") from cause
