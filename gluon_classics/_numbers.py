"""Checks of numbers that users pass."""

from __future__ import annotations

from numbers import Integral


def is_whole(value, lowest: int = 1) -> bool:
    """Return whether `value` is a whole number, at least `lowest`. True and False are not numbers here."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= lowest


def read_number(text: str, kind: type = float):
    """Return the number in a text that a user wrote.

    Args:
        text: The text, without space around it.
        kind: `int` or `float`.

    Raises:
        ValueError: The text is not a number. Neither is what only Python takes for one, such as "1_000".
    """
    if not text.isascii() or "_" in text or text != text.strip():
        raise ValueError(f"{text:.60} is not a number")
    return kind(text)
