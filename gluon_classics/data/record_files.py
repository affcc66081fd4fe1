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
from gluon_classics.errors import DataError
import numpy as np

from .classes import empty_classes, number_classes
from .colors import TRANSPARENT_AS, parse_color
from .found import hold_out
from .image_folder import LoadedImages
from .image_records import INDEX_SUFFIX, LIST_SUFFIX, SUFFIX, ImageRecords
from .images import Images
from .split import TEST_SHARE, refuse_share
from .stored_images import stays_on_disk, stored_images

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
    parts, classes = _named(sources, parts, train)
    if not test:
        share = test_share or TEST_SHARE
        _console.say(f"{train}: {100 * share:g} % of each class are test images (see --test-share).")
        parts = list(hold_out(parts[0], share, str(train), class_name=classes.__getitem__))
    digest = hashlib.sha256("\n".join(source.digest() for source in sources).encode())
    empty = empty_classes(parts[0].labels, parts[1].labels, classes)
    if empty:
        _console.warn(f"{train}: {empty}")
    return LoadedImages(parts[0], parts[1], classes, digest.hexdigest)


def _named(sources, parts, train):
    """Return the parts and the names of the classes: those in the lists, or the labels. Raises DataError."""
    names = class_names(sources, train)
    used = np.union1d(list(names), np.concatenate([part.labels for part in parts])).astype(np.int64)
    if len(names) > 1 and np.array_equal(used, np.arange(len(names))):
        return parts, tuple(names[label] for label in used)
    numbers, first = number_classes(parts[0].labels, used, str(train))
    classes = []
    for label, number in enumerate(numbers, first):
        while label not in names and number in names.values():  # the folder of another class has this name
            number += "_"
        classes.append(names.get(label, number))
    if first:
        _console.warn(f"{train}: labels are counted from 1, so the first class has the name {classes[0]}")
        parts = [replace(part, labels=part.labels - first) for part in parts]
    return parts, tuple(classes)


def class_names(sources: Sequence[ImageRecords], train: Path) -> dict[int, str]:
    """Return the name of the class of each label in the lists of records. Raises DataError if they differ."""
    pairs = {pair for source in sources for pair in source.classes.items()}
    names = dict(pairs)
    if not len(pairs) == len(names) == len(set(names.values())):
        what = f"the lists of {train.name} and of its test images name different classes"
        raise DataError(f"{what}: remove the wrong one, or pack both from one folder")
    return names


def _without(stem, ending):
    return stem[: -len(ending)] if stem.lower().endswith(ending) and len(stem) > len(ending) else stem
