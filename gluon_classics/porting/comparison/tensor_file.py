"""Read and write files of named tensors: NumPy's .npz and .safetensors. Nothing in a file is executed.

A .safetensors file is the length of a header (8 bytes, little-endian), the header (JSON: dtype, shape and data_offsets
of each tensor), and the data. bfloat16 and float16 are read as float32, which represents them exactly.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
import stat
import struct
import zipfile

import numpy as np

MAX_HEADER = 10_000_000  # bytes; about 100,000 tensors. JSON takes up to 30 times as much memory
MAX_EXPANDED, MAX_RATIO = 1 << 31, 100  # bytes of all arrays of a compressed .npz, unless its file is not much smaller
_MOST_AXES = 32  # of an array in NumPy 1
_LONGEST = 80  # characters of a name or reason in a message

_DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "|b1"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1"},
}
_CODES = {np.dtype(name): code for code, name in _DTYPES.items() if code != "BF16"}


class PortError(ValueError):
    """A file or an argument cannot be used. The message says what is wrong and what to do."""


def shown(name) -> str:
    """Return a name from a file as text for a message: in quotation marks, on one line, not too long."""
    return _clipped(repr(str(name)))


def brief(error, longest: int = _LONGEST) -> str:
    """Return the message of an exception on one line, without its middle if it has more than `longest` characters."""
    return _clipped(" ".join(str(error).split()) or type(error).__name__, longest)


def _clipped(text, longest=_LONGEST):
    return text if len(text) <= longest else f"{text[: longest // 2]} ... {text[-longest // 2 :]}"


def open_file(path):
    """Open a file for reading bytes.

    Raises:
        PortError: The file cannot be read. A pipe or device is not opened: it might never answer.
    """
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return open(path, "rb")
    except FileNotFoundError as error:
        raise PortError(f"{path} does not exist. Check the path") from error
    except (OSError, ValueError) as error:
        raise PortError(f"{path} cannot be read: {_reason(error)}. Check the path and its permissions") from error
    raise PortError(f"{path} is not a file. Check the path")


def _reason(error):
    return getattr(error, "strerror", None) or error


def read_tensors(path) -> dict:
    """Return the arrays of a .npz or .safetensors file by name.

    Raises:
        PortError: The file is missing, damaged, of another format, or has arrays of Python objects.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".safetensors"):
        raise PortError(f"{path.name} is neither .npz nor .safetensors. Save the tensors with numpy.savez")
    try:
        return read_npz(path) if path.suffix == ".npz" else read_safetensors(path)[0]
    except OSError as error:
        raise PortError(f"{path} cannot be read: {_reason(error)}. Check the path") from error
    except MemoryError as error:
        raise PortError(f"{path.name} does not fit into memory. Record fewer tensors") from error


@contextlib.contextmanager
def _refusing(what):
    """Raise PortError for whatever zipfile and NumPy raise when they read damaged data: errors of many kinds."""
    try:
        yield
    except (PortError, MemoryError):
        raise
    except Exception as error:
        raise PortError(f"{what}: {brief(error)}. Save it again with numpy.savez") from error


def read_npz(path) -> dict:
    """Return the arrays of a .npz file by name. Raises PortError."""
    name = Path(path).name
    with open_file(path) as stream, _refusing(f"{name} is not a .npz file"), zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        arrays = [_stem(member.filename) for member in members]
        if len(set(arrays)) != len(arrays):
            raise PortError(f"{name} has two arrays with the same name. Save it again with numpy.savez")
        size, expanded = os.stat(path).st_size, sum(member.file_size for member in members)
        if expanded > max(MAX_EXPANDED, MAX_RATIO * size):
            raise PortError(f"{name} would expand from {size} to {expanded} bytes. Record fewer tensors")
        return {array: _read_member(archive, member, name) for array, member in zip(arrays, members)}


def _stem(member):
    return member[: -len(".npy")] if member.endswith(".npy") else member


def _read_member(archive, member, name):
    which = f"{shown(_stem(member.filename))} in {name}"
    with _refusing(f"{which} is damaged"):
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            if version not in read_header:
                raise ValueError(f"version {version} of the .npy format is not supported")
            shape, _, dtype = read_header[version](stream)
            available = member.file_size - stream.tell()
        if dtype.hasobject:
            raise PortError(f"{which} holds Python objects. Save arrays of numbers")
        if dtype.kind not in "biuf":
            raise PortError(f"{which} has the type {_clipped(str(dtype))}. Save arrays of numbers")
        size = dtype.itemsize
        for extent in shape:
            size *= extent
        if size > available or any(extent < 0 for extent in shape):
            raise PortError(f"{which} is shorter than its header says. Save it again")
        with archive.open(member) as stream:
            return _usable(np.lib.format.read_array(stream, allow_pickle=False))


