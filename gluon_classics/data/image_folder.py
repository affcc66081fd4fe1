"""Image folders: one subfolder of image files per class."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
import contextlib
from dataclasses import dataclass
import functools
import itertools
import math
import operator
import os
from pathlib import Path
from typing import Callable

from gluon_classics import _console
from gluon_classics.errors import DataError
import numpy as np

from .colors import TRANSPARENT_AS, parse_color
from .folder_layout import find_layout, has_image_suffix, images_and_others, is_folder, subfolders
from .image_file import UnreadableImage, read_header, read_pixels
from .image_paths import image_paths
from .images import Images, fit_image, naming, quiet_decoders, remarks
from .memory import available_memory, require_memory
from .split import TEST_SHARE, refuse_share, tested_positions
from .stored_images import ON_DISK, ImageFiles, files_digest, stays_on_disk, stored_images

_NAMED = 5  # classes in the line about files that are left out


@dataclass(frozen=True)
class ClassFiles:
    """The image files of a class.

    Attributes:
        files: The headers of the files, or their paths, sorted by path.
        left_out: How many other files there are, by the reason why they are left out.
    """

    files: list
    left_out: Counter


@dataclass(frozen=True)
class LoadedImages:
    """The images of a data set from files of images.

    Attributes:
        train: The training images.
        test: The test images.
        classes: The names of the classes.
        files_sha256: Returns a checksum of what is known about the files without reading them all.
    """

    train: Images
    test: Images
    classes: tuple[str, ...]
    files_sha256: Callable[[], str]


def load_folder(
    folder,
    size: int | None,
    transparent_as: str = TRANSPARENT_AS,
    test_share: float | None = None,
    in_memory: bool | None = None,
    *,
    shorter_side: bool = False,
    originals: bool = False,
) -> LoadedImages:
    """Load a folder with one subfolder of images per class; see `find_layout` for other layouts.

    Images in folders below those of the classes are read too. If any image is colored, all are read as color images.

    Args:
        folder: The folder.
        size: The height and width in pixels to which images are resized. If it is None, all must have the same size.
        transparent_as: The color that shows through transparent pixels; see `parse_color`.
        test_share: The share of the images of each class that are test images, more than 0 and less than 1
            (default: a fifth). Only for a folder without test images.
        in_memory: Whether to read all images now, or each one when it is used. The default is now, unless they would
            take more than `SHARE_IN_MEMORY` of the available memory. Only when all are read now, files that are not
            images are found and left out.
        shorter_side: See `fit_image`.
        originals: Whether the training images are used in their own sizes, too; see `StoredImages.for_each_original`.

    Raises:
        DataError: The folder does not contain such images, an image is damaged, or memory is too small.
    """
    matte = parse_color(transparent_as)
    layout, places, listed = _listed(folder)
    count = sum(len(each.files) for part in listed for each in part.values())
    if stays_on_disk((count, *_likely_shape(listed, size)), in_memory, originals):
        train, test = _parts(layout, listed, test_share)
        sources = [ImageFiles(_all_files(part)) for part in (train, test)]
        images = stored_images(sources, size, matte, transparent_as, shorter_side=shorter_side)
        parts = [Images(array, _labels(part)) for array, part in zip(images, (train, test))]
        paths = [{name: each.files for name, each in part.items()} for part in (train, test)]
    else:
        with quiet_decoders():
            train, test = _parts(layout, [*map(_with_headers, places, listed)], test_share)
            headers = [*_all_files(train), *_all_files(test)]
            channels = _common_channels(headers, matte, transparent_as)
            images = _read_all(headers, size, channels, matte, shorter_side)
        count = len(_all_files(train))
        parts = [Images(images[:count], _labels(train)), Images(images[count:], _labels(test))]
        paths = [
            {name: [str(file.path) for file in each.files] for name, each in part.items()} for part in (train, test)
        ]
    listing = list(zip((places[0], places[-1]), paths))
    return LoadedImages(parts[0], parts[1], tuple(train), functools.partial(files_digest, listing))


def list_folder(folder) -> list[tuple[Path, dict[str, ClassFiles]]]:
    """Return the folder and the paths of the files by class, of the training images and of the test images, if any.

    Print which files are used and which are left out. No file is opened. See `load_folder` for the errors.
    """
    layout, places, listed = _listed(folder)
    _console.say(f"{layout.found}.")
    if layout.test:
        _check_classes(layout, *listed)
    for place, part in zip(places, listed):
        _report_left_out(place, part)
    return list(zip(places, listed))


def _listed(folder):
    """Return the layout of a folder, and the places of its training and test images with their files by class."""
    layout = find_layout(folder)
    places = [place for place in (layout.train, layout.test) if place]
    return layout, places, [_list(place) for place in places]


def _parts(layout, listed, test_share):
    """Return the training and the test files by class, and print what is used and what is left out."""
    train = listed[0]
    if layout.test:
        refuse_share(test_share, layout.test)
        _console.say(f"{layout.found}.")
        test = listed[1]
        _check_classes(layout, train, test)
        _report_left_out(layout.test, test)
    else:
        share = test_share or TEST_SHARE
        _console.say(f"{layout.found}: {100 * share:g} % of each class are test images (see --test-share).")
        train, test = _split(layout.train, train, share)
    _report_left_out(layout.train, train)
    return train, test


def _all_files(part):
    return [file for each in part.values() for file in each.files]


def _labels(part):
    return np.repeat(np.arange(len(part)), [len(each.files) for each in part.values()])


def _list(folder):
    """Return the paths of the files of the classes in the subfolders of a folder, by name."""
    found = {subfolder.name: ClassFiles(*image_paths(subfolder)) for subfolder in subfolders(folder)}
    for name, each in found.items():
        _require_files(folder / name, each)
    if len(found) < 2:
        raise DataError(f"{folder} must have two or more subfolders of images, one per class")
    return found


def _with_headers(folder, part):
    """Replace the paths of files by their headers. Files that cannot be read are left out."""
    found = {}
    with ThreadPoolExecutor() as pool:
        for name, each in part.items():
            headers, left_out = [], Counter(each.left_out)
            for header in pool.map(_header_or_reason, each.files):
                if isinstance(header, str):
                    left_out[header] += 1
                else:
                    headers.append(header)
            found[name] = ClassFiles(headers, left_out)
            _require_files(folder / name, found[name])
    return found


def _require_files(folder, files):
    if not files.files:
        what = f"; it has {_counted(files.left_out)}" if files.left_out else ""
        raise DataError(f"{folder} has no images that can be read{what}: add some, or remove the folder")


def _header_or_reason(path):
    try:
        return read_header(path)
    except UnreadableImage as error:
        return error.reason


def _likely_shape(listed, size):
    """Return the shape of an image, as far as it is known without reading all headers: in doubt it is colored."""
    if size:
        return size, size, 3
    for path in _all_files(listed[0]):
        with contextlib.suppress(UnreadableImage):
            header = read_header(path)
            return header.height, header.width, 3
    return 1, 1, 3


def _split(folder, files, share):
    """Return the training and the test files of each class."""
    train, test = {}, {}
    for name, each in files.items():
        is_test = tested_positions(len(each.files), share, str(folder / name), "test images")
        train[name] = ClassFiles(list(itertools.compress(each.files, map(operator.not_, is_test))), each.left_out)
        test[name] = ClassFiles(list(itertools.compress(each.files, is_test)), Counter())
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
    content = images_and_others(folder)
    linked = sum(has_image_suffix(entry.name) and not is_folder(entry) for entry in content.others)
    stray = len(content.plain) + linked
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


def _read_all(headers, size, channels, matte, shorter_side):
    """Return (N, H, W, C) uint8."""
    first = headers[0]
    shape = (size, size, channels) if size else fit_image(read_pixels(first, matte), None, channels).shape
    at_once = max(header.decoding_memory for header in headers)
    total = len(headers) * math.prod(shape)
    what = f"the data set of {len(headers):,} images with {shape[0]}x{shape[1]} pixels"
    require_memory(total + at_once, what, ON_DISK)
    try:
        images = np.empty((len(headers), *shape), np.uint8)
    except (MemoryError, ValueError) as error:
        raise DataError(f"{what} does not fit into memory ({total / 1e9:.1f} GB): {ON_DISK}") from error

    def read(number):
        header = headers[number]
        image = read_pixels(header, matte)
        found = remarks(header, image)
        with naming(header.path):
            image = fit_image(image, size, channels, shorter_side)
        if image.shape != shape:
            height, width = image.shape[:2]
            what = f"{header.path} is {height}x{width}, but {first.path} is not"
            raise DataError(f"{what}: give a size to resize all images to (without fit pad)")
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
