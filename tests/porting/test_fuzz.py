"""Fuzz port files and traces: every damaged or odd file ends in a report or in one clear line, never in a traceback."""

import io
import json
import os
import re
import struct
import zipfile

from fuzzing.mutations import ODD_NUMBERS, WRONG_VALUES, changed_json, paths
from gluon_classics.porting.comparison.compare_port import CONFORMS, DIVERGES, UNUSABLE, main, show_comparison
from gluon_classics.porting.comparison.tensor_file import read_safetensors, write_safetensors
import numpy as np
from numpy_port import forward_port, training_port
import pytest
import small_network

SEED = 15


@pytest.fixture(scope="module")
def whole():
    """Return a trace of two steps and all tensors of a clean port."""
    trace = small_network.trace(2)
    return trace, {**training_port(trace), **forward_port(trace)}


@pytest.fixture
def port(whole):
    """Return the tensors of a clean port."""
    return dict(whole[1])


@pytest.fixture
def folder(whole, tmp_path):
    """Return the folder of the trace."""
    path = tmp_path / "trace"
    path.mkdir()
    small_network.write(whole[0], path)
    return path


@pytest.fixture
def outcome(folder, tmp_path, capsys):
    """Return the function that compares a port, checks what is printed, and returns the exit status.

    The port is a path, or arrays that are saved first.
    """

    def compare(port, names=None, trace=folder):
        if isinstance(port, dict):
            np.savez(tmp_path / "port.npz", **port)
            port = tmp_path / "port.npz"
        status = show_comparison(trace, port, names)
        printed = capsys.readouterr()
        if status == UNUSABLE:
            assert printed.out == ""
            assert re.fullmatch(r"Error: .{1,400}\.\n", printed.err), printed.err
        else:
            assert printed.err == ""
            assert printed.out.startswith("conforms") == (status == CONFORMS), printed.out
        return status

    return compare


def _contents(port, tmp_path):
    """Return the bytes of a small port in each format, by the name of the file."""
    chosen = {key: port[key] for key in ("input", "label", "param/fc.bias", "eval/fc", "train/fc", "loss")}
    np.savez(tmp_path / "plain.npz", **chosen)
    np.savez_compressed(tmp_path / "compressed.npz", **chosen)
    write_safetensors(tmp_path / "port.safetensors", chosen)
    return {name: (tmp_path / name).read_bytes() for name in ("plain.npz", "compressed.npz", "port.safetensors")}


STATUSES = (CONFORMS, DIVERGES, UNUSABLE)
FORMATS = ("plain.npz", "compressed.npz", "port.safetensors")


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_port_is_refused(name, port, outcome, tmp_path):
    data = _contents(port, tmp_path)[name]
    for length in (*range(30), *range(30, len(data), 131), *range(len(data) - 30, len(data))):
        (tmp_path / name).write_bytes(data[:length])
        assert outcome(tmp_path / name) == UNUSABLE, length


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "plain.npz" else pytest.mark.slow) for name in FORMATS]
)
def test_flipped_bits_and_overwritten_bytes_are_survived(name, port, outcome, tmp_path):
    data = _contents(port, tmp_path)[name]
    generator = np.random.RandomState(SEED)
    places = (*range(0, 260, 5), *range(len(data) - 400, len(data), 11), *generator.randint(len(data), size=30))
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << generator.randint(8)
        (tmp_path / name).write_bytes(changed)
        assert outcome(tmp_path / name) in STATUSES, place
    for place in generator.randint(len(data), size=20):
        changed = bytearray(data)
        changed[place : place + 40] = generator.bytes(40)
        (tmp_path / name).write_bytes(changed)
        assert outcome(tmp_path / name) in STATUSES, place


# --- headers

_ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
_ODD_VALUES = (
    *(*ODD_NUMBERS, "", "\ud800", "a\nb", "x" * 9999, [], [[]], {}, {"a": 1}, ["x"], [True], [-1, -1], [0, 4, 8]),
    *([0, 10**30], [0, 1 << 62, 1 << 62], [1] * 33, [0] * 33),
)
_ODD_NAMES = (
    *("", "/", "eval/", "param/..", "../input", "\ud800", "a\nb", "\x1b[31m", "\0", "x" * 100_000),
    *("step/1", "step/-1/param/x", "step/0/input", "step/²/input", f"step/{'9' * 5000}/input", "step/1/step/2/input"),
)


