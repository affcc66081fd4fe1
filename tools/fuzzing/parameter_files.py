"""net.params with any byte, length, number type or name changed, held against a reader of MXNet's format."""

from __future__ import annotations

import math
import re
import struct

import numpy as np

from . import runs
from .case import Call, Case, Command
from .mutations import LENGTHS, cut, mutate_bytes

CASES = 300
LIST, V2, NUMPY_SHAPES = 0x112, 0xF993FAC9, 0xF993FACA
TYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}
INPUT = (1, 28, 28)


class _Reader:
    def __init__(self, content):
        self._content, self._place = content, 0

    def take(self, form):
        length = struct.calcsize(form)
        values = struct.unpack(form, self.bytes(length))
        return values[0] if len(values) == 1 else values

    def bytes(self, length):
        part = self._content[self._place : self._place + length]
        if length < 0 or len(part) < length:
            raise ValueError("too short")
        self._place += length
        return part


def read(content: bytes) -> dict[str, np.ndarray] | None:
    """Return the arrays of a parameter file by name; None if it is not such a file."""
    reader = _Reader(content)
    try:
        if reader.take("<QQ")[0] != LIST:
            return None
        arrays = [_array(reader) for _ in range(reader.take("<Q"))]
        names = [reader.bytes(reader.take("<Q")).decode() for _ in range(reader.take("<Q"))]
    except (ValueError, KeyError, OverflowError, struct.error):
        return None
    return dict(zip(names, arrays)) if len(set(names)) == len(names) == len(arrays) else None


def _array(reader):
    magic, storage, dimensions = reader.take("<Iii")
    if magic not in (V2, NUMPY_SHAPES) or storage or not 0 <= dimensions <= 32:
        raise ValueError("not a dense array")
    shape = tuple(reader.take("<q") for _ in range(dimensions))
    if min(shape, default=1) < 0:
        raise ValueError("a negative length")
    reader.take("<ii")  # the device
    dtype = np.dtype(TYPES[reader.take("<i")])
    return np.frombuffer(reader.bytes(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)


def write(arrays: dict[str, np.ndarray], magic: int = V2, names: list[bytes] | None = None) -> bytes:
    """Return a parameter file. `names` are the names to write, if they are not those of the arrays."""
    codes = {np.dtype(dtype): code for code, dtype in TYPES.items()}
    parts = [struct.pack("<QQQ", LIST, 0, len(arrays))]
    for array in arrays.values():
        parts.append(struct.pack("<Iii", magic, 0, array.ndim) + struct.pack(f"<{array.ndim}q", *array.shape))
        parts.append(struct.pack("<iii", 1, 0, codes[array.dtype]) + array.tobytes())
    names = [name.encode() for name in arrays] if names is None else names
    parts.append(struct.pack("<Q", len(names)))
    return b"".join(parts) + b"".join(struct.pack("<Q", len(name)) + name for name in names)


def _whole(place, name="whole"):
    return (place.world / name / "net.params").read_bytes()


def _case(what, content, rng, place, wrong=None):
    """Return the case of reading a file as lenet's parameters, through one of the ways that lead to it."""
    right = read(_whole(place))
    arrays = _without_kinds(read(content))
    if arrays is None or _shapes(arrays) != _shapes(right) or not all(map(_is_finite, arrays.values())):
        wrong = True
    which = rng.randrange(10)
    if which < 6:
        path = place.folder / "net.params"
        path.write_bytes(content)
        return Case(what, _load(path), wrong, lambda answer: _difference(answer, arrays), (path,))
    if which < 8:
        run = runs.copy(place)
        (run / "net.params").write_bytes(content)
        is_changed = content != _whole(place)
        act = Command.of("evaluate", run, "--json") if which < 7 else Command.of("report", run, "-o", "report.html")
        return Case(f"{what}, in a run", act, True if is_changed else wrong)
    path = place.folder / "net.params"
    path.write_bytes(content)
    if which < 9:
        act = Command.of("evaluate", path, "--model", "lenet", "--json")
        return Case(f"{what}, evaluate", act, wrong, runs.sound_json, (path,))
    act = Command.of("train", "lenet", "--init-from", path, "--epochs", "1", "--out", place.folder / "new")
    return Case(f"{what}, train", act, wrong, kept=(path,))


def _without_kinds(arrays):
    """Return arrays by name without the "arg:" or "aux:" of exported models; None if two names are the same then."""
    plain = {re.sub("^(arg|aux):", "", name): array for name, array in (arrays or {}).items()}
    return plain if arrays is not None and len(plain) == len(arrays) else None


def _shapes(arrays):
    return {name: array.shape for name, array in arrays.items()}


def _is_finite(array):
    return np.isfinite(array).all()


def _load(path):
    from gluon_classics.experiment.build import build
    from gluon_classics.experiment.parameter_files import load_parameters
    import mxnet as mx

    def load():
        net = build("lenet", 10)
        load_parameters(net, path, [mx.cpu()], INPUT)
        return {name: parameter.data().asnumpy() for name, parameter in net._collect_params_with_prefix().items()}

    return Call(load)


def _difference(answer, arrays):
    for name, array in arrays.items():
        if not np.array_equal(answer.value[name], array):
            return f"{name} differs from the file's"
    return None


def bytes_changed(rng, place):
    content = _whole(place)
    header = rng.random() < 0.5
    changed = mutate_bytes(content, rng, *((0, 60) if header else (len(content) - 190, None)))
    return _case(f"bytes changed {'at the start' if header else 'of the names'}", changed, rng, place)


def weights_changed(rng, place):
    content = _whole(place)
    return _case("bytes of weights changed", mutate_bytes(content, rng, 80), rng, place)


def truncated(rng, place):
    content = _whole(place)
    changed = cut(content, rng) if rng.random() < 0.7 else content + bytes(rng.randint(1, 99))
    return _case(f"{len(changed) - len(content):+} bytes", changed, rng, place)


def lengths(rng, place):
    """Replace a count or a length of an array by a hostile one."""
    content = bytearray(_whole(place))
    field = rng.choice((8, 16, 28, 32, 36, 44, 52, 60, 68, 76, len(content) - 190 + 4))
    number = rng.choice((*LENGTHS, 2**63 - 1, 2**63, 2**64 - 1, 2**40))
    form = "<I" if field in (28, 32) else "<Q"
    value = struct.pack(form, number % (2**32 if form == "<I" else 2**64))
    content[field : field + len(value)] = value
    return _case(f"{number} at byte {field}", bytes(content), rng, place)


def names(rng, place):
    arrays = read(_whole(place))
    new = [name.encode() for name in arrays]
    which = rng.randrange(len(new))
    new[which] = rng.choice(
        (
            b"",
            b"\xff\xfe",
            b"\0",
            b"x" * 9999,
            b"\x1b[31m",
            b"0.weight",
            b"arg:0.weight",
            "ä".encode(),
            b"a\tb",
            b"\x80",
        )
    )
    if rng.random() < 0.2:
        new = new[:-1]
    return _case(f"the name {new[which % len(new)][:20]!r}", write(arrays, names=new), rng, place)


def number_types(rng, place):
    arrays = dict(read(_whole(place)))
    name = rng.choice(list(arrays))
    dtype = TYPES[rng.choice(list(TYPES))]
    arrays[name] = arrays[name].astype(dtype)
    return _case(f"{name} as {dtype}", write(arrays, rng.choice((V2, NUMPY_SHAPES))), rng, place)


def not_finite(rng, place):
    arrays = dict(read(_whole(place)))
    name = rng.choice(list(arrays))
    array = arrays[name].copy()
    array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, -np.inf))
    arrays[name] = array
    return _case(f"{name} has a value that is not finite", write(arrays), rng, place)


