"""Test that files of tensors are read exactly, and that every damaged file is one clear error."""

import io
import json
import struct
import zipfile

from gluon_classics.porting.comparison.tensor_file import PortError, read_safetensors, read_tensors, write_safetensors
import numpy as np
import pytest

TENSORS = {
    "eval/conv": np.arange(12, dtype=np.float32).reshape(1, 3, 4),
    "label": np.array([3, 1]),
    "raw": np.arange(6, dtype=np.uint8),
    "loss": np.float64(0.5),
    "mask": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
}


def _assert_refused(path, *texts):
    with pytest.raises(PortError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    for text in texts:
        assert text in message


def _safetensors(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def _entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_safetensors_come_back(tmp_path):
    path = tmp_path / "port.safetensors"
    write_safetensors(path, TENSORS, {"network": "lenet"})
    arrays, metadata = read_safetensors(path)
    assert metadata == {"network": "lenet"}
    assert set(arrays) == set(TENSORS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, TENSORS[name])
        assert array.dtype == np.asarray(TENSORS[name]).dtype


def test_tensors_are_aligned(tmp_path):
    path = tmp_path / "port.safetensors"
    write_safetensors(path, TENSORS)
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert length % 8 == 0
    for name, entry in header.items():
        assert entry["data_offsets"][0] % np.asarray(TENSORS[name]).dtype.itemsize == 0


def test_npz_comes_back(tmp_path):
    np.savez_compressed(tmp_path / "port.npz", **TENSORS)
    arrays = read_tensors(tmp_path / "port.npz")
    assert set(arrays) == set(TENSORS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, TENSORS[name])


def test_half_precision_is_read_as_float32(tmp_path):
    values = np.array([1.5, -2.25, 0.0], np.float32)
    bfloat16 = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    half = values.astype("<f2").tobytes()
    header = {"a": _entry("BF16", (3,), (0, 6)), "b": _entry("F16", (3,), (6, 12))}
    arrays = read_tensors(_safetensors(tmp_path / "port.safetensors", header, bfloat16 + half))
    for name in ("a", "b"):
        assert arrays[name].dtype == np.float32
        np.testing.assert_array_equal(arrays[name], values)


@pytest.mark.parametrize(
    ("header", "data", "text"),
    [
        (b"{", b"", "not JSON"),
        (b"\xff\xfe", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        (b"[]", b"", "not a dictionary"),
        (b'{"a": {}, "a": {}}', b"", "same key twice"),
        ({"a": 3}, b"", "lacks its dtype"),
        ({"__metadata__": []}, b"", "metadata"),
        ({"a": _entry("F128")}, bytes(4), "unknown dtype"),
        ({"a": _entry(["F32"])}, bytes(4), "unknown dtype"),
        ({"a": _entry(shape=(-1,))}, bytes(4), "shape"),
        ({"a": _entry(shape=(1.0,))}, bytes(4), "shape"),
        ({"a": _entry(shape=(1,) * 40)}, bytes(4), "shape"),
        ({"a": _entry(offsets=(0, 4, 8))}, bytes(4), "data_offsets"),
        ({"a": _entry(offsets=(-4, 0))}, bytes(4), "data_offsets"),
        ({"a": _entry(offsets=(4, 0))}, bytes(4), "truncated"),
        ({"a": _entry(offsets=(0, 4))}, bytes(3), "truncated"),
        ({"a": _entry(shape=(10**30,))}, bytes(4), "4 bytes"),
        ({"a": _entry(shape=(2,))}, bytes(4), "4 bytes"),
        ({"a": _entry(), "b": _entry(offsets=(2, 6))}, bytes(6), "overlap"),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path, header, data, text):
    _assert_refused(_safetensors(tmp_path / "port.safetensors", header, data), text)


def test_huge_header_is_refused_without_reading_it(tmp_path):
    _assert_refused(_safetensors(tmp_path / "port.safetensors", b"{}", length=2**63), "header")
    (tmp_path / "short.safetensors").write_bytes(b"\0\0")
    _assert_refused(tmp_path / "short.safetensors", "too short")


def test_every_truncated_safetensors_file_is_refused(tmp_path):
    write_safetensors(tmp_path / "port.safetensors", {"a": np.ones(3, np.float32)})
    data = (tmp_path / "port.safetensors").read_bytes()
    for length in range(len(data)):
        (tmp_path / "port.safetensors").write_bytes(data[:length])
        _assert_refused(tmp_path / "port.safetensors")


def test_objects_are_refused(tmp_path):
    np.savez(tmp_path / "port.npz", a=np.array([{}], object))
    _assert_refused(tmp_path / "port.npz", "Python objects")
    np.savez(tmp_path / "port.npz", a=np.array(["text"]))
    _assert_refused(tmp_path / "port.npz", "numbers")


def test_damaged_npz_is_refused(tmp_path):
    path = tmp_path / "port.npz"
    path.write_bytes(b"not a zip file")
    _assert_refused(path, "not a .npz file")
    np.savez(path, a=np.ones(100))
    data = path.read_bytes()
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        _assert_refused(path)


def _npz(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_damaged_members_are_refused(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.ones(4))
    content = stream.getvalue()
    path = tmp_path / "port.npz"
    _assert_refused(_npz(path, a=b"text"), "damaged")
    _assert_refused(_npz(path, a=content[:-8]), "shorter than its header says")
    _assert_refused(_npz(path, a=content.replace(b"(4,)", b"(-1,)"[:5])), "'a'")
    header = content[: content.index(b"(4,)")] + b"(4000000000000,), }\n"
    _assert_refused(_npz(path, a=header), "'a'")


def test_unusable_paths_are_refused(tmp_path):
    _assert_refused(tmp_path / "missing.npz", "does not exist")
    _assert_refused(tmp_path / "port.pickle", "neither .npz nor .safetensors")
    (tmp_path / "folder.npz").mkdir()
    _assert_refused(tmp_path / "folder.npz", "is not a file")


def test_texts_cannot_be_written(tmp_path):
    with pytest.raises(PortError, match="float32"):
        write_safetensors(tmp_path / "port.safetensors", {"a": np.array(["text"])})
