"""The record of a run's data."""

from dataclasses import dataclass
from typing import Optional, Tuple


@dataclass(frozen=True)
class DataRecord:
    """The data set of a run.

    Attributes:
        name: Name of the data set or of its folder.
        is_sample: Whether it is the embedded sample. Results on it are not comparable with published results.
        is_published: Whether it is the complete published data set; None if its checksum is not known.
        train_images: Number of training images that the run uses.
        image_shape: (H, W, C) of the images before they are resized.
        classes: Names of the classes, in the order of their labels.
        sha256: SHA-256 of all images and labels.
        test_images: Number of test images.
        origin: Where the data was found on the machine of the run.
    """

    name: str
    is_sample: bool
    is_published: Optional[bool]
    train_images: int
    image_shape: Tuple[int, int, int]
    classes: Tuple[str, ...]
    sha256: str
    test_images: Optional[int] = None
    origin: Optional[str] = None
