"""Read parameter files: MXNet's format of named arrays, as `mx.nd.save` and Gluon write it.

Everything is checked before it is used. MXNet's own reader asks for as much memory as a damaged file says, does not see
bytes that follow the last name, and accepts weights that are not finite.

The format, in little-endian numbers: 64 bits each for the magic number, a reserved 0 and the number of arrays; the
arrays; 64 bits for the number of names; the names, each after its length in 64 bits. An array is its shape, its device,
its type and its values. There are four versions of its beginning.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
import struct
import zipfile

from gluon_classics.errors import RunError
import numpy as np

MAGIC = struct.pack("<Q", 0x112)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA  # 64-bit sizes; with the storage type; of NumPy mode
_TYPES = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8", "?")
_MOST_DIMENSIONS = 32

# the first bytes of other files that hold weights
_OTHERS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes it"),
    (b"\x93NUMPY", "a NumPy file (.npy)"),
    (b"\x80", "a pickle file, as old versions of PyTorch write it"),
    (b"\x1f\x8b", "a gzip file"),
    (b"GGUF", "a GGUF file"),
    (b"version https://git-lfs", "a pointer of Git LFS (git lfs pull gets the file)"),
    (b"<", "a web page"),
    (b"{", "a JSON file (the parameters of a model are in the .params file next to it)"),
)


def read_arrays(path) -> dict[str, np.ndarray]:
    """Return the arrays of a parameter file by name, in the order of the file.

    Raises:
        RunError: The file is missing, damaged or of another kind, or a weight is infinite or not a number.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"there is no parameter file {path}")
    try:
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise RunError(f"{path} {_what_else(path)}")
            arrays = _Reader(file).arrays()
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror or error}): check it and its permissions") from error
    except (ValueError, struct.error) as error:
        raise RunError(f"{path} is not a parameter file, or it is damaged ({error})") from error
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise RunError(f"{name} in {path} is infinite or not a number: its training diverged, or it is damaged")
    return arrays


class _Reader:
    """Reads a file from after its magic number. Raises ValueError if it has another format, or ends too early."""

    def __init__(self, file):
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def arrays(self) -> dict[str, np.ndarray]:
        reserved, count = self._numbers("<QQ")
        if reserved:
            raise ValueError("its header is wrong")
        arrays = [self._array() for _ in range(self._count(count))]
        (count,) = self._numbers("<Q")
        names = [self._name() for _ in range(self._count(count))]
        if not names:
            raise ValueError("its arrays have no names")
        if len(names) != len(arrays):
            raise ValueError(f"it has {len(arrays)} arrays and {len(names)} names")
        if len(set(names)) < len(names):
            raise ValueError("two arrays have the same name")
        if self._file.tell() != self._size:
            raise ValueError("bytes follow the last name")
        return dict(zip(names, arrays))

    def _array(self):
        (version,) = self._numbers("<I")
        if version in (_V2, _V3):
            (storage,) = self._numbers("<i")
            if storage:
                raise ValueError("it has a sparse array")
        if version in (_V1, _V2, _V3):
            (dimensions,) = self._numbers("<I")
            size = "q"
        else:
            dimensions, size = version, "I"  # the first version has no number
        if not (1 <= dimensions <= _MOST_DIMENSIONS or (dimensions == 0 and version == _V3)):
            raise ValueError(f"it has an array of {dimensions} dimensions")
        shape = self._numbers(f"<{dimensions}{size}")
        *_, kind = self._numbers("<3i")  # after the kind and the number of the device
        if not 0 <= kind < len(_TYPES):
            raise ValueError(f"it has an array of the type {kind}")
        dtype = np.dtype(_TYPES[kind])
        if min(shape, default=0) < 0:
            raise ValueError(f"it has an array of shape {shape}")
        return np.frombuffer(self._bytes(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)

    def _name(self):
        (length,) = self._numbers("<Q")
        name = self._bytes(length).decode("utf-8")
        if not name.isprintable():
            raise ValueError("it has a name that cannot be printed")
        return name

    def _count(self, count):
        """Return a number of arrays or names, each of which has at least 8 bytes."""
        if 8 * count > self._size:
            raise ValueError(f"it cannot have {count} arrays")
        return count

    def _numbers(self, form):
        return struct.unpack(form, self._bytes(struct.calcsize(form)))

    def _bytes(self, count):
        if count > self._size - self._file.tell():
            raise ValueError("it ends too early")
        return self._file.read(count)


def _what_else(path):
    """Return what a file without our magic number is, by its first bytes, as the rest of a sentence."""
    with open(path, "rb") as file:
        start = file.read(32)
    if not start:
        return "is not a parameter file: it is empty"
    what = next((what for first, what in _OTHERS if start.startswith(first)), None)
    if start.startswith(b"PK"):
        what = _kind_of_archive(path)
    elif start[8:9] == b"{" and struct.unpack("<Q", start[:8])[0] < os.path.getsize(path):
        what = "a safetensors file"
    if what is None:
        return "is not a parameter file, or it is damaged"
    return f"is {what}, not a parameter file of MXNet: write its arrays by name with mxnet.nd.save"


def _kind_of_archive(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "a damaged zip file"
    if any(name.endswith("data.pkl") for name in names):
        return "a file of PyTorch"
    if any(name.endswith(".npy") for name in names):
        return "a NumPy archive (.npz)"
    return "a file of Keras" if "config.json" in names else "a zip file"
