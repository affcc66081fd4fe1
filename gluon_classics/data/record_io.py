"""RecordIO, MXNet's format for many files in one, with an image and its label in each record.

MXNet's own reader is not used: it seeks, so that threads must wait for each other, it reads an index into a dictionary,
and its errors do not name the record. Its writer does not resume. The format is that of `mx.recordio` and of MXNet's
tool im2rec; tests compare with `mx.recordio`.

A record is a mark, a word with the length, and the content, filled up to a multiple of 4 bytes. Where the content has
the mark at such a multiple, the record is divided there, and the mark is left out. The content is a header (a flag, the
label, a number, and a second number that im2rec sets to 0), and the image file. We write a checksum of the image file
into the second number.
"""

from __future__ import annotations

import os
from pathlib import Path
import struct
from typing import Iterator, NamedTuple
import weakref
import zlib

from gluon_classics._files import require_regular
from gluon_classics.errors import DataError
import numpy as np

from .storage import read_errors

MARK = 0xCED7230A
_MARK_BYTES = struct.pack("<I", MARK)
_HEAD = struct.Struct("<II")  # the mark; the kind of part in 3 bits, and the length in 29
_IMAGE = struct.Struct("<IfQQ")  # flag, label, two numbers
LABEL_BYTES = _IMAGE.size + 4  # of the content of a record, which contain the label
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
LONGEST = (1 << 29) - 1  # bytes of a part
_HAS_CHECKSUM = 1 << 32  # in the second number, above the 32 bits of the checksum


class ImageRecord(NamedTuple):
    """The content of a record.

    Attributes:
        label: The label.
        number: The number of the image.
        content: The bytes of the image file.
    """

    label: float
    number: int
    content: bytes


def pack_record(record: ImageRecord) -> bytes:
    """Return the bytes of a record in a file. Raises DataError if the image file is too large for one."""
    checksum = _HAS_CHECKSUM | zlib.crc32(record.content)
    content = _IMAGE.pack(0, record.label, record.number, checksum) + record.content
    if len(content) > LONGEST:
        raise DataError(f"image {record.number} has {len(record.content):,} bytes: a record has no more than 2^29")
    parts = list(_divided(content))
    kinds = [_WHOLE] if len(parts) == 1 else [_FIRST, *[_MIDDLE] * (len(parts) - 2), _LAST]
    return b"".join(
        _HEAD.pack(MARK, kind << 29 | len(part)) + part + bytes(-len(part) % 4) for kind, part in zip(kinds, parts)
    )


def _divided(content):
    """Yield the parts of a content between the marks in it."""
    start = place = 0
    while (place := content.find(_MARK_BYTES, place)) >= 0:
        if place % 4:
            place += 1
            continue
        yield content[start:place]
        start = place = place + 4
    yield content[start:]


def unpack_image(content: bytes, name: str) -> ImageRecord:
    """Return the image in the content of a record.

    Args:
        content: The content of the record.
        name: The record for messages.

    Raises:
        DataError: The record is not one image with one label, or its checksum is wrong.
    """
    label = label_of(content, name)
    flag, _, number, second = _IMAGE.unpack_from(content)
    image = content[_IMAGE.size + 4 * flag :]
    if second >> 32 == 1 and second & 0xFFFFFFFF != zlib.crc32(image):
        raise DataError(f"{name} is damaged, its checksum is wrong: pack the images again")
    return ImageRecord(label, number, image)


def label_of(start: bytes, name: str) -> float:
    """Return the label of an image from the first `LABEL_BYTES` of its record; see `unpack_image`."""
    if len(start) < _IMAGE.size:
        raise DataError(f"{name} is too short for an image: pack the images again")
    flag, label, _, _ = _IMAGE.unpack_from(start)
    if flag > 1:
        raise DataError(f"{name} has {flag:,} labels: use records with one class per image")
    if flag and len(start) < LABEL_BYTES:
        raise DataError(f"{name} is too short for an image: pack the images again")
    return struct.unpack_from("<f", start, _IMAGE.size)[0] if flag else label


class RecordFile:
    """An open RecordIO file. Any number of threads can read it.

    Attributes:
        path: The file.
        size: Its size in bytes.

    Raises:
        DataError: The file cannot be opened.
    """

    def __init__(self, path) -> None:
        self.path = Path(path)
        with read_errors(str(path)):
            require_regular(path)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._descriptor)
            self.size = os.fstat(self._descriptor).st_size

    def record(self, offset: int, name: str) -> tuple[bytes, int]:
        """Return the content of the record at an offset, and the offset of the next one.

        Args:
            offset: The offset in bytes.
            name: The record for messages.

        Raises:
            DataError: There is no record, or it is cut off.
        """
        parts = []
        expected = (_WHOLE, _FIRST)
        while True:
            kind, length = self._part(offset, name)
            if kind not in expected:
                raise DataError(f"{name} is damaged: get {self.path} again, or pack the images again")
            parts.append(self._read(offset + _HEAD.size, length, name))
            offset += _HEAD.size + length + -length % 4
            if kind in (_WHOLE, _LAST):
                return _MARK_BYTES.join(parts), offset
            expected = (_MIDDLE, _LAST)

    def start_of(self, offset: int, count: int, name: str) -> bytes:
        """Return the first bytes of the content of a record, `count` or fewer; see `record`."""
        _, length = self._part(offset, name)
        return self._read(offset + _HEAD.size, min(count, length), name)

    def offsets(self) -> Iterator[int]:
        """Yield the offset of each record. Raises DataError at a damaged one."""
        offset = 0
        while offset < self.size:
            yield offset
            name = f"the record at byte {offset:,} of {self.path}"
            while True:
                kind, length = self._part(offset, name)
                offset += _HEAD.size + length + -length % 4
                if kind in (_WHOLE, _LAST):
                    break
            if offset > self.size:
                raise DataError(f"{name} is cut off: get {self.path} again, or pack the images again")

    def _part(self, offset, name):
        mark, word = _HEAD.unpack(self._read(offset, _HEAD.size, name))
        if mark != MARK:
            raise DataError(f"{name} is damaged: get {self.path} again, or pack the images again")
        return word >> 29, word & LONGEST

    def _read(self, offset, count, name):
        if offset + count > self.size:
            raise DataError(f"{name} is cut off: get {self.path} again, or pack the images again")
        with read_errors(str(self.path)):
            content = os.pread(self._descriptor, count, offset)
        if len(content) < count:
            raise DataError(f"{name} is cut off: get {self.path} again, or pack the images again")
        return content


def read_index(path) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the images and the offsets of their records, (N,), from an index of im2rec.

    Raises:
        DataError: The index cannot be read, or is not one.
    """
    with read_errors(str(path)):
        require_regular(path)
        text = Path(path).read_bytes()
    try:
        if not text.strip():
            raise ValueError
        if any(line.count(b"\t") != 1 for line in text.splitlines()):
            raise ValueError
        values = np.array(text.split(), np.int64)
        if (values < 0).any():
            raise ValueError
        numbers, offsets = values.reshape(-1, 2).T
    except (ValueError, OverflowError):
        raise DataError(f"{path} is not an index of records: remove it, and the file is searched for records") from None
    return numbers, offsets
