"""Downloads: several mirrors, a checksum, and whole files only."""

from __future__ import annotations

from dataclasses import dataclass
import logging
from pathlib import Path
from typing import Iterable

from gluon_classics._console import transfer_bar
from gluon_classics._files import default_mode
from gluon_classics.errors import DataError
import pooch
import requests

TIMEOUT = (5, 20)  # seconds to connect, seconds without a byte
CHUNK = 1 << 16  # bytes

pooch.get_logger().setLevel(logging.CRITICAL)  # our progress bar and errors say the same once


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
            failures.append(f"{_host(mirror)}: {_reason(error)}")
        else:
            return mirrors[position:] + mirrors[:position]
    raise DataError(f"cannot download {file.name} ({'; '.join(failures)})")


def _fetch(url, file, folder, timeout):
    """Let pooch keep the file if its checksum is right, and nothing if not."""

    def receive(url, output_file, _pooch):
        with transfer_bar(f"{file.name} from {_host(url)}", file.size) as show, open(output_file, "wb") as output:
            with requests.get(url, timeout=timeout, stream=True) as answer:
                answer.raise_for_status()
                for chunk in answer.iter_content(CHUNK):
                    output.write(chunk)
                    if output.tell() > file.size:
                        raise ValueError(f"sends more than the {file.size:,} bytes of the file")
                    show(output.tell())

    pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=receive)
    (folder / file.name).chmod(default_mode())  # pooch leaves its temporary file's: for the owner only


def _host(url):
    """The part of an address that names the server, without a password in it."""
    return url.split("://")[-1].split("/")[0].split("@")[-1]


def _reason(error):
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"status {error.response.status_code}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    if isinstance(error, requests.ConnectionError):
        return "not reachable"
    if "hash" in str(error):
        return "wrong checksum"
    return str(error)
