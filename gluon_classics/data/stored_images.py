"""Images that stay on the disk. Each is read and decoded when it is used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
import functools
import hashlib
import math
import os
from pathlib import Path
import threading
from typing import Any, Callable, Protocol, Sequence

from gluon_classics import _console, _runtime
from gluon_classics._files import require_regular
from gluon_classics.errors import DataError
import numpy as np

from .image_file import ImageHeader, header_of, pixels_of
from .images import fit_image, naming, quiet_decoders, remarks, with_channels
from .memory import available_memory, require_memory
from .storage import format_bytes, read_errors

SHARE_IN_MEMORY = 0.5  # of the available memory; a data set that takes more stays on the disk
ON_DISK = "use --from-disk, or smaller images"  # if they do not fit into memory
SAMPLED = 200  # images that are looked at first: whether some are colored, and for the checksum
CHUNK = 1024  # images that are read at a time into memory


class ImageSource(Protocol):
    """Image files by number."""

    def __len__(self) -> int: ...

    def name(self, number: int) -> str:
        """Return the name of an image file for messages."""

    def content(self, number: int) -> bytes:
        """Return the bytes of an image file. Raises DataError if they cannot be read."""


class ImageFiles:
    """An `ImageSource` of files.

    Args:
        paths: The paths of the files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, number: int) -> str:
        return self.paths[number]

    def content(self, number: int) -> bytes:
        path = self.paths[number]
        with read_errors(path):
            require_regular(path)  # opening a pipe could wait forever
            return Path(path).read_bytes()


def files_digest(parts: Sequence[tuple[Any, dict[str, Sequence[str]]]], allow_unreadable: bool = False) -> str:
    """Return a checksum of the names and sizes of files, and of the content of a sample: it is found quickly.

    Args:
        parts: For the training and the test images, their folder and the paths of the files of each class.
        allow_unreadable: Whether files may be unreadable, such as a link that leads nowhere. They count as such.

    Raises:
        DataError: A file cannot be read.
    """

    def known(read, path):
        try:
            with read_errors(path):
                return read(path)
        except DataError:
            if not allow_unreadable:
                raise
            return None

    digest = hashlib.sha256()
    for folder, paths_of in parts:
        start = len(os.path.join(folder, ""))
        every = [path for paths in paths_of.values() for path in paths]
        for number in sample_of(len(every)):
            digest.update(known(lambda path: ImageFiles([path]).content(0), every[number]) or b"")
        for name, paths in paths_of.items():
            for path in paths:
                size = known(os.path.getsize, path)
                digest.update(os.fsencode(f"{name}\0{path[start:]}\0{size}\n"))
        digest.update(b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class StoredImages:
    """An array of images, (N, H, W, C) uint8, that reads an image when it is used.

    A slice or a mask of it is such an array too. An array of numbers reads the images with these numbers, and a number
    reads one image. Reading raises DataError if an image is damaged or does not match the others.

    Attributes:
        source: The image files.
        numbers: The numbers of the images in the source, (N,).
        image_shape: (H, W, C).
        size: The height and width to which images are resized; None if all have the same size.
        matte: The color that shows through transparent pixels.
        shorter_side: See `fit_image`.
    """

    source: ImageSource
    numbers: np.ndarray
    image_shape: tuple[int, int, int]
    size: int | None
    matte: tuple[int, int, int]
    shorter_side: bool = False
    _said: set = field(default_factory=set)
    _lock: Any = field(default_factory=threading.Lock)

    dtype = np.dtype(np.uint8)
    ndim = 4

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.numbers), *self.image_shape)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index):
        if isinstance(index, slice) or np.asarray(index).dtype.kind == "b":
            return replace(self, numbers=self.numbers[index])
        numbers = self.numbers[index]
        images = np.empty((np.size(numbers), *self.image_shape), np.uint8)
        self.read_into(images, np.atleast_1d(numbers))
        return images if np.ndim(numbers) else images[0]

    def read_into(self, images: np.ndarray, numbers: np.ndarray) -> None:
        """Read the images with these numbers in the source, (M,), into an array (M, H, W, C)."""

        def read(place):
            images[place] = self._fitted(int(numbers[place]))

        _in_threads(read, len(numbers))

    def for_each_original(self, places: np.ndarray, use: Callable[[int, np.ndarray], None]) -> None:
        """Read images of their own sizes, in threads.

        Args:
            places: The places of the images in this array, (M,).
            use: Called with 0..M-1 and the image, (H, W, C) uint8.
        """
        numbers = self.numbers[places]

        def read(place):
            number = int(numbers[place])
            image = self._read(number)
            with naming(self.source.name(number)):
                use(place, image)

        _in_threads(read, len(numbers))

    def longest_ratio(self) -> float:
        """Return how many times as long as the shorter side the longer one is, at most, in a sample of the files.

        Raises DataError if one of them is damaged.
        """
        numbers = [int(self.numbers[place]) for place in sample_of(len(self))]
        with quiet_decoders():
            headers = [header_of(self.source.content(number), self.source.name(number)) for number in numbers]
        return max(max(each.width, each.height) / min(each.width, each.height) for each in headers)

    def in_memory(self, what: str) -> np.ndarray:
        """Return all images in memory. Raises DataError, which names the images `what`, if there is too little."""
        size = math.prod(self.shape)
        require_memory(size, what, ON_DISK)
        try:
            images = np.empty(self.shape, np.uint8)
        except (MemoryError, ValueError) as error:
            raise DataError(f"{what} do not fit into memory ({format_bytes(size)}): {ON_DISK}") from error
        for start in range(0, len(self), CHUNK):
            part = slice(start, start + CHUNK)
            self.read_into(images[part], self.numbers[part])
        return images

    def _fitted(self, number):
        image = self._read(number)
        with naming(self.source.name(number)):
            image = fit_image(image, self.size, None, self.shorter_side)
        if image.shape != self.image_shape:
            (height, width), others = image.shape[:2], self.image_shape
            what = f"{self.source.name(number)} is {height}x{width}, not {others[0]}x{others[1]}"
            raise DataError(f"{what}: give a size to resize all to (without fit pad)")
        return image

    def _read(self, number):
        """Return an image in its original size, in gray or color like the whole data set."""
        name = self.source.name(number)
        content = self.source.content(number)
        header = header_of(content, name)
        channels = self.image_shape[2]
        if channels == 1 and header.channels(self.matte) == 3:
            remedy = "convert it to grayscale, or the others to color"
            raise DataError(f"{name} is colored, but the images that were looked at first are gray: {remedy}")
        image = pixels_of(content, header, self.matte)
        self._remark(header, image)
        return with_channels(image, channels)

    def _remark(self, header, image):
        for remark in remarks(header, image):
            with self._lock:
                is_new = remark not in self._said
                self._said.add(remark)
            if is_new:
                _console.warn(f"{header.path}, perhaps not alone: {remark}")


