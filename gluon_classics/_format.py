"""Text forms that several packages use."""

from __future__ import annotations

import json
import math
import shlex
from typing import Iterable
import unicodedata

LONGEST = 300  # characters of an error that is part of another
CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's categories: control, format, surrogate, line, paragraph
JOINERS = "\u200c\u200d"  # format characters that Persian, Indian languages and emoji are written with


def format_shape(shape: Iterable) -> str:
    """Return a shape as people write it: "1x28x28" for (1, 28, 28)."""
    return "x".join(map(str, shape))


def joined(words: Iterable[str]) -> str:
    """Return words as people list them, at least one: "a", "a and b" or "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def resume_command(folder) -> str:
    """Return the command that resumes the run in a folder."""
    return f"gluon-classics resume {shlex.quote(str(folder))}"


def format_value(value) -> str:
    """Return a value that a user gave, for a message: not more than 60 characters of it."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number beyond 2^64"  # Python refuses to print very long ones
    return f"{value!r:.60}"


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 can encode a text. It cannot encode names of files in Latin-1, as Python reads them."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, shortened; the name of the error's type if it has none."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def to_json(value) -> str:
    """Return a value as JSON. Numbers that are not finite become null, since JSON has no other word for them."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def visible(text: str, kept: str = "") -> str:
    """Return `text` with its control characters as escapes, such as `\\x1b` and `\\u202e`.

    Args:
        text: The text.
        kept: Control characters to leave as they are.
    """
    if text.isprintable():
        return text
    kept += JOINERS
    return "".join(c if c in kept or unicodedata.category(c) not in CONTROLS else _escape(c) for c in text)


def _escape(character):
    return character.encode("unicode_escape").decode()
