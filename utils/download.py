"""Downloads: several mirrors, a checksum, and whole files only."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Iterable
from urllib.parse import urlsplit

import pooch
import requests

from .console import transfer_bar
from .errors import DataError

TIMEOUT = (5, 20)  # seconds to connect, seconds without a byte


@dataclass(frozen=True)
class RemoteFile:
    """A file that mirrors serve under one name: its size in bytes and the SHA-256 of its bytes."""

    name: str
    size: int
    sha256: str


def download(files: Iterable[RemoteFile], mirrors: Iterable[str], folder, timeout=TIMEOUT) -> None:
    """Bring `files` into `folder` from the first of `mirrors` (base addresses ending in /) that gives each.

    A file appears in the folder once it is whole and its checksum is right; files already there are left alone.
    Raises DataError, with what went wrong at every mirror, if a file cannot be had; OSError if the folder cannot
    be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mirrors = list(mirrors)
    for file in files:
        if not (folder / file.name).exists():
            mirrors = _from_any(mirrors, file, folder, timeout)


def _from_any(mirrors, file, folder, timeout):
    """Get one file; returns the mirrors with the ones that failed at the end."""
    failures = []
    for position, mirror in enumerate(mirrors):
        try:
            _fetch(mirror + file.name, file, folder, timeout)
        except (requests.RequestException, ValueError) as error:
            failures.append(f"{urlsplit(mirror).netloc}: {_reason(error)}")
        else:
            return mirrors[position:] + mirrors[:position]
    raise DataError(f"cannot download {file.name} ({'; '.join(failures)})")


def _fetch(url, file, folder, timeout):
    with transfer_bar(f"{file.name} from {urlsplit(url).netloc}", file.size) as bar, _quiet_pooch():
        downloader = pooch.HTTPDownloader(progressbar=_SizeGuard(bar, file.size), timeout=timeout)
        pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=downloader)


class _SizeGuard:
    """What pooch wants of a progress bar; stops a server that sends more than the file holds."""

    total = 0

    def __init__(self, bar, size):
        self._bar, self._size, self._received = bar, size, 0

    def update(self, count):
        self._received += count
        self._bar(self._received)
        if self._received > self._size + 1024:  # pooch counts its last chunk as a whole one
            raise ValueError(f"sends more than the {self._size:,} bytes of the file")

    def reset(self):
        self._received = 0

    def close(self):
        pass


@contextlib.contextmanager
def _quiet_pooch():
    """pooch tells of each download in its log; the progress bar and our errors say the same once."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _reason(error):
    if isinstance(error, requests.HTTPError):
        return f"status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.ConnectionError):
        return "not reachable"
    if "hash" in str(error).lower():
        return "wrong checksum"
    return str(error)