def _usable(array):
    """Return float16 as float32, and every number in the machine's byte order."""
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_safetensors(path) -> tuple[dict, dict]:
    """Return the arrays of a .safetensors file by name, and its metadata.

    Raises:
        PortError: The file is not valid.
    """
    path = Path(path)
    with open_file(path) as stream:
        return read_safetensors_stream(stream, path.stat().st_size, path.name)


def read_safetensors_stream(stream, size: int, name: str) -> tuple[dict, dict]:
    """Return what `read_safetensors` does, from a stream of `size` bytes. Messages call it `name`."""
    start = stream.read(8)
    if len(start) < 8:
        raise PortError(f"{name} is too short for a safetensors file. Save it again")
    (length,) = struct.unpack("<Q", start)
    available = size - 8
    if length > min(MAX_HEADER, available):
        raise PortError(f"{name} is not a safetensors file: its header would take {length} bytes. Save it again")
    header = _parse_header(stream.read(length), name)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise PortError(f"the metadata of {name} is not a dictionary. Save it again")
    spans = {tensor: _span(tensor, entry, available - length, name) for tensor, entry in header.items()}
    ordered = sorted(spans.values())
    if any(after[0] < before[1] for before, after in zip(ordered, ordered[1:])):
        raise PortError(f"tensors of {name} overlap. Save it again")
    arrays = {}
    for tensor in header:
        with _refusing(f"{shown(tensor)} in {name} is damaged"):
            arrays[tensor] = _read_tensor(stream, 8 + length, spans[tensor], header[tensor])
    return arrays, metadata


def _parse_header(data, name):
    def unique(pairs):
        result = dict(pairs)
        if len(result) != len(pairs):
            raise PortError(f"the header of {name} has the same key twice. Save it again")
        return result

    try:
        header = json.loads(data.decode("utf-8"), object_pairs_hook=unique)
    except PortError:
        raise
    except (ValueError, RecursionError) as error:
        raise PortError(f"{name} is not a safetensors file: its header is not JSON. Save it again") from error
    if not isinstance(header, dict):
        raise PortError(f"{name} is not a safetensors file: its header is not a dictionary. Save it again")
    return header


def _is_size(value):
    return type(value) is int and value >= 0


def _span(tensor, entry, available, name):
    """Return the first byte of a tensor and the byte after its last one, after checking the whole entry."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise PortError(f"{shown(tensor)} in {name} lacks its dtype, shape or data_offsets. Save it again")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        raise PortError(f"{shown(tensor)} in {name} has the unknown dtype {shown(entry['dtype'])}. Save it as float32")
    if not isinstance(shape, list) or not all(map(_is_size, shape)) or len(shape) > _MOST_AXES:
        raise PortError(f"{shown(tensor)} in {name} has no valid shape. Save it again")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise PortError(f"{shown(tensor)} in {name} has no valid data_offsets. Save it again")
    begin, end = offsets
    if not begin <= end <= available:
        raise PortError(f"{shown(tensor)} in {name} ends after the file. The file is truncated; save it again")
    size = np.dtype(_DTYPES[entry["dtype"]]).itemsize
    for extent in shape:
        size *= extent
    if size != end - begin:
        raise PortError(f"{shown(tensor)} in {name} has {end - begin} bytes, and its shape needs {size}. Save it again")
    return begin, end


def _read_tensor(stream, start, span, entry):
    stream.seek(start + span[0])
    flat = np.frombuffer(stream.read(span[1] - span[0]), _DTYPES[entry["dtype"]])
    if entry["dtype"] == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return _usable(flat.reshape(entry["shape"]))


def write_safetensors(path, tensors: dict, metadata=None) -> None:
    """Write arrays by name to a .safetensors file.

    Args:
        path: File to write.
        tensors: Arrays of numbers by name.
        metadata: Texts by name.

    Raises:
        PortError: An array is not of numbers that the format knows.
    """
    header: dict = {"__metadata__": {str(key): str(text) for key, text in metadata.items()}} if metadata else {}
    arrays, offset = [], 0
    # larger elements first, so that every tensor starts at a multiple of its element's size
    for name, value in sorted(tensors.items(), key=lambda item: -np.asarray(item[1]).dtype.itemsize):
        array = np.asarray(value)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        if array.dtype not in _CODES:
            raise PortError(f"{name!r} has the type {array.dtype}. Save it as float32")
        header[name] = {
            "dtype": _CODES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        arrays.append(array)
        offset += array.nbytes
    text = json.dumps(header).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as stream:
        stream.write(struct.pack("<Q", len(text)))
        stream.write(text)
        for array in arrays:
            stream.write(array.tobytes())
