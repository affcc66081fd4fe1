"""Folders of images: layouts, depth, channels, suffixes, links and names, held against what was put into them."""

from __future__ import annotations

import os
from pathlib import Path
import re

from .case import Call, Case, Command
from .mutations import cut, mutate_bytes

CASES = 200
SIDE = 6
READ = ("png", "jpg", "jpeg", "bmp", "tif", "webp", "PNG", "JPG")  # suffixes that must be read
MAY = ("gif", "ppm", "pgm", "jfif", "jpe", "jp2")  # read, or reported
NOT = ("txt", "csv", "json", "pdf", "md", "py", "npy", "")


def _write(path, value, color, size=(SIDE, SIDE)):
    """Write an image of one value: grey, or that red and no green and blue."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (value, 0, 0)) if color else Image.new("L", size, value)
    kind = {"jpg": "JPEG", "jpeg": "JPEG", "jfif": "JPEG", "jpe": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}
    suffix = path.suffix[1:].lower()
    if suffix in ("ppm", "pgm"):
        image = image.convert("L" if suffix == "pgm" else "RGB")
    with open(path, "wb") as file:
        image.save(file, kind.get(suffix, "PPM" if suffix in ("ppm", "pgm") else suffix.upper() or "PNG"))


def _value(number):
    return 40 + 50 * number


def _classes(rng, names=None):
    return names or [f"class{number}" for number in range(rng.randint(2, 4))]


def _fill(folder, rng, classes, count=None, color=lambda number: False, suffix="png", depth=0):
    """Write the images of each class, and return their number by class."""
    found = {}
    for number, name in enumerate(classes):
        found[name] = count or rng.randint(5, 8)
        for image in range(found[name]):
            inner = [f"part{rng.randrange(2)}" for _ in range(depth)]
            _write(Path(folder, name, *inner, f"{image:02d}.{suffix}"), _value(number), color(image))
    return found


def _load(folder, size=None):
    from gluon_classics.data.datasets import load_dataset

    return Call(lambda: load_dataset(str(folder), size))


def _check(classes, total, color=None):
    """Return the check of a data set: every image of each class, with its value and its label."""

    def check(answer):
        data = answer.value
        found = len(data.train) + len(data.test)
        if found != total and not re.search(r"\d", answer.said):
            return f"{found} of {total} images are used, and nothing says so"
        if list(data.classes) != sorted(classes):
            return f"classes {data.classes} instead of {sorted(classes)}"
        if color is not None and data.train.images.shape[3] != (3 if color else 1):
            return f"{data.train.images.shape[3]} channels"
        values = {name: _value(number) for number, name in enumerate(classes)}
        for part in (data.train, data.test):
            for image, label in zip(part.images, part.labels):
                value = values[data.classes[int(label)]]
                # grey of pure red: .299 of it; JPEG rounds
                if abs(image[..., 0].astype(int).mean() - value) > 3 and (color is not False or image.shape[2] != 1):
                    return f"an image of {data.classes[int(label)]} has the pixels of another class"
        return None

    return check


def _case(what, folder, classes, counts, rng, place, wrong=None, color=None, size=None):
    return Case(what, _load(folder, size), wrong, _check(classes, sum(counts.values()), color))


def right(rng, place):
    classes, color, suffix = _classes(rng), rng.random() < 0.5, rng.choice(READ)
    counts = _fill(place.folder / "set", rng, classes, color=lambda image: color, suffix=suffix)
    channels = color if suffix != "webp" else None  # WebP has no grey
    return _case(f"images in .{suffix}", place.folder / "set", classes, counts, rng, place, False, channels)


def layouts(rng, place):
    classes = _classes(rng)
    train, test = rng.choice(
        (
            ("train", "test"),
            ("train", "val"),
            ("train", "valid"),
            ("Train", "Test"),
            ("training", "testing"),
            ("train", None),
        )
    )
    folder = place.folder / "set"
    counts = _fill(folder / train, rng, classes)
    total = sum(counts.values())
    if test:
        total += sum(_fill(folder / test, rng, classes).values())
    if rng.random() < 0.3:
        total += sum(_fill(folder / "valid" if test == "test" else folder / "extra", rng, classes).values())
    act = _load(folder)
    return Case(
        f"layout {train}, {test}", act, False if (train, test) == ("train", "test") else None, _check(classes, total)
    )


def deeper(rng, place):
    classes, depth = _classes(rng), rng.randint(1, 3)
    counts = _fill(place.folder / "set", rng, classes, depth=depth)
    return _case(f"images {depth} folders deeper", place.folder / "set", classes, counts, rng, place)


def mixed_channels(rng, place):
    """Grey and coloured images: the colours count, wherever the first coloured one is."""
    classes = _classes(rng)
    first = rng.randrange(5)
    counts = _fill(place.folder / "set", rng, classes, color=lambda image: image == first)
    return _case(
        f"image {first} of each class is coloured", place.folder / "set", classes, counts, rng, place, None, True
    )


def suffixes(rng, place):
    classes = _classes(rng)
    folder = place.folder / "set"
    counts = _fill(folder, rng, classes)
    total = sum(counts.values())
    for name in classes:
        for number in range(rng.randint(1, 5)):
            suffix = rng.choice(MAY)
            _write(folder / name / f"more{number}.{suffix}", _value(classes.index(name)), False)
            total += 1
    return Case("images in other formats", _load(folder), None, _check(classes, total))


def other_files(rng, place):
    """Files that are no images must be counted in what is printed, or refused."""
    classes = _classes(rng)
    folder = place.folder / "set"
    counts = _fill(folder, rng, classes)
    added = rng.randint(1, 6)
    for number in range(added):
        name = rng.choice(classes)
        suffix = rng.choice(NOT)
        (folder / name / f"other{number}{'.' if suffix else ''}{suffix}").write_bytes(
            rng.choice((b"", b"text", bytes(99)))
        )
    kind = rng.choice(("", "Thumbs.db", ".DS_Store", "__MACOSX"))
    if kind == "__MACOSX":
        _fill(folder / kind, rng, classes[:1], count=1)
    elif kind:
        (folder / kind).write_bytes(b"x")
    return Case(f"{added} other files, {kind}", _load(folder), None, _check(classes, sum(counts.values()) + added))


def damaged(rng, place):
    classes = _classes(rng)
    folder = place.folder / "set"
    counts = _fill(folder, rng, classes)
    path = rng.choice(sorted(folder.rglob("*.png")))
    kind = rng.choice(("empty", "cut", "text", "folder", "loop", "pipe", "bytes", "claims"))
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        claims = content[:16] + b"\0\0\xea\x60\0\0\xea\x60" + content[24:]
        changed = {"empty": b"", "text": b"x", "cut": cut(content, rng), "claims": claims}
        path.write_bytes(changed.get(kind) if kind in changed else mutate_bytes(content, rng))
    return _case(f"{path.name} is {kind}", folder, classes, counts, rng, place)


def names(rng, place):
    """Names that a terminal cannot show, or that would change it."""
    odd = rng.choice(
        (b"\x1b[31mred", b"a\nb", b"\xff\xfe", b"\x9b31m", "中文".encode(), b"a b", b"%s", b"-x", b"\xe2\x80\xaetxt")
    )
    folder = place.folder / "set"
    classes = ["other", os.fsdecode(odd)]
    counts = _fill(folder, rng, classes)
    if rng.random() < 0.5 and b"\n" not in odd:
        return _case(f"class {odd!r}", folder, classes, counts, rng, place)
    out = place.folder / "run"
    command = Command.of(
        "train", "lenet", "--data", folder, "--resize", "28", "--epochs", "1", "--batch-size", "4", "--out", out
    )
    return Case(f"train with class {odd!r}", command)


def few_images(rng, place):
    folder = place.folder / "set"
    count = rng.choice((0, 1, 2, 4))
    for name in _classes(rng):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            _write(folder / name / f"{number}.png", 9, False)
    if rng.random() < 0.3:
        _fill(folder, rng, ["only"], count=9)
    wrong = True if count < 2 else None
    return Case(f"{count} images in each class", _load(folder), wrong)


def classes_differ(rng, place):
    folder = place.folder / "set"
    names = _classes(rng)
    _fill(folder / "train", rng, names)
    _fill(folder / "test", rng, rng.choice((names[:-1], [*names, "more"], [name.upper() for name in names])))
    return Case("train and test have other classes", _load(folder), True)


def links(rng, place):
    """A link to a class is a class; a link to a folder above must not lead around in circles."""
    classes = _classes(rng)
    folder = place.folder / "set"
    counts = _fill(folder, rng, classes)
    kind = rng.choice(("class", "above", "itself", "broken"))
    if kind == "class":
        target = place.folder / "elsewhere"
        (folder / classes[-1]).rename(target)
        (folder / classes[-1]).symlink_to(target)
    elif kind == "above":
        (folder / classes[0] / "above").symlink_to(folder)
    elif kind == "itself":
        (folder / classes[0] / "itself").symlink_to(folder / classes[0])
    else:
        (folder / classes[0] / "broken.png").symlink_to("nothing.png")
    check = _check(classes, sum(counts.values())) if kind in ("class", "itself") else lambda answer: None
    return Case(f"a link: {kind}", _load(folder), False if kind == "class" else None, check)


def sizes(rng, place):
    folder = place.folder / "set"
    classes = _classes(rng)
    counts = _fill(folder, rng, classes)
    odd = rng.choice(((1, 1), (1, 300), (300, 1), (5, 6), (2000, 2000)))
    _write(folder / classes[0] / "odd.png", _value(0), False, odd)
    counts[classes[0]] += 1
    size = rng.choice((None, 1, 6, 28))
    wrong = size is None
    return _case(f"one image of {odd}, size {size}", folder, classes, counts, rng, place, wrong, size=size)


def evaluated(rng, place):
    folder = place.folder / "set"
    _fill(folder, rng, rng.choice((_classes(rng), [str(number) for number in range(10)])))
    return Case("evaluate on a folder", Command.of("evaluate", place.world / "whole", "--data", folder, "--json"), True)


KINDS = (
    *(right, layouts, deeper, mixed_channels, suffixes, other_files, damaged, names, few_images, classes_differ),
    *(links, sizes, evaluated, mixed_channels, damaged, names),
)
