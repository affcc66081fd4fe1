"""Which images of a class are test images if there is no test set."""

from __future__ import annotations

from fractions import Fraction
import math

from gluon_classics.errors import DataError

TEST_SHARE = 0.2  # every fifth image of each class


def refuse_share(share: float | None, place) -> None:
    """Raise DataError if a test share was given for data that has test images.

    Args:
        share: The share; None if none was given.
        place: Where the data is, for the message.
    """
    if share is not None:
        raise DataError(f"{place} has test images: leave the test share out")


def tested_positions(count: int, share: float, name: str, purpose: str) -> list[bool]:
    """Return for each image of a class whether it is a test image: with a share of 1/5, every fifth one is.

    Args:
        count: The number of images of the class.
        share: The share of the test images, more than 0 and less than 1.
        name: The class, for messages.
        purpose: What these images are, for messages.

    Raises:
        DataError: The class has too few images.
    """
    exact = Fraction(str(share))
    part, whole = exact.numerator, exact.denominator
    is_test = [i * part // whole > (i - 1) * part // whole for i in range(1, count + 1)]
    if len(set(is_test)) < 2:
        least = max(math.ceil(1 / exact), 2)
        raise DataError(f"{name} has fewer than {least} images: add more, because {100 * share:g} % are {purpose}")
    return is_test
