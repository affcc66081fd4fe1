"""Checkpoint files of a run: facts and arrays, protected by a checksum.

A file is one line of JSON (the facts and the names of the arrays), then each array in NumPy's format, then the SHA-256
of everything before it. Reading a file executes nothing in it. A run folder keeps the last two checkpoints.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
import re

from gluon_classics._files import atomic_path
from gluon_classics.errors import RunError
import numpy as np

FORMAT = 2
CHECKPOINTS = "checkpoint-*.ckpt"
_NAME = re.compile(r"checkpoint-(\d+)-(\d+)\.ckpt", re.ASCII)
KEPT = 2  # one is left if the newest is damaged
_DIGEST = hashlib.sha256
_CHUNK = 1 << 24  # bytes read at once


class Damaged(RunError):
    """A checkpoint file is damaged."""


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
        Damaged: The file is missing or damaged.
        RunError: The file has the format of another version, or may not be read.
    """
    try:
        with open(path, "rb") as file:
            _check(path, file)
            header = json.loads(file.readline())
            if header["format"] != FORMAT:
                raise RunError(
                    f"{path} has format {header['format']}, this version reads {FORMAT}: "
                    "resume the run with the version that wrote it"
                )
            arrays = {name: np.lib.format.read_array(file, allow_pickle=False) for name in header["arrays"]}
    except PermissionError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror})") from error
    return header["facts"], arrays


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
