"""IDX, the file format of MNIST and Fashion-MNIST: a header with the shape, then one byte per value."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
import struct
import zlib

from gluon_classics._format import format_shape
from gluon_classics.errors import DataError
import numpy as np


def read_idx(path, dimensions: int) -> np.ndarray:
    """Read the uint8 array of a plain or gzipped IDX file.

    Args:
        path: The file.
        dimensions: The expected number of dimensions: 3 for images (N, H, W), 1 for labels (N,).

    Raises:
        DataError: The file is missing, truncated, too long, or not such an IDX file.
    """
    try:
        content = Path(path).read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise DataError(f"cannot read {path} ({_reason(error)}): delete it and download it again") from error
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, 8, dimensions])
    if content[:4] != magic or len(content) < header:
        start = f"it starts with the bytes {content[:4].hex()}" if content else "it is empty"
        raise DataError(f"{path} is not an IDX file with {dimensions} dimensions: {start}")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path} should have {format_shape(shape)} bytes of data but has {len(content) - header:,}: "
            "delete it and download it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def write_idx(path, array: np.ndarray) -> None:
    """Write a uint8 array as a gzipped IDX file. The same array always gives the same bytes."""
    array = np.ascontiguousarray(array, np.uint8)
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(header + array.tobytes())


def _reason(error):
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
