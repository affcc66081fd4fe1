"""Write and read named arrays as a .safetensors file, in Python 3.6 or newer with NumPy alone. No pickle.

The file is the length of a header (8 bytes, little-endian), the header (JSON: type, shape and place of each array, and
text about them), and the arrays.
"""

import json
import os
import struct

import numpy as np

CODES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1"}


def save(path, arrays, about=None):
    """Write arrays by name. `about` is stored as text with the key `about`. An existing file is replaced at the end."""
    codes = {np.dtype(dtype): code for code, dtype in CODES.items()}
    header, end = {"__metadata__": {"about": json.dumps(about)}}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": codes[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).tobytes())
    os.replace(path + ".part", path)


def load(path):
    """Return the arrays by name, and what was stored about them."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length).decode())
        about = json.loads(header.pop("__metadata__")["about"])
        arrays = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            file.seek(8 + length + start)
            array = np.frombuffer(file.read(end - start), CODES[entry["dtype"]])
            arrays[name] = array.reshape(entry["shape"])
    return arrays, about
