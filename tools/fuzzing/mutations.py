"""Mutations of bytes, JSON and numbers that several families share."""

from __future__ import annotations

import json
import random

MISSING = object()
ODD_NUMBERS = (None, True, -1, 1.5, float("nan"), 10**30)
WRONG_VALUES = (MISSING, *ODD_NUMBERS, float("inf"), 3, "x", [], ["x"], [-1], [10**9] * 4, {"a": 1})
LENGTHS = (0, 1, 2, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32 - 1)  # that a 32-bit field may claim


def mutate_bytes(data: bytes, rng: random.Random, start: int = 0, end: int | None = None) -> bytes:
    """Change, remove, insert or repeat bytes between two places. The result differs from `data`."""
    end = len(data) if end is None else min(end, len(data))
    while True:
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            place = rng.randrange(start, max(start + 1, min(end, len(changed))))
            length = rng.choice((1, 1, 2, 4, 16))
            kind = rng.randrange(6)
            if kind == 0:
                changed[place : place + 1] = bytes([rng.randrange(256)])
            elif kind == 1 and place < len(changed):
                changed[place] ^= 1 << rng.randrange(8)
            elif kind == 2:
                del changed[place : place + length]
            elif kind == 3:
                changed[place:place] = rng.getrandbits(8 * length).to_bytes(length, "little")
            elif kind == 4:
                changed[place : place + length] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
            else:
                changed[place : place + length] *= 2
        if bytes(changed) != data:
            return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Return a part of the bytes from the start, often one that misses only a few."""
    return data[: rng.choice((rng.randrange(len(data)), max(0, len(data) - rng.randint(1, 12))))]


def paths(value, path=()):
    """Yield the path of each value in JSON content, of the first two of a list."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def changed_json(text: str, path: tuple, value) -> str:
    """Return JSON text with another value at a path; `MISSING` removes what is there."""
    document = json.loads(text)
    if not path:
        return json.dumps(value)
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document)


def at(document, path: tuple):
    """Return the value at a path."""
    for key in path:
        document = document[key]
    return document
