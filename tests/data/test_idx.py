"""Reading and writing IDX files, valid and damaged ones."""

import gzip
import struct
import time
import zlib

from gluon_classics.data import memory
from gluon_classics.data.idx import read_idx, write_idx
from gluon_classics.errors import DataError
import numpy as np
import pytest

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
LABELS = np.array([9, 0, 255], np.uint8)


def idx_bytes(array, magic=None, shape=None):
    """Return the bytes of an IDX file, made without `write_idx`. `magic` and `shape` can make its header wrong."""
    shape = array.shape if shape is None else shape
    magic = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    return magic + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "train-images-idx3-ubyte"


@pytest.mark.parametrize("array", [IMAGES, LABELS], ids=["images", "labels"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_plain_and_gzipped_idx_files_are_read(file, array, pack):
    file.write_bytes(pack(idx_bytes(array)))
    read = read_idx(file)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_gzip_is_detected_from_the_content_and_not_from_the_name(file, tmp_path):
    named_gz = tmp_path / "plain.gz"
    named_gz.write_bytes(idx_bytes(IMAGES))
    file.write_bytes(gzip.compress(idx_bytes(IMAGES)))
    np.testing.assert_array_equal(read_idx(named_gz), read_idx(file))


@pytest.mark.parametrize("array", [IMAGES, LABELS, IMAGES[:, ::-1, 1:]], ids=["images", "labels", "a view"])
def test_write_idx_writes_a_gzipped_idx_file(file, array):
    write_idx(file, array)
    assert gzip.decompress(file.read_bytes()) == idx_bytes(array)
    np.testing.assert_array_equal(read_idx(file), array)


def test_the_written_bytes_do_not_depend_on_the_file_name_or_the_time(tmp_path, monkeypatch):
    write_idx(tmp_path / "one.gz", IMAGES)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)  # by default, gzip writes the time to its header
    write_idx(tmp_path / "two.gz", IMAGES)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_the_error_names_a_missing_file(file, data_error):
    with data_error(file, "no such file"):
        read_idx(file)


def test_the_error_names_a_folder_that_should_be_a_file(file, data_error):
    file.mkdir()
    with data_error(file, "directory"):
        read_idx(file)


WHOLE = idx_bytes(IMAGES)
NOT_IDX = {
    "an empty file": b"",
    "text": b"<!DOCTYPE html><html>404</html>",
    "swapped bytes in the magic number": idx_bytes(IMAGES, magic=bytes([3, 8, 0, 0])),
    "a type that does not exist": idx_bytes(IMAGES, magic=bytes([0, 0, 10, 3])),
    "no dimensions": bytes([0, 0, 8, 0]),
    "more dimensions than images have": bytes([0, 0, 8, 200]) + bytes(999),
    "a truncated header": WHOLE[:10],
    "an empty gzip file": gzip.compress(b""),
}
WRONG_SIZES = {
    "a shape with one image too many": idx_bytes(IMAGES, shape=(4, 2, 4)),
    "a shape with one image too few": idx_bytes(IMAGES, shape=(2, 2, 4)),
    "a shape larger than any memory": idx_bytes(IMAGES, shape=(2**32 - 1,) * 3),
    "a shape without images": idx_bytes(IMAGES, shape=(0, 2, 4)),
    "data with one byte too few": WHOLE[:-1],
    "data with one byte too many": WHOLE + b"\0",
}
BAD_GZIP = {
    "garbage after the first two bytes": b"\x1f\x8b" + b"garbage" * 9,
    "garbage after the header": gzip.compress(WHOLE)[:10] + b"garbage" * 9,
    "garbage after the end": gzip.compress(WHOLE) + b"garbage" * 9,
    "a wrong checksum": gzip.compress(WHOLE)[:-8] + bytes(4) + gzip.compress(WHOLE)[-4:],
}


@pytest.mark.parametrize("content", NOT_IDX.values(), ids=NOT_IDX)
def test_a_file_that_is_not_an_idx_file_is_rejected(file, data_error, content):
    file.write_bytes(content)
    with data_error(file, "not an IDX file"):
        read_idx(file)


TYPES = {
    "ubyte": (8, "B", [0, 7, 255]),
    "byte": (9, "b", [-128, 0, 127]),
    "short": (11, "h", [-300, 0, 32767]),
    "int": (12, "i", [-70_000, 0, 2**31 - 1]),
    "float": (13, "f", [-1.5, 0.25, 3e38]),
    "double": (14, "d", [-1.5, 0.1, 1e300]),
}


@pytest.mark.parametrize(("code", "letter", "values"), TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_every_type_of_idx_is_read_with_its_byte_order(file, code, letter, values, pack):
    file.write_bytes(pack(bytes([0, 0, code, 1, 0, 0, 0, 3]) + struct.pack(f">3{letter}", *values)))
    read = read_idx(file)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, np.array(values, letter))


def test_a_gzip_bomb_is_rejected_by_its_header(file, data_error):
    # 4 MB of gzip that unpack to 4 GB; unpacking takes more than ten seconds
    block = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = block.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 100) + bytes(100)) + block.flush(zlib.Z_FULL_FLUSH)
    zeros = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    file.write_bytes(head + zeros * 4000)
    start = time.monotonic()
    with data_error(file, "but has more"):
        read_idx(file)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("count", [2**32 - 1, 10**9])
def test_a_header_that_claims_more_than_gzip_can_contain_is_rejected(file, data_error, count):
    file.write_bytes(gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", count) + bytes(1000)))
    with data_error(file, "at most"):
        read_idx(file)


def test_an_array_that_does_not_fit_into_memory_is_rejected_with_its_size(file, data_error, monkeypatch):
    monkeypatch.setattr(memory, "_ALWAYS_FREE", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: 2_000)
    file.write_bytes(idx_bytes(np.zeros((9, 16, 16), np.uint8)))
    with data_error(file, "needs 0.0 GB of memory"):
        read_idx(file)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("content", WRONG_SIZES.values(), ids=WRONG_SIZES)
def test_a_header_that_does_not_match_the_size_of_the_data_is_rejected(file, data_error, content, pack):
    file.write_bytes(pack(content))
    with data_error(file, "bytes of data but has"):
        read_idx(file)


@pytest.mark.parametrize("content", BAD_GZIP.values(), ids=BAD_GZIP)
def test_damaged_gzip_is_rejected(file, data_error, content):
    file.write_bytes(content)
    with data_error(file, "cannot read"):
        read_idx(file)


@pytest.mark.parametrize("whole", [WHOLE, gzip.compress(WHOLE)], ids=["plain", "gzipped"])
def test_a_file_truncated_anywhere_is_rejected(file, data_error, whole):
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with data_error(file):
            read_idx(file)


def test_a_flipped_byte_of_a_gzipped_file_never_changes_the_array(file):
    # a flipped byte in the name or the time of gzip's header is harmless; every other one must be detected
    whole = gzip.compress(WHOLE)
    noticed = 0
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        file.write_bytes(broken)
        try:
            np.testing.assert_array_equal(read_idx(file), IMAGES)
        except DataError:
            noticed += 1
    assert noticed >= len(whole) - 8
