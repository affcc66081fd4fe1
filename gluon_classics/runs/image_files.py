"""Find the image files among the paths that a user names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from gluon_classics.data.image_paths import image_paths


def image_files(paths) -> tuple[list[str], dict[str, Counter]]:
    """Return files as they are, and for each folder the image files in it and in its subfolders, sorted.

    A folder without image files is returned as it is.

    Returns:
        The files, and for each folder with other files their number by the reason why they are left out.
    """
    found: list[str] = []
    others = {}
    for path in map(str, paths):
        if not Path(path).is_dir():
            found.append(path)
            continue
        files, left_out = image_paths(path)
        found += files or [path]
        if left_out:
            others[path] = left_out
    return found, others