def other_shapes(rng, place):
    arrays = dict(read(_whole(place)))
    name = rng.choice(list(arrays))
    array = arrays[name]
    arrays[name] = rng.choice(
        (array[:-1], array[:0], array[None], array.ravel(), array.T, np.concatenate([array, array]), array[:1])
    ).copy()
    return _case(f"{name} has shape {arrays[name].shape}", write(arrays), rng, place)


def other_parameters(rng, place):
    arrays = dict(read(_whole(place)))
    kind = rng.choice(("missing", "more", "other network", "no names", "order", "whole"))
    if kind == "missing":
        del arrays[rng.choice(list(arrays))]
    elif kind == "more":
        arrays["more"] = np.zeros(3, np.float32)
    elif kind == "order":
        arrays = dict(sorted(arrays.items(), reverse=True))
    content = _whole(place, "initial") if kind == "other network" else write(arrays)
    if kind == "no names":
        content = write(arrays, names=[])
    wrong = False if kind in ("order", "whole") else None
    return _case(f"parameters: {kind}", content, rng, place, wrong)


def no_parameters(rng, place):
    content = rng.choice((b"", b"\x12\1", b"PK\3\4", b"\x93NUMPY", b"{}", struct.pack("<QQQQ", LIST, 0, 0, 0)))
    return _case(f"the file {content[:8]!r}", content, rng, place)


KINDS = (
    *(bytes_changed, weights_changed, truncated, lengths, names, number_types, not_finite, other_shapes),
    *(other_parameters, no_parameters, lengths, bytes_changed),
)
