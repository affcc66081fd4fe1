"""IDX, the file format of MNIST: a header with the type and the shape, then the values, big-endian."""

from __future__ import annotations

from dataclasses import dataclass
import gzip
import math
from pathlib import Path
import struct

from gluon_classics._format import format_shape
from gluon_classics.errors import DataError
import numpy as np

from .storage import FileReader, StoredFile, empty_array, format_bytes

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MAX_DIMENSIONS = 4


@dataclass(frozen=True)
class IdxHeader:
    """The header of an IDX file."""

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


def idx_header(file: StoredFile) -> IdxHeader:
    """Read the header of a plain or gzipped IDX file. Raises DataError if it is none, or cannot contain its values."""
    with file.reading() as reader:
        return _header(reader)


def read_idx(file: StoredFile | str | Path) -> np.ndarray:
    """Read the array of a plain or gzipped IDX file, in the byte order of this machine.

    Args:
        file: A file, or its path.

    Raises:
        DataError: The file is missing, truncated, too long, or not an IDX file.
    """
    if not isinstance(file, StoredFile):
        file = StoredFile.at(Path(file))
    with file.reading() as reader:
        header = _header(reader)
        content = empty_array(header.size, str(file))
        count = reader.fill(content)
        if count < header.size or reader.has_more():
            found = f"{count:,}" if count < header.size else "more"
            raise DataError(_wrong_size(reader.name, header, found))
    array = content.view(header.dtype).reshape(header.shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def write_idx(path, array: np.ndarray) -> None:
    """Write a uint8 array as a gzipped IDX file. The same array always gives the same bytes."""
    array = np.ascontiguousarray(array, np.uint8)
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(header + array.tobytes())


def _header(reader: FileReader) -> IdxHeader:
    magic = reader.start(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or not 1 <= magic[3] <= MAX_DIMENSIONS:
        start = f"it starts with the bytes {magic.hex()}" if magic else "it is empty"
        raise DataError(f"{reader.name} is not an IDX file: {start}")
    if magic[2] not in TYPES:
        raise DataError(f"{reader.name} is not an IDX file with a known type: 0x{magic[2]:02x} is none")
    sizes = reader.start(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{reader.name} is not an IDX file: it ends within its header")
    header = IdxHeader(np.dtype(TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", sizes))
    if header.size > reader.limit:
        found = f"at most {format_bytes(reader.limit)}" if reader.is_packed else f"{reader.limit:,}"
        raise DataError(_wrong_size(reader.name, header, found))
    return header


def _wrong_size(name, header, found):
    width = f" times {header.dtype.itemsize}" if header.dtype.itemsize > 1 else ""
    return (
        f"{name} should have {format_shape(header.shape)}{width} bytes of data but has {found}: "
        "delete it and get it again"
    )
