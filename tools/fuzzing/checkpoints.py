"""Checkpoints with any byte or fact changed: the run resumes to the same bits from the previous one, or one line."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np

from . import runs
from .case import Case, Command
from .mutations import MISSING, WRONG_VALUES, at, changed_json, cut, mutate_bytes, paths

CASES = 150


def _parts(content):
    """Return the header's text and the rest of a checkpoint, without the checksum."""
    header, _, rest = content[:-32].partition(b"\n")
    return header.decode(), rest


def _whole(header: str, rest: bytes) -> bytes:
    """Return a checkpoint with a right checksum."""
    content = header.encode() + b"\n" + rest
    return content + hashlib.sha256(content).digest()


def _arrays(header, rest):
    stream = io.BytesIO(rest)
    return {name: np.load(stream, allow_pickle=False) for name in json.loads(header)["arrays"]}


def _saved(arrays):
    stream = io.BytesIO()
    for array in arrays:
        np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
    return stream.getvalue()


def same_end(place, run):
    """Return the check that a resumed run ends with the bits of the uninterrupted one."""
    expected = (place.world / "whole" / "net.params").read_bytes()

    def check(answer):
        if json.loads((run / "run.json").read_text())["status"] != "done":
            return "exit status 0, but the run is not done"
        if (run / "net.params").read_bytes() != expected:
            return "resumed, but ended with other parameters than the uninterrupted run"
        return None

    return check


def _case(what, run, place, wrong=None, is_possible=False):
    """Return the case of resuming. A possible number under a right checksum may lead to another end."""
    check = (lambda answer: None) if is_possible else same_end(place, run)
    return Case(what, Command.of("resume", run), wrong, check)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _newest(place):
    run = runs.copy(place, "stopped")
    previous, newest = sorted(run.glob("*.ckpt"))
    return run, newest, previous


def right(rng, place):
    run, _, _ = _newest(place)
    return _case("nothing changed", run, place, False)


def bytes_changed(rng, place):
    run, newest, previous = _newest(place)
    for path in (newest,) if rng.random() < 0.8 else (newest, previous):
        content = path.read_bytes()
        path.write_bytes(cut(content, rng) if rng.random() < 0.3 else mutate_bytes(content, rng))
    return _case("bytes of checkpoints", run, place)


def header_bytes(rng, place):
    """Change the text of the header, under a right checksum."""
    run, newest, _ = _newest(place)
    header, rest = _parts(newest.read_bytes())
    changed = mutate_bytes(header.encode(), rng)
    content = changed + b"\n" + rest
    newest.write_bytes(content + hashlib.sha256(content).digest())
    return _case("bytes of the header", run, place)


def facts(rng, place):
    """Change a fact, under a right checksum."""
    run, newest, _ = _newest(place)
    header, rest = _parts(newest.read_bytes())
    path = rng.choice(list(paths(json.loads(header)))[1:])
    value = rng.choice(WRONG_VALUES)
    newest.write_bytes(_whole(changed_json(header, path, value), rest))
    is_possible = _is_number(at(json.loads(header), path)) and value in (1.5, 3)
    what = f"{'.'.join(map(str, path))} {'removed' if value is MISSING else f'= {str(value)[:20]}'}"
    return _case(what, run, place, is_possible=is_possible)


def numbers(rng, place):
    run, newest, _ = _newest(place)
    header, rest = _parts(newest.read_bytes())
    document = json.loads(header)
    path = rng.choice([path for path in paths(document) if _is_number(at(document, path))])
    value = rng.choice((-1, 0, 7, 99, 2**31, 2**63, 10**30, 0.5, 1e308, float("nan"), float("inf")))
    newest.write_bytes(_whole(changed_json(header, path, value), rest))
    return _case(f"{'.'.join(map(str, path))} = {value}", run, place, is_possible=value in (0, 7, 99, 0.5))


def arrays(rng, place):
    """Change an array, under a right checksum."""
    run, newest, _ = _newest(place)
    header, rest = _parts(newest.read_bytes())
    held = _arrays(header, rest)
    name = rng.choice(list(held))
    array = held[name]
    kind = rng.choice(("NaN", "infinite", "float64", "int", "shape", "scalar", "none", "complex", "text", "big-endian"))
    changed = array.copy()
    if kind in ("NaN", "infinite"):
        changed.flat[rng.randrange(array.size)] = np.nan if kind == "NaN" else np.inf
    held[name] = {
        **dict.fromkeys(("NaN", "infinite"), changed),
        "float64": array.astype("f8"),
        "int": array.astype("i4"),
        "shape": array[None],
        "scalar": np.float32(1),
        "none": array[:0],
        "complex": array.astype("c8"),
        "text": array.astype("U9"),
        "big-endian": array.astype(">f4"),
    }[kind]
    newest.write_bytes(_whole(header, _saved(held.values())))
    return _case(f"{name}: {kind}", run, place)


def array_headers(rng, place):
    """Change the headers of arrays, under a right checksum."""
    run, newest, _ = _newest(place)
    header, rest = _parts(newest.read_bytes())
    kind = rng.randrange(4)
    if kind == 0:
        rest = mutate_bytes(rest, rng, 0, 128)
    elif kind == 1:
        rest = rest.replace(b"'shape': (20, 1, 5, 5)", b"'shape': (2147483647,)", 1)
    elif kind == 2:
        rest = rest.replace(b"'<f4'", b"'|O' ", 1)
    else:
        rest = rest[: len(rest) // 2] if rng.random() < 0.5 else rest + b"more"
    newest.write_bytes(_whole(header, rest))
    return _case(f"headers of arrays, {kind}", run, place)


def other_files(rng, place):
    run, newest, previous = _newest(place)
    kind = rng.choice(("exchanged", "renamed", "pickle", "folder", "text", "both empty", "of another network", "gone"))
    if kind == "exchanged":
        one, other = newest.read_bytes(), previous.read_bytes()
        newest.write_bytes(other)
        previous.write_bytes(one)
    elif kind == "renamed":
        newest.rename(run / rng.choice(("checkpoint-x.ckpt", "checkpoint-00009-00000000.ckpt", "checkpoint-²-0.ckpt")))
    elif kind == "folder":
        newest.unlink()
        newest.mkdir()
    elif kind == "both empty":
        newest.write_bytes(b"")
        previous.write_bytes(b"")
    elif kind == "gone":
        newest.unlink()
    elif kind == "of another network":
        newest.write_bytes(next((place.world / "initial").glob("*.ckpt")).read_bytes())
    else:
        newest.write_bytes(b"\x80\x04K\x01." if kind == "pickle" else b"hello\n" * 99)
    return _case(f"the newest checkpoint: {kind}", run, place)


KINDS = (
    *(right, bytes_changed, header_bytes, facts, numbers, arrays, array_headers, other_files, facts, numbers),
    bytes_changed,
)