def _headers():
    for key in _ENTRY:
        yield from ({"input": {**_ENTRY, key: value}} for value in _ODD_VALUES)
    yield from ({"input": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}} for shape in _ODD_VALUES)
    yield from ({"input": value} for value in _ODD_VALUES)
    yield from ({"__metadata__": value} for value in _ODD_VALUES if value != {})
    yield from ({name: _ENTRY} for name in _ODD_NAMES)
    yield from (b"", b"NaN", b" " * 999, b"\xff" * 9, b"[" * 99_999, b'{"a":' * 99_999, b'{"a":{},"a":{}}')
    yield b'{"input": {"dtype": "F32", "shape": [' + b"9" * 5000 + b'], "data_offsets": [0, 4]}}'


def test_odd_headers_of_safetensors_are_refused(outcome, tmp_path):
    path = tmp_path / "port.safetensors"
    for header in _headers():
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
        assert outcome(path) == UNUSABLE, text[:99]
    generator = np.random.RandomState(SEED)
    for length in (1, 10**7, 10**8 + 1, 1 << 31, 1 << 63, (1 << 64) - 1, *map(int, generator.randint(1 << 40, size=9))):
        path.write_bytes(struct.pack("<Q", length) + b"{}")
        assert outcome(path) == UNUSABLE, length


def _npy_headers():
    shapes = ("4", "(4.0,)", "(-1,)", "(-2, -2)", "(5,)", "(True, 4)", "(0, 2**70)", f"({10**30},)", f"({'1, ' * 65})")
    types = (
        "'O'",
        "'<c8'",
        "'<U1'",
        "'S4'",
        "'<M8[s]'",
        "'|V4'",
        "'zzz'",
        "[('a', '<f4')]",
        "'(2, 2)<f4'",
        "'<f4,<f4'",
    )
    for shape in shapes:
        yield f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n"
    for dtype in types:
        yield f"{{'descr': {dtype}, 'fortran_order': False, 'shape': (1,)}}\n"
    yield "{'descr': '<f4', 'fortran_order': 1, 'shape': (4,)}\n"
    yield "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'more': 1}\n"
    yield "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)"
    yield from ("", "{}", "'''", "\\", "1 +", "(" * 500, "(" * 60_000, "{" * 200, "\0" * 50, "print(1)", "ÿþ")


def _npy(header, version):
    text = header.encode("latin1")
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + bytes(16)


def _save_zip(path, *members, **how):
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_odd_members_of_npz_are_refused(port, outcome, tmp_path):
    path = tmp_path / "port.npz"
    for header in _npy_headers():
        for version in ((1, 0), (2, 0), (3, 0), (9, 9)):
            assert outcome(_save_zip(path, ("input.npy", _npy(header, version)))) == UNUSABLE, header[:99]
    stream = io.BytesIO()
    np.save(stream, port["input"])
    good = stream.getvalue()
    assert outcome(_save_zip(path, ("input.npy", good), ("input.npy", good))) == UNUSABLE
    assert outcome(_save_zip(path, ("input.npy", good), ("input", good))) == UNUSABLE
    assert outcome(_save_zip(path, ("input.npy", good), ("folder/", b""))) == UNUSABLE
    for name in ("../input.npy", "/input.npy", "a\nb.npy", "x" * 9999):
        assert outcome(_save_zip(path, (name, good))) == UNUSABLE
    assert outcome(_save_zip(path)) == UNUSABLE


def test_encrypted_unknown_and_exploding_archives_are_refused(port, outcome, tmp_path):
    path = tmp_path / "port.npz"
    np.savez(path, input=port["input"], **{"eval/fc": port["eval/fc"]})
    data = path.read_bytes()
    central = data.index(b"PK\1\2")
    for offset, value in ((8, 1), (10, 99), (10, 65535)):  # encrypted; unknown compressions
        size = 2 if offset == 10 else 1
        for_local = offset - 2
        changed = bytearray(data)
        changed[for_local : for_local + size] = value.to_bytes(size, "little")
        changed[central + offset : central + offset + size] = value.to_bytes(size, "little")
        path.write_bytes(changed)
        assert outcome(path) == UNUSABLE
    changed = bytearray(data)
    changed[central + 24 : central + 28] = (0xFFFFFFF0).to_bytes(4, "little")  # expands to 4 GB
    path.write_bytes(changed)
    assert outcome(path) == UNUSABLE


# --- tensors


