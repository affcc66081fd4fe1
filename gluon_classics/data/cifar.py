"""CIFAR-10 and CIFAR-100, each in its binary and its Python version, as files or as the published archives.

The binary version has records of label bytes and 3x32x32 pixels (red, green, blue plane), without a header. CIFAR-100
has two label bytes: the superclass and the class. The Python version has pickles; see `cifar_pickle`. The class is
used, not the superclass.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
import functools

from gluon_classics.errors import DataError
import numpy as np

from .cifar_pickle import read_pickle
from .found import Contents, Found
from .images import Images
from .memory import require_memory
from .storage import StoredFile, empty_array

PIXELS = 3 * 32 * 32
MAX_PICKLE = 300_000_000  # bytes; CIFAR-100's training images have 155,261,897
MAX_NAMES = 10_000  # bytes of the list of class names


@dataclass(frozen=True)
class Version:
    """One of the four versions.

    Attributes:
        name: The name of the data set.
        train: The names of the files with training images.
        test: The name of the file with test images.
        names: The name of the file with the names of the classes. It may be missing in the binary version.
        labels: The number of label bytes; the key of the labels in the Python version.
    """

    name: str
    train: tuple[str, ...]
    test: str
    names: str
    labels: int | str

    @property
    def is_python(self) -> bool:
        """Whether the files are pickles."""
        return isinstance(self.labels, str)


BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
VERSIONS = (
    Version("cifar10", tuple(f"{batch}.bin" for batch in BATCHES), "test_batch.bin", "batches.meta.txt", 1),
    Version("cifar10", BATCHES, "test_batch", "batches.meta", "labels"),
    Version("cifar100", ("train.bin",), "test.bin", "fine_label_names.txt", 2),
    Version("cifar100", ("train",), "test", "meta", "fine_labels"),
)


def find_cifar(files: list[StoredFile]) -> list[Found]:
    """Return the versions of CIFAR-10 and CIFAR-100, complete or not, that have the published file names."""
    folders: dict = defaultdict(lambda: defaultdict(list))
    for file in files:
        folders[file.pure.parent][file.pure.name].append(file)
    return [
        _found(version, folder, named)
        for folder, named in sorted(folders.items())
        for version in VERSIONS
        if _is_version(version, named)
    ]


def _is_version(version, named):
    """Return whether the files are of a version. Files named only "train" and "test" may be something else."""
    if version.names == "meta":
        return version.names in named and (version.test in named or version.train[0] in named)
    return any(name in named for name in (*version.train, version.test))


def _found(version, folder, named):
    wanted = (*version.train, version.test, *((version.names,) if version.is_python else ()))
    return Found(
        what=f"{version.name}'s {'Python' if version.is_python else 'binary'} files"
        + (f" in {folder}" if folder.name else ""),
        files=tuple(file for name in (*wanted, version.names) for file in named.get(name, ())),
        missing=tuple(name for name in wanted if name not in named),
        names=(version.name,),
        read=functools.partial(_read, version, named),
    )


def _read(version, named) -> Contents:
    twice = [name for name in (*version.train, version.test, version.names) if len(named.get(name, ())) > 1]
    if twice:
        raise DataError(f"{named[twice[0]][0]} is there twice: remove one of both")
    read = _read_pickled if version.is_python else _read_records
    train_files = [named[name][0] for name in version.train]
    require_memory(2 * sum(file.size for file in train_files), str(train_files[0]))
    parts = [read(version, file) for file in train_files]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts))
    classes = _class_names(version, named[version.names][0]) if version.names in named else None
    return Contents(Images(images, labels), Images(*read(version, named[version.test][0])), classes)


def _read_records(version, file):
    size = version.labels + PIXELS
    with file.reading() as reader:
        if reader.is_packed or not reader.limit or reader.limit % size:
            raise DataError(
                f"{file} has {reader.limit:,} bytes, which is not a multiple of {size:,} (one image): get it again"
            )
        content = empty_array(reader.limit, str(file))
        count = reader.fill(content)
        if count < len(content):
            raise DataError(f"{file} ends after {count:,} of {len(content):,} bytes: get it again")
    records = content.reshape(-1, size)
    return _channels_last(records[:, version.labels :]), np.array(records[:, version.labels - 1])


def _read_pickled(version, file):
    entries = _entries(file)
    pixels, labels = entries.get("data"), entries.get(version.labels)
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{file} lacks the arrays data and {version.labels}: it is not a file of {version.name}")
    if pixels.ndim != 2 or pixels.shape[1] != PIXELS or not len(pixels):
        raise DataError(f"{file} has images of the shape {pixels.shape}, not N x {PIXELS:,}: get it again")
    if len(labels) != len(pixels):
        raise DataError(f"{file} has {len(pixels):,} images, but {len(labels):,} labels: get it again")
    if not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise DataError(f"{file} has labels that are not numbers from 0 to 255: get it again")
    return _channels_last(pixels), np.array(labels, np.uint8)


def _entries(file):
    with file.reading() as reader:
        return read_pickle(reader.everything(MAX_PICKLE), str(file))


def _channels_last(planes):
    return np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _class_names(version, file):
    if version.is_python:
        names = _entries(file).get("label_names" if version.name == "cifar10" else "fine_label_names")
    else:
        with file.reading() as reader:
            names = reader.everything(MAX_NAMES).decode("utf-8", "replace").split()
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, (str, bytes)) for name in names):
        raise DataError(f"{file} has no list of class names: get it again")
    return tuple(name if isinstance(name, str) else name.decode("latin-1") for name in names)
