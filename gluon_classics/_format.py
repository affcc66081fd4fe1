"""Text forms that several packages use."""

from __future__ import annotations

from typing import Iterable


def format_shape(shape: Iterable) -> str:
    """Return a shape as people write it: "1x28x28" for (1, 28, 28)."""
    return "x".join(map(str, shape))


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 can encode a text. It cannot encode names of files in Latin-1, as Python reads them."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
