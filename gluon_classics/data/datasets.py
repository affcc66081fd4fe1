"""Finding and loading data sets: Fashion-MNIST, MNIST, CIFAR-10, and folders.

A data set known by name is looked for in this order, and the first place that holds it is used:

1. the cache: `datasets/NAME` in $MXNET_HOME (default: ~/.mxnet), where Gluon's own data sets live too;
2. the system's folders: `datasets/NAME` in each of $XDG_DATA_DIRS, where Debian's dataset-fashion-mnist installs;
3. a download into the cache, checked against SHA-256 sums ($MXNET_GLUON_REPO, MXNet's own variable, replaces the
   mirrors);
4. for Fashion-MNIST the sample of real images that comes with this package, announced in one line.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
import tempfile

from gluon_classics import _console
from gluon_classics.errors import DataError

from . import cifar
from .catalogue import IDX_FILES, KNOWN, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from .download import download
from .idx import read_idx
from .image_folder import load_folder
from .images import Images
from .record import DataRecord

SAMPLE_FOLDER = Path(__file__).parent / "sample"


@dataclass(frozen=True)
class DataSet:
    """Training and test images with their classes; `origin` says where they come from.

    `is_sample` marks the embedded sample, on which no result is comparable with a published one.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    origin: str
    is_sample: bool = False

    def record(self) -> DataRecord:
        """Return what a run notes about its data."""
        digest = _digest(self.train, self.test)
        height, width, channels = self.train.images.shape[1:]
        published = KNOWN[self.name].sha256 if self.name in KNOWN else None
        return DataRecord(
            name=self.name,
            origin=self.origin,
            is_sample=self.is_sample,
            is_published=digest == published if published else None,
            train_images=len(self.train),
            test_images=len(self.test),
            image_shape=(height, width, channels),
            classes=self.classes,
            sha256=digest,
        )


def load_dataset(where: str = "fashion-mnist", size: int | None = None, cache=None) -> DataSet:
    """The data set `where`: a name of `KNOWN`, or a folder.

    A folder holds IDX files, CIFAR-10's binary files, or one subfolder of images for each class; `size` is the
    side in pixels to which such images are resized. `cache` replaces the cache folder of a data set known by name.
    Raises DataError.
    """
    if where in KNOWN:
        return _load_known(where, Path(cache).expanduser() if cache else cache_folder(where))
    folder = Path(where).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {where}: name one, or one of {', '.join(KNOWN)}")
    return _load_folder(folder, size)


def cache_folder(name: str) -> Path:
    """Where the data set of this name is kept after a download."""
    home = os.environ.get("MXNET_HOME") or Path.home() / ".mxnet"
    return Path(home, "datasets", name)


def installed_folder(name: str, cache: Path | None = None) -> Path | None:
    """The first folder that holds the data set of this name: the cache, then the system's; None without one."""
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    roots = filter(os.path.isabs, shared.split(":"))  # as its specification says; empty ones are common
    folders = [cache or cache_folder(name), *(Path(root, "datasets", name) for root in roots)]
    return next((folder for folder in folders if _holds(name, folder)), None)


def _load_known(name, cache):
    folder = installed_folder(name, cache)
    if folder:
        return _read(name, folder, str(folder))
    try:
        return _download(name, cache)
    except DataError as error:
        remedy = f"put the files into {cache}, or name their folder with --data"
        if name != "fashion-mnist":
            raise DataError(f"{error}: {remedy}") from error
        sample = _read(name, SAMPLE_FOLDER, "the sample embedded in gluon-classics", is_sample=True)
        _console.warn(
            f"EMBEDDED SAMPLE: the full Fashion-MNIST is not here, so {len(sample.train):,} + {len(sample.test):,} of "
            f"its images are used; no result is comparable with a published one. For the full set {remedy} ({error})."
        )
        return sample


def _download(name, cache):
    known = KNOWN[name]
    repository = os.environ.get("MXNET_GLUON_REPO")
    mirrors = [f"{repository.rstrip('/')}/gluon/dataset/{name}/"] if repository else known.mirrors
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        _console.warn(f"cannot write to {cache} ({error.strerror}): a download serves this run only (set MXNET_HOME)")
        with tempfile.TemporaryDirectory() as folder:
            download(known.files, mirrors, folder)
            return _read(name, Path(folder), "a download for this run")
    try:
        download(known.files, mirrors, cache)
    except OSError as error:
        raise DataError(f"cannot write to {cache} ({(error.strerror or str(error)).lower()})") from error
    return _read(name, cache, str(cache))


def _holds(name, folder):
    return cifar.holds_cifar10(folder) if name == "cifar10" else all(_idx_file(folder, file) for file in IDX_FILES)


def _read(name, folder, origin, is_sample=False):
    train, test = cifar.read_cifar10(folder) if name == "cifar10" else _read_idx_files(folder)
    classes = KNOWN[name].classes
    for part, labels in (("training", train.labels), ("test", test.labels)):
        if labels.max() >= len(classes):
            raise DataError(f"{folder} has a {part} label {labels.max()}, but {name} has {len(classes)} classes")
    return DataSet(name, train, test, classes, origin, is_sample)


def _load_folder(folder, size):
    if cifar.holds_cifar10(folder):
        return _read("cifar10", folder, str(folder))
    if any(_idx_file(folder, file) for file in IDX_FILES):
        if folder.resolve().name in ("fashion-mnist", "mnist"):
            return _read(folder.resolve().name, folder, str(folder))
        train, test = _read_idx_files(folder)
        digest = _digest(train, test)
        for name, known in KNOWN.items():
            if digest == known.sha256:
                return DataSet(name, train, test, known.classes, str(folder))
        classes = tuple(map(str, range(int(max(train.labels.max(), test.labels.max())) + 1)))
        return DataSet(folder.resolve().name, train, test, classes, str(folder))
    return DataSet(folder.resolve().name, *load_folder(folder, size), str(folder))


def _digest(train, test):
    digest = hashlib.sha256()
    for part in (train, test):
        digest.update(part.images.tobytes())
        digest.update(part.labels.astype("uint8").tobytes())
    return digest.hexdigest()


def _read_idx_files(folder):
    missing = [name for name in IDX_FILES if not _idx_file(folder, name)]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)} (plain or .gz)")
    parts = []
    for images_file, labels_file in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)):
        images = read_idx(_idx_file(folder, images_file), 3)
        labels = read_idx(_idx_file(folder, labels_file), 1)
        if len(images) != len(labels) or not len(images):
            raise DataError(
                f"{folder}: {images_file} holds {len(images):,} images, {labels_file} {len(labels):,} labels"
            )
        parts.append(Images(images[..., None], labels))
    if parts[0].images.shape[1:] != parts[1].images.shape[1:]:
        raise DataError(f"{folder}: training and test images differ in size")
    return parts


def _idx_file(folder, name):
    """The plain or gzipped file of this name, None if the folder has neither."""
    for path in (Path(folder, name), Path(folder, f"{name}.gz")):
        if path.is_file():
            return path
    return None
