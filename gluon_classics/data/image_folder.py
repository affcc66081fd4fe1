"""A user's own images: a folder with one subfolder of image files a class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gluon_classics.errors import DataError
import numpy as np

from .images import Images, read_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
HELD_OUT = 5  # without a test folder every fifth image of a class, in the order of names, is for testing


def load_folder(folder, size: int | None) -> tuple[Images, Images, tuple[str, ...]]:
    """Training images, test images and class names of a folder with one subfolder of images a class.

    With `train/` and `test/` in the folder, each holds the classes; without, every fifth image of a class is for
    testing. Images are resized to `size`; without one all must have the same size. Raises DataError.
    """
    folder = Path(folder)
    split = (folder / "train").is_dir() and (folder / "test").is_dir()
    files = _class_files(folder / "train" if split else folder)
    classes = tuple(files)
    if split:
        train, test = files, _class_files(folder / "test")
        if tuple(test) != classes:
            differing = ", ".join(sorted(set(test) ^ set(classes)))
            raise DataError(f"{folder}: train/ and test/ do not hold the same classes ({differing})")
    else:
        train = {name: [p for i, p in enumerate(paths, 1) if i % HELD_OUT] for name, paths in files.items()}
        test = {name: paths[HELD_OUT - 1 :: HELD_OUT] for name, paths in files.items()}
        few = [name for name, paths in files.items() if len(paths) < HELD_OUT]
        if few:
            raise DataError(f"{folder / few[0]} holds fewer than {HELD_OUT} images: none would be left for testing")
    first = next(iter(train.values()))[0]
    shape = read_image(first, size).shape
    return _read_all(train, size, shape, first), _read_all(test, size, shape, first), classes


def _class_files(folder):
    files = {}
    for subfolder in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        visible = (path for path in subfolder.iterdir() if not path.name.startswith("."))
        paths = sorted(path for path in visible if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise DataError(f"{subfolder} holds no images ({', '.join(SUFFIXES)}): a class needs some")
        files[subfolder.name] = paths
    if len(files) < 2:
        raise DataError(f"{folder} needs two or more subfolders of images, one for each class")
    return files


def _read_all(files, size, shape, first):
    paths = [path for class_paths in files.values() for path in class_paths]
    labels = np.repeat(np.arange(len(files)), [len(class_paths) for class_paths in files.values()])
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda path: read_image(path, size, shape[2]), paths))
    for path, image in zip(paths, images):
        if image.shape != shape:
            height, width = image.shape[:2]
            raise DataError(f"{path} is {height}x{width}, unlike {first}: give a size to resize all images to")
    return Images(np.stack(images), labels)
