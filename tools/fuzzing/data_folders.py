"""Other data sets that people have: CIFAR in its versions, .npz, CSV, and IDX files under other names."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
import pickle
import tarfile
import warnings
import zipfile

import numpy as np

from . import idx_files
from .case import Call, Case
from .mutations import cut, mutate_bytes

CASES = 260
CIFAR10 = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
NAMES = {  # common names of the four IDX files
    "dots": ("train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
    "upper": tuple(name.upper() for name in idx_files.NAMES),
    "emnist": tuple(
        f"emnist-digits-{part}-{kind}-ubyte" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
    ),
    "test": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "test-images-idx3-ubyte", "test-labels-idx1-ubyte"),
}


def _load(folder):
    from gluon_classics.data.datasets import load_dataset

    return Call(lambda: load_dataset(str(folder)))


def _generator(rng):
    return np.random.RandomState(rng.getrandbits(32))


def _difference(answer, train, test) -> str | None:
    """Return how a loaded data set differs from pairs of images (N, H, W, C) and labels, or None."""
    data = answer.value
    for part, (images, labels) in ((data.train, train), (data.test, test)):
        if not np.array_equal(part.images, images):
            return "other images than the files have"
        if not np.array_equal(part.labels, labels):
            return "other labels than the files have"
    return None


def _case(what, place, wrong, check):
    files = tuple(path for path in (place.folder / "set").rglob("*") if path.is_file())
    return Case(what, _load(place.folder / "set"), wrong, check, files)


def _folder(place) -> Path:
    folder = place.folder / "set"
    folder.mkdir()
    return folder


# --- CIFAR


def _cifar(rng, count=2, classes=10):
    """Return images (N, 3072) in planes and labels of each of the six files."""
    generator = _generator(rng)
    return [
        (generator.randint(256, size=(count, 3072)).astype(np.uint8), generator.randint(classes, size=count))
        for _ in CIFAR10
    ]


def _parts(batches):
    """Return the training and the test images (N, 32, 32, 3) with their labels."""
    images = [pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) for pixels, _ in batches]
    labels = [labels for _, labels in batches]
    return (np.concatenate(images[:-1]), np.concatenate(labels[:-1])), (images[-1], labels[-1])


def _records(pixels, labels):
    return np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1).tobytes()


def _is_right(contents):
    return all(len(content) and len(content) % 3073 == 0 and max(content[::3073]) < 10 for content in contents.values())


def cifar_binary(rng, place):
    folder, batches = _folder(place), _cifar(rng)
    contents = {f"{name}.bin": _records(*batch) for name, batch in zip(CIFAR10, batches)}
    kind = rng.choice(("right", "bytes", "length", "missing", "label", "empty"))
    name = rng.choice(list(contents))
    if kind == "bytes":
        contents[name] = mutate_bytes(contents[name], rng)
    elif kind == "length":
        contents[name] = cut(contents[name], rng)
    elif kind == "label":
        contents[name] = bytes([rng.randint(10, 255)]) + contents[name][1:]
    elif kind == "empty":
        contents[name] = b""
    elif kind == "missing":
        del contents[name]
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    if kind == "missing":
        return _case(f"without {name}", place, True, lambda answer: None)
    if not _is_right(contents):
        return _case(f"CIFAR-10, {name}: {kind}", place, True, lambda answer: None)
    arrays = [np.frombuffer(contents[f"{file}.bin"], np.uint8).reshape(-1, 3073) for file in CIFAR10]
    expected = _parts([(array[:, 1:], array[:, 0]) for array in arrays])
    wrong = False if kind == "right" else None
    return _case(f"CIFAR-10, {name}: {kind}", place, wrong, lambda answer: _difference(answer, *expected))


def cifar_archive(rng, place):
    folder, batches = _folder(place), _cifar(rng)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, batch in zip(CIFAR10, batches):
            content = _records(*batch)
            member = tarfile.TarInfo(rng.choice(("", "cifar-10-batches-bin/")) + f"{name}.bin")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    content = stream.getvalue()
    if rng.random() < 0.8:
        if rng.random() < 0.5:
            content = mutate_bytes(content, rng)
        else:  # damage under a right checksum
            content = gzip.compress(mutate_bytes(gzip.decompress(content), rng, 0, 600))
    (folder / "cifar-10-binary.tar.gz").write_bytes(content)
    expected = _parts(batches)
    return _case("the archive of CIFAR-10", place, None, lambda answer: _difference(answer, *expected))


class _Restricted(pickle._Unpickler):
    """Python's own reader of pickles, which imports NumPy's arrays and nothing else."""

    def find_class(self, module, name):
        is_array = name in ("_reconstruct", "_frombuffer") and module.startswith("numpy")
        if is_array or (module, name) in (("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def _python_batch(content):
    """Return the images and labels of a pickle, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            held = _Restricted(io.BytesIO(content), encoding="latin1").load()
            held = {key.decode() if isinstance(key, bytes) else key: value for key, value in held.items()}
            pixels, labels = held["data"], np.asarray(held["labels"])
            is_right = pixels.dtype == np.uint8 and pixels.shape[1:] == (3072,) and labels.shape == pixels.shape[:1]
            is_right = is_right and labels.dtype.kind in "iu" and len(labels) and 0 <= labels.min() <= labels.max() < 10
            return (pixels, labels) if is_right else None
        except Exception:
            return None


