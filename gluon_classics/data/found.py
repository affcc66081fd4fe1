"""What the readers of file formats find among files, and how its arrays become training and test images."""

from __future__ import annotations

from dataclasses import dataclass
import re
from typing import Callable, Container, Iterable, Sequence

from gluon_classics._format import format_shape
from gluon_classics.errors import DataError
import numpy as np

from .conversion import to_labels, to_pixels
from .images import Images
from .split import tested_positions
from .storage import StoredFile

TRAIN, TEST, VALIDATION = "train", "test", "validation"
IMAGES, LABELS = "images", "labels"
_PARTS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "testing", "t10k"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
}
_KINDS = {
    **dict.fromkeys(("images", "image", "imgs", "img", "x", "data"), IMAGES),
    **dict.fromkeys(("labels", "label", "y", "target", "targets"), LABELS),
}


@dataclass(frozen=True)
class Contents:
    """The images of a data set as its files have them.

    Attributes:
        train: The training images.
        test: The test images; None if there are none with labels.
        classes: The names of the classes if the files contain them.
        notes: What was converted, chosen or left out, for the user.
    """

    train: Images
    test: Images | None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A data set that a reader found among files.

    Attributes:
        what: The format and the place, for messages.
        files: The files that it consists of.
        missing: The names of files that it lacks.
        names: The names that it may have, the best first: from its files, then from the folders around them.
        read: Reads it. Raises DataError.
    """

    what: str
    files: tuple[StoredFile, ...]
    missing: tuple[str, ...]
    names: tuple[str, ...]
    read: Callable[[], Contents]


@dataclass(frozen=True)
class Role:
    """What the name of a file or of an array says.

    Attributes:
        part: `TRAIN`, `TEST`, `VALIDATION` or None.
        kind: `IMAGES`, `LABELS` or None.
        rest: All other words of the name, joined by "-".
    """

    part: str | None
    kind: str | None
    rest: str


def role_of(name: str, ignored: Iterable[str] = ()) -> Role:
    """Return the role of a name such as "emnist-letters-train-images"; the words in `ignored` say nothing."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word and word not in ignored]
    parts = [word for word in words if word in _PARTS]
    kinds = [word for word in words if word in _KINDS]
    rest = [word for word in words if word not in parts[:1] + kinds[:1]]
    return Role(_PARTS[parts[0]] if parts else None, _KINDS[kinds[0]] if kinds else None, "-".join(rest))


@dataclass(frozen=True)
class Arrays:
    """The images and labels of one part of a data set, as its files have them, and their names for messages."""

    images: np.ndarray
    labels: np.ndarray
    images_name: str
    labels_name: str


def check_counts(images: int, labels: int, images_name: str, labels_name: str) -> None:
    """Raise DataError unless there are images, and as many labels."""
    if not images or images != labels:
        raise DataError(f"{images_name} has {images:,} images, but {labels_name} has {labels:,} labels")


def parts_to_read(available: Container[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the parts of a data set that are used, the test images last, and what the user must know about that.

    The test images are those of the part `TEST`, else of `VALIDATION`.
    """
    if TEST in available:
        return (TRAIN, TEST), ["the validation images are not used"] if VALIDATION in available else []
    if VALIDATION in available:
        return (TRAIN, VALIDATION), ["the validation images are the test images"]
    return (TRAIN,), []


def to_contents(parts: Sequence[Arrays], notes: Iterable[str] = ()) -> Contents:
    """Convert the arrays of the training images, and of the test images if there are any, to images.

    Raises:
        DataError: The arrays cannot be images and their labels, or they do not belong together.
    """
    pixels, change = to_pixels([part.images for part in parts], [part.images_name for part in parts])
    converted = []
    for part, images in zip(parts, pixels):
        labels = to_labels(part.labels, part.labels_name)
        check_counts(len(images), len(labels), part.images_name, part.labels_name)
        converted.append(Images(images, labels))
    notes = (*notes, change) if change else tuple(notes)
    train, test = converted[0], converted[1] if len(parts) == 2 else None
    if test and train.images.shape[1:] != test.images.shape[1:]:
        sizes = " and ".join(format_shape(part.images.shape[1:]) for part in (train, test))
        raise DataError(f"{parts[0].images_name}: the training and the test images differ in size ({sizes})")
    return Contents(train, test, notes=notes)


def hold_out(
    images: Images, share: float, name: str, purpose: str = "test images", class_name: Callable[[int], str] = str
) -> tuple[Images, Images]:
    """Split images into two parts: the second has a share of each class.

    Args:
        images: The images.
        share: The share of the second part, more than 0 and less than 1.
        name: The data set, for messages.
        purpose: What the images of the second part are, for messages.
        class_name: Returns the name of the class with a label, for messages.

    Raises:
        DataError: A class has too few images.
    """
    is_test = np.zeros(len(images), bool)
    for label in np.unique(images.labels):
        places = np.flatnonzero(images.labels == label)
        is_test[places] = tested_positions(len(places), share, f"class {class_name(int(label))} of {name}", purpose)
    return Images(*images[~is_test]), Images(*images[is_test])
