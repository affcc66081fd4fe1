"""IDX files: headers, lengths, number types, gzip and labels, held against a reader of eleven lines."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib

import numpy as np

from .case import Call, Case, Command
from .mutations import LENGTHS, cut, mutate_bytes

CASES = 320
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


class Unreadable(Exception):
    """A file is not IDX."""


def read(content: bytes) -> np.ndarray:
    """Return the array of a plain or gzipped IDX file, by the format's definition."""
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        zero, code, dimensions = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        data = content[4 + 4 * dimensions :]
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise Unreadable(str(error)) from error
    if zero or code not in TYPES or len(data) != math.prod(shape) * np.dtype(TYPES[code]).itemsize:
        raise Unreadable("the header does not fit")
    return np.frombuffer(data, TYPES[code]).reshape(shape)


def write(array: np.ndarray, code: int = 8) -> bytes:
    """Return an array as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.astype(TYPES[code]).tobytes()


def _arrays(rng, side=None, classes=None):
    side, classes = side or rng.randint(1, 12), classes or rng.randint(2, 10)
    generator = np.random.RandomState(rng.getrandbits(32))
    arrays = []
    for count in (rng.randint(10, 30), rng.randint(10, 14)):
        labels = np.concatenate([np.arange(classes), generator.randint(classes, size=count - classes)])
        arrays += [generator.randint(256, size=(count, side, side)), labels]
    return arrays


def _contents(rng, **options):
    return [write(array) for array in _arrays(rng, **options)]


def _place(contents, rng, place):
    """Write the four files, each plain or gzipped, and return their folder."""
    folder = place.folder / "set"
    folder.mkdir()
    for name, content in zip(NAMES, contents):
        if rng.random() < 0.5 or content[:2] == b"\x1f\x8b":
            (folder / name).write_bytes(content)
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
    return folder


def _case(what, contents, rng, place, wrong=None):
    """Return the case of loading four files. They must be refused if they cannot be read by the definition."""
    folder = _place(contents, rng, place)
    try:
        expected = [read(content) for content in contents]
    except Unreadable:
        expected = None
    if expected is None or not _fits(expected):
        wrong = True
    return Case(what, _load(folder), wrong, lambda answer: difference(answer, *expected), _files(folder))


def _fits(arrays):
    """Return whether arrays are images and labels: as many, at least one, and of one size."""
    train, train_labels, test, test_labels = arrays
    pairs = ((train, train_labels), (test, test_labels))
    if any(images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) for images, labels in pairs):
        return False
    if train.shape[1:] != test.shape[1:] or not train.size or not test.size:
        return False
    every = np.concatenate([train_labels, test_labels])
    return bool((every >= 0).all() and (every == np.floor(every)).all())


def _load(folder):
    from gluon_classics.data.datasets import load_dataset

    return Call(lambda: load_dataset(str(folder)))


def _files(folder):
    return tuple(path for path in folder.iterdir() if path.is_file())


def difference(answer, *expected) -> str | None:
    """Return how a loaded data set differs from four arrays, or None."""
    data = answer.value
    for part, images, labels in ((data.train, *expected[:2]), (data.test, *expected[2:])):
        if not np.array_equal(part.images[..., 0], images):
            return "other pixels than the file has"
        names = [str(int(label)) for label in labels]
        if data.classes and [data.classes[int(label)] for label in part.labels] != names:
            return "other labels than the file has"
    missing = set(range(len(data.classes))) - set(data.train.labels.tolist())
    if missing and not answer.said.strip():
        return f"{len(missing)} of {len(data.classes)} classes have no training image, and nothing says so"
    return None


def valid(rng, place):
    return _case("four right files", _contents(rng), rng, place, wrong=False)


def header_bytes(rng, place):
    contents = _contents(rng)
    which = rng.randrange(4)
    contents[which] = mutate_bytes(contents[which], rng, 0, 16 if which % 2 == 0 else 8)
    return _case(f"changed header of {NAMES[which]}", contents, rng, place)


def claimed_lengths(rng, place):
    contents = _contents(rng)
    which = rng.randrange(4)
    field = rng.randrange(1, 4 if which % 2 == 0 else 2)
    number = rng.choice(LENGTHS)
    content = bytearray(contents[which])
    content[4 * field : 4 * field + 4] = struct.pack(">I", number)
    contents[which] = bytes(content)
    return _case(f"{NAMES[which]} claims {number} in place {field}", contents, rng, place)


def number_types(rng, place):
    arrays = _arrays(rng)
    codes = [rng.choice(list(TYPES)) for _ in arrays]
    contents = [
        write(array % 128 if code == 9 else array, code if rng.random() < 0.6 else 8)
        for array, code in zip(arrays, codes)
    ]
    return _case(f"number types {[content[2] for content in contents]}", contents, rng, place)


def other_lengths(rng, place):
    contents = _contents(rng)
    which = rng.randrange(4)
    content = contents[which]
    contents[which] = cut(content, rng) if rng.random() < 0.6 else content + bytes(rng.randint(1, 3000))
    return _case(f"{NAMES[which]} has {len(contents[which]) - len(content):+} bytes", contents, rng, place)


def gzip_bytes(rng, place):
    contents = _contents(rng)
    which = rng.randrange(4)
    packed = gzip.compress(contents[which], 6)
    contents[which] = cut(packed, rng) if rng.random() < 0.3 else mutate_bytes(packed, rng)
    return _case(f"changed gzip of {NAMES[which]}", contents, rng, place)


def gzip_members(rng, place):
    contents = _contents(rng)
    which = rng.randrange(4)
    half = rng.randrange(len(contents[which]))
    contents[which] = gzip.compress(contents[which][:half]) + gzip.compress(contents[which][half:])
    return _case("a gzip file of two members", contents, rng, place)


def gzip_bomb(rng, place):
    contents = _contents(rng)
    which = rng.randrange(4)
    zeros = gzip.compress(bytes(1 << 26), 1)
    contents[which] = gzip.compress(contents[which]) + zeros * 24
    folder = _place(contents, rng, place)
    return Case("1.6 GB behind a small header", _load(folder), True)


def labels(rng, place):
    arrays = _arrays(rng)
    used = rng.choice(((1, 26), (0, 255), (7,), (255,), (0, 1, 2, 9), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)))
    for which in (1, 3):
        arrays[which] = np.resize(used, len(arrays[which]))
    return _case(f"labels {used}", [write(array) for array in arrays], rng, place)


def counts(rng, place):
    arrays = _arrays(rng)
    which = rng.randrange(4)
    arrays[which] = arrays[which][: rng.choice((0, 1, len(arrays[which]) - 1))]
    return _case(f"fewer in {NAMES[which]}", [write(array) for array in arrays], rng, place)


def exchanged(rng, place):
    contents = _contents(rng)
    first, second = rng.sample(range(4), 2)
    contents[first], contents[second] = contents[second], contents[first]
    return _case(f"{NAMES[first]} and {NAMES[second]} exchanged", contents, rng, place)


def odd_files(rng, place):
    folder = _place(_contents(rng), rng, place)
    path = rng.choice(_files(folder))
    kind = rng.choice(("missing", "empty", "folder", "pipe", "loop", "endless", "text", "archive"))
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("loop", "endless"):
        path.symlink_to(path if kind == "loop" else "/dev/zero")
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"<!DOCTYPE html>", "archive": b"PK\3\4" + bytes(99)}[kind])
    return Case(f"{path.name} is {kind}", _load(folder), True)


def evaluated(rng, place):
    contents = _contents(rng, side=28, classes=10)
    which = rng.randrange(4)
    contents[which] = rng.choice((cut, mutate_bytes))(contents[which], rng)
    folder = _place(contents, rng, place)
    return Case("evaluate on changed files", Command.of("evaluate", place.world / "whole", "--data", folder, "--json"))


KINDS = (
    *(valid, header_bytes, claimed_lengths, number_types, other_lengths, gzip_bytes, gzip_members, labels, counts),
    *(exchanged, odd_files, evaluated, header_bytes, claimed_lengths, gzip_bytes, gzip_bomb),
)
