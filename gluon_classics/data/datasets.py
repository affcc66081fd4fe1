"""Find and load data sets: by name, and from folders and files in the formats that people have.

A data set with a known name is taken from the first of these places that has it:

1. The cache: `datasets/NAME` in $MXNET_HOME (default: ~/.mxnet). Gluon keeps its data sets there too.
2. The system folders: `datasets/NAME` in each folder of $XDG_DATA_DIRS. Debian's package dataset-fashion-mnist
   installs there.
3. A download to the cache, verified with SHA-256. $MXNET_GLUON_REPO, a variable of MXNet, replaces the mirrors.
4. For Fashion-MNIST only: the sample of real images embedded in this package, with a warning.

ImageNet, which needs a registration, is not downloaded. Its folder has `train/` and `val/` with one subfolder of image
files per class, as that of GluonCV, or RecordIO files.

A folder or file is given to the readers of `READERS`. Each of them returns the data sets of its format that it finds
there. If there is none, the folder must have one subfolder of images per class.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
import os
from pathlib import Path
import tempfile
from typing import Callable

from gluon_classics import _console
from gluon_classics._files import user_path
from gluon_classics._format import joined
from gluon_classics.errors import DataError
import numpy as np

from .catalogue import KNOWN
from .cifar import find_cifar
from .classes import check_labels, empty_classes, number_classes
from .colors import TRANSPARENT_AS
from .csv_files import find_csv_files
from .digest import content_digest, pixel_digest
from .download import download
from .found import Found, hold_out
from .idx_files import find_idx_files
from .image_file import readable_suffixes
from .image_folder import load_folder
from .image_paths import image_paths
from .images import Images
from .npz_files import find_npz_files
from .published import EMNIST_HINT, as_published, first_label, has_published_files, known_name, may_be_emnist
from .record import DataRecord
from .record_files import SUFFIX as RECORD_SUFFIX
from .record_files import RecordFiles, is_record_file, load_records, record_files, records_with
from .split import TEST_SHARE, refuse_share
from .storage import CountedFiles, is_archive, remembered_folders, stored_files

SAMPLE_FOLDER = Path(__file__).parent / "sample"
READERS = (find_idx_files, find_cifar, find_npz_files, find_csv_files)
FORMATS = (
    "IDX files, CIFAR-10 or CIFAR-100, .npz, CSV files with pixels, RecordIO files (.rec), "
    "or one subfolder of images per class"
)
KINDS_SHOWN = 3  # kinds of files in a message


@dataclass(frozen=True)
class DataSet:
    """A data set. Its images are in memory; those of image files can stay on the disk (`StoredImages`).

    Attributes:
        name: The name of the data set, or of its folder.
        train: The training images.
        test: The test images.
        classes: The names of the classes, in the order of the labels.
        origin: Where the images come from, for users.
        is_sample: Whether this is the embedded sample. Results on it are not comparable with published results.
        published_sha256: `DataRecord.sha256` of the published data set; None is that of the catalogue, if it is known.
        files_sha256: Returns `DataRecord.files_sha256`; None if the data is not in image files.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    origin: str
    is_sample: bool = False
    published_sha256: str | None = None
    files_sha256: Callable[[], str] | None = None

    def record(self) -> DataRecord:
        """Return the facts that the record of a run contains about its data."""
        in_memory = isinstance(self.train.images, np.ndarray)
        digest = pixel_digest(self.train, self.test) if in_memory else None
        height, width, channels = self.train.images.shape[1:]
        published = self.published_sha256 or (KNOWN[self.name].sha256 if self.name in KNOWN else None)
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
            content_sha256=content_digest(self.train, self.test, self.classes, digest) if digest else None,
            files_sha256=self.files_sha256() if self.files_sha256 else None,
        )


