"""Image folders: one subfolder of image files per class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gluon_classics.errors import DataError
import numpy as np

from .images import Images, read_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
HELD_OUT = 5  # without a test folder, every fifth image of each class, sorted by file name, is a test image


def load_folder(folder, size: int | None) -> tuple[Images, Images, tuple[str, ...]]:
    """Load a folder with one subfolder of images per class.

    If the folder has `train/` and `test/`, each of them contains the subfolders of the classes. Else every fifth
    image of each class is a test image.

    Args:
        folder: The folder.
        size: The height and width in pixels to which images are resized. If it is None, all must have the same size.

    Returns:
        The training images, the test images and the names of the classes.

    Raises:
        DataError: The folder does not contain such images, or an image cannot be read.
    """
    folder = Path(folder)
    split = (folder / "train").is_dir() and (folder / "test").is_dir()
    files = _class_files(folder / "train" if split else folder)
    classes = tuple(files)
    if split:
        train, test = files, _class_files(folder / "test")
        if tuple(test) != classes:
            differing = ", ".join(sorted(set(test) ^ set(classes)))
            raise DataError(f"{folder}: train/ and test/ must have the same classes ({differing} only in one of them)")
    else:
        train = {name: [p for i, p in enumerate(paths, 1) if i % HELD_OUT] for name, paths in files.items()}
        test = {name: paths[HELD_OUT - 1 :: HELD_OUT] for name, paths in files.items()}
        few = [name for name, paths in files.items() if len(paths) < HELD_OUT]
        if few:
            raise DataError(
                f"{folder / few[0]} has fewer than {HELD_OUT} images: add more, because every fifth one is a test image"
            )
    first = next(iter(train.values()))[0]
    shape = read_image(first, size).shape
    return _read_all(train, size, shape, first), _read_all(test, size, shape, first), classes


def _class_files(folder):
    files = {}
    for subfolder in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        visible = (path for path in subfolder.iterdir() if not path.name.startswith("."))
        paths = sorted(path for path in visible if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise DataError(f"{subfolder} has no images: add some ({', '.join(SUFFIXES)}), or remove the folder")
        files[subfolder.name] = paths
    if len(files) < 2:
        raise DataError(f"{folder} must have two or more subfolders of images, one per class")
    return files


def _read_all(files, size, shape, first):
    paths = [path for class_paths in files.values() for path in class_paths]
    labels = np.repeat(np.arange(len(files)), [len(class_paths) for class_paths in files.values()])
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda path: read_image(path, size, shape[2]), paths))
    for path, image in zip(paths, images):
        if image.shape != shape:
            height, width = image.shape[:2]
            raise DataError(f"{path} is {height}x{width}, but {first} is not: give a size to resize all images to")
    return Images(np.stack(images), labels)
