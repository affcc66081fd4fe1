"""Files in a folder, a zip archive or a tar archive. Sizes are checked before anything is unpacked."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
import functools
import gzip
import mimetypes
import os
from pathlib import Path, PurePosixPath
import tarfile
from typing import IO, Any, Callable, Iterator, NamedTuple
import zipfile
import zlib

from gluon_classics.errors import DataError
import numpy as np

from .memory import DEFLATE_RATIO, require_memory

DEPTH = 4  # levels of folders that are searched: torchvision writes ROOT/EMNIST/raw/FILE, Kaggle a folder around that
GZIP = b"\x1f\x8b"
TAR_LIMIT = 1 << 29  # bytes that a tar archive may unpack to; those of CIFAR have a third of that
TAR_PADDING = 1 << 20  # bytes after the end mark; by default, tar fills up its last 10 KiB
CHUNK = 1 << 24
DAMAGED = ": delete it and get it again"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class StoredFile:
    """A file of a folder or of an archive.

    Attributes:
        name: Its path in the folder or archive, with "/" between folders.
        path: The file itself, or the archive that contains it.
        opener: Opens it for reading.
        archived_size: Its size in bytes if it is in an archive, else None.
    """

    name: str
    path: Path
    opener: Callable[[], IO[bytes]]
    archived_size: int | None = None

    @classmethod
    def at(cls, path: Path, name: str | None = None) -> StoredFile:
        """Return the file at a path, with its name in the folder."""
        return cls(path.name if name is None else name, path, lambda: open(path, "rb"))

    def __str__(self):
        return str(self.path) if self.archived_size is None else f"{self.name} in {self.path}"

    @property
    def pure(self) -> PurePosixPath:
        """The path in the folder or archive."""
        return PurePosixPath(self.name)

    @property
    def size(self) -> int:
        """The size in bytes, before gzip is unpacked."""
        return self.path.stat().st_size if self.archived_size is None else self.archived_size

    @contextlib.contextmanager
    def reading(self) -> Iterator[FileReader]:
        """Open the file, unpack gzip, and turn all errors of reading into a DataError."""
        with read_errors(str(self)), contextlib.ExitStack() as stack:
            stream: Any = stack.enter_context(self.opener())
            limit = self.size
            start = stream.read(2)
            stream.seek(0)
            if start == GZIP:
                stream = stack.enter_context(gzip.GzipFile(fileobj=stream))
                limit *= DEFLATE_RATIO
            yield FileReader(str(self), stream, limit, start == GZIP)


@dataclass
class FileReader:
    """An open file: reads an exact number of bytes, and checks that no more follow.

    Attributes:
        name: The file, for messages.
        stream: The stream of its bytes.
        limit: The number of bytes that can follow, at most.
        is_packed: Whether the limit is only an estimate, because the file is compressed.
    """

    name: str
    stream: Any
    limit: int
    is_packed: bool

    def start(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer at the end of the file."""
        content = self.stream.read(count)
        self.limit -= len(content)
        return content

    def fill(self, array: np.ndarray) -> int:
        """Read bytes into an array of uint8 until it is full or the file ends. Return how many were read."""
        done = 0
        view = memoryview(array)  # type: ignore[arg-type]
        while done < len(array):
            count = self.stream.readinto(view[done : done + CHUNK])
            if not count:
                break
            done += count
        return done

    def has_more(self) -> bool:
        """Return whether bytes follow. At the end of a gzipped file, this verifies its checksum."""
        return bool(self.stream.read(1))

    def everything(self, most: int) -> bytes:
        """Return all bytes of the file. Raises DataError if they are more than `most`."""
        parts: list[bytes] = []
        while most >= 0:
            part = self.stream.read(min(CHUNK, most + 1))
            if not part:
                return b"".join(parts)
            parts.append(part)
            most -= len(part)
        raise DataError(f"{self.name} is too large for such a file: get it again")


class CountedFiles:
    """Counts image files.

    Args:
        suffixes: The suffixes of images that are read, in lower case and with the dot.

    Attributes:
        count: The number of files.
        first: The path of the first one in the order of the alphabet, with "/" between folders.
    """

    def __init__(self, suffixes: frozenset[str] = frozenset()) -> None:
        self.suffixes = suffixes
        self.count = 0
        self.first: str | None = None

    def is_counted(self, name: str) -> bool:
        """Return whether this is the name of an image that is not hidden, also of a kind that is not read."""
        suffix = PurePosixPath(name).suffix.lower()
        is_image = suffix in self.suffixes or (mimetypes.types_map.get(suffix) or "").startswith("image/")
        return bool(self.suffixes) and is_image and not name.startswith(".")

    def add(self, prefix: str, names: list[str]) -> None:
        """Count the files with these names in a folder, whose path is `prefix` without the names."""
        if names:
            self.count += len(names)
            path = prefix + min(names)
            self.first = path if self.first is None else min(self.first, path)


