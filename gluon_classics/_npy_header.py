"""The header of an array in NumPy's format, read strictly. NumPy's own reader fails on wrong ones with many errors."""

from __future__ import annotations

import ast
import re
from typing import Callable, Literal, NamedTuple

import numpy as np

MAGIC = b"\x93NUMPY"
MAX_LENGTH = 10_000  # bytes, NumPy's own limit
_TYPE = re.compile(r"[<>|=]?[a-zA-Z][0-9]{0,4}")


class NpyHeader(NamedTuple):
    """Shape, type and order ("C" or "F") of the array that follows."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: Literal["C", "F"]


def read_npy_header(read: Callable[[int], bytes]) -> NpyHeader:
    """Read the header of an array.

    Args:
        read: Function that returns the next bytes, given their number, and fewer at the end.

    Raises:
        ValueError: It is not the header of an array of one type. The message completes "the file ...".
    """
    start = read(len(MAGIC) + 2)
    if len(start) < len(MAGIC) + 2 or start[: len(MAGIC)] != MAGIC or start[-2] not in (1, 2, 3):
        raise ValueError("is not an array that NumPy saved")
    length = int.from_bytes(read(2 if start[-2] == 1 else 4), "little")
    try:
        if length > MAX_LENGTH:
            raise ValueError
        header = ast.literal_eval(read(length).decode("latin-1").strip())
        descr, is_fortran, shape = (header[key] for key in ("descr", "fortran_order", "shape"))
        if not all(type(size) is int and size >= 0 for size in shape) or not _TYPE.fullmatch(descr):
            raise ValueError
        dtype = np.dtype(descr)
        if not dtype.itemsize:
            raise ValueError
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("has a header that is not one of an array of numbers") from error
    return NpyHeader(tuple(shape), dtype, "F" if is_fortran is True else "C")
