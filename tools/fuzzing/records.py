"""run.json and points.json with any byte, type, depth or number changed, held against the types of the record."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import typing

from gluon_classics.runs.record import OPTIONAL_ACCURACIES

from . import runs
from .case import Call, Case, Command
from .mutations import MISSING, WRONG_VALUES, at, changed_json, cut, mutate_bytes, paths

CASES = 420
DOCUMENTS = (
    *(b"", b"{", b"\xff\xfe", b"\0", b"null", b"[]", b"3", b"NaN", b'"x"', b"[" * 99_999, b'{"a":' * 99_999),
    *(b'{"format": ' + b"9" * 5000 + b"}", b'{"format": 2}', b'{"format": 1}', b'{"format": 99}', b'{"format": "2"}'),
    *("{}".encode("utf-16"), b"\xef\xbb\xbf{}", b'{"format": 2, "format": 2}', b'{"format": 1e999}'),
)
LARGEST = sys.float_info.max
# what the record's types do not say: the range of each number
RANGES: dict[str, typing.Callable[[float], bool]] = {
    "learning_rate": lambda value: value > 0,
    "momentum": lambda value: 0 <= value < 1,
    **dict.fromkeys(("epochs", "batch_size", "subset", "resize", "image_size"), lambda value: value >= 1),
    **dict.fromkeys(("micro_batch_size", "patience"), lambda value: value >= 1),
    **dict.fromkeys(("test_share", "validation_share"), lambda value: 0 < value < 1),
    **dict.fromkeys(("seed", "weight_decay", "epoch", "batches", "parameters_epoch"), lambda value: value >= 0),
    **dict.fromkeys(("seconds", "images_per_second"), lambda value: value >= 0),
    **dict.fromkeys(("train_accuracy", "test_accuracy", *OPTIONAL_ACCURACIES), lambda value: 0 <= value <= 1),
    **dict.fromkeys(("train_images", "parameters", "tested_images", "trained_images"), lambda value: value >= 1),
}
# what an evaluation depends on
DECISIVE = (
    "model",
    "data",
    "resize",
    "fit",
    "resize_in",
    "background",
    "foreground",
    "mean",
    "std",
    "image_size",
    "test_crops",
    "classes",
    "image_shape",
    "format",
)


def fits(value, wanted) -> bool:
    """Return whether JSON content has the type of an annotation; a whole number is also a float."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return isinstance(value, dict) and _fields_fit(value, wanted)
    if wanted is typing.Any:
        return True
    if origin is typing.Union:
        return any(fits(value, argument) for argument in arguments)
    if origin in (tuple, list):
        if not isinstance(value, list):
            return False
        if origin is list or arguments[-1] is Ellipsis:
            return all(fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    if origin is dict:
        return isinstance(value, dict) and all(fits(item, arguments[1]) for item in value.values())
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _fields_fit(value, wanted):
    types = typing.get_type_hints(wanted)
    for field in dataclasses.fields(wanted):
        if field.name not in value:
            if field.default is dataclasses.MISSING:
                return False
            continue
        item = value[field.name]
        if not fits(item, types[field.name]):
            return False
        if field.name in RANGES and isinstance(item, (int, float)) and not RANGES[field.name](item):
            return False
    return True


def _is_wrong(text):
    """Return whether text cannot be a record, by its type and ranges; None if only its meaning can tell."""
    from gluon_classics.runs.record import RunRecord

    try:
        content = runs.strict_json(text)
    except (ValueError, RecursionError):
        return True
    if not isinstance(content, dict) or content.get("format") not in (1, 2, 3):
        return True
    if content["format"] < 3:  # has other fields
        return None
    return True if not fits(content, RunRecord) else None


def _act(run, rng, place, changed=""):
    """Return how the record is read, and the check of what comes of it."""
    from gluon_classics.runs.record import read_run

    decisive = changed in DECISIVE
    which = rng.randrange(12)
    if which < 5:
        return Call(lambda: read_run(run)), lambda answer: None
    if which < 9:
        expected = runs.last_accuracy(place.world / "whole")
        return Command.of("evaluate", run, "--json"), runs.sound_json if decisive else runs.same_accuracy(expected)
    if which < 10:
        return Command.of("predict", run, place.world / "images" / "0.png", "--json"), runs.sound_json
    if which < 11:
        return Command.of("report", run, "-o", place.folder / "report.html"), lambda answer: None
    return Command.of("resume", run), lambda answer: None


def _case(what, run, rng, place, wrong, changed="", **options):
    act, check = _act(run, rng, place, changed)
    return Case(f"{what}, {_name(act)}", act, wrong, check, **options)


def _name(act):
    return act.arguments[0] if isinstance(act, Command) else "read"


def values(rng, place):
    run = runs.copy(place)
    text = (run / "run.json").read_text()
    path = rng.choice(list(paths(json.loads(text)))[1:])
    value = rng.choice(WRONG_VALUES)
    return _changed(run, text, path, value, rng, place)


def numbers(rng, place):
    run = runs.copy(place)
    text = (run / "run.json").read_text()
    document = json.loads(text)
    numbers = [
        path
        for path in paths(document)
        if path and isinstance(at(document, path), (int, float)) and not isinstance(at(document, path), bool)
    ]
    value = rng.choice((-1, -0.5, 0, 1e308, -1e308, 1e-320, 2**31, 2**63, 2**64, 10**30, 10**400, 0.1, 1.0, -0.0))
    return _changed(run, text, rng.choice(numbers), value, rng, place)


def _changed(run, text, path, value, rng, place):
    changed = changed_json(text, path, value)
    (run / "run.json").write_text(changed)
    what = f"{'.'.join(map(str, path))} {'removed' if value is MISSING else f'= {str(value)[:20]}'}"
    named = [part for part in path if isinstance(part, str)][-1]
    return _case(what, run, rng, place, _is_wrong(changed), named)


def texts(rng, place):
    """Replace a text by another one."""
    run = runs.copy(place)
    text = (run / "run.json").read_text()
    document = json.loads(text)
    words = [path for path in paths(document) if path and isinstance(at(document, path), str)]
    value = rng.choice(("", "\x1b[31mred", "a\nb", "\0", "\ud800", "x" * 100_000, "../..", "/etc/passwd", "ä", "\x9b"))
    path = rng.choice(words)
    return _changed(run, text, path, value, rng, place)


def bytes_changed(rng, place):
    run = runs.copy(place)
    content = (run / "run.json").read_bytes()
    changed = cut(content, rng) if rng.random() < 0.2 else mutate_bytes(content, rng)
    (run / "run.json").write_bytes(changed)
    try:
        text = changed.decode()
        wrong = _is_wrong(text)
        if wrong is None and json.loads(text) == json.loads(content):
            wrong = False
    except UnicodeDecodeError:
        wrong = True
    return _case("bytes of run.json", run, rng, place, wrong, "format")


def documents(rng, place):
    run = runs.copy(place)
    content = rng.choice(DOCUMENTS)
    (run / "run.json").write_bytes(content)
    return _case(f"run.json is {content[:20]!r}", run, rng, place, True)


def points(rng, place):
    run = runs.copy(place)
    text = (run / "points.json").read_text()
    content = text.encode()
    if rng.random() < 0.5:
        path = rng.choice(list(paths(json.loads(text))))
        value = rng.choice([item for item in WRONG_VALUES if path or item is not MISSING])
        content = changed_json(text, path, value).encode()
    elif rng.random() < 0.5:
        content = mutate_bytes(content, rng)
    else:
        content = rng.choice(DOCUMENTS)
    (run / "points.json").write_bytes(content)
    original = json.loads(text)

    def check(answer):
        if not hasattr(answer.value, "record"):
            return None
        for number, epoch in enumerate(answer.value.record.epochs):
            if not all(math.isfinite(part) for point in epoch.curve for part in point):
                return "points that are not finite"
            if epoch.curve and content == text.encode() and [*map(list, epoch.curve)] != original[number]:
                return "other points than the file has"
        return None

    act, _ = _act(run, rng, place)
    return Case(f"points.json changed, {_name(act)}", act, None, check)


def odd_folder(rng, place):
    run = runs.copy(place)
    name = rng.choice(("run.json", "points.json", "net.params"))
    (run / name).unlink()
    kind = rng.choice(("missing", "folder", "loop", "endless"))
    if kind == "folder":
        (run / name).mkdir()
    elif kind != "missing":
        (run / name).symlink_to(run / name if kind == "loop" else "/dev/zero")
    wrong = True if name == "run.json" else None  # points are only drawn, and not everything needs the parameters
    act, _ = _act(run, rng, place)
    return Case(f"{name} is {kind}, {_name(act)}", act, wrong)


KINDS = (values, numbers, texts, bytes_changed, documents, points, values, odd_folder, numbers)
