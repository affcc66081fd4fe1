"""Download files from several mirrors and verify their checksums."""

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

TIMEOUT = (5, 20)  # seconds to connect, seconds between two bytes
CHUNK = 1 << 16  # bytes

pooch.get_logger().setLevel(logging.CRITICAL)  # the progress bar and the errors below say the same


@dataclass(frozen=True)
class RemoteFile:
    """A file to download: its name on every mirror, its size in bytes and its SHA-256 checksum."""

    name: str
    size: int
    sha256: str


def download(files: Iterable[RemoteFile], mirrors: Iterable[str], folder, timeout=TIMEOUT) -> None:
    """Download `files` to `folder`, each from the first mirror that works.

    A file appears in the folder only when it is complete and its checksum is correct. Existing files are kept.

    Args:
        files: The files to download.
        mirrors: Base URLs, ending in "/".
        folder: The folder to write to; it is created if needed.
        timeout: The seconds to wait for a connection, and for the next byte.

    Raises:
        DataError: No mirror serves a file. The message has the reason for each mirror.
        OSError: The folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mirrors = list(mirrors)
    for file in files:
        if not (folder / file.name).exists():
            mirrors = _from_any(mirrors, file, folder, timeout)


def _from_any(mirrors, file, folder, timeout):
    """Download one file. Return the mirrors, with those that failed moved to the end."""
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
    """Download one file with pooch, which keeps it only if its checksum is correct."""

    def receive(url, output_file, _pooch):
        with transfer_bar(f"{file.name} from {_host(url)}", file.size) as show, open(output_file, "wb") as output:
            with requests.get(url, timeout=timeout, stream=True) as answer:
                answer.raise_for_status()
                for chunk in answer.iter_content(CHUNK):
                    output.write(chunk)
                    if output.tell() > file.size:
                        raise ValueError(f"sent more than the file's {file.size:,} bytes")
                    show(output.tell())

    pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=receive)
    (folder / file.name).chmod(default_mode())  # pooch's temporary file is readable only by its owner


def _host(url):
    """Return the host of a URL, without a user name and password."""
    return url.split("://")[-1].split("/")[0].split("@")[-1]


def _reason(error):
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"status {error.response.status_code}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "timeout"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "connection lost"
    if isinstance(error, requests.ConnectionError):
        return "not reachable"
    if "hash" in str(error):
        return "wrong checksum"
    return str(error)
