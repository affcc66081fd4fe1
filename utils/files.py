"""Writing files so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
import tempfile


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
