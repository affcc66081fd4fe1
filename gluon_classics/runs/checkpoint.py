"""Checkpoint files of a run: facts and arrays, protected by a checksum.

A file is one line of JSON (the facts and the names of the arrays), then each array in NumPy's format, then the SHA-256
of everything before it. Reading a file executes nothing in it. A run folder keeps the last two checkpoints.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
import re

from gluon_classics._files import atomic_path, require_regular
from gluon_classics._format import first_line
from gluon_classics._npy_header import read_npy_header
from gluon_classics.errors import RunError
import numpy as np

FORMAT = 2
CHECKPOINTS = "checkpoint-*.ckpt"
_NAME = re.compile(r"checkpoint-(\d+)-(\d+)\.ckpt", re.ASCII)
KEPT = 2  # one is left if the newest is damaged
_DIGEST = hashlib.sha256
_CHUNK = 1 << 24  # bytes read at once


class Damaged(RunError):
    """A checkpoint file is damaged, or its content is not possible."""


def checkpoint_path(folder, epoch: int, batches: int) -> Path:
    """Return the path of the checkpoint after `batches` batches of `epoch`."""
    return Path(folder, f"checkpoint-{epoch:05d}-{batches:08d}.ckpt")


def checkpoints(folder) -> list[Path]:
    """Return the checkpoint files in a run folder, newest first."""
    found = ((_NAME.fullmatch(path.name), path) for path in Path(folder).glob(CHECKPOINTS))
    places = {path: tuple(map(int, match.groups())) for match, path in found if match}
    return sorted(places, key=places.__getitem__, reverse=True)  # by number: long numbers do not sort as text


def remove_old(folder, kept: int = KEPT) -> None:
    """Remove all checkpoints except the newest `kept`."""
    for path in checkpoints(folder)[kept:]:
        path.unlink()


def write_checkpoint(path, facts: dict, arrays: dict) -> None:
    """Write a checkpoint file atomically.

    Args:
        path: File to write.
        facts: Content for JSON.
        arrays: MXNet or NumPy arrays by name.

    Raises:
        OSError: Writing failed.
    """
    header = {"format": FORMAT, "facts": facts, "arrays": list(arrays)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        summed = _Summed(file)
        summed.write(json.dumps(header).encode() + b"\n")
        for array in arrays.values():
            array = array if isinstance(array, np.ndarray) else array.asnumpy()
            np.lib.format.write_array(summed, array, allow_pickle=False)
        file.write(summed.digest.digest())


def read_checkpoint(path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the facts and the arrays of a checkpoint file.

    Raises:
        Damaged: The file is missing or damaged, or its content is not possible.
        RunError: The file has the format of another version, or may not be read.
    """
    try:
        require_regular(path)
        with open(path, "rb") as file:
            _check(path, file)
            header = json.loads(file.readline())
            number, facts, names = header["format"], header["facts"], header["arrays"]
            if not isinstance(number, int) or not isinstance(facts, dict) or len(set(names)) < len(names):
                raise ValueError("its first line is not that of a checkpoint")
            if number != FORMAT:
                raise RunError(
                    f"{path} has format {number}, this version reads {FORMAT}: "
                    "resume the run with the version that wrote it"
                )
            end = Path(path).stat().st_size - _DIGEST().digest_size
            arrays = {name: _read_array(file, end) for name in names}
            if file.tell() != end:
                raise ValueError("it is longer than its arrays")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{path} is damaged ({first_line(error)})") from error
    except PermissionError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror})") from error
    return facts, arrays


def _read_array(file, end):
    """Read an array in NumPy's format that ends before `end`. Raises ValueError for anything else.

    The size is checked first, so that a wrong shape does not ask for more memory than the file has bytes.
    """
    try:
        shape, dtype, order = read_npy_header(file.read)
    except ValueError as error:
        raise ValueError(f"one of its arrays {error}") from error
    count = math.prod(shape)
    if dtype.kind not in "biuf" or count * dtype.itemsize > end - file.tell():
        raise ValueError(f"it has no array of shape {shape} and type {dtype}")
    return np.fromfile(file, dtype, count).reshape(shape, order=order)


def _check(path, file):
    """Compare the file with its checksum and rewind it. Raises Damaged if they differ."""
    digest = _DIGEST()
    left = Path(path).stat().st_size - digest.digest_size
    while left > 0:
        part = file.read(min(left, _CHUNK))
        digest.update(part)
        left -= len(part)
    if file.read() != digest.digest():  # fewer bytes than a checksum differ from it too
        raise Damaged(f"{path} is damaged")
    file.seek(0)


class _Summed:
    """A file for writing that computes the checksum of its content."""

    def __init__(self, file):
        self._file = file
        self.digest = _DIGEST()

    def write(self, part):
        self.digest.update(part)
        return self._file.write(part)
