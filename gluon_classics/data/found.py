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
from .storage import StoredFile

HELD_OUT = 5  # without test images, every fifth image of each class is a test image
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
        test: The test images.
        classes: The names of the classes if the files contain them.
        notes: What was converted, chosen or left out, for the user.
    """

    train: Images
    test: Images
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

    The test images are those of the part `TEST`, else of `VALIDATION`, else every fifth training image of each class.
    """
    if TEST in available:
        return (TRAIN, TEST), ["the validation images are not used"] if VALIDATION in available else []
    if VALIDATION in available:
        return (TRAIN, VALIDATION), ["the validation images are the test images"]
    return (TRAIN,), [f"there are no labeled test images, so every {HELD_OUT}th image of each class is one"]


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
    train, test = converted if len(parts) == 2 else hold_out(converted[0], parts[0].labels_name)
    shapes = [part.images.shape[1:] for part in (train, test)]
    if shapes[0] != shapes[1]:
        sizes = " and ".join(map(format_shape, shapes))
        raise DataError(f"{parts[0].images_name}: the training and the test images differ in size ({sizes})")
    return Contents(train, test, notes=notes)


def hold_out(images: Images, name: str) -> tuple[Images, Images]:
    """Split images: every fifth one of each class, in their order, is a test image. Raises DataError if one has fewer.

    Returns:
        The training images and the test images.
    """
    is_test = np.zeros(len(images), bool)
    for label in np.unique(images.labels):
        places = np.flatnonzero(images.labels == label)
        if len(places) < HELD_OUT:
            raise DataError(
                f"{name} has fewer than {HELD_OUT} images with the label {label}: add test images, or more images"
            )
        is_test[places[HELD_OUT - 1 :: HELD_OUT]] = True
    return Images(*images[~is_test]), Images(*images[is_test])