def load_dataset(
    where: str = "fashion-mnist",
    size: int | None = None,
    cache=None,
    *,
    transparent_as: str = TRANSPARENT_AS,
    test_share: float | None = None,
    in_memory: bool | None = None,
    shorter_side: bool = False,
    originals: bool = False,
) -> DataSet:
    """Load a data set by name, or from a folder or file. What was converted, chosen or left out is printed.

    Args:
        where: A name of `KNOWN`; a folder or an archive with files of `FORMATS`; or one such file.
        size: The height and width in pixels to which images in subfolders are resized (default: their own size).
        cache: The cache folder of a data set known by name (default: see the module).
        transparent_as: See `load_folder`.
        test_share: The share of the images of each class that are test images, more than 0 and less than 1
            (default: a fifth). Only for data without test images.
        in_memory: Whether to read all images now, or each one when it is used; see `load_folder`. Only for image files.
        shorter_side: For image files, how they get that size; see `fit_image`.
        originals: For image files, whether the training images are used in their own sizes, too.

    Raises:
        DataError: The data set cannot be found, read or downloaded.
    """
    options = _Options(size, transparent_as, test_share, in_memory, shorter_side, originals)
    if where in KNOWN:
        return _load_known(where, Path(user_path(cache, DataError)) if cache else cache_folder(where), options)
    place = _existing(where)
    if not place:
        raise DataError(f"there is no folder {where}: give an existing folder or file, or one of {', '.join(KNOWN)}")
    return (_load_file if place.is_file() else _load_folder)(place, options)


@dataclass(frozen=True)
class _Options:
    """How data is read. `load_dataset` describes the attributes."""

    size: int | None
    transparent_as: str
    share: float | None
    in_memory: bool | None
    shorter_side: bool
    originals: bool

    def load(self, reader, what):
        """Call `load_folder` or `load_records` with these options."""
        return reader(
            what,
            self.size,
            self.transparent_as,
            self.share,
            self.in_memory,
            shorter_side=self.shorter_side,
            originals=self.originals,
        )


def _refuse_disk(in_memory, what):
    if in_memory is False:
        raise DataError(f"{what} is read into memory: only image files can stay on the disk")


def embedded_sample() -> DataSet:
    """Load the sample of Fashion-MNIST that is embedded in this package."""
    return _read("fashion-mnist", SAMPLE_FOLDER, "the sample embedded in gluon-classics", is_sample=True)


def cache_folder(name: str) -> Path:
    """Return the folder to which the data set of this name is downloaded. Raises DataError if there is none."""
    home = os.environ.get("MXNET_HOME") or user_path("~/.mxnet", DataError)
    return Path(home, "datasets", KNOWN[name].folder or name)


def installed_folder(name: str, cache: Path | None = None) -> Path | None:
    """Return the first folder that has the data set of this name: the cache, then the system folders; else None."""
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    roots = filter(os.path.isabs, shared.split(":"))  # the XDG specification ignores relative and empty paths
    in_place = Path("datasets", KNOWN[name].folder or name)
    folders = [cache or cache_folder(name), *(Path(root) / in_place for root in roots)]
    return next((folder for folder in folders if _holds(name, folder)), None)


def _load_known(name, cache, options):
    refuse_share(options.share, name)
    folder = installed_folder(name, cache)
    if folder or not KNOWN[name].is_in_image_files:  # else the error says so
        _say_same_name(name, folder or cache)
    if KNOWN[name].is_in_image_files:
        return _load_images(name, folder, cache, options)
    _refuse_disk(options.in_memory, name)
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


def _say_same_name(name, place):
    """Say that a local folder with the name of a known data set is not read. `place` is the folder that is read."""
    if Path(name).is_dir() and os.path.realpath(name) != os.path.realpath(place):
        _console.say(f"Reading the published {name}, not the folder ./{name}: to read that, give ./{name}")


