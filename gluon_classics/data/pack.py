"""Pack images into RecordIO files, which are read faster than a folder and can be copied as one.

The files are those of MXNet's tool im2rec; see `record_files`. Images that OpenCV shows as a viewer does are packed as
they are. Others, such as turned, transparent or 16-bit ones, are packed as PNG files with the pixels that a viewer
shows, because other readers of such files use OpenCV.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import contextlib
from dataclasses import dataclass, replace
import errno
import fcntl
import glob
import hashlib
import os
from pathlib import Path
import time
from typing import Collection, Iterator, NamedTuple, Sequence

import cv2
from gluon_classics import _console, _files, _runtime
from gluon_classics.errors import DataError
import numpy as np

from .classes import enumerate_classes
from .colors import TRANSPARENT_AS, parse_color
from .image_file import header_of, is_plain, pixels_of
from .image_folder import list_folder
from .image_records import INDEX_SUFFIX, LIST_SUFFIX, SUFFIX, ImageRecords
from .images import quiet_decoders
from .record_files import class_names, is_record_file, is_test_name, records_with, test_files
from .record_io import ImageRecord, RecordFile, pack_record, unpack_image
from .split import TEST_SHARE, refuse_share, tested_positions
from .stored_images import ImageFiles, ImageSource, files_digest

CHUNK = 256  # images that are prepared at a time
SAY_EVERY = 10  # seconds between two lines about the progress
PLAN_DIGITS = 16  # of a checksum, in the name of an unfinished file


class _NoImages(DataError):
    """All images of a file or of a class are damaged, so that nothing can be continued."""


class Packed(NamedTuple):
    """A file that was written.

    Attributes:
        path: The .rec file.
        images: The number of images in it.
        left_out: The number of damaged images that were left out, and of those that are lost in a damaged .rec file.
    """

    path: Path
    images: int
    left_out: int


@dataclass(frozen=True)
class _Part:
    """Images to pack into one file, in this order.

    Attributes:
        source: The image files.
        numbers: The number of each image in the source, (N,).
        labels: The label of each image, (N,).
        names: The name of each image in the list, (N,): the class, "/" and the name of the file.
        digest: A checksum of the source.
        classes: The name of the class of each label.
        folder: The folder of the classes; None if the source is a .rec file.
        lost: The number of images that are lost in a damaged .rec file.
    """

    source: ImageSource
    numbers: np.ndarray
    labels: np.ndarray
    names: Sequence[str]
    digest: str
    classes: dict[int, str]
    folder: Path | None = None
    lost: int = 0

    def selected(self, places: np.ndarray) -> _Part:
        """Return the part with the images at these places."""
        names = [self.names[place] for place in places]
        return replace(self, numbers=self.numbers[places], labels=self.labels[places], names=names)

    def lines(self, numbers: Collection[int] | None = None) -> str:
        """Return the list of im2rec: number, label and name in each line.

        With `numbers`, it has only these images, and one line for each class without images, which ends in "/".
        """
        rows = [*enumerate(zip(self.labels, self.names))]
        if numbers is not None:
            rows = [row for row in rows if row[0] in numbers]
            used = {label for _, (label, _) in rows}
            empty = [(label, f"{name}/") for label, name in sorted(self.classes.items()) if label not in used]
            rows += enumerate(empty, len(self.labels))
        return "".join(f"{number}\t{label:f}\t{name}\n" for number, (label, name) in rows)


def pack(
    source,
    out,
    *,
    seed: int = 0,
    test_share: float | None = None,
    transparent_as: str = TRANSPARENT_AS,
    skip_damaged: bool = False,
) -> list[Packed]:
    """Pack a folder of images, or a .rec file again, into OUT.rec with the training images and OUT_test.rec.

    The images of each file are in a random order. An interrupted call is continued by the next one.

    Args:
        source: A folder with one subfolder of images per class, or a .rec file.
        out: The file to write, with the suffix .rec.
        seed: The seed of the order.
        test_share: See `load_folder`.
        transparent_as: See `load_folder`.
        skip_damaged: Whether to leave out damaged images instead of refusing them. Those of a .rec file may be all of a
            class, which is then empty; those of a folder may not, as for the training.

    Returns:
        The files with the training and the test images.

    Raises:
        DataError: The images cannot be read, one of them is damaged, or a file exists.
        OSError: A file cannot be written.
    """
    out = Path(_files.user_path(out, DataError))
    if out.suffix != SUFFIX:
        raise DataError(f"{out} must end with {SUFFIX}: rename it")
    if is_test_name(out):
        raise DataError(f"{out} has the name of test images, which get a file of their own: give another name")
    if not out.parent.is_dir():
        raise DataError(f"there is no folder {out.parent}: make it first")
    paths = (out, test_files(out)[0])
    matte = parse_color(transparent_as)
    source = Path(_files.user_path(source, DataError))
    parts = _parts_of_records(source, skip_damaged) if is_record_file(source) else _parts_of_folder(source)
    if len(parts) == 1:
        parts = _split(parts[0], test_share or TEST_SHARE)
    else:
        refuse_share(test_share, source)
    random = np.random.RandomState(seed % 2**32)
    parts = [part.selected(random.permutation(len(part.labels))) for part in parts]
    is_interrupted = _place(out, parts[0], matte).exists()
    for path, part in zip(paths, parts):
        _refuse_existing(path, part, matte, is_interrupted)
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(_Writer.begin(path, part, matte)) for path, part in zip(paths, parts)]
        try:
            packed = [writer.write(skip_damaged) for writer in writers]
        except _NoImages:
            for writer in writers:
                writer.discard()
            raise
        for writer in reversed(writers):  # the training images last: they are what a user names
            writer.finish()
    return packed


def _refuse_existing(path, part, matte, is_interrupted):
    """Raise DataError if a file would be replaced that is not of an interrupted call with the same images.

    Such a call may have named the test images already. They become an unfinished file again, without missing images.
    """
    place = _place(path, part, matte)
    if is_interrupted and not place.exists() and path.is_file() and _is_packed(path, part):
        os.replace(path, place)
    for each in (path, *(path.with_suffix(suffix) for suffix in (INDEX_SUFFIX, LIST_SUFFIX))):
        if os.path.lexists(each) and (each == path or not place.exists()):
            raise DataError(f"{each} exists: remove it, or give another name")


def _is_packed(path, part):
    """Return whether a .rec file has whole records of these images only, and the list of them."""
    try:
        records = RecordFile(path)
        numbers = {unpack_image(records.record(offset, "")[0], "").number for offset in records.offsets()}
        text = path.with_suffix(LIST_SUFFIX).read_bytes().decode("utf-8", "surrogateescape")
    except (DataError, OSError):
        return False
    return text == part.lines(numbers)


def _place(path, part, matte):
    """Return where the unfinished file of these images is."""
    facts = f"{matte}\n{part.digest}\n{part.lines()}"
    plan = hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:PLAN_DIGITS]
    return path.with_name(f".{path.stem}-{plan}.part")


def _parts_of_folder(folder):
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: give a folder with one subfolder of images per class")
    parts = []
    for place, files in list_folder(folder):
        paths = [path for each in files.values() for path in each.files]
        start = len(os.path.join(place, ""))
        labels = np.repeat(np.arange(len(files)), [len(each.files) for each in files.values()])
        listing: list[tuple[Path, dict[str, Sequence[str]]]] = [
            (place, {name: each.files for name, each in files.items()})
        ]
        digest = files_digest(listing, allow_unreadable=True)  # they are refused or left out like damaged ones
        names = [path[start:] for path in paths]
        classes = dict(enumerate(files))
        parts.append(_Part(ImageFiles(paths), np.arange(len(paths)), labels, names, digest, classes, place))
    for name in (name for part in parts for name in part.names):
        if "\t" in name or "\n" in name or "\r" in name:
            raise DataError(f"{name!r} has a tab or a line break in its name: rename it")
    return parts


def _parts_of_records(path, skip_damaged):
    if not path.is_file():
        raise DataError(f"there is no file {path}: give a folder or a .rec file")
    sources = [ImageRecords(each, skip_damaged) for each in records_with(path) if each]
    classes = class_names(sources, path)
    parts = []
    for source in sources:
        labels = source.labels.astype(np.int64)
        names, digest = source.image_names(classes), source.digest(samples=False)
        parts.append(_Part(source, np.arange(len(source)), labels, names, digest, classes, lost=source.lost))
    return parts


def _split(part, share):
    is_test = np.zeros(len(part.labels), bool)
    for label in np.unique(part.labels):
        places = np.flatnonzero(part.labels == label)
        name = part.classes.get(int(label), str(label))
        what = str(part.folder / name) if part.folder else f"class {name}"
        try:
            is_test[places] = tested_positions(len(places), share, what, "test images")
        except DataError:
            if not part.lost:  # else what is left are training images
                raise
    train, test = (part.selected(np.flatnonzero(each)) for each in (~is_test, is_test))
    return [train, replace(test, lost=0)]


@contextlib.contextmanager
def _locked(place, path):
    """Open the unfinished file of `path`. Raises DataError if another process writes it."""
    with open(place, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            is_locked = error.errno != errno.EWOULDBLOCK  # a file system without locks: go on
        else:
            is_locked = True
        is_there = is_locked and place.exists() and os.path.samestat(os.fstat(file.fileno()), os.stat(place))
        if not is_there:  # or it has just given the file its name
            raise DataError(f"another process is writing {path}: wait until it ends, or stop it")
        yield file


class _Writer:
    """Writes a .rec file, under another name until it is complete. Continues what an interrupted process wrote."""

    def __init__(self, path, part, matte, place, file):
        self._path, self._part, self._matte = path, part, matte
        self._place, self._file = place, file
        self._offsets: dict[int, int] = {}

    @classmethod
    @contextlib.contextmanager
    def begin(cls, path: Path, part: _Part, matte: tuple[int, int, int]) -> Iterator[_Writer]:
        """Open the unfinished file of these images, or begin one. Raises DataError if another process writes it."""
        place = _place(path, part, matte)
        for other in path.parent.glob(f".{glob.escape(path.stem)}-{'?' * PLAN_DIGITS}.part"):
            if other != place:
                with _locked(other, path):
                    other.unlink()
                _console.say(f"The images or the options have changed since {path} was begun: it is begun again.")
        with _locked(place, path) as file:
            try:
                yield cls(path, part, matte, place, file)
            finally:
                with contextlib.suppress(OSError):  # the disk is full
                    file.flush()
                if place.exists():  # it does not have its name yet
                    if os.fstat(file.fileno()).st_size:
                        _console.warn(f"{place} has what was packed: repeat the command to continue, or remove it")
                    else:
                        place.unlink()

    def write(self, skip_damaged: bool) -> Packed:
        """Write all images that are missing."""
        total = len(self._part.labels)
        start = self._whole_records()
        if start:
            _console.say(f"{self._path}: continuing after {start:,} of {total:,} images.")
        missing = [number for number in range(start) if number not in self._offsets]
        numbers = [*missing, *range(start, total)]
        last_line = time.monotonic()
        with quiet_decoders(), ThreadPoolExecutor(_runtime.usable_cores()) as pool:
            for first in range(0, len(numbers), CHUNK):
                chunk = numbers[first : first + CHUNK]
                for number, content in zip(chunk, pool.map(self._prepared, chunk)):
                    if isinstance(content, DataError):
                        if not skip_damaged:
                            raise DataError(f"{content}, or leave it out with --skip-damaged") from content
                        _console.warn(f"Left out: {content}")
                    elif number >= start:  # else it was damaged before
                        self._offsets[number] = self._file.tell()
                        self._file.write(pack_record(ImageRecord(self._part.labels[number], number, content)))
                self._file.flush()
                if time.monotonic() - last_line > SAY_EVERY:
                    last_line = time.monotonic()
                    _console.say(f"{self._path}: {chunk[-1] + 1:,} of {total:,} images")
        left_out = total - len(self._offsets) + self._part.lost
        self._check_classes()
        return Packed(self._path, len(self._offsets), left_out)

    def _check_classes(self):
        """Raise DataError or warn if there are no whole images of a class. A user can remove the class of a folder."""
        folder, labels = self._part.folder, self._part.labels
        if not self._offsets:
            remedy = f"Replace some in {folder}" if folder else "Get the .rec file again"
            raise _NoImages(f"{self._path} would have no images: all are damaged. {remedy}")
        kept = set(labels[list(self._offsets)].tolist())
        empty = sorted({*labels.tolist(), *self._part.classes} - kept)
        names = [self._part.classes.get(label, str(label)) for label in empty]
        if names and folder:
            part = "test" if is_test_name(self._path) else "training"
            what = f"all {part} images of {enumerate_classes(names)} in {folder} are damaged"
            raise _NoImages(f"{what}: replace some, or remove the class")
        if names:
            _console.warn(f"{self._path} has no images of {enumerate_classes(names)}")

    def discard(self) -> None:
        """Remove the file."""
        self._place.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name, and write its index and its list. The .rec file comes last, so it is complete."""
        self._file.flush()
        os.fsync(self._file.fileno())
        index = "".join(f"{number}\t{offset}\n" for number, offset in self._offsets.items())
        _files.write_text(self._path.with_suffix(INDEX_SUFFIX), index)
        with _files.atomic_path(self._path.with_suffix(LIST_SUFFIX)) as temporary:
            Path(temporary).write_bytes(self._part.lines(self._offsets).encode("utf-8", "surrogateescape"))
        os.replace(self._place, self._path)

    def _whole_records(self):
        """Note the records that an earlier process wrote, cut off the rest, and return how many images are done."""
        records = RecordFile(self._place)
        offset = done = 0
        with contextlib.suppress(DataError):  # the last record is cut off
            while offset < records.size:
                content, end = records.record(offset, "")
                image = unpack_image(content, "")
                self._offsets[image.number] = offset
                offset, done = end, image.number + 1
        self._file.truncate(offset)
        self._file.seek(offset)
        return done

    def _prepared(self, number):
        """Return the content of an image to pack, or the DataError if it is damaged."""
        place = int(self._part.numbers[number])
        try:
            content = self._part.source.content(place)
            header = header_of(content, self._part.source.name(place))
            pixels = pixels_of(content, header, self._matte)
        except DataError as error:
            return error
        if is_plain(content, header):
            return content
        _, png = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
        return png.tobytes()