@contextlib.contextmanager
def stored_files(place: Path, depth: int = DEPTH, counted: CountedFiles | None = None) -> Iterator[list[StoredFile]]:
    """List the files of a folder or of an archive, or a single other file. They can be read inside the context.

    Hidden files and the folder __MACOSX are left out, and so is what is more than `depth` folders deep.

    Args:
        place: The folder or file.
        depth: Levels of folders.
        counted: Files of a folder that are only counted. There can be millions of them.

    Raises:
        DataError: The folder or archive cannot be read, or it unpacks to more than `TAR_LIMIT`.
    """
    with contextlib.ExitStack() as stack:
        with read_errors(str(place)):
            if place.is_dir():
                files = sorted(
                    _walk(place, "", depth, counted or CountedFiles(), {os.path.realpath(place)}),
                    key=lambda file: file.name,
                )
            elif not is_archive(place.name):
                files = [StoredFile.at(place)]
            elif zipfile.is_zipfile(place):
                archive = stack.enter_context(zipfile.ZipFile(place))
                files = [
                    StoredFile(info.filename, place, functools.partial(archive.open, info), info.file_size)
                    for info in archive.infolist()
                    if info.filename and not info.filename.endswith("/")
                ]
            else:
                files = _tar_files(place, stack)
        yield [file for file in files if not _is_hidden(file.pure)]


def is_archive(name: str) -> bool:
    """Return whether a file of this name is an archive that `stored_files` opens."""
    return name.lower().endswith(ARCHIVES)


@contextlib.contextmanager
def read_errors(name: str):
    """Inside the context, what reading a file can raise becomes a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{name} needs more memory than is available") from error
    except OSError as error:
        raise DataError(f"cannot read {name} ({_reason(error)})" + ("" if error.strerror else DAMAGED)) from error
    except (EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"cannot read {name} ({_reason(error)}){DAMAGED}") from error


def _reason(error):
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    lines = str(error).splitlines()  # zipfile quotes as many bytes as a damaged header asks for
    return lines[0][:80] if lines else type(error).__name__


def empty_array(count: int, name: str) -> np.ndarray:
    """Return an array of `count` bytes for the content of `name`. Raises DataError if there is no memory for it."""
    require_memory(count, name)
    try:
        return np.empty(count, np.uint8)
    except (MemoryError, ValueError, OverflowError) as error:
        raise DataError(f"{name} needs {format_bytes(count)} of memory, which cannot be allocated") from error


def format_bytes(count: float) -> str:
    """Return a number of bytes as people write it: "3.4 GB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,.0f} bytes"


class FolderContent(NamedTuple):
    """What is in a folder, in any order.

    Attributes:
        plain: The names of the regular files with certain suffixes that are not hidden.
        others: All other entries.
    """

    plain: list[str]
    others: list[os.DirEntry]


_remembered: ContextVar[dict | None] = ContextVar("_remembered", default=None)


@contextlib.contextmanager
def remembered_folders() -> Iterator[None]:
    """Inside the context, each folder is read once by `folder_content`: millions of files take seconds to list."""
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


def folder_content(folder, suffixes: frozenset[str] = frozenset()) -> FolderContent:
    """Return the content of a folder.

    Args:
        folder: The folder.
        suffixes: The suffixes of plain files, in lower case and with the dot.

    Raises:
        OSError: The folder cannot be read.
    """
    known, key = _remembered.get(), (os.fspath(folder), suffixes)
    if known is not None and key in known:
        return known[key]
    content = FolderContent([], [])
    plain, others = content.plain.append, content.others.append
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name[name.rfind(".") :].lower() in suffixes and name[0] != "." and entry.is_file(follow_symlinks=False):
                plain(name)
            else:
                others(entry)
    if known is not None:
        known[key] = content
    return content


def _walk(folder, prefix, depth, counted, visited):
    """Yield the files in a folder and the folders in it, each folder once, although links can lead to it again."""
    content = folder_content(folder, counted.suffixes)
    counted.add(prefix, content.plain)
    for entry in content.others:
        try:
            if entry.is_file():
                if counted.is_counted(entry.name):
                    counted.add(prefix, [entry.name])
                else:
                    yield StoredFile.at(Path(entry.path), f"{prefix}{entry.name}")
            elif depth and entry.is_dir() and not _is_hidden(PurePosixPath(entry.name)):
                place = os.path.realpath(entry.path)
                if place not in visited:
                    visited.add(place)
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", depth - 1, counted, visited)
        except OSError:  # a link to itself, or a folder that others may not read
            continue


def _is_hidden(path):
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts if part != "..")


def _tar_files(place, stack):
    """List the regular files of a tar archive, plain or gzipped. Nothing is extracted to the disk."""
    with open(place, "rb") as start:
        is_packed = start.read(2) == GZIP
    opener: Any = gzip.open if is_packed else open
    limited: Any = _Limited(stack.enter_context(opener(place, "rb")), place)
    archive = stack.enter_context(tarfile.TarFile(fileobj=limited))
    files = []
    for member in archive:
        if limited.tell() + member.size > TAR_LIMIT:
            limited.refuse()
        if member.isfile() and not member.issparse():
            opener = functools.partial(archive.extractfile, member)
            files.append(StoredFile(member.name, place, opener, member.size))
    padding = 0
    while limited.read(1 << 16):  # to the end, so that gzip verifies its checksum
        padding += 1 << 16
        if padding > TAR_PADDING:
            raise DataError(f"{place} has more data after the end of its files: delete it and get it again")
    return files


class _Limited:
    """A stream that refuses to read so much at once, or so far, as only a hostile archive makes it."""

    def __init__(self, stream, place):
        self._stream = stream
        self._place = place
        self.seek, self.seekable, self.tell = stream.seek, stream.seekable, stream.tell

    def read(self, count):
        if count > 2 * CHUNK or self.tell() > TAR_LIMIT:
            self.refuse()
        return self._stream.read(count)

    def refuse(self):
        raise DataError(f"{self._place} unpacks to more than {format_bytes(TAR_LIMIT)}: unpack it, and name its folder")