class _Evil:
    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


def cifar_python(rng, place):
    folder, batches = _folder(place), _cifar(rng)
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [f"c{n}" for n in range(10)]}, 2))
    contents = {}
    for name, (pixels, labels) in zip(CIFAR10, batches):
        key = (lambda text: text.encode()) if rng.random() < 0.5 else str
        held = {key("batch_label"): "x", key("labels"): labels.tolist(), key("data"): pixels}
        contents[name] = pickle.dumps(held, rng.choice((2, 2, 3, 4)))
    name = rng.choice(CIFAR10)
    kind = rng.choice(("right", "bytes", "start", "cut", "evil", "other", "number"))
    hit = place.folder / "executed"
    content = contents[name]
    contents[name] = {
        "right": lambda: content,
        "bytes": lambda: mutate_bytes(content, rng),
        "start": lambda: mutate_bytes(content, rng, 0, 200),
        "cut": lambda: cut(content, rng),
        "evil": lambda: pickle.dumps({"data": batches[0][0], "labels": _Evil(hit)}, 2),
        "other": lambda: pickle.dumps(rng.choice((None, [], {}, {"data": 3, "labels": 4}, b"x", 10**400)), 2),
        "number": lambda: b"I" + b"9" * 50_000 + b"\n.",
    }[kind]()
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    read = [_python_batch(contents[file]) for file in CIFAR10]
    expected = [_parts(batches)] + ([_parts(read)] if all(read) else [])

    def check(answer):
        if hit.exists():
            return "a pickle was executed"
        found = [_difference(answer, *parts) for parts in expected]
        return None if None in found else found[0]

    wrong = {"right": False, "evil": True, "other": True, "number": True}.get(kind)
    return _case(f"CIFAR-10 for Python, {name}: {kind}", place, wrong, check)


def cifar100(rng, place):
    folder = _folder(place)
    (train, labels), *_, (test, test_labels) = _cifar(rng, 20, 100)
    for name, pixels, fine in (("train", train, labels), ("test", test, test_labels)):
        coarse = np.zeros_like(fine)
        content = np.concatenate([coarse[:, None], fine[:, None], pixels], axis=1).astype(np.uint8).tobytes()
        (folder / f"{name}.bin").write_bytes(cut(content, rng) if name == "test" and rng.random() < 0.3 else content)
    expected = _parts([(train, labels), (test, test_labels)])
    return _case("CIFAR-100", place, None, lambda answer: _difference(answer, *expected))


# --- .npz and CSV