def _in_threads(work, count):
    """Call `work` with 0..count-1."""
    threads = min(_runtime.usable_cores(), count)

    def some(first):
        for place in range(first, count, threads):
            work(place)

    with _console.quiet_libraries():
        if threads == 1:
            some(0)
        else:
            list(_pool().map(some, range(threads)))


def sample_of(count: int) -> list[int]:
    """Return the numbers of the images to look at first: `SAMPLED` of them, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, SAMPLED).astype(int)).tolist()


def stored_images(
    sources: Sequence[ImageSource],
    size: int | None,
    matte: tuple[int, int, int],
    color_name: str,
    whole: bool = False,
    shorter_side: bool = False,
) -> list[StoredImages]:
    """Return the images of sources, all with the same shape. Headers are read to find out whether they are colored.

    Args:
        sources: Image files, such as those for training and those for tests.
        size: The height and width in pixels to which images are resized. If it is None, all must have the same size.
        matte: The color that shows through transparent pixels.
        color_name: The name of that color for messages.
        whole: Whether to read the headers of all images, not only of a sample.
        shorter_side: See `fit_image`.

    Raises:
        DataError: An image whose header is read is damaged.
    """

    def header(place) -> ImageHeader:
        source, number = place
        return header_of(source.content(number), source.name(number))

    sample = [
        (source, number) for source in sources for number in (range(len(source)) if whole else sample_of(len(source)))
    ]
    with quiet_decoders():
        headers = list(_pool().map(header, sample))
        channels = max(each.channels(matte) for each in headers)
        height = width = size
        if height is None or width is None:
            height, width = fit_image(pixels_of(sources[0].content(0), headers[0], matte), None, channels).shape[:2]
    if any(each.is_transparent for each in headers):
        _console.say(f"Images with transparency are shown on {color_name}.")
    shape = (height, width, channels)
    return [StoredImages(source, np.arange(len(source)), shape, size, matte, shorter_side) for source in sources]


def stays_on_disk(shape: Sequence[int], in_memory: bool | None, originals: bool = False) -> bool:
    """Return whether images stay on the disk, and say so if they are too large for memory.

    Args:
        shape: The shape of all images.
        in_memory: What the user wants; None decides by the memory that is available.
        originals: Whether the images are used in their own sizes. Then they stay on the disk.

    Raises:
        DataError: They cannot be in memory.
    """
    if originals:
        if in_memory:
            raise DataError("random parts of image files are read when they are used: leave --in-memory out")
        return True
    needed, available = math.prod(shape), available_memory()
    if in_memory is None and available is not None and needed > SHARE_IN_MEMORY * available:
        _console.say(
            f"Images are read from the disk when they are used: in memory they would take {format_bytes(needed)} of "
            f"the {format_bytes(available)} that are free (see --in-memory)."
        )
        return True
    return in_memory is False


@functools.lru_cache(maxsize=None)
def _pool():
    return ThreadPoolExecutor(_runtime.usable_cores())


os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has no threads of its parent
