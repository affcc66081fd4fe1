"""Check before the computation whether a batch fits into memory."""

from __future__ import annotations

import contextlib
import math
from typing import NamedTuple, Sequence

from gluon_classics._format import format_shape
from gluon_classics.data.memory import available_memory
from gluon_classics.errors import MemoryTooSmall
from gluon_classics.inspection.summary import MOST_VALUES, Summary
import mxnet as mx


def check_batch(
    images: int, counts: Summary, contexts: Sequence[mx.Context], trained: bool = False, processes: int = 1
) -> None:
    """Raise a MemoryTooSmall if a batch cannot fit into memory or into MXNet's arrays.

    In training, the outputs of all layers with parameters are kept for the gradients. In prediction, one is enough.

    Args:
        images: Number of images in the batch.
        counts: Summary of the network for one image.
        contexts: Devices that share the batch.
        trained: Whether the network is trained.
        processes: Number of processes on this machine that have such a batch, and share its main memory.
    """
    sizes = kept_values(counts)
    kept = sum(sizes) if trained else max(sizes)
    check_arrays(images, counts.input_shape, max(sizes), kept, contexts, trained, processes)


def kept_values(counts: Summary) -> list[int]:
    """Return the number of values that each layer with parameters gives for one image."""
    return [math.prod(row.output_shape) for row in counts.rows if row.leaf and row.params] or [0]


def check_arrays(
    images: int,
    image_shape,
    largest: int,
    kept: int,
    contexts: Sequence[mx.Context],
    trained: bool = False,
    processes: int = 1,
) -> None:
    """Raise a MemoryTooSmall if images and what is computed from them cannot fit into memory or into MXNet's arrays.

    Args:
        images: Number of images in a batch.
        image_shape: Shape of one image, (C, H, W).
        largest: Number of values of the largest array for one image, except for the image itself.
        kept: Number of values for one image that are in memory at the same time, in float32.
        contexts: Devices that share the batch.
        trained: Whether the batch is one of training, which can be computed in parts.
        processes: See `check_batch`.
    """
    of_input = math.prod(image_shape)
    batch = f"a batch of {images:,} images of {format_shape(image_shape)}"
    share = math.ceil(images / len(contexts))  # of the largest part
    if share * max(of_input, largest) > MOST_VALUES:
        most = MOST_VALUES // max(of_input, largest) * len(contexts)
        what = "has an array of more than 2^31 - 1 values, which MXNet cannot have"
        raise MemoryTooSmall(f"{batch} {what}: {_smaller(most, trained)}")
    per_image = _bytes_per_image(image_shape, kept)
    parts, available, place = _available(contexts, processes)
    needed = per_image * math.ceil(images / parts)
    if available is not None and needed > available:
        each = " for each" if processes > 1 else ""
        gigabytes = f"{needed / 1e9:,.1f} GB of memory or more{place}, and {available / 1e9:,.1f} GB are available"
        most = available // per_image * parts * processes
        raise MemoryTooSmall(f"{batch} needs {gigabytes}{each}: {_smaller(most, trained)}")


class Room(NamedTuple):
    """The memory of devices, and the batch that fits.

    Attributes:
        images: The largest batch that `check_batch` accepts for training; None if the free memory is not known.
        available: Bytes that are free on the device with the least; None if this is not known.
    """

    images: int | None
    available: int | None


def training_room(counts: Summary, contexts: Sequence[mx.Context]) -> Room:
    """Return what fits into the memory of devices if a network is trained on them.

    Args:
        counts: Summary of the network for one image.
        contexts: Devices that share the batch.
    """
    sizes = kept_values(counts)
    parts, available, _ = _available(contexts, 1)
    if available is None:
        return Room(None, None)
    in_arrays = MOST_VALUES // max(math.prod(counts.input_shape), *sizes) * len(contexts)
    in_memory = available // _bytes_per_image(counts.input_shape, sum(sizes)) * parts
    return Room(min(in_arrays, in_memory), available)


def _bytes_per_image(image_shape, kept):
    return 4 * (math.prod(image_shape) + kept)


def _available(contexts, processes):
    """Return in how many parts a batch is divided, and how many bytes are free for one (None if unknown), and where."""
    if contexts[0].device_type == "cpu":  # several contexts of the CPU share its memory
        place = f" in each of {processes} workers" if processes > 1 else ""
        return 1, available_memory(processes), place
    for ctx in contexts:
        with contextlib.suppress(mx.base.MXNetError):  # nothing was allocated there yet
            ctx.empty_cache()  # what MXNet keeps for its next arrays counts as used
    free, ctx = min((mx.context.gpu_memory_info(ctx.device_id)[0], str(ctx)) for ctx in contexts)
    return len(contexts), free, f" on {ctx}"


def _smaller(most, trained):
    in_parts = ", compute it in parts (--micro-batch-size)" if trained else ""
    return f"use a smaller batch size, {most:,} at most{in_parts}, or smaller images" if most else "use smaller images"