def _small(rng, side=6, classes=4):
    generator = _generator(rng)
    parts = []
    for count in (20, 8):
        labels = np.resize(np.arange(classes), count)
        parts += [generator.randint(256, size=(count, side, side)).astype(np.uint8), labels]
    return parts


def npz(rng, place):
    folder = _folder(place)
    train, train_labels, test, test_labels = _small(rng)
    arrays = {"x_train": train, "y_train": train_labels, "x_test": test, "y_test": test_labels}
    name = rng.choice(list(arrays))
    array = arrays[name]
    kind = rng.choice(
        (
            "right",
            "missing",
            "object",
            "float",
            "complex",
            "text",
            "shape",
            "short",
            "NaN",
            "negative",
            "one-hot",
            "large",
        )
    )
    changed = {
        "object": lambda: array.astype(object),
        "float": lambda: array / 255,
        "complex": lambda: array.astype(complex),
        "text": lambda: array.astype(str),
        "shape": lambda: array[None],
        "short": lambda: array[:-1],
        "NaN": lambda: np.where(array == array.flat[0], np.nan, array),
        "negative": lambda: array.astype(int) - 300,
        "one-hot": lambda: np.eye(256)[array.astype(int)],
        "large": lambda: array.astype(int) + 1000,
    }
    if kind == "missing":
        del arrays[name]
    elif kind != "right":
        arrays[name] = changed[kind]()
    (np.savez if rng.random() < 0.5 else np.savez_compressed)(folder / "set.npz", **arrays)
    wrong = {"right": False, "float": None, "one-hot": None, "missing": None, "object": None}.get(kind, True)
    expected = (train[..., None], train_labels), (test[..., None], test_labels)
    is_same = kind in ("right", "object")  # numbers as objects are pickled: refused, or read as they are
    return _case(
        f".npz, {name}: {kind}", place, wrong, lambda answer: _difference(answer, *expected) if is_same else None
    )


def npz_bytes(rng, place):
    folder = _folder(place)
    train, train_labels, test, test_labels = _small(rng)
    stream = io.BytesIO()
    np.savez(stream, x_train=train, y_train=train_labels, x_test=test, y_test=test_labels)
    content = stream.getvalue()
    content = cut(content, rng) if rng.random() < 0.3 else mutate_bytes(content, rng)
    (folder / "set.npz").write_bytes(content)
    expected = (train[..., None], train_labels), (test[..., None], test_labels)

    def check(answer):
        if zipfile.is_zipfile(io.BytesIO(content)):
            try:  # a zip file has a checksum of each member, but none of the names
                held = np.load(io.BytesIO(content), allow_pickle=False)
                now = (held["x_train"][..., None], held["y_train"]), (held["x_test"][..., None], held["y_test"])
                return _difference(answer, *now)
            except Exception:
                return _difference(answer, *expected)
        return "not a zip file, but read"

    return _case("bytes of an .npz file", place, None, check)


