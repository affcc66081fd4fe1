"""The record of a run's data."""

from dataclasses import dataclass
from typing import Optional, Tuple


@dataclass(frozen=True)
class DataRecord:
    """The data set of a run.

    Attributes:
        name: Name of the data set or of its folder.
        is_sample: Whether it is the embedded sample. Results on it are not comparable with published results.
        is_published: Whether it is the complete published data set; None if that is not known.
        train_images: Number of training images that the run uses.
        image_shape: (H, W, C) of the images before they are resized.
        classes: Names of the classes, in the order of their labels.
        sha256: SHA-256 of all pixels and labels, each label as one byte, training images first; None if the images stay
            on the disk. It is the same for the same images in every file format, and the checksum by which published
            data sets are known. It does not cover shapes, class names, and labels above 255.
        test_images: Number of test images.
        origin: Where the data was found on the machine of the run.
        content_sha256: SHA-256 of everything that a result depends on: `sha256`, the shapes and types of the images,
            the labels as 64-bit numbers, and the names of the classes; None in older records, or without `sha256`.
        files_sha256: SHA-256 of what is known about image files without reading them all, such as their names and
            sizes; None if the data is in other formats.
    """

    name: str
    is_sample: bool
    is_published: Optional[bool]
    train_images: int
    image_shape: Tuple[int, int, int]
    classes: Tuple[str, ...]
    sha256: Optional[str]
    test_images: Optional[int] = None
    origin: Optional[str] = None
    content_sha256: Optional[str] = None
    files_sha256: Optional[str] = None

    def is_same_data(self, other: "DataRecord") -> bool:
        """Return whether two records are of the same images, labels and classes, as far as their checksums tell."""
        if None in (self.sha256, other.sha256):
            mine, others = ((each.files_sha256, each.train_images, each.classes) for each in (self, other))
            return self.files_sha256 is not None and mine == others
        if self.sha256 != other.sha256:
            return False
        return None in (self.content_sha256, other.content_sha256) or self.content_sha256 == other.content_sha256
