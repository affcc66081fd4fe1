import io

from gluon_classics._npy_header import read_npy_header
import numpy as np
import pytest


def header(text, version=1):
    data = text.encode("latin-1")
    length = len(data).to_bytes(2 if version == 1 else 4, "little")
    return io.BytesIO(b"\x93NUMPY" + bytes((version, 0)) + length + data).read


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "array", [np.zeros((2, 3), "f4"), np.zeros(()), np.asfortranarray(np.zeros((2, 3), ">u2")), np.zeros((0, 4), "?")]
)
def test_what_numpy_writes_is_read(array, version):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    file.seek(0)
    shape, dtype, order = read_npy_header(file.read)
    assert (shape, dtype) == (array.shape, array.dtype)
    assert order == ("C" if array.flags.c_contiguous else "F")
    assert len(file.read()) == array.nbytes


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3L,), ",  # NumPy gives this to a tokenizer
        "  {'descr'\n {",
        "(" * 5000,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f999', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'shape': (3,)}",
        "[]",
        "",
    ],
)
def test_a_wrong_header_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"\Ahas a header that is not one of an array of numbers\Z"):
        read_npy_header(header(text))


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"\x93NUMPY\x09\x00", b"x" * 100])
def test_other_content_is_not_an_array(data):
    with pytest.raises(ValueError, match="is not an array that NumPy saved"):
        read_npy_header(io.BytesIO(data).read)
