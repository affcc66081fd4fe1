"""Bring the files of published data sets into our form, and recognize the originals."""

from __future__ import annotations

import hashlib
from pathlib import Path
import re
from typing import Iterable

import numpy as np

from .catalogue import KNOWN
from .found import Found
from .images import Images

EMNIST_HINT = (
    "EMNIST's images are stored transposed: if these are, name the folder or file after its split (emnist-letters)"
)
_EMNIST_CLASSES = {len(known.classes) for known in KNOWN.values() if known.is_transposed} - {10}


def known_name(names: Iterable[str], channels: int | None = None) -> str | None:
    """Return the known data set that one of these names means, with any case and punctuation, or None.

    Args:
        names: The names of files or folders, the best first.
        channels: The channels that its images must have (default: any).
    """
    for name in map(_letters, names):
        for known, facts in KNOWN.items():
            if facts.is_in_image_files:  # its classes are not known
                continue
            if _letters(known) == name and channels in (None, facts.channels):
                return known
    return None


def as_published(name: str, train: Images, test: Images) -> tuple[Images, Images]:
    """Return the images of a known data set upright, with labels that are counted from 0."""
    known = KNOWN[name]
    first = first_label(name, train.labels, test.labels)
    parts = []
    for part in (train, test):
        images = (
            np.ascontiguousarray(np.asarray(part.images).transpose(0, 2, 1, 3)) if known.is_transposed else part.images
        )
        parts.append(Images(images, part.labels - first if first else part.labels))
    return parts[0], parts[1]


def first_label(name: str, *labels: np.ndarray) -> int:
    """Return the label of the first class of a known data set in these labels of files: it may be shifted already."""
    first = KNOWN[name].first_label
    return first if min(each.min() for each in labels) >= first else 0


def may_be_emnist(classes: tuple[str, ...], train: Images) -> bool:
    """Return whether images have the size and the number of classes of EMNIST's splits with letters."""
    return len(classes) in _EMNIST_CLASSES and train.images.shape[1:] == (28, 28, 1)


def has_published_files(name: str, found: Found) -> bool:
    """Return whether the data set was read from exactly the published files, by their checksums."""
    return {_sha256(file.path) for file in found.files} == {file.sha256 for file in KNOWN[name].files}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            part = file.read(1 << 20)
            if not part:
                return digest.hexdigest()
            digest.update(part)


def _letters(name):
    return re.sub("[^a-z0-9]", "", name.lower())
