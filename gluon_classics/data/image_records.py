"""The images in a RecordIO file, with its index and its list of labels, and what can be saved of a damaged one.

The index has the number and the offset of each record. The list has the number, the label and the name of each image.
im2rec and `pack` write the same number into the record.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Mapping, NamedTuple

from gluon_classics import _console
from gluon_classics._files import require_regular
from gluon_classics.errors import DataError
import numpy as np

from .record_io import LABEL_BYTES, FoundRecords, RecordFile, label_of, number_of, read_index, unpack_image
from .storage import read_errors
from .stored_images import sample_of

SUFFIX, INDEX_SUFFIX, LIST_SUFFIX = ".rec", ".idx", ".lst"
MOST_CLASSES = 2**24  # float32 holds all smaller whole numbers
PACK_AGAIN = "with gluon-classics pack --skip-damaged"
_DAMAGED = -1  # instead of the offset after a record


class _List(NamedTuple):
    """A list of images: number, label and name of each, (N,). A name that ends in "/" is a class without images."""

    path: Path
    numbers: np.ndarray
    labels: np.ndarray
    names: list[str]

    def images(self) -> int:
        """Return the number of images."""
        return sum(not name.endswith("/") for name in self.names)


class ImageRecords:
    """An `ImageSource` of the records of a file, in the order of its index.

    Args:
        path: The .rec file.
        skip_damaged: Whether to leave out records that are cut off or whose label is damaged, and to search the file if
            its index is wrong. What is left out is printed. Reading another damaged record is an error in any case.

    Attributes:
        labels: The labels of the images, (N,), float32.
        classes: The name of the class of each label, if the list has exactly one folder for each label, else empty.
        lost: The number of records that were left out, at least 1 if it is not known.

    Raises:
        DataError: The file, its index or its list cannot be read, or they do not belong together.
    """

    def __init__(self, path: Path, skip_damaged: bool = False) -> None:
        self.lost = 0
        self._skip_damaged = skip_damaged
        self._names: list[str] = []
        self._file = RecordFile(path)
        self._index = path.with_suffix(INDEX_SUFFIX)
        lines = path.with_suffix(LIST_SUFFIX)
        listed = _read_list(lines) if lines.exists() else None
        self.classes = _class_names(listed) if listed else {}
        if skip_damaged:
            self._find_whole(listed)
        elif self._index.exists():
            self._numbers, self._offsets = read_index(self._index)
            self._check_index(listed)
        else:
            self._search(listed)
        if listed:
            self._label_by(listed)
        else:
            _console.say(f"{path} has no list of labels ({lines.name}): they are read from its records.")
            self._label_by_records()

    def __len__(self) -> int:
        return len(self._offsets)

    def name(self, number: int) -> str:
        image = f" ({self._names[number]})" if self._names else ""
        return f"record {self._numbers[number]}{image} of {self._file.path}"

    def content(self, number: int) -> bytes:
        name = self.name(number)
        offset = int(self._offsets[number])
        try:
            content, end = self._file.record(offset, name)
        except DataError:
            self._require_index()
            raise
        if end != self._ends[number]:
            self._require_index()
            raise DataError(f"{name} is damaged: get {self._file.path} again, or pack the images again")
        record = unpack_image(content, name)
        if record.label != self.labels[number]:
            if self._is_exchanged(number, record.number):
                raise self._wrong_index()
            labels = (
                f"label {self._label_words(record.label)}, but its list says {self._label_words(self.labels[number])}"
            )
            lines = self._file.path.with_suffix(LIST_SUFFIX)
            raise DataError(f"{name} has {labels}: correct or remove {lines}, or pack the images again")
        return record.content

    def image_names(self, classes: Mapping[int, str]) -> list[str]:
        """Return the name of each image in the list. Without a list, it is made from the names of the classes."""
        if self._names:
            return self._names
        labels = self.labels.astype(np.int64)
        return [f"{classes.get(label, label)}/{number}" for label, number in zip(labels, self._numbers)]

    def digest(self, samples: bool = True) -> str:
        """Return a checksum of the index, the labels, the size of the file and, if wanted, a sample of the images."""
        digest = hashlib.sha256(f"{self._file.size}\n".encode())
        for number in sample_of(len(self)) if samples else ():
            digest.update(self.content(number))
        for array in (self._offsets.astype("<i8"), self.labels.astype("<f4")):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def _check_index(self, listed):
        """Raise DataError unless the records that the index names fill the file, as far as the last one tells."""
        order = np.argsort(self._offsets)
        in_order = self._offsets[order]
        if in_order[0] or any(len(np.unique(each)) < len(self) for each in (self._numbers, self._offsets)):
            raise self._wrong_index()
        self._ends = np.empty_like(self._offsets)
        self._ends[order] = np.append(in_order[1:], self._file.size)
        try:
            is_whole = self._file.end_of(int(in_order[-1]), "") == self._file.size
        except DataError:
            is_whole = False
        if is_whole:
            return
        found = self._found()
        if not _is_index_of(self._numbers, self._offsets, found, self._file.size, listed):
            raise self._wrong_index()
        lost = len(self) - len(found.offsets)
        what = f"{self._damage(found)}, and {lost:,} of its {len(self):,} records are lost"
        raise DataError(f"{what}: get it again, or keep the others {PACK_AGAIN}")

    def _search(self, listed):
        """Find the records without an index. Raises DataError if some are damaged."""
        _console.say(f"{self._file.path} has no index ({self._index.name}): the file is searched for records.")
        found = self._found()
        if found.first_damage is not None:
            what = f"{self._damage(found)}: get it again, or keep its {len(found.offsets):,} whole records"
            raise DataError(f"{what} {PACK_AGAIN}")
        self._offsets, self._ends = found.offsets, found.ends
        starts = self._starts(self._offsets)
        self._numbers = _own_numbers(starts, np.arange(len(starts)), np.ones(len(starts), bool), listed)

    def _find_whole(self, listed):
        """Find the whole records, and say which ones are lost. Damaged ones are kept if the index has their places."""
        found = self._found()
        index = self._index_of(found, listed)
        if index:
            numbers, offsets = index
            is_inside = offsets <= found.offsets[-1]
            self.lost = int((~is_inside).sum())
            numbers, self._offsets = numbers[is_inside], offsets[is_inside]
            if self.lost:
                _console.warn(f"{self._damage(found)}: {self.lost:,} of its {len(offsets):,} records are lost")
        else:
            numbers, self._offsets = np.arange(len(found.offsets)), found.offsets
            if found.first_damage is not None:
                self.lost, of = 1, ""
                if listed:
                    self.lost = max(1, listed.images() - len(numbers))
                    of = f" of {listed.images():,}"
                _console.warn(f"{self._damage(found)}: only {len(numbers):,} whole records{of} are found")
        is_found = np.isin(self._offsets, found.offsets)
        self._ends = np.full_like(self._offsets, _DAMAGED)
        self._ends[is_found] = found.ends[np.searchsorted(found.offsets, self._offsets[is_found])]
        starts = self._starts(self._offsets[is_found])
        self._numbers = _own_numbers(starts, numbers, is_found, listed)
        if listed and np.isin(self._numbers, listed.numbers).all():
            self._require_most_labels(listed, starts, is_found)

    def _index_of(self, found, listed):
        """Return the numbers and offsets of the index if the records that were found are in it, else None."""
        if not self._index.exists():
            _console.say(f"{self._file.path} has no index ({self._index.name}): the file is searched for records.")
            return None
        try:
            numbers, offsets = read_index(self._index)
        except DataError:
            is_right = False
        else:
            is_right = _is_index_of(numbers, offsets, found, self._file.size, listed)
        if not is_right:
            _console.warn(f"{self._index} does not match {self._file.path.name}: the file is searched for records")
        return (numbers, offsets) if is_right else None

    def _require_most_labels(self, listed, starts, is_found):
        """Raise DataError if most records have other labels than the list: it belongs to another file."""
        labels = listed.labels[_places(self._numbers[is_found], listed.numbers)]
        others = 0
        for start, label in zip(starts, labels):
            try:
                others += label_of(start, "") != label
            except DataError:
                continue
        if others * 2 > len(starts):
            what = f"{listed.path} has other labels than {others:,} of the records of {self._file.path.name}"
            raise DataError(f"{what}: remove it")

    def _found(self):
        found = self._file.find()
        if not len(found.offsets):
            raise DataError(f"{self._file.path} has no whole records: get it again, or pack the images again")
        return found

    def _damage(self, found):
        place = self._file.size if found.first_damage is None else found.first_damage
        return f"{self._file.path} is damaged or cut off at byte {place:,}"

    def _wrong_index(self):
        what = f"{self._index} does not match {self._file.path.name}"
        return DataError(f"{what}: remove it, and the file is searched for records")

    def _require_index(self):
        """Raise DataError if the records are not where the index says. It takes a while, so after an error only."""
        if self._skip_damaged or not self._index.exists():
            return
        if not np.isin(self._file.find().offsets, self._offsets).all():
            raise self._wrong_index()

    def _is_exchanged(self, number, own):
        """Return whether the index has a record's own number at the place of another record."""
        places = np.flatnonzero(self._numbers == own)
        if own == self._numbers[number] or not len(places):
            return False
        return number_of(self._starts(self._offsets[places[:1]])[0]) != own

    def _starts(self, offsets):
        """Return the first bytes of the content of each record at an offset."""
        return [self._file.start_of(int(offset), LABEL_BYTES, str(self._file.path)) for offset in offsets]

    def _label_words(self, label):
        name = self.classes.get(label)
        return f"{label:g} ({name})" if name else f"{label:g}"

    def _label_by_records(self):
        """Read the labels from the records."""
        labels, usable, errors = [], [], []
        for number in range(len(self)):
            try:
                labels.append(self._label(number))
                usable.append(number)
            except DataError as error:
                errors.append(error)
                if not self._skip_damaged:
                    self._require_index()
                    raise
        if not usable:
            raise errors[0]
        for each in errors:
            _console.warn(f"Left out: {each}")
        self.lost += len(errors)
        self.labels = np.array(labels, np.float32)
        self._numbers, self._offsets, self._ends = (each[usable] for each in (self._numbers, self._offsets, self._ends))

    def _label(self, number):
        name = self.name(number)
        if self._ends[number] == _DAMAGED:
            raise DataError(f"{name} is damaged: get {self._file.path} again, or pack the images again")
        label = label_of(self._file.start_of(int(self._offsets[number]), LABEL_BYTES, name), name)
        if not (0 <= label < MOST_CLASSES and label == int(label)):
            raise DataError(f"{name} has the label {label:g}: use whole numbers from 0, below {MOST_CLASSES:,}")
        return label

    def _label_by(self, listed):
        """Take the labels and the names of the images from the list."""
        is_listed = np.isin(self._numbers, listed.numbers)
        if not is_listed.all():
            raise DataError(f"{listed.path} does not list all images of {self._file.path.name}: remove it")
        missing = listed.images() - len(self)
        if missing > 0 and not self.lost:
            _console.warn(f"{listed.path}: {missing:,} of its images are not in {self._file.path.name}")
        places = _places(self._numbers, listed.numbers)
        self.labels = listed.labels[places]
        self._names = [listed.names[place] for place in places]