def _load_images(name, folder, cache, options):
    """Load a data set of image files that is known by name from its folder, or None. Warn if it has other numbers."""
    if not folder:
        what = "train/ and val/, each with one subfolder of images per class, or train.rec and val.rec"
        given = f"./{name}, which is here" if Path(name).is_dir() else "their folder"
        raise DataError(f"{name} is not in {cache}: put {what} there, or give {given}, with --data")
    pair = [folder / f"{part}{RECORD_SUFFIX}" for part in ("train", "val")]
    is_pair = all(path.is_file() for path in pair)
    found = _load_records(RecordFiles(*pair), options) if is_pair else _load_folder(folder, options)
    numbers = (len(found.train), len(found.test), len(found.classes))
    expected = (*(KNOWN[name].counts or ()), KNOWN[name].number_of_classes)
    if numbers != expected:
        seen, published = (
            "{:,} training and {:,} test images in {:,} classes".format(*each) for each in (numbers, expected)
        )
        _console.warn(f"{folder} has {seen}; the published {name} has {published}")
    return replace(found, name=name, origin=str(folder))


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
    """Return whether a folder has all files of a data set, or the archive with them, which is not opened."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return False
    if KNOWN[name].is_in_image_files:
        return any(path.is_dir() for path in folder.glob("train/*")) or any(folder.glob(f"*{RECORD_SUFFIX}"))
    with stored_files(folder) as files:
        return bool(_archives(files, name)) or any(not found.missing for found in _search(files, name))


def _read(name, folder, origin, is_sample=False):
    """Load a data set that is known by name from its folder. A published archive in it comes before unpacked files."""
    with stored_files(folder) as files:
        archives = _archives(files, name)
    place = archives[0].path if archives else folder
    with stored_files(place) as files:
        found = _choose(_search(files, name), place)
        if not found:
            raise DataError(f"{place} does not contain {name}: delete it and get it again")
        return _data_set(found, folder, origin, name, is_sample)


def _existing(where):
    """Return the path of a file or folder, or None if there is none."""
    try:
        place = Path(user_path(where, DataError))
        return place if place.exists() else None
    except OSError:  # the name is too long
        return None


def _load_folder(folder, options):
    images = CountedFiles(readable_suffixes())
    with remembered_folders(), stored_files(folder, counted=images) as files:
        found = _choose(_search(files), folder)
        archives = [file for file in files if is_archive(file.name)]
        records = [file.name for file in files if is_record_file(file.path)]
        if found:
            _refuse_disk(options.in_memory, found.what)
            _say_unread(folder, found.what, [*(file.name for file in archives), *records], images)
            return _data_set(found, folder, share=options.share)
        if records and not images.count:
            return _load_records(record_files([file.path for file in files], folder), options)
        if records:
            _say_unread(folder, "the image files", records)
        # images may be deeper than the other formats are searched
        if images.count or not files or image_paths(folder)[0]:
            loaded = options.load(load_folder, folder)
            return _with_classes(folder.resolve().name, loaded, folder)
        if len(archives) != 1:
            raise DataError(f"{folder} has {_seen(files)}: what is read is {FORMATS}")
    return _load_file(archives[0].path, options)


def _say_unread(folder, what, names, images=None):
    """Say what is read of a folder, and which files are not: those with these names, and image files."""
    count = images.count if images else 0
    unread = [*names, *([images.first] if count else [])]
    if unread:
        more = len(names) + count - 1
        words = f" and {more:,} more" if more else ""
        _console.say(f"{folder}: reading {what}, not {unread[0]}{words}; to read that, give its path")


def _load_records(records, options):
    loaded = options.load(load_records, records)
    return _with_classes(records.name, loaded, records.train)


def _with_classes(name, loaded, place):
    return DataSet(name, loaded.train, loaded.test, loaded.classes, str(place), files_sha256=loaded.files_sha256)


def _load_file(place, options):
    """Load the data set in an archive, or the one that a file belongs to together with others of its folder."""
    if is_record_file(place):
        return _load_records(records_with(place), options)
    _refuse_disk(options.in_memory, str(place))
    if is_archive(place.name):
        with stored_files(place) as files:
            found = _choose(_search(files), place)
            if not found:
                raise DataError(f"{place} has {_seen(files)}: unpack it if these are images, and name the folder")
            return _data_set(found, place, share=options.share)
    with stored_files(place.parent, depth=0) as files:
        found = _choose([found for found in _search(files) if place in {file.path for file in found.files}], place)
        if not found:
            raise DataError(f"{place} is not a data set: what is read is {FORMATS}")
        return _data_set(found, place, share=options.share)


def _search(files, name=None) -> list[Found]:
    """Return what the readers find among files; with a name, only what may be the data set of this name."""
    every = [found for find in READERS for found in find(files)]
    return [found for found in every if name is None or known_name(found.names[:1]) in (name, None)]


def _choose(candidates, place) -> Found | None:
    """Return the only complete data set, or None if there is not even a part of one.

    Raises:
        DataError: There are several data sets, or the only one lacks files.
    """
    usable = [found for found in candidates if not found.missing] or candidates
    if len(usable) > 1:
        unpack = "unpack it, and " if is_archive(place.name) else ""
        sets = joined(found.what for found in usable)
        raise DataError(f"{place} has {sets}: {unpack}name the folder or a file of one")
    if not usable:
        return None
    if usable[0].missing:
        raise DataError(f"{place} lacks {', '.join(usable[0].missing)}: add what is missing")
    unused = [found.what for found in candidates if found is not usable[0]]
    if unused:
        _console.warn(f"{place}: reading {usable[0].what}; not reading {joined(unused)}, which lack files")
    return usable[0]


def _archives(files, name):
    wanted = {file.name for file in KNOWN[name].files}
    return [file for file in files if file.name in wanted and is_archive(file.name)]


def _data_set(found, place, origin=None, name=None, is_sample=False, share=None) -> DataSet:
    """Read what was found, and name its classes. With a name, it is the data set of this name."""
    origin = origin or str(place)
    contents = found.read()
    train, test, classes = contents.train, contents.test, contents.classes
    messages = [(_console.say, note) for note in contents.notes]
    folder = _folder_name(found, place)
    if classes:  # only CIFAR's files have them; other data sets have the same format
        same = next((each for each in found.names if KNOWN[each].classes == classes), None)
        if name and not same:
            raise DataError(f"{origin} has other classes than {name}: give the folder with --data instead of the name")
        name = same
    else:
        name = name or known_name((*found.names, folder), train.images.shape[3])
    if test:
        refuse_share(share, origin)
    else:
        share = share or TEST_SHARE
        train, test = hold_out(train, share, origin, class_name=_class_names(name, classes, train))
        what = f"there are no labeled test images: {100 * share:g} % of each class are (see --test-share)"
        messages.append((_console.say, what))
    if not classes:
        name = name or _name_by_content(train, test)
    if name:
        classes = KNOWN[name].classes
        train, test = as_published(name, train, test)
        if KNOWN[name].is_transposed:
            messages.append((_console.say, "EMNIST's images, which are stored transposed, are turned upright"))
    elif not classes:
        classes, first = number_classes(train.labels, test.labels, origin)
        if first:
            train, test = (replace(part, labels=part.labels - first) for part in (train, test))
            messages.append((_console.warn, f"labels are counted from 1, so the first class has the name {first}"))
        if may_be_emnist(classes, train):
            messages.append((_console.warn, EMNIST_HINT))
    check_labels(train.labels, test.labels, classes, name, origin)
    messages.append((_console.warn, empty_classes(train.labels, test.labels, classes)))
    for show, message in messages:
        if message:
            show(f"{origin}: {message}")
    is_original = name and KNOWN[name].sha256 is None and has_published_files(name, found)
    digest = pixel_digest(train, test) if is_original else None
    return DataSet(name or folder, train, test, classes, origin, is_sample, digest)


def _class_names(name, classes, train):
    """Return a function from a label in the files to the name of its class, which is the label if there is no other."""
    names = classes or (KNOWN[name].classes if name else ())
    first = first_label(name, train.labels) if name else 0

    def class_name(label):
        return names[label - first] if label - first < len(names) else str(label)

    return class_name


def _folder_name(found, place):
    """Return the name for a data set that has no known one."""
    path = place.resolve()
    if path.is_dir():
        return path.parent.name if path.name == "raw" else path.name  # torchvision has MNIST/raw
    return next(iter(found.names), path.parent.name)


def _name_by_content(train, test):
    digest = pixel_digest(train, test)
    return next((name for name, known in KNOWN.items() if known.sha256 == digest), None)


def _seen(files):
    """Return how many files of which kind there are: "12 .mat files and 1 .txt file"."""
    if not files:
        return "no files"
    kinds = Counter(file.pure.suffix.lower() for file in files).most_common()
    words = [f"{count:,} {kind or 'unnamed'} file{'s' if count > 1 else ''}" for kind, count in kinds[:KINDS_SHOWN]]
    return joined([*words, "others"] if len(kinds) > KINDS_SHOWN else words)
