"""IDX, the file format of MNIST and Fashion-MNIST: a header of sizes, then bytes; plain or gzipped."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
import struct
import zlib

from gluon_classics.errors import DataError
import numpy as np


def read_idx(path, dimensions: int) -> np.ndarray:
    """The uint8 array in an IDX file with so many dimensions: 3 for images (N, H, W), 1 for labels (N,).

    Raises DataError if the file is missing, truncated, too long, or not what it should be.
    """
    try:
        content = Path(path).read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise DataError(f"cannot read {path} ({_reason(error)}): delete it and get it again") from error
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, 8, dimensions])
    if content[:4] != magic or len(content) < header:
        raise DataError(
            f"{path} is no IDX file of {dimensions} dimensions (starts with {content[:4].hex() or 'nothing'})"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        sizes = "x".join(map(str, shape))
        raise DataError(
            f"{path} announces {sizes} bytes and holds {len(content) - header:,}: delete it and get it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def write_idx(path, array: np.ndarray) -> None:
    """Write a uint8 array as a gzipped IDX file; the same array gives the same bytes."""
    array = np.ascontiguousarray(array, np.uint8)
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(header + array.tobytes())


def _reason(error):
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
