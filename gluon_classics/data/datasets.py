"""Find and load data sets: Fashion-MNIST, MNIST, CIFAR-10, and folders of images.

A data set with a known name is taken from the first of these places that has it:

1. The cache: `datasets/NAME` in $MXNET_HOME (default: ~/.mxnet). Gluon keeps its data sets there too.
2. The system folders: `datasets/NAME` in each folder of $XDG_DATA_DIRS. Debian's package dataset-fashion-mnist
   installs there.
3. A download to the cache, verified with SHA-256. $MXNET_GLUON_REPO, a variable of MXNet, replaces the mirrors.
4. For Fashion-MNIST only: the sample of real images embedded in this package, with a warning.
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
    """A data set in memory.

    Attributes:
        name: The name of the data set, or of its folder.
        train: The training images.
        test: The test images.
        classes: The names of the classes, in the order of the labels.
        origin: Where the images come from, for users.
        is_sample: Whether this is the embedded sample. Results on it are not comparable with published results.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    origin: str
    is_sample: bool = False

    def record(self) -> DataRecord:
        """Return the facts that the record of a run contains about its data."""
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
    """Load a data set by name or from a folder.

    Args:
        where: A name of `KNOWN`, or a folder with IDX files, CIFAR-10's binary files, or one subfolder of images per
            class.
        size: The height and width in pixels to which images in subfolders are resized (default: their own size).
        cache: The cache folder of a data set known by name (default: see the module).

    Raises:
        DataError: The data set cannot be found, read or downloaded.
    """
    if where in KNOWN:
        return _load_known(where, Path(cache).expanduser() if cache else cache_folder(where))
    folder = Path(where).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {where}: give an existing folder, or one of {', '.join(KNOWN)}")
    return _load_folder(folder, size)


def embedded_sample() -> DataSet:
    """Load the sample of Fashion-MNIST that is embedded in this package."""
    return _read("fashion-mnist", SAMPLE_FOLDER, "the sample embedded in gluon-classics", is_sample=True)


def cache_folder(name: str) -> Path:
    """Return the folder to which the data set of this name is downloaded."""
    home = os.environ.get("MXNET_HOME") or Path.home() / ".mxnet"
    return Path(home, "datasets", name)


def installed_folder(name: str, cache: Path | None = None) -> Path | None:
    """Return the first folder that has the data set of this name: the cache, then the system folders; else None."""
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    roots = filter(os.path.isabs, shared.split(":"))  # the XDG specification ignores relative and empty paths
    folders = [cache or cache_folder(name), *(Path(root, "datasets", name) for root in roots)]
    return next((folder for folder in folders if _holds(name, folder)), None)


def _load_known(name, cache):
    folder = installed_folder(name, cache)
    if folder:
        return _read(name, folder, str(folder))
    try:
        return _download(name, cache)
    except DataError as error:
        remedy = f"put the files into {cache}, or give their folder with --data"
        if name != "fashion-mnist":
            raise DataError(f"{error}: {remedy}") from error
        sample = embedded_sample()
        _console.warn(
            f"EMBEDDED SAMPLE: the full Fashion-MNIST was not found, so only {len(sample.train):,} training and "
            f"{len(sample.test):,} test images are used. Results are not comparable with published results. "
            f"For the full data set, {remedy} ({error})."
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
        _console.warn(
            f"cannot write to {cache} ({error.strerror}): the download is not kept. Set MXNET_HOME to keep it"
        )
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
        raise DataError(f"{folder} lacks {', '.join(missing)}: add the missing files, plain or as .gz")
    parts = []
    for images_file, labels_file in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)):
        images = read_idx(_idx_file(folder, images_file), 3)
        labels = read_idx(_idx_file(folder, labels_file), 1)
        if len(images) != len(labels) or not len(images):
            raise DataError(
                f"{folder}: {images_file} has {len(images):,} images, but {labels_file} has {len(labels):,} labels"
            )
        parts.append(Images(images[..., None], labels))
    if parts[0].images.shape[1:] != parts[1].images.shape[1:]:
        raise DataError(f"{folder}: the training and the test images differ in size")
    return parts


def _idx_file(folder, name):
    """Return the plain or the gzipped file of this name, or None if the folder has neither."""
    for path in (Path(folder, name), Path(folder, f"{name}.gz")):
        if path.is_file():
            return path
    return None
