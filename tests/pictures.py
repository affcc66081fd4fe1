"""Folders of small pictures of several kinds, and RecordIO files of MXNet's writer."""

from pathlib import Path

import mxnet as mx
import numpy as np
from PIL import Image


def picture(seed: int, height: int = 20, width: int = 16, channels: int = 3) -> np.ndarray:
    """Return random pixels, (height, width, channels), or (height, width) for one channel."""
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width, channels), np.uint8)
    return pixels if channels > 1 else pixels[..., 0]


def write_pictures(folder: Path, counts: dict, channels: int = 3) -> Path:
    """Write `counts` pictures of each class into a folder with one subfolder per class. Return the folder."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed = sum(map(ord, name)) * 100 + number
            Image.fromarray(picture(seed, 20 + number % 3, 16, channels)).save(folder / name / f"{number:03}.png")
    return folder


def write_every_kind(folder: Path) -> Path:
    """Write two classes with pictures that need special care: turned, transparent, 16 bits, palettes, other formats."""
    write_pictures(folder, {"cat": 6, "dog": 5})
    Image.fromarray(picture(1)).save(folder / "cat" / "photo.jpg", quality=90)
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(picture(2)).save(folder / "cat" / "turned.jpg", exif=turned)
    Image.fromarray(picture(3, channels=4), "RGBA").save(folder / "dog" / "transparent.png")
    Image.fromarray(picture(4, channels=1).astype(np.uint16) * 257).save(folder / "dog" / "deep.png")
    Image.fromarray(picture(5)).quantize(16).save(folder / "dog" / "palette.gif")
    Image.fromarray(picture(6)).save(folder / "cat" / "windows.bmp")
    Image.fromarray(picture(7, channels=1)).save(folder / "cat" / "gray.png")
    return folder


def write_records(path: Path, contents: list, labels: list) -> None:
    """Write records with these contents and labels, and an index, with MXNet's writer."""
    writer = mx.recordio.MXIndexedRecordIO(str(path.with_suffix(".idx")), str(path), "w")
    for i, (content, label) in enumerate(zip(contents, labels)):
        writer.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, label, i, 0), content))
    writer.close()
