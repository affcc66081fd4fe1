"""Find the image files among the paths that a user names."""

from __future__ import annotations

from collections import Counter
import os
from pathlib import Path

from gluon_classics.data.image_folder import SUFFIXES


def image_files(paths) -> tuple[list[str], dict[str, Counter]]:
    """Return files as they are, and for each folder the image files in it and in its subfolders, sorted.

    A folder without image files is returned as it is.

    Returns:
        The files, and for each folder with other files their number by suffix, or "hidden".
    """
    found: list[str] = []
    others = {}
    for path in map(str, paths):
        if not os.path.isdir(path):
            found.append(path)
            continue
        files, left_out = _in_folder(path)
        found += files or [path]
        if left_out:
            others[path] = left_out
    return found, others


def _in_folder(folder):
    files, seen = [], set()
    left_out: Counter[str] = Counter()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        left_out["hidden"] += sum(name.startswith(".") for name in (*folders, *names))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            if Path(name).suffix.lower() in SUFFIXES:
                files.append(os.path.join(place, name))
            else:
                left_out[Path(name).suffix or "no suffix"] += 1
    return files, +left_out
