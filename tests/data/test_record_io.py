"""RecordIO files: ours can be read by MXNet, and MXNet's by us."""

import struct

from gluon_classics.data.record_io import (
    LABEL_BYTES,
    ImageRecord,
    RecordFile,
    label_of,
    pack_record,
    read_index,
    unpack_image,
)
from gluon_classics.errors import DataError
import mxnet as mx
import numpy as np
from pictures import write_records
import pytest

MARK = struct.pack("<I", 0xCED7230A)
CONTENTS = [
    b"",
    b"abc",
    b"abcd",
    MARK,
    MARK * 3,
    b"1234" + MARK + b"56",
    b"12" + MARK + b"1234" + MARK,  # the first mark is not at a multiple of four
    bytes(1000),
]


def write_ours(path, contents):
    """Write records with our writer. Return their offsets."""
    records = [pack_record(ImageRecord(i % 3, i, content)) for i, content in enumerate(contents)]
    path.write_bytes(b"".join(records))
    return np.cumsum([0, *map(len, records[:-1])]).tolist()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.rec"


def test_mxnet_reads_our_records(path):
    write_ours(path, CONTENTS)
    reader = mx.recordio.MXRecordIO(str(path), "r")
    for i, content in enumerate(CONTENTS):
        header, image = mx.recordio.unpack(reader.read())
        assert (header.flag, header.label, header.id, image) == (0, i % 3, i, content)
    assert reader.read() is None


def test_we_read_the_records_of_mxnet(path):
    write_records(path, CONTENTS, [float(i % 3) for i in range(len(CONTENTS))])
    numbers, offsets = read_index(path.with_suffix(".idx"))
    file = RecordFile(path)
    assert numbers.tolist() == list(range(len(CONTENTS)))
    assert list(file.offsets()) == offsets.tolist()
    for i, offset in enumerate(offsets.tolist()):
        content, after = file.record(offset, "it")
        assert unpack_image(content, "it") == ImageRecord(i % 3, i, CONTENTS[i])
        assert after == [*offsets.tolist(), file.size][i + 1]
        assert label_of(file.start_of(offset, LABEL_BYTES, "it"), "it") == i % 3


def with_labels(*labels):
    """Return the content of a record with these labels after its header, as MXNet's `pack` writes it on NumPy 1."""
    return struct.pack("<IfQQ", len(labels), 0, 5, 0) + struct.pack(f"<{len(labels)}f", *labels) + b"image"


def test_a_label_after_the_header_is_read():
    packed = with_labels(7)
    assert mx.recordio.unpack(packed)[0].label.tolist() == [7]
    assert unpack_image(packed, "it") == ImageRecord(7, 5, b"image")
    assert label_of(packed[:LABEL_BYTES], "it") == 7


def test_records_with_several_labels_are_refused(data_error):
    packed = with_labels(1, 2, 3)
    assert mx.recordio.unpack(packed)[0].label.tolist() == [1, 2, 3]
    with data_error("record 5 has 3 labels"):
        unpack_image(packed, "record 5")


def test_every_cut_and_every_changed_byte_is_an_error_or_leaves_the_image_alone(path, tmp_path):
    contents = [b"first image", b"1234" + MARK + b"second"]
    (_, start) = write_ours(path, contents)
    whole = path.read_bytes()
    other = tmp_path / "damaged.rec"
    changed = [whole[:place] for place in range(start, len(whole))]
    for place in range(start, len(whole)):
        for bit in range(8):
            changed.append(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    for content in changed:
        other.write_bytes(content)
        try:
            image = unpack_image(RecordFile(other).record(start, "it")[0], "it")
        except DataError:
            continue
        assert image.content == contents[1]


def test_damaged_records_are_named(path, data_error):
    offsets = write_ours(path, [b"one", b"two"])
    content = bytearray(path.read_bytes())
    content[offsets[1] - 2] ^= 1  # padding may be anything
    content[offsets[1] - 4] ^= 1
    path.write_bytes(content)
    file = RecordFile(path)
    with data_error("record 0", "checksum"):
        unpack_image(file.record(0, "record 0")[0], "record 0")
    with data_error("record 9", "damaged"):
        file.record(4, "record 9")
    with data_error("record 9", "cut off"):
        file.record(file.size - 4, "record 9")
    with data_error("at byte", "damaged"):
        path.write_bytes(bytes(content) + b"12345678")
        list(RecordFile(path).offsets())


@pytest.mark.parametrize(
    "text", ["", "\n", "0", "0\t0\n1", "0\t0\t0\n1\n", "0 0\n", "a\tb\n", "0\t-1\n", f"0\t{2**70}\n", "\0"]
)
def test_what_is_no_index_is_refused(tmp_path, text, data_error):
    (tmp_path / "some.idx").write_text(text)
    with data_error("some.idx", "is not an index", "remove it"):
        read_index(tmp_path / "some.idx")
