"""Reading the Python versions of CIFAR-10 and CIFAR-100, which are pickles, without executing them."""

import io
import pickle
import struct
import tarfile

from gluon_classics.data import cifar_pickle
from gluon_classics.data.catalogue import KNOWN
from gluon_classics.data.cifar_pickle import read_pickle
from gluon_classics.data.datasets import load_dataset
from gluon_classics.errors import DataError
import numpy as np
import pytest

TEN, HUNDRED = KNOWN["cifar10"].classes, KNOWN["cifar100"].classes


def pixels(first, count):
    """Return (count, 3072) uint8 in which every image is different."""
    return (np.arange(3072) * 7 + np.arange(first, first + count)[:, None] * 31).astype(np.uint8)


def batch(first, count, labels="labels", classes=10):
    numbers = range(first, first + count)
    entries = {"data": pixels(first, count), labels: [number % classes for number in numbers]}
    if labels == "fine_labels":
        entries["coarse_labels"] = [19 - number % 20 for number in numbers]
    names = [f"image_{number}.png" for number in numbers]
    return {**entries, "filenames": names, "batch_label": f"training batch {first}"}


def cifar10_files():
    files = {f"data_batch_{number}": batch(4 * number, 4) for number in range(1, 6)}
    return {**files, "test_batch": batch(90, 10), "batches.meta": {"label_names": list(TEN), "num_vis": 3072}}


def cifar100_files():
    meta = {"fine_label_names": list(HUNDRED), "coarse_label_names": ["fish"] * 20}
    return {"train": batch(0, 200, "fine_labels", 100), "test": batch(300, 100, "fine_labels", 100), "meta": meta}


def as_python_2_has_it(entries):
    """Return the entries with bytes instead of text, which is what Python 2 wrote."""

    def to_bytes(value):
        if isinstance(value, list):
            return [to_bytes(item) for item in value]
        return value.encode() if isinstance(value, str) else value

    return {key.encode(): to_bytes(value) for key, value in entries.items()}


def write(folder, files, protocol=2, form=lambda entries: entries):
    folder.mkdir(parents=True, exist_ok=True)
    for name, entries in files.items():
        (folder / name).write_bytes(pickle.dumps(form(entries), protocol))
    return folder


def channels_last(planes):
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", [dict, as_python_2_has_it], ids=["text", "bytes"])
def test_cifar10_is_read_as_pickle_writes_it(tmp_path, protocol, form):
    data = load_dataset(str(write(tmp_path / "cifar-10-batches-py", cifar10_files(), protocol, form)))
    assert (data.name, data.classes) == ("cifar10", TEN)
    np.testing.assert_array_equal(data.train.images, channels_last(pixels(4, 20)))
    np.testing.assert_array_equal(data.train.labels, np.arange(4, 24) % 10)
    np.testing.assert_array_equal(data.test.images, channels_last(pixels(90, 10)))


@pytest.mark.parametrize("form", [dict, as_python_2_has_it], ids=["text", "bytes"])
def test_cifar100_has_the_fine_labels_and_their_names(tmp_path, form):
    data = load_dataset(str(write(tmp_path, cifar100_files(), form=form)))
    assert (data.name, data.classes) == ("cifar100", HUNDRED)
    np.testing.assert_array_equal(data.train.labels, np.arange(200) % 100)
    np.testing.assert_array_equal(data.test.images, channels_last(pixels(300, 100)))


def test_cifar100s_binary_files_have_the_class_in_the_second_byte(tmp_path):
    for name, first, count in (("train.bin", 0, 200), ("test.bin", 300, 100)):
        labels = np.arange(first, first + count)
        records = np.column_stack([labels % 20, labels % 100, pixels(first, count)]).astype(np.uint8)
        (tmp_path / name).write_bytes(records.tobytes())
    data = load_dataset(str(tmp_path))
    assert (data.name, data.classes) == ("cifar100", HUNDRED)
    np.testing.assert_array_equal(data.train.images, channels_last(pixels(0, 200)))
    np.testing.assert_array_equal(data.test.labels, np.arange(300, 400) % 100)


