"""Colors as users write them, and the one behind transparent pixels."""

import re
from typing import Tuple

from gluon_classics.errors import SettingsError

# what viewers and web pages show behind transparent pixels; on black, dark strokes would disappear
TRANSPARENT_AS = "white"
_NAMES = {"white": (255, 255, 255), "black": (0, 0, 0)}


def parse_color(text: str) -> Tuple[int, int, int]:
    """Return red, green and blue, 0..255, of "white", "black" or "#rrggbb". Raises SettingsError for anything else."""
    if text in _NAMES:
        return _NAMES[text]
    if not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise SettingsError(f"{text!r} is not a color: use white, black, or red, green and blue as in #ff8000")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
