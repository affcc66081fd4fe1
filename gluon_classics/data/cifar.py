"""CIFAR-10's binary files: records of one label byte and 3x32x32 pixels (red, green, blue plane), without a header."""

from __future__ import annotations

import gzip
from pathlib import Path
import tarfile
import zlib

from gluon_classics.errors import DataError
import numpy as np

from .images import Images

ARCHIVE = "cifar-10-binary.tar.gz"
RECORD = 1 + 3 * 32 * 32
TRAIN_FILES = [f"data_batch_{number}.bin" for number in range(1, 6)]
TEST_FILE = "test_batch.bin"


def holds_cifar10(folder) -> bool:
    """Return whether the folder contains any of CIFAR-10's binary files, or their archive."""
    return _files_folder(folder) is not None or Path(folder, ARCHIVE).is_file()


def read_cifar10(folder) -> tuple[Images, Images]:
    """Read the training and the test images from CIFAR-10's binary files or from their archive.

    Args:
        folder: The folder with `data_batch_*.bin` and `test_batch.bin`, or with the archive.

    Returns:
        The training images and the test images, each (N, 32, 32, 3).

    Raises:
        DataError: A file is missing, truncated or not in this format.
    """
    place = _files_folder(folder)
    contents = _from_archive(Path(folder, ARCHIVE)) if place is None else _from_files(place)
    missing = [name for name in (*TRAIN_FILES, TEST_FILE) if name not in contents]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)}: download CIFAR-10's binary version again")
    train = [_records(contents[name], name) for name in TRAIN_FILES]
    images, labels = (np.concatenate(parts) for parts in zip(*train))
    return Images(images, labels), Images(*_records(contents[TEST_FILE], TEST_FILE))


def _files_folder(folder):
    for place in (Path(folder), Path(folder, "cifar-10-batches-bin")):
        if any((place / name).is_file() for name in (*TRAIN_FILES, TEST_FILE)):
            return place
    return None


def _from_files(folder):
    try:
        return {path.name: path.read_bytes() for path in folder.glob("*.bin")}
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from error


def _from_archive(path):
    """Return the contents of the archive's files by file name. Nothing is extracted to the disk."""
    try:
        with gzip.open(path) as whole, tarfile.open(fileobj=whole, mode="r:") as archive:
            members = [member for member in archive if member.name.endswith(".bin")]
            files = {Path(member.name).name: archive.extractfile(member) for member in members if member.isfile()}
            contents = {name: file.read() for name, file in files.items() if file is not None}
            while whole.read(1 << 20):  # read to the end, so that gzip verifies its checksum
                pass
            return contents
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}): delete it and download it again") from error


def _records(content, name):
    if not content or len(content) % RECORD:
        raise DataError(
            f"{name} has {len(content):,} bytes, which is not a multiple of {RECORD:,} (one image): download it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0]