def _odd_arrays(array):
    """Yield odd versions of an array."""
    array, shape = np.asarray(array), np.shape(array)
    yield from (np.zeros(0, np.float32), np.float32(1), np.float32(np.nan), np.zeros((1,) * 32, np.float32))
    for value in (np.nan, np.inf, -np.inf, 1e300, 1e-300, 0.0):
        yield np.full(shape, value)
    one = np.array(array, np.float64)
    one.flat[0] = np.nan
    yield one
    for dtype in ("f2", "f8", "i1", "?", "longdouble", array.dtype.newbyteorder(">")):
        yield array.astype(dtype)
    yield from (np.full(shape, (1 << 64) - 1, np.uint64), np.full(shape, -1 << 63, np.int64))
    yield from (np.full(shape, None), array.astype(complex), array.astype(str), np.zeros(shape, [("a", "f4")]))
    yield from (-array.astype(np.float64), array.ravel(), array[None], np.stack([array, array]), array.T)
    if array.ndim:
        yield from (array[: len(array) // 2], np.concatenate([array, array]), array[::-1], array[:0])
        yield from (array[..., :-1], np.moveaxis(array, 0, -1), np.asfortranarray(array))


@pytest.mark.parametrize("share", [60, pytest.param(7, marks=pytest.mark.slow)])
def test_every_odd_tensor_is_survived(share, port, outcome):
    """Replace each tensor by odd ones. One in 60 is tried, and one in 7 of the slow tests."""
    number = 0
    for key in port:
        for array in _odd_arrays(port[key]):
            number += 1
            if number % share == 0:
                assert outcome({**port, key: array}) in STATUSES, key


def test_a_missing_tensor_is_never_a_divergence(port, outcome):
    for key in port:
        assert (outcome({other: port[other] for other in port if other != key}) == UNUSABLE) == (key == "input")
    for kind in (*{key.rpartition("/")[0] or key for key in port}, "step"):
        kept = {key: array for key, array in port.items() if not key.startswith(kind)}
        assert (outcome(kept) == UNUSABLE) == (kind == "input"), kind


def test_odd_names_are_survived(port, outcome):
    for old, new in (
        ("eval/", "Eval/"),
        ("param/", "params/"),
        ("/", "."),
        ("conv", "\n"),
        ("eval", "train"),
        ("fc", "²"),
    ):
        outcome({key.replace(old, new): array for key, array in port.items()})
    assert outcome({**port, **{f"more {number}": np.zeros(2) for number in range(300)}}) == CONFORMS
    assert outcome({**port, "step/100000000/param/fc.bias": port["param/fc.bias"]}) == CONFORMS
    keys = list(port)
    for number, key in enumerate(keys[::2]):
        other = keys[(number * 7 + 3) % len(keys)]
        outcome({**port, key: port[other], other: port[key]})


def test_other_batches_are_survived(port, outcome):
    examples = ("input", "label", "mask", "eval", "train", "grad_out", "step/2/input", "step/2/label", "step/2/mask")
    for times in (2, 16):
        larger = {key: np.concatenate([port[key]] * times) for key in port if key.startswith(examples)}
        assert outcome({**port, **larger}) not in (CONFORMS, UNUSABLE)
        for kind in examples:
            outcome({**port, **{key: larger[key] for key in larger if key.startswith(kind)}})
    outcome({**port, **{key: port[key][:1] for key in port if key.startswith(examples)}})


def test_odd_maps_of_names(port, outcome, tmp_path):
    path = tmp_path / "names.json"
    right = ({}, {"a": "conv", "b": "conv"}, {"x" * 10**6: "conv"})
    odd = ({"conv": "nothing"}, {"conv": "fc", "fc": "conv"}, {"relu": "data"}, {"conv": "a\nb"}, {"conv": "\ud800"})
    wrong = ([], 1, None, "x", {"conv": 3}, {"conv": None}, {"conv": ["fc"]}, {"conv": ""})
    for content in (*right, *odd, *wrong):
        path.write_text(json.dumps(content), encoding="utf-8")
        status = outcome(port, path)
        assert (status == UNUSABLE) == (content in wrong)
        assert (status == CONFORMS) or content not in right
    nested = (b"[" * 99_999, b'{"a": ' + b"9" * 5000 + b"}")
    for data in (b"", b"{", b"\xff\xfe", b"\0", b'{"a": "b", "a": "c"}', "{}".encode("utf-16"), *nested):
        path.write_bytes(data)
        assert outcome(port, path) == UNUSABLE
    assert outcome(port, tmp_path) == UNUSABLE


def test_paths_that_are_no_files_are_refused(port, folder, outcome, tmp_path):
    np.savez(tmp_path / "right.npz", **port)
    for name in ("fifo.npz", "fifo.safetensors", "graph.json"):
        os.mkfifo(tmp_path / name)  # opening it would wait for a writer
    os.symlink(tmp_path / "loop.npz", tmp_path / "loop.npz")
    os.symlink("/dev/zero", tmp_path / "endless.npz")
    (tmp_path / "folder.npz").mkdir()
    paths = (
        "fifo.npz",
        "fifo.safetensors",
        "loop.npz",
        "endless.npz",
        "folder.npz",
        "a\nb.npz",
        "right.npz/a.npz",
        "a\0.npz",
        "x" * 5000,
    )
    for path in (*(tmp_path / name for name in paths), "", tmp_path):
        assert outcome(path) == UNUSABLE
    for trace in (tmp_path, tmp_path / "none", tmp_path / "right.npz", "", "a\0", tmp_path / "loop.npz"):
        assert outcome(tmp_path / "right.npz", trace=trace) == UNUSABLE
    (folder / "recipe.json").unlink()
    os.mkfifo(folder / "recipe.json")
    assert outcome(tmp_path / "right.npz") == UNUSABLE


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_is_refused(port, outcome, tmp_path):
    np.savez(tmp_path / "right.npz", **port)
    (tmp_path / "right.npz").chmod(0)
    assert outcome(tmp_path / "right.npz") == UNUSABLE


def test_names_that_the_terminal_cannot_show_are_escaped(folder, port, tmp_path, monkeypatch):
    np.savez(tmp_path / "port.npz", **port, **{"Ausgänge": np.ones(1)})
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    assert main([str(tmp_path / "port.npz")], folder) == CONFORMS
    stream.flush()
    assert b"unknown names were ignored: Ausg\\xe4nge\n" in stream.buffer.getvalue()


# --- the trace


@pytest.mark.parametrize("share", [4, *(pytest.param(share, marks=pytest.mark.slow) for share in (1,))])
@pytest.mark.parametrize("name", ["graph.json", "recipe.json", "fingerprints.json"])
def test_wrong_types_in_a_trace_are_survived(name, share, port, folder, outcome, tmp_path):
    """Replace each value of a JSON file by wrong ones. By default, a fourth of the pairs is tried."""
    text = (folder / name).read_text(encoding="utf-8")
    np.savez(tmp_path / "right.npz", **port)
    number = 0
    for path in paths(json.loads(text)):
        if name == "fingerprints.json" and path and path[0] not in ("eval/fc", "step/2/param/fc.bias"):
            continue
        for value in WRONG_VALUES[0 if path else 1 :]:
            number += 1
            if number % share == 0:
                (folder / name).write_text(changed_json(text, path, value), encoding="utf-8")
                status = outcome(tmp_path / "right.npz")
                # the digest of the graph is known; the fingerprint of the output must not be taken for right
                assert name != "graph.json" or status in (UNUSABLE, CONFORMS), (path, value)


@pytest.mark.parametrize("name", ["graph.json", "recipe.json", "fingerprints.json"])
def test_a_damaged_file_of_a_trace_is_refused(name, port, folder, outcome):
    data = (folder / name).read_bytes()
    half, quotes = data[: len(data) // 2], data.replace(b'"', b"'")
    for damaged in (b"", b"\xff", b"NaN", b"\0" * 9, b"[" * 99_999, b'{"a":' * 99_999, b"9" * 5000, half, quotes):
        (folder / name).write_bytes(damaged)
        assert outcome(port) == UNUSABLE
    (folder / name).unlink()
    assert outcome(port) == UNUSABLE


@pytest.mark.parametrize("name", ["trace.safetensors", "weights.safetensors"])
def test_odd_tensors_in_a_trace_are_survived(name, port, folder, outcome, tmp_path):
    path, right = folder / name, tmp_path / "right.npz"
    np.savez(right, **port)
    tensors, metadata = read_safetensors(path)
    for number, key in enumerate(tensors):
        for array in list(_odd_arrays(tensors[key]))[number % 3 :: 3]:
            if array.dtype.kind in "biuf" and array.dtype != np.longdouble:
                write_safetensors(path, {**tensors, key: array}, metadata)
                is_wrong = array.shape != tensors[key].shape or not np.isfinite(array).all()
                status = outcome(right)
                assert status == UNUSABLE or not is_wrong, (key, array.shape)
        if key != "mask/drop":  # the port may have it
            write_safetensors(path, {other: tensors[other] for other in tensors if other != key}, metadata)
            assert outcome(right) == UNUSABLE or key.startswith(("step", "mask")), key
    write_safetensors(path, tensors, metadata)
    data = path.read_bytes()
    for length in (0, 5, 100, 1000, len(data) - 1):
        path.write_bytes(data[:length])
        assert outcome(right) == UNUSABLE


def test_weights_of_another_network_are_refused(port, folder, outcome):
    tensors, metadata = read_safetensors(folder / "weights.safetensors")
    write_safetensors(folder / "weights.safetensors", tensors, {**metadata, "graph_sha256": "0" * 64})
    assert outcome(port) == UNUSABLE
