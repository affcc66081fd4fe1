"""Data sets in four IDX files, under the names of MNIST, EMNIST and QMNIST and the forms that these names take.

Upper case, "." or "_" instead of "-", with or without .gz, and a folder around each file, as Kaggle has it, make no
difference. Files that have the same content under two such names count as one.
"""

from __future__ import annotations

from collections import defaultdict
import functools
import re

from gluon_classics.errors import DataError
import numpy as np

from .catalogue import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from .found import IMAGES, LABELS, TEST, TRAIN, Arrays, Contents, Found, check_counts, role_of, to_contents
from .idx import idx_header, read_idx
from .memory import require_memory
from .storage import StoredFile

FILES = {
    (TRAIN, IMAGES): TRAIN_IMAGES,
    (TRAIN, LABELS): TRAIN_LABELS,
    (TEST, IMAGES): TEST_IMAGES,
    (TEST, LABELS): TEST_LABELS,
}
QMNIST_COLUMNS = 8  # the class, then facts about the writer and the original
_IDX = re.compile(r"idx\d?")
_IGNORED = ("idx", "idx1", "idx2", "idx3", "idx4", "ubyte", "byte", "short", "int", "float", "double", "gz")


def find_idx_files(files: list[StoredFile]) -> list[Found]:
    """Return the sets of IDX files, complete or not, that have such names."""
    sets: dict[tuple, dict] = defaultdict(lambda: defaultdict(list))
    for file in files:
        role = _role(file.pure.name)
        if role:
            folder = file.pure.parent
            if _role(folder.name) == role:  # Kaggle: a folder around each file, with the same name
                folder = folder.parent
            sets[folder, role.rest][role.part, role.kind].append(file)
    return [_found(folder, name, candidates) for (folder, name), candidates in sorted(sets.items())]


def _role(name):
    role = role_of(name, _IGNORED)
    return role if _IDX.search(name.lower()) and (role.part, role.kind) in FILES else None


def _found(folder, name, candidates):
    missing = [f"{name}-{file}" if name else file for role, file in FILES.items() if role not in candidates]
    return Found(
        what=f"{name or 'MNIST'}'s IDX files" + (f" in {folder}" if folder.name else ""),
        files=tuple(file for same in candidates.values() for file in same),
        missing=tuple(missing),
        names=(name,) if name else tuple(reversed(folder.parts)),
        read=functools.partial(_read, candidates),
    )


def _read(candidates) -> Contents:
    need = 0
    for part in (TRAIN, TEST):
        images, labels = (idx_header(candidates[part, kind][0]) for kind in (IMAGES, LABELS))
        if len(images.shape) < 3:
            raise DataError(f"{candidates[part, IMAGES][0]} has {_dimensions(images)}, but images have 3 or 4")
        if len(labels.shape) > 2:
            raise DataError(f"{candidates[part, LABELS][0]} has {_dimensions(labels)}, but labels have 1 dimensions")
        names = (candidates[part, kind][0] for kind in (IMAGES, LABELS))
        check_counts(images.shape[0], labels.shape[0], *names)
        need += images.size
    require_memory(need, str(candidates[TRAIN, IMAGES][0]))
    return to_contents(
        [
            Arrays(
                _only(candidates[part, IMAGES]),
                _first_column(_only(candidates[part, LABELS], _first_column)),
                str(candidates[part, IMAGES][0]),
                str(candidates[part, LABELS][0]),
            )
            for part in (TRAIN, TEST)
        ]
    )


def _dimensions(header):
    return f"{len(header.shape)} dimension{'s' if len(header.shape) > 1 else ''}"


def _first_column(labels):
    """Return QMNIST's labels, whose first column is the class, as (N,), and all other labels as they are."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == QMNIST_COLUMNS else labels


def _only(files, view=lambda array: array):
    """Read the file. If there are several, such as a plain and a gzipped one, they must have the same content."""
    first = read_idx(files[0])
    for other in files[1:]:
        if not np.array_equal(view(first), view(read_idx(other))):
            raise DataError(f"{files[0]} and {other} have different contents: remove one of them")
    return first
