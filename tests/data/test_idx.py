"""Reading and writing IDX files, valid and damaged ones."""

import gzip
import struct

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
    read = read_idx(file, array.ndim)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_gzip_is_detected_from_the_content_and_not_from_the_name(file, tmp_path):
    named_gz = tmp_path / "plain.gz"
    named_gz.write_bytes(idx_bytes(IMAGES))
    file.write_bytes(gzip.compress(idx_bytes(IMAGES)))
    np.testing.assert_array_equal(read_idx(named_gz, 3), read_idx(file, 3))


@pytest.mark.parametrize("array", [IMAGES, LABELS, IMAGES[:, ::-1, 1:]], ids=["images", "labels", "a view"])
def test_write_idx_writes_a_gzipped_idx_file(file, array):
    write_idx(file, array)
    assert gzip.decompress(file.read_bytes()) == idx_bytes(array)
    np.testing.assert_array_equal(read_idx(file, array.ndim), array)


def test_the_written_bytes_do_not_depend_on_the_file_name_or_the_time(tmp_path, monkeypatch):
    write_idx(tmp_path / "one.gz", IMAGES)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)  # by default, gzip writes the time to its header
    write_idx(tmp_path / "two.gz", IMAGES)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_the_error_names_a_missing_file(file, data_error):
    with data_error(file, "no such file"):
        read_idx(file, 3)


def test_the_error_names_a_folder_that_should_be_a_file(file, data_error):
    file.mkdir()
    with data_error(file, "directory"):
        read_idx(file, 3)


WHOLE = idx_bytes(IMAGES)
NOT_IDX = {
    "an empty file": b"",
    "text": b"<!DOCTYPE html><html>404</html>",
    "swapped bytes in the magic number": idx_bytes(IMAGES, magic=bytes([3, 8, 0, 0])),
    "the type byte of signed bytes": idx_bytes(IMAGES, magic=bytes([0, 0, 9, 3])),
    "the type byte of floats": idx_bytes(IMAGES, magic=bytes([0, 0, 13, 3])),
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
        read_idx(file, 3)


@pytest.mark.parametrize(("array", "dimensions"), [(IMAGES, 1), (LABELS, 3)], ids=["images", "labels"])
def test_images_instead_of_labels_and_labels_instead_of_images_are_rejected(file, data_error, array, dimensions):
    file.write_bytes(idx_bytes(array))
    with data_error(file, f"not an IDX file with {dimensions} dimensions"):
        read_idx(file, dimensions)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("content", WRONG_SIZES.values(), ids=WRONG_SIZES)
def test_a_header_that_does_not_match_the_size_of_the_data_is_rejected(file, data_error, content, pack):
    file.write_bytes(pack(content))
    with data_error(file, "bytes of data but has"):
        read_idx(file, 3)


@pytest.mark.parametrize("content", BAD_GZIP.values(), ids=BAD_GZIP)
def test_damaged_gzip_is_rejected(file, data_error, content):
    file.write_bytes(content)
    with data_error(file, "cannot read"):
        read_idx(file, 3)


@pytest.mark.parametrize("whole", [WHOLE, gzip.compress(WHOLE)], ids=["plain", "gzipped"])
def test_a_file_truncated_anywhere_is_rejected(file, data_error, whole):
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with data_error(file):
            read_idx(file, 3)


def test_a_flipped_byte_of_a_gzipped_file_never_changes_the_array(file):
    # a flipped byte in the name or the time of gzip's header is harmless; every other one must be detected
    whole = gzip.compress(WHOLE)
    noticed = 0
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        file.write_bytes(broken)
        try:
            np.testing.assert_array_equal(read_idx(file, 3), IMAGES)
        except DataError:
            noticed += 1
    assert noticed >= len(whole) - 8
