"""Find the image files in a folder, quickly: it can have millions."""

from __future__ import annotations

from collections import Counter
import os
from pathlib import Path

from .folder_layout import has_image_suffix, images_and_others, is_folder, is_hidden

_SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")  # not counted as left out, since systems make them


def image_paths(folder) -> tuple[list[str], Counter[str]]:
    """Return the sorted paths of the files below a folder that have the suffix of an image, and count the others.

    Raises:
        DataError: A folder cannot be read.
    """
    paths: list[str] = []
    pending = [os.fspath(folder)]
    seen = set(map(str, Path(os.path.realpath(folder)).parents))
    left_out: Counter[str] = Counter()
    is_flat = True
    while pending:
        current = pending.pop()
        place = os.path.realpath(current)
        if place in seen:  # links can lead back, or to the same folder by several routes
            left_out["linked folder"] += 1
            continue
        seen.add(place)
        folders = []
        content = images_and_others(current)
        start = os.path.join(current, "")
        paths += [start + name for name in content.plain]
        for entry in content.others:
            if entry.name in _SYSTEM_FILES:
                continue
            if is_hidden(entry.name):
                left_out["hidden"] += 1
            elif is_folder(entry):
                folders.append(entry.path)
            elif has_image_suffix(entry.name):
                paths.append(entry.path)
            else:
                left_out[Path(entry.name).suffix.lower() or "without suffix"] += 1
        pending += sorted(folders)
        is_flat = is_flat and not folders
    # sorted as paths are: folder by folder
    return sorted(paths, key=None if is_flat else lambda path: path.split(os.sep)), left_out