def _read_list(path) -> _List:
    """Read a list of im2rec: number, label and name in each line. Raises DataError."""
    with read_errors(str(path)):
        require_regular(path)
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    # not splitlines, since names may contain some of its separators
    lines = [line[:-1] if line.endswith("\r") else line for line in text.split("\n") if line]
    try:
        rows = [line.split("\t") for line in lines]
        numbers = np.array([row[0] for row in rows]).astype(np.int64)
        labels = np.array([row[1] for row in rows]).astype(np.float32)
        if not rows or any(len(row) != 3 for row in rows):
            raise ValueError
    except (ValueError, IndexError, OverflowError):
        raise DataError(f"{path} is not a list of images with one label each: remove it") from None
    wrong = labels[~((labels >= 0) & (labels < MOST_CLASSES) & (np.floor(labels) == labels))]
    if len(wrong):
        raise DataError(f"{path} has the label {wrong[0]:g}: use whole numbers from 0, below {MOST_CLASSES:,}")
    return _List(path, numbers, labels, [row[2] for row in rows])


def _class_names(listed) -> dict[int, str]:
    """Return the folder of each label if each has one and no other label has it, else an empty dictionary."""
    pairs = {(int(label), name.partition("/")[0]) for label, name in zip(listed.labels, listed.names)}
    names = dict(pairs)
    return names if len(pairs) == len(names) == len(set(names.values())) else {}


def _is_index_of(numbers, offsets, found: FoundRecords, size, listed) -> bool:
    """Return whether an index has all records that were found in a file, and others only where it is damaged."""
    if not np.isin(found.offsets, offsets).all():
        return False
    if any(len(np.unique(each)) < len(each) for each in (numbers, offsets)):
        return False
    others = np.setdiff1d(offsets, found.offsets)
    if found.first_damage is None and len(others):  # the file may be cut off between two records
        return others.min() == size and (listed is None or bool(np.isin(numbers, listed.numbers).all()))
    return not len(others) or bool(others.min() >= found.first_damage)


def _own_numbers(starts, numbers, is_found, listed) -> np.ndarray:
    """Return the numbers in the records that were found, if they differ and are in the list, else `numbers`."""
    own = numbers.copy()
    own[is_found] = [number_of(start) for start in starts]
    is_usable = own.min() >= 0 and len(np.unique(own)) == len(own)
    if listed and not np.isin(own, listed.numbers).all():
        is_usable = False
    return own if is_usable else numbers


def _places(numbers, listed):
    """Return the place of each number in a list of numbers that has them all."""
    order = np.argsort(listed, kind="stable")
    return order[np.searchsorted(listed, numbers, sorter=order).clip(max=len(order) - 1)]
