"""Read CIFAR's Python files, which are pickles, without executing them.

A pickle is a program: `pickle.load` imports and calls whatever the file names. This module calls nothing. The standard
library's `pickletools.genops` splits the file into opcodes with their constants and runs none of them. A small stack
machine then builds dictionaries, lists, tuples, numbers and text. Where a pickle calls a function, the machine only
notes the name of the function and its arguments. Four names are then understood as data: NumPy's array, its data type,
and the two functions that rebuild them. Every other name or opcode is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import io
import pickletools
from typing import Any
import warnings

from gluon_classics.errors import DataError
import numpy as np

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_NAMES = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",  # protocols 0 to 2 of Python 3 write bytes as text in Latin-1
    **{(module, "_reconstruct"): "reconstruct" for module in _ARRAY_MODULES},
    **{(module, "_frombuffer"): "frombuffer" for module in _ARRAY_MODULES},
}
_CONSTANTS = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_PUTS, _GETS = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()
_MAX_LINE = 1000  # bytes; only numbers and names are in lines, and Python takes minutes for a number of 10^7 digits
_MAX_OPCODES = 2_000_000  # CIFAR-100's training file has about 300,000


class _ShortLines(io.BytesIO):
    def readline(self, size=-1):
        line = super().readline(_MAX_LINE if size < 0 else size)
        if len(line) == _MAX_LINE:
            raise DataError("it has a long line, which protocol 2 and later do not write")
        return line


@dataclass(frozen=True)
class _Name:
    """A name that the pickle would import."""

    name: str


@dataclass(eq=False)
class _Call:
    """A call that the pickle would make, and the state that it would then set."""

    function: Any
    arguments: Any
    state: Any = field(default=None)


def read_pickle(content: bytes, name: str) -> dict[str, Any]:
    """Return the dictionary that a file of CIFAR's Python version contains.

    Args:
        content: The bytes of the file.
        name: The file, for messages.

    Returns:
        Numbers, text, and lists of them, and arrays of uint8 as they are, by key.

    Raises:
        DataError: The file contains anything else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of damaged text, which is an error below
            entries = _run(content)
        return {_text(key): _value(value) for key, value in entries.items()}
    except DataError as error:
        raise DataError(f"{name} is not one of CIFAR's Python files ({error}): nothing in it was executed") from error
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, UnicodeError) as error:
        raise DataError(f"{name} is damaged, or not one of CIFAR's Python files: get it again") from error


def _run(content):
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for number, (opcode, argument, _) in enumerate(pickletools.genops(_ShortLines(content))):
        code = opcode.name
        if number > _MAX_OPCODES:
            raise DataError(f"it has more than {_MAX_OPCODES:,} opcodes")
        if code in _CONSTANTS:
            stack.append(argument)
        elif code in ("MEMOIZE", *_PUTS):
            memo[len(memo) if code == "MEMOIZE" else argument] = stack[-1]
        elif code in _GETS:
            stack.append(memo[argument])
        elif code == "MARK":
            stack.append(_MARK)
        elif code in _VALUES:
            stack.append(_VALUES[code])
        elif code in _NEW:
            stack.append(_NEW[code]())
        elif code in _TUPLES:
            stack[-_TUPLES[code] :] = [tuple(stack[-_TUPLES[code] :])]
        elif code in ("TUPLE", "LIST", "DICT"):
            items = _to_mark(stack)
            stack.append(tuple(items) if code == "TUPLE" else items if code == "LIST" else _pairs(items))
        elif code == "APPEND":
            _list(stack[-2]).append(stack.pop())
        elif code == "APPENDS":
            items = _to_mark(stack)
            _list(stack[-1]).extend(items)
        elif code in ("SETITEM", "SETITEMS"):
            items = _to_mark(stack) if code == "SETITEMS" else [stack.pop(-2), stack.pop()]
            _dict(stack[-1]).update(_pairs(items))
        elif code == "GLOBAL":
            stack.append(_name(*str(argument).split(" ", 1)))
        elif code == "STACK_GLOBAL":
            attribute = stack.pop()
            stack.append(_name(stack.pop(), attribute))
        elif code == "REDUCE":
            arguments = stack.pop()
            stack.append(_Call(stack.pop(), arguments))
        elif code == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], _Call):
                raise DataError("it sets the state of something else than an array")
            stack[-1].state = state
        elif code == "STOP":
            return _dict(stack.pop())
        elif code not in ("PROTO", "FRAME"):
            raise DataError(f"it has the opcode {code}")
    raise DataError("it has no end")


def _name(module, attribute):
    if (module, attribute) not in _NAMES:
        raise DataError(f"it would import {f'{module}.{attribute}'[:60]!r}")
    return _Name(_NAMES[module, attribute])


def _to_mark(stack):
    mark = max(place for place, value in enumerate(stack) if value is _MARK)
    items = stack[mark + 1 :]
    del stack[mark:]
    return items


def _list(value):
    if not isinstance(value, list):
        raise DataError("it appends to something else than a list")
    return value


def _dict(value):
    if not isinstance(value, dict):
        raise DataError("it has something else than a dictionary")
    return value


def _pairs(items):
    return dict(zip(map(_text, items[::2]), items[1::2]))


def _text(value):
    """Return text that is text, or bytes in Python 2."""
    if isinstance(value, (bytes, _Call)):
        value = _bytes(value).decode("latin-1")
    if not isinstance(value, str):
        raise DataError("it has something else than text as a key or name")
    return value


def _value(value):
    if isinstance(value, list):
        return [_text(item) if isinstance(item, _Call) else item for item in value]
    if isinstance(value, _Call) and value.function == _Name("encode"):
        return _text(value)
    return _array(value) if isinstance(value, _Call) else value


def _bytes(value):
    """Return the bytes that a constant, or a call of `_codecs.encode`, stands for."""
    if isinstance(value, _Call) and value.function == _Name("encode"):
        text, encoding = value.arguments
        if encoding in ("latin1", "latin-1"):
            return text.encode("latin-1")
    if isinstance(value, str):  # a text of Python 2, which `pickletools` decodes as Latin-1
        return value.encode("latin-1")
    if isinstance(value, (bytes, bytearray)):
        return value
    raise DataError("the pixels are not bytes")


def _array(call):
    """Return the uint8 array that the calls stand for."""
    if call.function == _Name("reconstruct"):
        _, shape, dtype, is_fortran, pixels = call.state  # the first number is the version
        order = "F" if is_fortran is True else "C"
    elif call.function == _Name("frombuffer"):
        pixels, dtype, shape, order = call.arguments
    else:
        raise DataError("it has a value that is not an array")
    if not isinstance(dtype, _Call) or dtype.function != _Name("dtype") or _text(dtype.arguments[0]) != "u1":
        raise DataError("its array is not one of bytes")
    array = np.frombuffer(_bytes(pixels), np.uint8)
    if order == "F":
        return array.reshape(shape, order="F")
    if order == "C":
        return array.reshape(shape)
    raise DataError("the order of its array is unknown")
