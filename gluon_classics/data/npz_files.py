"""NumPy's files: .npz archives with the arrays of a data set, and .npy files. No pickle in them is read.

The names of arrays say what they are: `x_train`, `y_train`, `x_test` and `y_test` as Keras has them, `train_images`,
`train_labels` and so on, or `images` and `labels`. In an archive with one unnamed array, the name of the file does.
"""

from __future__ import annotations

from collections import defaultdict
import contextlib
from dataclasses import dataclass
import functools
import math
import zipfile

from gluon_classics._format import format_shape
from gluon_classics._npy_header import read_npy_header
from gluon_classics.errors import DataError

from .found import IMAGES, LABELS, TRAIN, Arrays, Contents, Found, check_counts, parts_to_read, role_of, to_contents
from .memory import require_memory
from .storage import FileReader, StoredFile, empty_array, read_errors

_IGNORED = ("npz", "npy", "arr", "0", "uint8")


@dataclass(frozen=True)
class _Array:
    """An array in a .npy file, or in a member of a .npz archive."""

    file: StoredFile
    member: str | None

    def __str__(self):
        return str(self.file) if self.member is None else f"{self.member[:-4]} in {self.file}"

    @contextlib.contextmanager
    def reading(self):
        if self.member is None:
            with self.file.reading() as reader:
                yield reader
            return
        with read_errors(str(self)), self.file.opener() as stream, zipfile.ZipFile(stream) as archive:
            info = archive.getinfo(self.member)
            with archive.open(info) as content:
                yield FileReader(str(self), content, info.file_size, info.compress_type != zipfile.ZIP_STORED)


def find_npz_files(files: list[StoredFile]) -> list[Found]:
    """Return the data sets in .npz and .npy files, complete or not."""
    sets: dict[tuple, dict] = defaultdict(lambda: defaultdict(list))
    for file in files:
        name = file.pure.name.lower()
        if name.endswith(".npz"):
            members = _members(file)
            for member in members:
                is_unnamed = len(members) == 1 and member.startswith("arr_")
                place = file.pure.parent if is_unnamed else file.pure
                _sort_in(sets, place, file.pure.name if is_unnamed else member, _Array(file, member))
        elif name.endswith(".npy"):
            _sort_in(sets, file.pure.parent, file.pure.name, _Array(file, None))
    return [_found(place, rest, arrays) for (place, rest), arrays in sorted(sets.items()) if _has_both(arrays)]


def _members(file):
    with read_errors(str(file)), file.opener() as stream, zipfile.ZipFile(stream) as archive:
        return [name for name in archive.namelist() if name.endswith(".npy")]


def _sort_in(sets, place, name, array):
    role = role_of(name, _IGNORED)
    if role.kind:
        sets[place, role.rest][role.part or TRAIN, role.kind].append(array)


def _has_both(arrays):
    return {kind for _, kind in arrays} == {IMAGES, LABELS}


def _found(place, rest, arrays):
    parts = {part for part, _ in arrays}
    wanted = [(part, kind) for part in (TRAIN, *sorted(parts - {TRAIN})) for kind in (IMAGES, LABELS)]
    files = dict.fromkeys(array.file for same in arrays.values() for array in same)
    stem = role_of(place.name, _IGNORED).rest if place.name.lower().endswith(".npz") else ""
    return Found(
        what=f"arrays in {place}" if place.name else "arrays",
        files=tuple(files),
        missing=tuple(f"{part}_{kind}" for part, kind in wanted if (part, kind) not in arrays),
        names=tuple(name for name in (rest, stem, *reversed(place.parts)) if name),
        read=functools.partial(_read, arrays),
    )


def _read(arrays) -> Contents:
    twice = [same for same in arrays.values() if len(same) > 1]
    if twice:
        raise DataError(f"{twice[0][0]} and {twice[0][1]} have the same role: remove one of them")
    parts, notes = parts_to_read({part for part, _ in arrays})
    pairs = [(arrays[part, IMAGES][0], arrays[part, LABELS][0]) for part in parts]
    need = 0
    for images, labels in pairs:
        (shape, size), (labels_shape, _) = _shape_and_size(images), _shape_and_size(labels)
        check_counts((*shape, 0)[0], (*labels_shape, 0)[0], str(images), str(labels))
        need += size
    require_memory(need, str(pairs[0][0]))
    return to_contents([Arrays(*map(_content, pair), *map(str, pair)) for pair in pairs], notes)


def _shape_and_size(array):
    with array.reading() as reader:
        shape, dtype, _ = _header(reader)
        return shape, math.prod(shape) * dtype.itemsize


def _content(array):
    with array.reading() as reader:
        shape, dtype, order = _header(reader)
        content = empty_array(math.prod(shape) * dtype.itemsize, str(array))
        if reader.fill(content) < len(content) or reader.has_more():
            raise DataError(f"{array} does not have the {format_shape(shape)} values of its header: save it again")
    values = content.view(dtype).reshape(shape, order=order)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(reader):
    """Read the header of a .npy file: its shape, type and order."""
    try:
        shape, dtype, order = read_npy_header(reader.start)
    except ValueError as error:
        raise DataError(f"{reader.name} {error}: save it again with numpy.savez or numpy.save") from error
    if dtype.hasobject:
        raise DataError(f"{reader.name} contains Python objects, which are not read: save an array of numbers")
    if math.prod(shape) * dtype.itemsize > reader.limit:
        raise DataError(f"{reader.name} is shorter than its header says ({format_shape(shape)}): save it again")
    return shape, dtype, order
