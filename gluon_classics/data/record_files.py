"""Data sets in RecordIO files: DATA.rec with the images, DATA.idx with their places, DATA.lst with labels and names.

`gluon-classics pack` and MXNet's tool im2rec write such files. Only the .rec file is necessary. The test images are in
a second group of files: next to DATA.rec is DATA_test.rec or DATA_val.rec, and next to DATA_train.rec the same.
"""

from __future__ import annotations

from dataclasses import replace
import hashlib
from pathlib import Path
from typing import NamedTuple, Sequence

from gluon_classics import _console
from gluon_classics._files import require_regular
from gluon_classics.errors import DataError
import numpy as np

from .classes import number_classes
from .colors import TRANSPARENT_AS, parse_color
from .examples import check_labels
from .found import hold_out
from .image_folder import LoadedImages
from .images import Images
from .record_io import LABEL_BYTES, RecordFile, label_of, read_index, unpack_image
from .split import TEST_SHARE, refuse_share
from .storage import read_errors
from .stored_images import sample_of, stays_on_disk, stored_images

SUFFIX, INDEX_SUFFIX, LIST_SUFFIX = ".rec", ".idx", ".lst"
MOST_CLASSES = 2**24  # float32 holds all smaller whole numbers
TRAIN_ENDING = "_train"
TEST_ENDINGS = ("_test", "_val")  # the first one that exists


class RecordFiles(NamedTuple):
    """The .rec files of a data set.

    Attributes:
        train: The file with the training images.
        test: The file with the test images; None if a share of the images in `train` are the test images.
    """

    train: Path
    test: Path | None

    @property
    def name(self) -> str:
        """The name of the data set."""
        return _without(self.train.stem, TRAIN_ENDING)


def is_record_file(path: Path) -> bool:
    """Return whether a file has the name of a RecordIO file."""
    return path.suffix.lower() == SUFFIX


def records_with(path: Path) -> RecordFiles:
    """Return the files of the data set with these training images.

    Raises:
        DataError: They are test images, or the file of the test images is missing although its index or list is not.
    """
    train = _train_of(path)
    if train:
        raise DataError(f"{path} has the test images of {train.name}: give {train}")
    tests = test_files(path)
    test = next((test for test in tests if test.is_file()), None)
    for other in (each.with_suffix(suffix) for each in tests for suffix in (INDEX_SUFFIX, LIST_SUFFIX)):
        if not test and other.exists():
            raise DataError(
                f"{other} is there, but not {other.with_suffix(path.suffix).name}: get it, or remove {other}"
            )
    return RecordFiles(path, test)


def test_files(train: Path) -> list[Path]:
    """Return the files that may have the test images to these training images, in the order of preference."""
    start = _without(train.stem, TRAIN_ENDING)
    return [train.with_name(f"{start}{ending}{train.suffix}") for ending in TEST_ENDINGS]


def is_test_name(path: Path) -> bool:
    """Return whether a file has the name of one with test images."""
    return any(_without(path.stem, ending) != path.stem for ending in TEST_ENDINGS)


def record_files(paths: Sequence[Path], place) -> RecordFiles | None:
    """Return the only data set of RecordIO files among paths; None if there is none. Raises DataError for several."""
    trains = sorted(path for path in paths if is_record_file(path) and not _train_of(path))
    if len(trains) > 1:
        names = ", ".join(each.name for each in trains)
        raise DataError(f"{place} has several RecordIO data sets ({names}): give the path of one")
    return records_with(trains[0]) if trains else None


def _train_of(path):
    """Return the file with the training images to these test images; None if they are no test images."""
    for ending in TEST_ENDINGS:
        start = _without(path.stem, ending)
        for train in (path.with_name(f"{start}{TRAIN_ENDING}{path.suffix}"), path.with_name(f"{start}{path.suffix}")):
            if start != path.stem and train.is_file():
                return train
    return None


