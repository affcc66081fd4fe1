"""Reading and writing IDX files, whole ones and broken ones."""

import gzip
import struct

from gluon_classics.data.idx import read_idx, write_idx
from gluon_classics.errors import DataError
import numpy as np
import pytest

IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
LABELS = np.array([9, 0, 255], np.uint8)


def idx_bytes(array, magic=None, shape=None):
    """An IDX file as the format says, made without `write_idx`; `magic` and `shape` put lies into its header."""
    shape = array.shape if shape is None else shape
    magic = bytes([0, 0, 8, len(shape)]) if magic is None else magic
    return magic + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "train-images-idx3-ubyte"


@pytest.mark.parametrize("array", [IMAGES, LABELS], ids=["images", "labels"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_an_idx_file_is_read_plain_or_gzipped(file, array, pack):
    file.write_bytes(pack(idx_bytes(array)))
    read = read_idx(file, array.ndim)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_whether_a_file_is_gzipped_is_seen_from_its_content_not_from_its_name(file, tmp_path):
    named_gz = tmp_path / "plain.gz"
    named_gz.write_bytes(idx_bytes(IMAGES))
    file.write_bytes(gzip.compress(idx_bytes(IMAGES)))
    np.testing.assert_array_equal(read_idx(named_gz, 3), read_idx(file, 3))


@pytest.mark.parametrize("array", [IMAGES, LABELS, IMAGES[:, ::-1, 1:]], ids=["images", "labels", "a view"])
def test_what_write_idx_writes_is_the_format_gzipped(file, array):
    write_idx(file, array)
    assert gzip.decompress(file.read_bytes()) == idx_bytes(array)
    np.testing.assert_array_equal(read_idx(file, array.ndim), array)


def test_the_same_array_gives_the_same_file_whatever_its_name_and_the_time(tmp_path, monkeypatch):
    write_idx(tmp_path / "one.gz", IMAGES)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)  # gzip notes the time unless told otherwise
    write_idx(tmp_path / "two.gz", IMAGES)
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_a_missing_file_is_an_error_that_names_it(file, data_error):
    with data_error(file, "no such file"):
        read_idx(file, 3)


def test_a_folder_in_place_of_a_file_is_an_error_that_names_it(file, data_error):
    file.mkdir()
    with data_error(file, "directory"):
        read_idx(file, 3)


WHOLE = idx_bytes(IMAGES)
NO_IDX = {
    "an empty file": b"",
    "text": b"<!DOCTYPE html><html>404</html>",
    "swapped bytes in the magic number": idx_bytes(IMAGES, magic=bytes([3, 8, 0, 0])),
    "the type byte of signed bytes": idx_bytes(IMAGES, magic=bytes([0, 0, 9, 3])),
    "the type byte of floats": idx_bytes(IMAGES, magic=bytes([0, 0, 13, 3])),
    "a header cut off": WHOLE[:10],
    "an empty gzip file": gzip.compress(b""),
}
LIES = {
    "one image more than there is": idx_bytes(IMAGES, shape=(4, 2, 4)),
    "one image less than there is": idx_bytes(IMAGES, shape=(2, 2, 4)),
    "more bytes than any machine has": idx_bytes(IMAGES, shape=(2**32 - 1,) * 3),
    "no images": idx_bytes(IMAGES, shape=(0, 2, 4)),
    "one byte more than there is": WHOLE[:-1],
    "one byte less than there is": WHOLE + b"\0",
}
BAD_GZIP = {
    "garbage after the first two bytes": b"\x1f\x8b" + b"garbage" * 9,
    "garbage after the header": gzip.compress(WHOLE)[:10] + b"garbage" * 9,
    "garbage after the end": gzip.compress(WHOLE) + b"garbage" * 9,
    "a wrong checksum": gzip.compress(WHOLE)[:-8] + bytes(4) + gzip.compress(WHOLE)[-4:],
}


@pytest.mark.parametrize("content", NO_IDX.values(), ids=NO_IDX)
def test_a_file_of_another_kind_is_refused(file, data_error, content):
    file.write_bytes(content)
    with data_error(file, "no IDX file"):
        read_idx(file, 3)


@pytest.mark.parametrize(("array", "dimensions"), [(IMAGES, 1), (LABELS, 3)], ids=["images", "labels"])
def test_images_and_labels_are_not_taken_for_each_other(file, data_error, array, dimensions):
    file.write_bytes(idx_bytes(array))
    with data_error(file, f"no IDX file of {dimensions} dimensions"):
        read_idx(file, dimensions)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("content", LIES.values(), ids=LIES)
def test_a_header_that_announces_other_than_the_file_holds_is_refused(file, data_error, content, pack):
    file.write_bytes(pack(content))
    with data_error(file, "announces"):
        read_idx(file, 3)


@pytest.mark.parametrize("content", BAD_GZIP.values(), ids=BAD_GZIP)
def test_broken_gzip_is_refused(file, data_error, content):
    file.write_bytes(content)
    with data_error(file, "cannot read"):
        read_idx(file, 3)


@pytest.mark.parametrize("whole", [WHOLE, gzip.compress(WHOLE)], ids=["plain", "gzipped"])
def test_a_file_cut_short_anywhere_is_refused(file, data_error, whole):
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with data_error(file):
            read_idx(file, 3)


def test_no_flipped_byte_of_a_gzipped_file_changes_what_is_read(file):
    # a flip in the name or the time of a gzip header is harmless; any other has to be noticed
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
