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
_SEARCHED = 1 << 20  # bytes to search for a mark at a time
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


def number_of(start: bytes) -> int:
    """Return the number of an image from the first bytes of its record, or -1 if it cannot be one."""
    number = _IMAGE.unpack_from(start)[2] if len(start) >= _IMAGE.size else -1
    return number if number < 1 << 63 else -1


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


class FoundRecords(NamedTuple):
    """The whole records of a file.

    Attributes:
        offsets: The offsets of the records in bytes, (N,), in ascending order.
        ends: The offset after each record, (N,).
        first_damage: The first offset at which there should be a record, but is not; None if there is none.
    """

    offsets: np.ndarray
    ends: np.ndarray
    first_damage: int | None


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
        for start, length, end in self._parts(offset, name):
            parts.append(self._read(start, length, name))
            offset = end
        return _MARK_BYTES.join(parts), offset

    def end_of(self, offset: int, name: str) -> int:
        """Return the offset after the record at an offset without reading its content; see `record`."""
        for *_, end in self._parts(offset, name):
            offset = end
        if offset > self.size:
            raise self._cut_off(name)
        return offset

    def start_of(self, offset: int, count: int, name: str) -> bytes:
        """Return the first bytes of the content of a record, `count` or fewer; see `record`."""
        _, length = self._part(offset, name)
        return self._read(offset + _HEAD.size, min(count, length), name)

    def offsets(self) -> Iterator[int]:
        """Yield the offset of each record. Raises DataError at a damaged one."""
        offset = 0
        while offset < self.size:
            yield offset
            offset = self.end_of(offset, f"the record at byte {offset:,} of {self.path}")

    def find(self) -> FoundRecords:
        """Find the records that are whole as far as their heads tell, also after damaged ones."""
        found: dict[int, int] = {}
        place = 0  # where the next record must start
        first_damage = None
        offset = 0 if self._is_start(0) else self._next_start(4)
        while offset is not None:
            if offset != place and first_damage is None:
                first_damage = place
            try:
                end = self.end_of(offset, "")
            except DataError:
                end = offset
            following = end if end > offset and self._is_start(end) else self._next_start(max(offset + 4, end))
            if end > offset and following != end:  # a record that contains the start of others has a wrong length
                inner = self._next_start(offset + 4)
                if inner is not None and inner < end:
                    end, following = offset, inner
            if end > offset:
                found[offset] = place = end
            offset = following
        if place != self.size and first_damage is None:
            first_damage = place
        return FoundRecords(np.array(list(found), np.int64), np.array(list(found.values()), np.int64), first_damage)

    def _is_start(self, offset):
        """Return whether a record starts at an offset."""
        try:
            kind, _ = self._part(offset, "")
        except DataError:
            return False
        return kind in (_WHOLE, _FIRST)

    def _next_start(self, offset):
        """Return the first offset from this multiple of 4 on at which a record starts, or None.

        The content of records does not have the mark at a multiple of 4.
        """
        while offset < self.size:
            block = self._read(offset, min(_SEARCHED, self.size - offset), str(self.path))
            place = -1
            while (place := block.find(_MARK_BYTES, place + 1)) >= 0:
                if place % 4 == 0 and self._is_start(offset + place):
                    return offset + place
            offset += len(block)
        return None

    def _parts(self, offset, name):
        """Yield the start and the length of each part of the record at an offset, and the offset after it."""
        expected = (_WHOLE, _FIRST)
        while True:
            kind, length = self._part(offset, name)
            if kind not in expected:
                raise DataError(f"{name} is damaged: get {self.path} again, or pack the images again")
            start = offset + _HEAD.size
            offset = start + length + -length % 4
            yield start, length, offset
            if kind in (_WHOLE, _LAST):
                return
            expected = (_MIDDLE, _LAST)

    def _part(self, offset, name):
        mark, word = _HEAD.unpack(self._read(offset, _HEAD.size, name))
        if mark != MARK:
            raise DataError(f"{name} is damaged: get {self.path} again, or pack the images again")
        return word >> 29, word & LONGEST

    def _cut_off(self, name):
        return DataError(f"{name} is cut off: get {self.path} again, or pack the images again")

    def _read(self, offset, count, name):
        if offset + count > self.size:
            raise self._cut_off(name)
        with read_errors(str(self.path)):
            content = os.pread(self._descriptor, count, offset)
        if len(content) < count:
            raise self._cut_off(name)
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