def npz_claims(rng, place):
    """Headers that claim more than the file has, and a small member that unpacks to 800 MB."""
    folder = _folder(place)
    shape = rng.choice(
        ("(2147483647, 28, 28)", "(-1, 6, 6)", "(20, 6, 10)", "(1.5, 6, 6)", "(9, 9, 9, 9)", "(4611686018427387904,)")
    )
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(folder / "set.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("x_train.npy", "w") as file:
            file.write(member)
            for _ in range(rng.choice((0, 0, 200))):
                file.write(bytes(1 << 22))
        for name in ("y_train", "x_test", "y_test"):
            stream = io.BytesIO()
            np.save(stream, np.zeros((20, 6, 6) if name[0] == "x" else 20, np.uint8))
            archive.writestr(f"{name}.npy", stream.getvalue())
    return _case(f".npz that claims {shape}", place, True, lambda answer: None)


def csv(rng, place):
    folder = _folder(place)
    train, train_labels, test, test_labels = _small(rng)
    kind = rng.choice(
        ("right", "text", "256", "-1", "fraction", "short", "long", "empty", "blank", "quotes", "crlf", "bytes", "NaN")
    )
    end = "\r\n" if kind == "crlf" else "\n"

    def lines(images, labels):
        head = ",".join(["label", *(f"pixel{number}" for number in range(36))])
        return [head, *(",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels))]

    text = lines(train, train_labels)
    place_in = rng.randrange(1, len(text))
    row = text[place_in].split(",")
    column = rng.randrange(len(row))
    if kind in ("text", "256", "-1", "fraction", "empty", "NaN"):
        row[column] = {"text": "x", "fraction": "1.5", "empty": "", "NaN": "nan"}.get(kind, kind)
    elif kind == "short":
        row.pop()
    elif kind == "long":
        row.append("3")
    elif kind == "quotes":
        row = [f'"{value}"' for value in row]
    text[place_in] = ",".join(row)
    if kind == "blank":
        text.insert(place_in, "")
    content = (end.join(text) + end).encode()
    if kind == "bytes":
        content = mutate_bytes(content, rng)
    (folder / "train.csv").write_bytes(content)
    (folder / "test.csv").write_text("\n".join(lines(test, test_labels)) + "\n")
    expected = (train[..., None], train_labels), (test[..., None], test_labels)
    wrong = {"right": False, "crlf": False, **dict.fromkeys(("blank", "quotes", "bytes"))}.get(kind, True)
    if kind == "256" and column == 0:
        wrong = None  # a label
    is_same = kind not in ("bytes", "256")
    return _case(
        f"CSV, {kind} in column {column}",
        place,
        wrong,
        lambda answer: _difference(answer, *expected) if is_same else None,
    )


# --- IDX files under other names


def other_names(rng, place):
    folder = _folder(place)
    arrays = idx_files._arrays(rng)
    kind = rng.choice(list(NAMES))
    is_nested, is_zipped = rng.random() < 0.4, rng.random() < 0.5
    for name, array in zip(NAMES[kind], arrays):
        content = idx_files.write(array)
        inner = folder / name if is_nested else folder
        inner.mkdir(exist_ok=True)
        (inner / (f"{name}.gz" if is_zipped else name)).write_bytes(gzip.compress(content) if is_zipped else content)
    expected = list(arrays)
    if kind == "emnist":  # EMNIST's files have rows and columns exchanged
        expected[::2] = [images.transpose(0, 2, 1) for images in arrays[::2]]
    what = f"IDX files named as in {kind}{', each in a folder' if is_nested else ''}"
    return _case(what, place, False, lambda answer: idx_files.difference(answer, *expected))


def two_sets(rng, place):
    """Two data sets in one folder: refused, or what is read is said."""
    folder = _folder(place)
    for name, array in zip(idx_files.NAMES, idx_files._arrays(rng)):
        (folder / name).write_bytes(idx_files.write(array))
    kind = rng.choice(("dots", "cifar", "npz", "images"))
    if kind == "dots":
        for name, array in zip(NAMES["dots"], idx_files._arrays(rng)):
            (folder / name).write_bytes(idx_files.write(array))
    elif kind == "cifar":
        for name, batch in zip(CIFAR10, _cifar(rng)):
            (folder / f"{name}.bin").write_bytes(_records(*batch))
    elif kind == "npz":
        train, train_labels, test, test_labels = _small(rng)
        np.savez(folder / "set.npz", x_train=train, y_train=train_labels, x_test=test, y_test=test_labels)
    else:
        for name in ("a", "b"):
            (folder / name).mkdir()
            (folder / name / "0.png").write_bytes((place.world / "images" / "0.png").read_bytes())

    def check(answer):
        return None if answer.said.strip() else "one of two data sets was read, and nothing says so"

    return _case(f"IDX files next to {kind}", place, None, check)


KINDS = (
    *(cifar_binary, cifar_python, npz, csv, other_names, cifar_archive, npz_bytes, npz_claims, cifar100, two_sets),
    *(cifar_binary, cifar_python, csv),
)
