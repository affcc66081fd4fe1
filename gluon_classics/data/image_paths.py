"""Find the image files in a folder, quickly: it can have millions."""

from __future__ import annotations

from collections import Counter
import os
from pathlib import Path

from gluon_classics.errors import DataError

from .folder_layout import is_folder, is_hidden
from .image_file import readable_suffixes

_SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")  # not counted as left out, since systems make them


def image_paths(folder) -> tuple[list[str], Counter[str]]:
    """Return the sorted paths of the files below a folder that have the suffix of an image, and count the others.

    Raises:
        DataError: A folder cannot be read.
    """
    suffixes = readable_suffixes()
    paths: list[str] = []
    pending = [os.fspath(folder)]
    seen = set(map(str, Path(os.path.realpath(folder)).parents))
    left_out: Counter[str] = Counter()
    is_flat = True
    while pending:
        current = pending.pop()
        place = os.path.realpath(current)
        if place in seen:  # links can lead back, or to the same folder on many ways
            left_out["linked folder"] += 1
            continue
        seen.add(place)
        folders = []
        for entry in _scanned(current):
            name = entry.name
            has_suffix = name[name.rfind(".") :].lower() in suffixes
            # most entries end here, after few steps and without a call of the system
            if has_suffix and name[0] != "." and entry.is_file(follow_symlinks=False):
                paths.append(entry.path)
            elif name in _SYSTEM_FILES:
                continue
            elif is_hidden(name):
                left_out["hidden"] += 1
            elif is_folder(entry):
                folders.append(entry.path)
            elif has_suffix:
                paths.append(entry.path)
            else:
                left_out[Path(name).suffix.lower() or "without suffix"] += 1
        pending += sorted(folders)
        is_flat = is_flat and not folders
    # sorted as paths are: folder by folder
    return sorted(paths, key=None if is_flat else lambda path: path.split(os.sep)), left_out


def _scanned(folder):
    """Yield the entries of a folder. Raises DataError if it cannot be read."""
    try:
        with os.scandir(folder) as content:
            yield from content
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {(error.strerror or str(error)).lower()}") from error