def test_the_archive_of_the_python_version_is_read(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(str(path), "w:gz") as archive:
        for name, entries in cifar10_files().items():
            content = pickle.dumps(entries, 2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    for place in (path, tmp_path):
        np.testing.assert_array_equal(load_dataset(str(place)).train.images, channels_last(pixels(4, 20)))


def test_another_data_set_in_the_same_format_keeps_its_own_classes(tmp_path):
    files = {**cifar10_files(), "batches.meta": {"label_names": [f"kind {number}" for number in range(10)]}}
    data = load_dataset(str(write(tmp_path / "plants", files)))
    assert (data.name, data.classes[3]) == ("plants", "kind 3")
    assert data.record().is_published is None


def test_an_array_in_fortran_order_is_read_in_its_order(tmp_path):
    files = cifar10_files()
    files["test_batch"]["data"] = np.asfortranarray(files["test_batch"]["data"])
    data = load_dataset(str(write(tmp_path, files)))
    np.testing.assert_array_equal(data.test.images, channels_last(pixels(90, 10)))


WRONG = {
    "no images": {"data": np.zeros((0, 3072), np.uint8), "labels": []},
    "another image size": {"data": np.zeros((10, 784), np.uint8)},
    "one dimension": {"data": np.zeros(30720, np.uint8)},
    "floats": {"data": np.zeros((10, 3072), np.float32)},
    "a list of pixels": {"data": [[0] * 3072] * 10},
    "fewer labels": {"labels": [0] * 9},
    "labels of text": {"labels": ["0"] * 10},
    "a negative label": {"labels": [-1] * 10},
    "truth values": {"labels": [True] * 10},
    "an eleventh class": {"labels": [10] * 10},
    "labels in an array": {"labels": np.zeros(10, np.uint8)},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_batch_with_other_content_is_rejected(tmp_path, data_error, change):
    files = cifar10_files()
    files["test_batch"].update(change)
    with data_error(tmp_path):
        load_dataset(str(write(tmp_path, files)))


def test_a_missing_batch_is_named(tmp_path, data_error):
    files = cifar10_files()
    del files["data_batch_4"]
    with data_error(tmp_path, "lacks data_batch_4"):
        load_dataset(str(write(tmp_path, files)))


# ---------------------------------------------------------------- hostile pickles

RAN = []


def trap(*arguments):
    RAN.append(arguments)
    return {}


class Reduced:
    def __reduce__(self):
        return trap, (1,)


class WithState:
    def __init__(self):
        self.x = 1

    def __setstate__(self, state):
        trap(state)


class Copied(dict):
    def __reduce_ex__(self, protocol):
        return trap, (), None, iter([1]), iter([(1, 2)])


HOSTILE = {
    "a call": {"data": Reduced()},
    "a call as the whole": Reduced(),
    "a call as a key": {"data": [Reduced()]},
    "an object with state": {"data": WithState()},
    "a class": {"data": WithState},
    "items for a call": Copied(),
    "a function of NumPy": {"data": np.load},
    "a complex number": {"data": 1j},
    "a set": {"data": {1}},
    "a type of Python objects": {"data": np.array([[1, "x"]], object)},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_nothing_in_a_hostile_pickle_is_executed(data_error, content, protocol):
    RAN.clear()
    dumped = pickle.dumps(content, protocol)
    with data_error("file"):
        read_pickle(dumped, "file")
    assert RAN == []


RAW = {
    "empty": b"",
    "only the protocol": b"\x80\x02",
    "no end": b"\x80\x02}",
    "a stack underflow": b"\x80\x02s.",
    "an unknown memo": b"\x80\x02h\x07.",
    "a memo of an empty stack": b"\x80\x02q\x00.",
    "an unknown opcode": b"\x80\x02\xff.",
    "os.system": b"cos\nsystem\n(S'true'\ntR.",
    "an instance": b"(S'true'\nios\nsystem\n.",
    "a persistent id": b"Pid\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a module with a space": b"\x80\x04\x8c\x0anumpy load\x8c\x01x\x93.",
    "a name that is not text": b"\x80\x04K\x01K\x02\x93.",
    "a text of 2**32 - 1 bytes": b"\x80\x02X\xff\xff\xff\xff.",
    "bytes of 2**62": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    "bytes of 2**64 - 1": b"\x80\x04\x8e" + b"\xff" * 8 + b".",
    "a number of 5 million digits": b"I" + b"9" * 5_000_000 + b"\n.",
    "deep nesting": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a dictionary in itself": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
    "an odd number of items": b"\x80\x02}(K\x01u.",
    "a call of a list": b"\x80\x02]]R.",
    "a state of a list": b"\x80\x02]]b.",
    "the array itself, not called": b"\x80\x02}X\x04\x00\x00\x00datacnumpy\nndarray\ns.",
    "an array of a negative shape": b"\x80\x02}X\x04\x00\x00\x00datacnumpy\nndarray\nJ\xff\xff\xff\xff\x85Rs.",
    "a huge array": b"\x80\x02}X\x04\x00\x00\x00datacnumpy\nndarray\nJ\xff\xff\xff\x7f\x85Rs.",
}


@pytest.mark.parametrize("content", RAW.values(), ids=RAW)
def test_a_hostile_batch_ends_in_one_line(tmp_path, data_error, content):
    write(tmp_path, cifar10_files())
    (tmp_path / "data_batch_3").write_bytes(content)
    with data_error("data_batch_3"):
        load_dataset(str(tmp_path))


def test_a_pickle_with_very_many_opcodes_is_rejected(data_error, monkeypatch):
    monkeypatch.setattr(cifar_pickle, "_MAX_OPCODES", 1_000)
    with data_error("1,000 opcodes"):
        read_pickle(pickle.dumps({"labels": list(range(2_000))}), "file")


def test_a_changed_byte_gives_an_error_or_other_values_but_never_another_exception():
    whole = pickle.dumps({"data": pixels(0, 1)[:, :64], "labels": [3, 1, 2]}, 2)
    errors = 0
    for position in range(len(whole)):
        for change in (0x01, 0x20, 0xFF):
            broken = bytearray(whole)
            broken[position] ^= change
            try:
                read_pickle(bytes(broken), "file")
            except DataError:
                errors += 1
    assert errors > 100
