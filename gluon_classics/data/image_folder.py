"""Image folders: one subfolder of image files per class."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import math
import os
from pathlib import Path

from gluon_classics import _console
from gluon_classics.errors import DataError
import numpy as np

from .colors import TRANSPARENT_AS, parse_color
from .folder_layout import entries, find_layout, is_folder, is_hidden, subfolders
from .image_file import ImageHeader, UnreadableImage, read_header, read_pixels, readable_suffixes
from .images import Images, fit_image, quiet_decoders, remarks
from .memory import available_memory, require_memory
from .split import VALIDATION_SHARE, tested_positions

_SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")  # not counted as left out, since systems make them
_NAMED = 5  # classes in the line about files that are left out


@dataclass(frozen=True)
class ClassFiles:
    """The image files of a class.

    Attributes:
        headers: The headers of the files, sorted by path.
        left_out: How many other files there are, by the reason why they are left out.
    """

    headers: list[ImageHeader]
    left_out: Counter


def load_folder(
    folder, size: int | None, transparent_as: str = TRANSPARENT_AS, validation_share: float | None = None
) -> tuple[Images, Images, tuple[str, ...]]:
    """Load a folder with one subfolder of images per class; see `find_layout` for other layouts.

    Images in folders below those of the classes are read too. If any image is colored, all are read as color images.

    Args:
        folder: The folder.
        size: The height and width in pixels to which images are resized. If it is None, all must have the same size.
        transparent_as: The color that shows through transparent pixels; see `parse_color`.
        validation_share: The share of the images of each class that are test images, more than 0 and less than 1
            (default: a fifth). Only for a folder without test images.

    Returns:
        The training images, the test images and the names of the classes.

    Raises:
        DataError: The folder does not contain such images, an image is damaged, or memory is too small.
    """
    matte = parse_color(transparent_as)
    with quiet_decoders():
        train, test = scan_folder(folder, validation_share)
        headers = [*_headers(train), *_headers(test)]
        images = _read_all(headers, size, _common_channels(headers, matte, transparent_as), matte)
    count = len(_headers(train))
    return Images(images[:count], _labels(train)), Images(images[count:], _labels(test)), tuple(train)


def scan_folder(folder, validation_share: float | None = None) -> tuple[dict[str, ClassFiles], dict[str, ClassFiles]]:
    """Find the training and the test files of each class, and print what is used and what is left out.

    Only the headers of the files are read. See `load_folder` for the arguments and errors.

    Returns:
        The training files and the test files by class, with the same classes in the same order.
    """
    layout = find_layout(folder)
    train = _scan(layout.train)
    if layout.test:
        if validation_share is not None:
            raise DataError(f"{layout.test} has the test images: leave the validation share out")
        _console.say(f"{layout.found}.")
        test = _scan(layout.test)
        _check_classes(layout, train, test)
        _report_left_out(layout.test, test)
    else:
        share = validation_share or VALIDATION_SHARE
        _console.say(f"{layout.found}: {100 * share:g} % of each class are test images (see --validation-share).")
        train, test = _split(layout.train, train, share)
    _report_left_out(layout.train, train)
    return train, test


def _headers(files):
    return [header for each in files.values() for header in each.headers]


def _labels(files):
    return np.repeat(np.arange(len(files)), [len(each.headers) for each in files.values()])


def _scan(folder):
    """Return the files of the classes in the subfolders of a folder, by name."""
    found = {}
    with ThreadPoolExecutor() as pool:
        for subfolder in subfolders(folder):
            paths, left_out = image_paths(subfolder)
            headers = []
            for header in pool.map(_header_or_reason, paths):
                if isinstance(header, str):
                    left_out[header] += 1
                else:
                    headers.append(header)
            if not headers:
                what = f"; it has {_counted(left_out)}" if left_out else ""
                raise DataError(f"{subfolder} has no images that can be read{what}: add some, or remove the folder")
            found[subfolder.name] = ClassFiles(headers, left_out)
    if len(found) < 2:
        raise DataError(f"{folder} must have two or more subfolders of images, one per class")
    return found


def _header_or_reason(path):
    try:
        return read_header(path)
    except UnreadableImage as error:
        return error.reason


def image_paths(folder):
    """Return the sorted paths of the files below a folder that have the suffix of an image, and count the others."""
    paths, pending = [], [folder]
    seen = set(map(str, Path(os.path.realpath(folder)).parents))
    left_out: Counter[str] = Counter()
    while pending:
        current = pending.pop()
        place = os.path.realpath(current)
        if place in seen:  # links can lead back, or to the same folder on many ways
            left_out["linked folder"] += 1
            continue
        seen.add(place)
        for entry in entries(current):
            path = Path(entry.path)
            if entry.name in _SYSTEM_FILES:
                continue
            if is_hidden(entry.name):
                left_out["hidden"] += 1
            elif is_folder(entry):
                pending.append(path)
            elif path.suffix.lower() in readable_suffixes():
                paths.append(path)
            else:
                left_out[path.suffix.lower() or "without suffix"] += 1
    return sorted(paths), left_out


def _split(folder, files, share):
    """Return the training and the test files of each class."""
    train, test = {}, {}
    for name, (headers, left_out) in ((name, (each.headers, each.left_out)) for name, each in files.items()):
        is_test = tested_positions(len(headers), share, str(folder / name))
        train[name] = ClassFiles([header for header, tested in zip(headers, is_test) if not tested], left_out)
        test[name] = ClassFiles([header for header, tested in zip(headers, is_test) if tested], Counter())
    return train, test


def _check_classes(layout, train, test):
    one_sided = [
        f"{', '.join(sorted(set(one) - set(other))[:_NAMED])} only in {folder}"
        for folder, one, other in ((layout.train, train, test), (layout.test, test, train))
        if set(one) - set(other)
    ]
    if one_sided:
        raise DataError(f"training and test images must have the same classes, but {', and '.join(one_sided)}")


def _report_left_out(folder, files):
    """Warn about files that were left out: of each class, how many and why."""
    parts = [f"{name} ({_counted(each.left_out)})" for name, each in files.items() if each.left_out]
    stray = sum(
        Path(each.name).suffix.lower() in readable_suffixes() and not is_folder(each) for each in entries(folder)
    )
    if stray:
        parts.insert(0, f"outside of the class folders ({stray:,} images)")
    if not parts:
        return
    more = f", and {len(parts) - _NAMED:,} more classes" if len(parts) > _NAMED else ""
    total = stray + sum(sum(each.left_out.values()) for each in files.values())
    _console.warn(f"{total:,} files in {folder} are not used: {', '.join(parts[:_NAMED])}{more}")


def _counted(reasons):
    return ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())


def _common_channels(headers, matte, transparent_as):
    """Return 3 if any image is colored, else 1. Say how many are, and how many have transparency."""
    colored = sum(header.channels(matte) == 3 for header in headers)
    if 0 < colored < len(headers):
        gray = len(headers) - colored
        _console.say(f"Colored images: {colored:,}. Grayscale images: {gray:,}. All are read as color images.")
    transparent = sum(header.is_transparent for header in headers)
    if transparent:
        _console.say(f"Images with transparency: {transparent:,}. They are shown on {transparent_as}.")
    return 3 if colored else 1


def _read_all(headers, size, channels, matte):
    """Return (N, H, W, C) uint8."""
    first = headers[0]
    shape = (size, size, channels) if size else fit_image(read_pixels(first, matte), None, channels).shape
    at_once = max(header.decoding_memory for header in headers)
    total = len(headers) * math.prod(shape)
    what = f"the data set of {len(headers):,} images with {shape[0]}x{shape[1]} pixels"
    require_memory(total + at_once, what)
    try:
        images = np.empty((len(headers), *shape), np.uint8)
    except (MemoryError, ValueError) as error:
        raise DataError(f"{what} does not fit into memory ({total / 1e9:.1f} GB)") from error

    def read(number):
        header = headers[number]
        image = read_pixels(header, matte)
        found = remarks(header, image)
        image = fit_image(image, size, channels)
        if image.shape != shape:
            height, width = image.shape[:2]
            raise DataError(
                f"{header.path} is {height}x{width}, but {first.path} is not: give a size to resize all images to"
            )
        images[number] = image
        return found

    examples: dict[str, list[Path]] = {}
    with ThreadPoolExecutor(_threads(at_once, total)) as pool:
        for header, found in zip(headers, pool.map(read, range(len(headers)))):
            for remark in found:
                examples.setdefault(remark, []).append(header.path)
    for remark, paths in examples.items():
        _console.warn(f"{paths[0]}{f' and {len(paths) - 1:,} more' if paths[1:] else ''}: {remark}")
    return images


def _threads(at_once, total):
    """Return the number of images to decode at a time: as many as memory allows, up to a few more than processors."""
    most = (os.cpu_count() or 1) + 4
    if at_once * most < 2**28:
        return most
    available = available_memory()
    return most if available is None else max(1, min(most, (available - total) // at_once))
