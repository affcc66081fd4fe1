"""Check before the computation whether images fit into memory while batches of them are prepared."""

from __future__ import annotations

import math

from gluon_classics._format import format_shape
from gluon_classics._runtime import usable_cores
from gluon_classics.data.augment_words import COLOR_CHANGES, LARGEST_SIDE
from gluon_classics.data.memory import available_memory
from gluon_classics.data.stored_images import StoredImages
from gluon_classics.errors import DataError, MemoryTooSmall
from gluon_classics.utils.loader import WORKERS, DataLoader
from gluon_classics.utils.preprocess import Preprocess

FLOAT = 4  # bytes of a value, also after changes of colors


def check_images(loader: DataLoader, at_once: int, trained: bool = False, processes: int = 1) -> None:
    """Raise an error if the images of a loader cannot fit into memory before they have the network's size.

    `batch_memory.check_batch` does the same for what comes then.

    Args:
        loader: The loader, with a `Preprocess`.
        at_once: Number of images that are prepared together.
        trained: Whether the batches are those of a training, whose settings can be changed.
        processes: Number of processes on this machine that have such a loader, and share its memory.

    Raises:
        MemoryTooSmall: They need more memory than there is.
        DataError: An augmentation makes images with more pixels per side than an image can have.
    """
    count = math.ceil(len(loader.dataset) / loader.share[1])
    at_once = min(at_once, count)
    batches = min(WORKERS, math.ceil(count / at_once))  # that are prepared at the same time
    scale = next((operation for operation in loader.operations if operation.name == "scale"), None)
    if scale is not None:
        _check_scale(loader, int(scale.numbers[1]), at_once * batches, processes)
    if any(operation.from_original for operation in loader.operations):
        return  # there are no images of another size
    available = available_memory(processes)
    height, width, _ = _sized_shape(loader)
    of_image, more = _bytes_of(loader)
    decoded = 0
    if isinstance(loader.dataset.images, StoredImages):  # in threads, before they are in a batch
        decoded = min(usable_cores(), at_once) * math.prod(loader.dataset.images.shape[1:])
    needed = batches * (at_once * of_image + more) + decoded
    if available is None or needed <= available:
        return
    most = max(0, (available - decoded) // batches - more) // of_image * processes
    words = f"batches of {at_once:,} images" if at_once > 1 else "images"
    what = f"preparing {words} of {height}x{width} needs {_sizes(needed, available)}"
    raise MemoryTooSmall(f"{what}: {_remedy(most, trained)}")


def _remedy(most, trained):
    if not trained:
        return f"use a smaller batch size, {most:,} at most" if most else "free memory, or use another machine"
    parts = f"a smaller batch size, {most:,} at most, smaller parts (--micro-batch-size), or " if most else ""
    return f"use {parts}smaller images (--image-size)"


def _sizes(needed, available):
    return f"{needed / 1e9:,.1f} GB of memory or more, and {available / 1e9:,.1f} GB are available"


def _sized_shape(loader):
    """Return the shape to which images are brought, (H, W, C)."""
    height, width, channels = loader.dataset.images.shape[1:]
    side = loader.transform.image_size or loader.transform.resize
    return (side, side, channels) if side else (height, width, channels)


def _bytes_of(loader):
    """Return the bytes of each image of a batch, as it is read and resized, and those of one that is augmented."""
    read, sized = loader.dataset.images.shape[1:], _sized_shape(loader)
    of_image = math.prod(read)
    if sized != read:
        of_image += math.prod(sized) * _type_size(loader.transform)
    more = 0
    for name, numbers in loader.operations:
        if name in COLOR_CHANGES:
            more = max(more, math.prod(sized) * FLOAT)
        if name == "crop":
            border = int(numbers[0])
            more = max(more, (sized[0] + 2 * border) * (sized[1] + 2 * border) * sized[2])
    return of_image, more


def _type_size(preprocess: Preprocess):
    """Return the number of bytes of a value in a resized image."""
    return FLOAT if preprocess.resize_in == "float32" and preprocess.fit != "pad" else 1


def _scaled_shape(side, ratio):
    return side, max(side, round(side * ratio))


def _check_scale(loader, side, count, processes):
    """Raise an error if images whose shorter side has `side` pixels, of `count` at a time, are too large."""
    images = loader.dataset.images
    if isinstance(images, StoredImages):
        ratio, threads = images.longest_ratio(), max(WORKERS, usable_cores())
    else:
        ratio, threads = max(images.shape[1:3]) / min(images.shape[1:3]), WORKERS
    shape = _scaled_shape(side, ratio)
    what = f"the augmentation scale makes images of {format_shape(shape)}"
    if max(shape) > LARGEST_SIDE:
        remedy = f"use sizes up to {int(LARGEST_SIDE / ratio):,}"
        raise DataError(f"{what}, and images can have {LARGEST_SIDE:,} pixels per side at most: {remedy}")
    before = [operation.name for operation in loader.operations]
    is_float = not set(before[: before.index("scale")]).isdisjoint(COLOR_CHANGES)
    of_value = FLOAT if is_float else _type_size(loader.transform)
    together = min(count, threads)
    of_pixel = together * images.shape[3] * of_value
    needed = of_pixel * math.prod(shape)
    available = available_memory(processes)
    if available is None or needed <= available:
        return
    each = f"{together} at a time, which need" if together > 1 else "which needs"
    most = math.isqrt(int(available / (of_pixel * ratio)))
    if of_pixel * math.prod(_scaled_shape(most, ratio)) > available:  # because the longer side is rounded
        most -= 1
    raise MemoryTooSmall(f"{what}, {each} {_sizes(needed, available)}: use sizes up to {most:,}")
