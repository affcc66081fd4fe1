"""The names of augmentations and their numbers, as users write them. `augmentation` draws and applies them."""

from typing import Dict, NamedTuple, Optional, Tuple

from gluon_classics._format import format_value
from gluon_classics._numbers import read_number
from gluon_classics.errors import SettingsError

NONE = "none"
COLOR_CHANGES = ("color", "lighting")  # augmentations for color images


class Operation(NamedTuple):
    """One augmentation.

    Attributes:
        name: Its name.
        numbers: Its numbers.
    """

    name: str
    numbers: Tuple[float, ...]

    @property
    def from_original(self) -> bool:
        """Whether it takes its part from an image file as it is, not from an image that was brought to a size."""
        return self.name in _FROM_ORIGINAL

    @property
    def crops(self) -> bool:
        """Whether its result has the size of the network's input."""
        return self.name in _CROPS


class _Kind(NamedTuple):
    """What an augmentation takes: its default numbers, the lowest and highest value of each, and an example."""

    defaults: Tuple[float, ...]
    ranges: Tuple[Tuple[float, float], ...]
    example: str


LARGEST_SIDE = 2**15 - 1  # of an image that OpenCV resizes, in pixels
_SHARE = (0.0, 1.0)
_KINDS: Dict[str, _Kind] = {
    "flip": _Kind((), (), "flip"),
    "crop": _Kind((0,), ((0, LARGEST_SIDE),), "crop:4"),
    "resized-crop": _Kind((0.08, 0.75), ((1e-6, 1), (1e-6, 1)), "resized-crop:0.08:0.75"),
    "scale": _Kind((256, 512), ((1, LARGEST_SIDE), (1, LARGEST_SIDE)), "scale:256:512"),
    "color": _Kind((0.4, 0.4, 0.4), (_SHARE, _SHARE, _SHARE), "color:0.4:0.4:0.4"),
    "lighting": _Kind((0.1,), ((0, 10),), "lighting:0.1"),
    "affine": _Kind((0.1,), ((0, 0.9),), "affine:0.1"),
}
_WHOLE = ("crop", "scale")  # their numbers are pixels
_FROM_ORIGINAL = ("resized-crop", "scale")
_CROPS = ("crop", "resized-crop", "scale")


def parse_augment(text: str) -> Tuple[Operation, ...]:
    """Return the augmentations in a text such as "crop:4 flip", in their order. "none" has none.

    Numbers that are left out have their defaults.

    Raises:
        SettingsError: A name is unknown or repeated, a number is not possible, or two augmentations exclude each other.
    """
    if text == NONE:
        return ()
    found = tuple(map(_operation, text.split()))
    if not found:
        raise SettingsError(f"augment is empty: use {NONE} for no augmentation, or names such as flip and crop:4")
    names = [operation.name for operation in found]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise SettingsError(f"the augmentation {text!r} repeats {repeated}: use it once")
    crops = [name for name in names if name in _CROPS]
    if len(crops) > 1:
        raise SettingsError(f"the augmentation {text!r} crops twice ({' and '.join(crops)}): use one of them")
    return found


def border_problem(operation: Operation, side: int) -> str:
    """Return what is wrong with the border of "crop" for crops whose shorter side has `side` pixels; "" if nothing is.

    With a border as wide as the crop, the crop could miss the image.
    """
    if operation.name != "crop" or operation.numbers[0] < side:
        return ""
    what = f"the border of the augmentation crop is {operation.numbers[0]}, and crops have {side} pixels per side"
    return f"{what}, so that they could miss the image: use a smaller border, such as crop:4"


def _operation(word) -> Operation:
    name, *texts = word.split(":")
    kind = _KINDS.get(name)
    if kind is None:
        raise SettingsError(f"unknown augmentation {word!r}: use {NONE}, or one or more of {', '.join(_KINDS)}")
    numbers: Optional[Tuple[float, ...]]
    try:
        numbers = tuple(read_number(text, int if name in _WHOLE else float) for text in texts)
    except ValueError:
        numbers = None
    if numbers is None or len(numbers) > len(kind.defaults):
        raise SettingsError(f"{word!r} is not an augmentation: write it as in {kind.example}")
    numbers = (*numbers, *kind.defaults[len(numbers) :])
    for number, (lowest, highest) in zip(numbers, kind.ranges):
        if not lowest <= number <= highest:  # also for NaN
            what = f"{lowest:g} to {highest:g}"
            raise SettingsError(f"{format_value(number)} in the augmentation {word!r} is out of range: use {what}")
    if name == "scale" and numbers[0] > numbers[1]:
        raise SettingsError(f"the augmentation {word!r} has no sizes: write the smaller one first")
    return Operation(name, numbers)
