"""Checks of numbers that users pass."""

from __future__ import annotations

from numbers import Integral


def is_whole(value, lowest: int = 1) -> bool:
    """Return whether `value` is a whole number, at least `lowest`. True and False are not numbers here."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= lowest
