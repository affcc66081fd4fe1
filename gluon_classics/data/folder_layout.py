"""Find the training images, the test images and the classes in a folder of images."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import re

from gluon_classics import _console
from gluon_classics.errors import DataError

from .image_file import readable_suffixes
from .storage import FolderContent, folder_content

_SPLITS = {"train": "train(ing)?", "validation": "val|valid(ation)?|dev", "test": "test(ing)?"}
_ENDING = r"([ _-]?(set|data|images?|imgs?|pics|jpe?g|png|stg|stage|split))*[ _-]?\d*"  # training_set, test1, val2017
_SHARED = 2  # if all folders have this many subfolders with the same names, they may not be classes
_SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")


@dataclass(frozen=True)
class FolderLayout:
    """Where the images of a data set are.

    Attributes:
        train: The folder with one subfolder of training images per class.
        test: The same for test images; None if a share of the images in `train` are the test images.
        found: What was found, as a sentence for users without a period.
    """

    train: Path
    test: Path | None
    found: str


def find_layout(folder) -> FolderLayout:
    """Find the training and the test images in a folder.

    The folder, or a single folder in it, contains one subfolder per class, or `train/` with these subfolders. Next to
    `train/` may be `test/` and `val/`. Other usual names and upper case are accepted too. The validation images are the
    test images if there are no others. Test images without subfolders have no labels and are not used.

    Two folders such as `seg_train/` and `seg_test/`, whose names differ only in such a word, count as `train/` and
    `test/`. The folders next to them are not used.

    Raises:
        DataError: The folder cannot be read, or it is not clear which images are meant.
    """
    folder = _unwrapped(Path(folder), lambda name: _split_of(name) is None)
    names = [path.name for path in subfolders(folder)]
    splits: dict[str, str] = {}
    for name, split in _splits_of(names):
        if split in splits:
            raise DataError(f"{folder} has both {splits[split]}/ and {name}/: rename or remove one of them")
        splits[split] = name
    classes = [name for name in names if name not in splits.values()]
    if not splits or (classes and list(splits) == ["train"] and not subfolders(folder / splits["train"])):
        _check_classes_are_outside(folder)  # `train` may be a class of vehicles
        _warn_of_same_subfolders(folder)
        return FolderLayout(folder, None, f"Training and test images from {folder}")
    if "train" not in splits:
        raise DataError(f"{folder} has {splits.popitem()[1]}/ but no train/: put the training images into train/")
    if classes and len(splits) == 1:
        raise DataError(f"{folder} has classes in train/ and next to it ({classes[0]}/): move them, or rename train/")
    return _split_layout(folder, splits, classes)


def subfolders(folder: Path) -> list[Path]:
    """Return the sorted subfolders, without hidden ones and those that systems make. Raises DataError."""
    found = [entry for entry in images_and_others(folder).others if is_folder(entry) and not is_hidden(entry.name)]
    return sorted((Path(entry.path) for entry in found), key=lambda path: path.name)


def images_and_others(folder) -> FolderContent:
    """Return the names of the image files in a folder, and the other entries. Raises DataError if it cannot be read."""
    try:
        return folder_content(folder, readable_suffixes())
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {(error.strerror or str(error)).lower()}") from error


def has_image_suffix(name: str) -> bool:
    """Return whether a file has the suffix of an image that can be read."""
    return Path(name).suffix.lower() in readable_suffixes()


def is_folder(entry: os.DirEntry) -> bool:
    """Return whether this is a folder or a link to one. A link that leads to itself is none."""
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def is_hidden(name: str) -> bool:
    """Return whether users do not see a file or folder of this name, or did not make it."""
    return name.startswith(".") or name in _SYSTEM


def _check_classes_are_outside(folder):
    for path in subfolders(folder):
        splits = [name for name, _ in _splits_of([inner.name for inner in subfolders(path)])]
        if len(splits) > 1:
            raise DataError(f"{path} has {splits[0]}/ and {splits[1]}/: put the classes into them, or give this folder")


def _warn_of_same_subfolders(folder):
    """Warn if the subfolders may be parts or versions of a data set, each with the same classes in it.

    Subfolders with images of their own, or without folders, are classes.
    """
    inner = {}
    for path in subfolders(folder):
        below = [] if _has_images(path) else [each.name for each in subfolders(_unwrapped(path))]
        if below:
            inner[path.name] = below
    shared = sorted(set.intersection(*map(set, inner.values()))) if len(inner) > 1 else []
    if len(shared) >= _SHARED:
        one, other = list(inner)[:2]
        _console.warn(
            f"{folder}: {one}/ and {other}/ are read as classes, although both have {shared[0]}/ and {shared[1]}/. If "
            "these are the classes, name the outer folders train/ and test/, or give one of them"
        )


def _split_layout(folder, splits, others):
    train = splits["train"]
    candidates = [splits[split] for split in ("test", "validation") if split in splits]
    labeled = [name for name in candidates if subfolders(_unwrapped(folder / name))]
    unused = [f"{name}/ has no subfolders of classes" for name in candidates if name not in labeled]
    unused += [f"{name}/ is not used" for name in [*labeled[1:], *others]]
    remark = f" ({', '.join(unused)})" if unused else ""
    if not labeled:
        return FolderLayout(_unwrapped(folder / train), None, f"Training and test images from {folder / train}{remark}")
    found = f"Training images from {folder / train}, test images from {folder / labeled[0]}{remark}"
    return FolderLayout(_unwrapped(folder / train), _unwrapped(folder / labeled[0]), found)


def _splits_of(names):
    """Return the names of training, validation and test folders, each with its split.

    If none of them is such a word alone, pairs such as `seg_train` and `seg_test` are looked for. If there is one,
    every name with such a word counts. A name without its counterpart, such as `bullet_train`, is that of a class.
    """
    plain = [(name, _split_of(name)) for name in names if _split_of(name)]
    if plain:
        return plain
    affixed = [(name, *found) for name in names for found in [_affixed_split_of(name)] if found]
    trained = {rest for _, split, rest in affixed if split == "train"}
    is_pair = any(split != "train" and rest in trained for _, split, rest in affixed)
    return [(name, split) for name, split, _ in affixed] if is_pair else []


def _affixed_split_of(name):
    """Return the split that the first or last word of a name means, and the other words; None if there is none."""
    for split, pattern in _SPLITS.items():
        for affixed in (f"(?P<rest>.+)[ _-]({pattern}){_ENDING}", f"({pattern})[ _-](?P<rest>.+)"):
            match = re.fullmatch(affixed, name, re.IGNORECASE)
            if match:
                return split, match["rest"].lower()
    return None


def _split_of(name):
    for split, pattern in _SPLITS.items():
        if re.fullmatch(f"({pattern}){_ENDING}", name, re.IGNORECASE):
            return split
    return None


def _unwrapped(folder, may_be_wrapper=lambda name: True):
    """Return the folder, or the only folder in it if there are no images next to it.

    The only folder must have subfolders, or the same name as the folder around it.
    """
    seen = set()
    while os.path.realpath(folder) not in seen:  # a link may lead back
        seen.add(os.path.realpath(folder))
        inner = subfolders(folder)
        if len(inner) != 1 or _has_images(folder) or not may_be_wrapper(inner[0].name):
            return folder
        if subfolders(inner[0]) or inner[0].name == folder.name:
            folder = inner[0]
    return folder


def _has_images(folder):
    content = images_and_others(folder)
    return bool(content.plain) or any(has_image_suffix(entry.name) for entry in content.others)
