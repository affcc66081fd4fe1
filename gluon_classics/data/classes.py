"""The names of the classes of a data set whose files have only numbers."""

from __future__ import annotations

from gluon_classics.errors import DataError
import numpy as np

SHOWN = 8  # classes in a message


def number_classes(train: np.ndarray, test: np.ndarray, name: str) -> tuple[tuple[str, ...], int]:
    """Return the names of the classes, and the label of the first class: 0, or 1 if labels are counted from 1.

    A class is named by its label in the files, so that its name is right in both cases. Labels are counted from 1 if
    they are exactly 1, 2, ... up to the number of classes.

    Args:
        train: The training labels, whole numbers from 0.
        test: The test labels.
        name: The data set, for messages.

    Raises:
        DataError: There is only one class, there are more classes than training images, or most classes are empty:
            the labels are numbers of something else, such as the pixels of a mask.
    """
    used = np.union1d(train, test)
    first = int(used[0] == 1 and used[-1] == len(used))
    count = int(used[-1]) + 1 - first
    listed = f"the labels of {name} are {enumerate_some(used)}"
    if count < 2:
        raise DataError(f"{listed}: at least two classes are needed")
    if count > len(train):
        raise DataError(f"{listed}, more classes than its {len(train):,} training images: number the classes from 0")
    if len(used) * 2 < count:
        raise DataError(f"{listed}, which leaves most of {count:,} classes empty: number the classes from 0")
    return tuple(str(label + first) for label in range(count)), first


def check_labels(
    train: np.ndarray, test: np.ndarray, classes: tuple[str, ...], data_set: str | None, name: str
) -> None:
    """Raise DataError if a label is outside of the classes of a data set."""
    for part, labels in (("training", train), ("test", test)):
        if labels.max() >= len(classes):
            owner = data_set or "it"
            raise DataError(f"{name} has a {part} label {labels.max()}, but {owner} has {len(classes)} classes")


def empty_classes(train: np.ndarray, test: np.ndarray, classes: tuple[str, ...]) -> str | None:
    """Return a sentence that names the classes without training or test images, or None if there are none."""
    empty = {
        part: [name for name, images in zip(classes, np.bincount(labels, minlength=len(classes))) if not images]
        for part, labels in (("training", train), ("test", test))
    }
    words = [f"no {part} images of {enumerate_classes(names)}" for part, names in empty.items() if names]
    if len(words) == 2 and empty["training"] == empty["test"]:
        words = [f"no images of {enumerate_classes(empty['test'])}"]
    return f"there are {' and '.join(words)}" if words else None


def enumerate_some(values) -> str:
    """Return the values with commas, the first and the last ones if they are many."""
    words = [str(value) for value in values]
    return ", ".join(words if len(words) <= SHOWN else [*words[: SHOWN - 2], "...", words[-1]])


def enumerate_classes(names) -> str:
    """Return the names of classes after the word "class", or their number and some of the names if they are several."""
    return f"{'class' if len(names) == 1 else f'{len(names)} classes:'} {enumerate_some(names)}"
