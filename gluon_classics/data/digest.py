"""Checksums of images and labels. `DataRecord` says what each of them covers."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from .images import Images


def pixel_digest(train: Images, test: Images) -> str:
    """Return the checksum by which published data sets are known, `DataRecord.sha256`."""
    digest = hashlib.sha256()
    for part in (train, test):
        assert isinstance(part.images, np.ndarray), "images on the disk have another checksum"
        digest.update(part.images.tobytes())
        digest.update(part.labels.astype("uint8").tobytes())
    return digest.hexdigest()


def content_digest(train: Images, test: Images, classes: tuple[str, ...], pixels: str) -> str:
    """Return the checksum of everything that a result depends on, `DataRecord.content_sha256`.

    Args:
        train: The training images.
        test: The test images.
        classes: The names of the classes.
        pixels: The result of `pixel_digest`, so that the images are read only once.
    """
    facts = [[part.images.shape, str(part.images.dtype), len(part.labels)] for part in (train, test)]
    digest = hashlib.sha256(json.dumps([pixels, facts, classes]).encode())
    for part in (train, test):
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()