class ImageRecords:
    """An `ImageSource` of the records of a file, in the order of its index.

    Attributes:
        labels: The labels of the images, (N,), float32.
        classes: The names of the classes, if the list of the images has them.

    Raises:
        DataError: The file, its index or its list cannot be read, or they do not belong together.
    """

    def __init__(self, path: Path) -> None:
        self.classes: tuple[str, ...] | None = None
        self._names: list[str] = []
        self._file = RecordFile(path)
        self._index = path.with_suffix(INDEX_SUFFIX)
        if self._index.exists():
            self._numbers, self._offsets = read_index(self._index)
            self._check_index()
        else:
            _console.say(f"{path} has no index ({self._index.name}): the file is searched for records.")
            self._offsets = np.fromiter(self._file.offsets(), np.int64)
            self._numbers = np.arange(len(self._offsets))
        if not len(self._offsets):
            raise DataError(f"{path} has no records: pack the images again")
        lines = path.with_suffix(LIST_SUFFIX)
        if lines.exists():
            self._read_list(lines)
        else:
            _console.say(f"{path} has no list of labels ({lines.name}): they are read from its records.")
            self.labels = np.array([self._label(number) for number in range(len(self))], np.float32)
        check_labels(self.labels)
        if self.labels.max() >= MOST_CLASSES:
            raise DataError(f"{path} has the label {self.labels.max():.0f}: use classes below {MOST_CLASSES:,}")

    def __len__(self) -> int:
        return len(self._offsets)

    def name(self, number: int) -> str:
        image = f" ({self._names[number]})" if self._names else ""
        return f"record {self._numbers[number]}{image} of {self._file.path}"

    def content(self, number: int) -> bytes:
        name = self.name(number)
        content, _ = self._file.record(int(self._offsets[number]), name)
        record = unpack_image(content, name)
        if record.label != self.labels[number]:
            other = f"label {record.label:g}, but its list says {self.labels[number]:g}"
            raise DataError(f"{name} has {other}: remove {self._file.path.with_suffix(LIST_SUFFIX)}")
        return record.content

    def image_names(self) -> list[str]:
        """Return a name of each image with its class: that of the list, or its number."""
        if self._names:
            return self._names
        return [f"{label:.0f}/{number}" for label, number in zip(self.labels, self._numbers)]

    def digest(self, samples: bool = True) -> str:
        """Return a checksum of the index, the labels, the size of the file and, if wanted, a sample of the images."""
        digest = hashlib.sha256(f"{self._file.size}\n".encode())
        for number in sample_of(len(self)) if samples else ():
            digest.update(self.content(number))
        for array in (self._offsets.astype("<i8"), self.labels.astype("<f4")):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def _check_index(self):
        """Raise DataError if the index lacks the first or the last record, or has one twice."""
        ends = [0]
        if len(self):
            last = int(self._offsets.argmax())
            ends = [self._offsets.min(), self._file.record(int(self._offsets[last]), self.name(last))[1]]
        is_whole = ends == [0, self._file.size]
        if not is_whole or any(len(np.unique(each)) < len(self) for each in (self._numbers, self._offsets)):
            what = f"{self._index} does not match {self._file.path.name}"
            raise DataError(f"{what}: remove it, and the file is searched for records")

    def _label(self, number):
        name = self.name(number)
        return label_of(self._file.start_of(int(self._offsets[number]), LABEL_BYTES, name), name)

    def _read_list(self, path):
        """Read the labels and names of images and classes from a list of im2rec: number, label, path in each line."""
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
        order = np.argsort(numbers, kind="stable")
        places = order[np.searchsorted(numbers, self._numbers, sorter=order).clip(max=len(order) - 1)]
        if not np.array_equal(numbers[places], self._numbers):
            raise DataError(f"{path} does not list all images of {self._file.path.name}: remove it")
        if len(rows) > len(self):
            _console.warn(f"{path}: {len(rows) - len(self):,} of its images are not in {self._file.path.name}")
        self.labels = labels[places]
        self._names = [rows[place][2] for place in places]
        self.classes = _class_names({(float(row[1]), row[2].partition("/")[0]) for row in rows})


def load_records(
    files: RecordFiles,
    size: int | None,
    transparent_as: str = TRANSPARENT_AS,
    test_share: float | None = None,
    in_memory: bool | None = None,
    *,
    shorter_side: bool = False,
    originals: bool = False,
) -> LoadedImages:
    """Load a data set of RecordIO files.

    Args:
        files: The files.
        size: See `load_folder`.
        transparent_as: See `load_folder`.
        test_share: See `load_folder`.
        in_memory: See `load_folder`.
        shorter_side: See `load_folder`.
        originals: See `load_folder`.

    Raises:
        DataError: The files cannot be read, an image is damaged, or memory is too small.
    """
    train, test = files
    if test:
        refuse_share(test_share, test)
    matte = parse_color(transparent_as)
    sources = [ImageRecords(path) for path in (train, test) if path]
    count = sum(map(len, sources))
    on_disk = stays_on_disk((count, size or 1, size or 1, 3), in_memory, originals)
    arrays = stored_images(sources, size, matte, transparent_as, not on_disk, shorter_side)
    what = f"the data set of {count:,} images in {train}"
    parts = []
    for source, array in zip(sources, arrays):
        parts.append(Images(array if on_disk else array.in_memory(what), source.labels.astype(np.int64)))
    if not test:
        share = test_share or TEST_SHARE
        _console.say(f"{train}: {100 * share:g} % of each class are test images (see --test-share).")
        parts = list(hold_out(parts[0], share, str(train)))
    digest = hashlib.sha256("\n".join(source.digest() for source in sources).encode())
    parts, classes = _with_classes(sources, parts, train)
    return LoadedImages(parts[0], parts[1], classes, digest.hexdigest)


def _with_classes(sources, parts, train):
    """Return the parts and the names of the classes: those in the lists, or the labels. Raises DataError."""
    named = [source.classes for source in sources if source.classes]
    if len(named) == 2 and named[0] != named[1]:
        raise DataError(f"the lists of {train.name} and of its test images name different classes: pack both together")
    if named and all(part.labels.max() < len(named[0]) for part in parts):
        return parts, named[0]
    classes, first = number_classes(parts[0].labels, parts[1].labels, str(train))
    if first:
        _console.warn(f"{train}: labels are counted from 1, so the first class has the name {first}")
        parts = [replace(part, labels=part.labels - first) for part in parts]
    return parts, classes


def _class_names(pairs):
    """Return the names of the classes if each label has one folder, else None."""
    names = dict(pairs)
    whole = sorted(names) == list(range(len(names)))
    if len(pairs) != len(names) or len(set(names.values())) != len(names) or not whole:
        return None
    return tuple(names[label] for label in sorted(names))


def _without(stem, ending):
    return stem[: -len(ending)] if stem.lower().endswith(ending) and len(stem) > len(ending) else stem
