"""Checkpoint files: facts and arrays that are read back whole, or recognized as damaged.

A file is one line of JSON (the facts, and the arrays' names), then each array in NumPy's own format, and the SHA-256
of all before. Nothing in it is executed when it is read. A run folder keeps the last two.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from gluon_classics._files import atomic_path
from gluon_classics.errors import RunError
import numpy as np

FORMAT = 2
CHECKPOINTS = "checkpoint-*.ckpt"
KEPT = 2  # so that one is left when the newest is damaged
_DIGEST = hashlib.sha256
_CHUNK = 1 << 24  # bytes read at once


class Damaged(RunError):
    """A checkpoint file is damaged."""


def checkpoint_path(folder, epoch: int, batches: int) -> Path:
    """Return the checkpoint file of a run after `batches` batches of `epoch`. Names sort by position."""
    return Path(folder, f"checkpoint-{epoch:05d}-{batches:08d}.ckpt")


def checkpoints(folder) -> list[Path]:
    """Return the checkpoint files in a run folder, newest first."""
    return sorted(Path(folder).glob(CHECKPOINTS), reverse=True)


def remove_old(folder, kept: int = KEPT) -> None:
    """Remove all checkpoints but the newest `kept`."""
    for path in checkpoints(folder)[kept:]:
        path.unlink()


def write_checkpoint(path, facts: dict, arrays: dict) -> None:
    """Write `facts` (for JSON) and `arrays` (of MXNet or NumPy) atomically. Raises OSError if writing fails."""
    header = {"format": FORMAT, "facts": facts, "arrays": list(arrays)}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        summed = _Summed(file)
        summed.write(json.dumps(header).encode() + b"\n")
        for array in arrays.values():
            array = array if isinstance(array, np.ndarray) else array.asnumpy()
            np.lib.format.write_array(summed, array, allow_pickle=False)
        file.write(summed.digest.digest())


def read_checkpoint(path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the facts and arrays of a file. Raises Damaged, and RunError for the format of another version."""
    try:
        with open(path, "rb") as file:
            _check(path, file)
            header = json.loads(file.readline())
            if header["format"] != FORMAT:
                raise RunError(
                    f"{path} has format {header['format']}, this version reads {FORMAT}: "
                    "resume it with the version that wrote it"
                )
            arrays = {name: np.lib.format.read_array(file, allow_pickle=False) for name in header["arrays"]}
    except PermissionError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}): is it another user's?") from error
    except OSError as error:
        raise Damaged(f"{path} cannot be read ({error.strerror})") from error
    return header["facts"], arrays


def _check(path, file):
    """Compare the file with its checksum, and go back to its start."""
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
    """A file to write to, with the checksum of what was written."""

    def __init__(self, file):
        self._file = file
        self.digest = _DIGEST()

    def write(self, part):
        self.digest.update(part)
        return self._file.write(part)
