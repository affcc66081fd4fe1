"""Data sets in NumPy's files, with the names that Keras and others give to arrays."""

import io
import struct
import zipfile

from gluon_classics.data import memory
from gluon_classics.data.catalogue import KNOWN
from gluon_classics.data.datasets import load_dataset
import numpy as np
import pytest


def some_arrays(shape=(4, 5), type_of_pixels=np.uint8):
    images = np.arange(60 * int(np.prod(shape))).reshape(60, *shape) % 256
    labels = np.arange(60) % 5
    return {
        "x_train": images[:40].astype(type_of_pixels),
        "y_train": labels[:40],
        "x_test": images[40:].astype(type_of_pixels),
        "y_test": labels[40:],
    }


def renamed(names, arrays):
    return dict(zip(names, arrays.values()))


NAMES = {
    "Keras": ["x_train", "y_train", "x_test", "y_test"],
    "upper case": ["X_train", "Y_train", "X_test", "Y_test"],
    "the other order": ["train_x", "train_y", "test_x", "test_y"],
    "words": ["train_images", "train_labels", "test_images", "test_labels"],
    "data and targets": ["training_data", "training_targets", "testing_data", "testing_targets"],
    "no underscores": ["train.images", "train.labels", "test.images", "test.labels"],
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("give", ["file", "folder"])
def test_the_names_of_the_arrays_say_what_they_are(tmp_path, save, names, give):
    arrays = some_arrays()
    save(str(tmp_path / "set.npz"), **renamed(names, arrays))
    data = load_dataset(str(tmp_path / "set.npz" if give == "file" else tmp_path))
    np.testing.assert_array_equal(data.train.images[..., 0], arrays["x_train"])
    np.testing.assert_array_equal(data.test.labels, arrays["y_test"])
    assert data.classes == tuple("01234")


def test_mnist_npz_gets_the_classes_of_mnist(tmp_path):
    np.savez(str(tmp_path / "mnist.npz"), **some_arrays((28, 28)))
    data = load_dataset(str(tmp_path / "mnist.npz"))
    assert (data.name, data.classes) == ("mnist", KNOWN["mnist"].classes)
    assert data.record().is_published is False


LAYOUTS = {
    "gray": ((6, 7), lambda images: images[..., None]),
    "gray with a channel": ((6, 7, 1), lambda images: images),
    "colour": ((6, 7, 3), lambda images: images),
    "colour planes": ((3, 6, 7), lambda images: images.transpose(0, 2, 3, 1)),
    "flat squares": ((49,), lambda images: images.reshape(-1, 7, 7, 1)),
}


@pytest.mark.parametrize(("shape", "expected"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_channels_are_found_from_the_shape(tmp_path, shape, expected, order):
    arrays = some_arrays(shape)
    np.savez(str(tmp_path / "set.npz"), **{name: np.array(array, order=order) for name, array in arrays.items()})
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).train.images, expected(arrays["x_train"]))


@pytest.mark.parametrize("type_of_pixels", ["u1", ">u2", "<i2", ">i4", "<i8", "f2", "<f4", ">f8"])
def test_numbers_of_every_type_are_read(tmp_path, type_of_pixels):
    arrays = some_arrays(type_of_pixels=type_of_pixels)
    np.savez(str(tmp_path / "set.npz"), **arrays)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).train.images[..., 0], arrays["x_train"])


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.95), (0.05, 1), (0, 0.5), (0.25, 0.25)])
def test_fractions_are_multiplied_by_255_whatever_the_lowest_is(tmp_path, low, high, capsys):
    arrays = some_arrays()
    for name in ("x_train", "x_test"):
        arrays[name] = low + (high - low) * arrays[name] / 255
    np.savez(str(tmp_path / "set.npz"), **arrays)
    loaded = load_dataset(str(tmp_path)).train.images[..., 0]
    np.testing.assert_array_equal(loaded, np.rint(arrays["x_train"].astype(np.float32) * 255))
    assert "pixels from 0 to 1 are multiplied by 255" in capsys.readouterr().err


@pytest.mark.parametrize(("values", "factor"), [((0, 1), 255), ((0, 0), 1), ((1, 1), 1), ((1, 2), 1)])
@pytest.mark.parametrize("type_of_pixels", [np.uint8, np.float32])
def test_whole_numbers_are_multiplied_only_if_they_are_both_0_and_1(tmp_path, values, factor, type_of_pixels):
    arrays = some_arrays()
    for name in ("x_train", "x_test"):
        arrays[name] = np.array(values)[arrays[name] % 2].astype(type_of_pixels)
    np.savez(str(tmp_path / "set.npz"), **arrays)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).train.images[..., 0], arrays["x_train"] * factor)


def test_images_and_labels_alone_are_split(tmp_path, capsys):
    arrays = some_arrays()
    np.savez(str(tmp_path / "set.npz"), images=arrays["x_train"], labels=arrays["y_train"])
    data = load_dataset(str(tmp_path))
    assert (len(data.train), len(data.test)) == (35, 5)
    np.testing.assert_array_equal(np.bincount(data.test.labels), [1] * 5)
    np.testing.assert_array_equal(data.test.images[..., 0], arrays["x_train"][20:25])
    assert "20 % of each class" in capsys.readouterr().err


@pytest.mark.parametrize(("share", "tested"), [(0.125, 5), (0.25, 10), (0.5, 20)])
def test_the_test_share_is_that_of_each_class(tmp_path, share, tested):
    arrays = some_arrays()
    np.savez(str(tmp_path / "set.npz"), images=arrays["x_train"], labels=arrays["y_train"])
    data = load_dataset(str(tmp_path), test_share=share)
    np.testing.assert_array_equal(np.bincount(data.test.labels), [tested // 5] * 5)


@pytest.mark.parametrize(("smallest", "name"), [(1, "a"), (0, "a"), (2, "b")])
def test_the_error_about_a_small_class_has_its_published_name(tmp_path, data_error, smallest, name):
    folder = tmp_path / "emnist-letters"
    folder.mkdir()
    labels = np.array([smallest, *[3] * 19, *([1] if smallest == 2 else [4]) * 20])
    np.savez(str(folder / "set.npz"), images=some_arrays()["x_train"], labels=labels)
    with data_error(f"class {name} of", "fewer than 5 images"):
        load_dataset(str(folder))


def test_a_test_share_of_data_with_test_images_is_rejected(tmp_path, data_error):
    np.savez(str(tmp_path / "set.npz"), **some_arrays())
    for place in (tmp_path, tmp_path / "set.npz"):
        with data_error("has test images", "test share"):
            load_dataset(str(place), test_share=0.1)


def test_validation_images_are_used_only_without_test_images(tmp_path, capsys):
    arrays = some_arrays()
    validation = {"x_val": arrays["x_test"][:5], "y_val": arrays["y_test"][:5]}
    np.savez(str(tmp_path / "all.npz"), **arrays, **validation)
    assert len(load_dataset(str(tmp_path / "all.npz")).test) == 20
    assert "validation images are not used" in capsys.readouterr().err
    del arrays["x_test"], arrays["y_test"]
    np.savez(str(tmp_path / "no-test.npz"), **arrays, **validation)
    assert len(load_dataset(str(tmp_path / "no-test.npz")).test) == 5
    assert "validation images are the test images" in capsys.readouterr().err


def test_kmnists_four_files_with_one_array_each_are_read(tmp_path):
    arrays = some_arrays()
    for name, array in zip(("train-imgs", "train-labels", "test-imgs", "test-labels"), arrays.values()):
        np.savez_compressed(str(tmp_path / f"kmnist-{name}.npz"), array)
    data = load_dataset(str(tmp_path))
    assert data.name == "kmnist"
    np.testing.assert_array_equal(data.train.images[..., 0], arrays["x_train"])


def test_npy_files_are_read(tmp_path):
    arrays = some_arrays()
    for name, array in arrays.items():
        np.save(str(tmp_path / f"{name}.npy"), array)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).test.images[..., 0], arrays["x_test"])


def test_labels_in_a_column_are_read(tmp_path):
    # as Keras has CIFAR-10's
    arrays = some_arrays((6, 7, 3))
    arrays["y_train"] = arrays["y_train"][:, None]
    np.savez(str(tmp_path / "set.npz"), **arrays)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).train.labels, np.arange(40) % 5)


ONE_HOT = np.eye(5)[np.arange(40) % 5]
REJECTED = {
    "one-hot labels": ({"y_train": ONE_HOT}, "shape 40x5"),
    "labels of text": ({"y_train": np.array(["cat"] * 40)}, "type <U3"),
    "fractions as labels": ({"y_train": np.linspace(0, 1, 40)}, "label"),
    "fewer labels": ({"y_train": np.arange(39) % 5}, "40 images"),
    "no dimensions": ({"y_train": np.array(1)}, "0 labels"),
    "Python objects": ({"x_train": np.array([[1, "x"]] * 40, object)}, "Python objects"),
    "complex pixels": ({"x_train": np.zeros((40, 4, 5), complex)}, "type complex128"),
    "a record": ({"x_train": np.zeros(40, [("a", "u1")])}, "header"),
    "four channels": ({"x_train": np.zeros((40, 4, 5, 4), np.uint8)}, "shape 40x4x5x4"),
    "channels that may be at either end": ({"x_train": np.zeros((40, 3, 5, 3), np.uint8)}, "shape 40x3x5x3"),
    "flat images that are not square": ({"x_train": np.zeros((40, 20), np.uint8)}, "shape 40x20"),
    "five dimensions": ({"x_train": np.zeros((40, 1, 4, 5, 1), np.uint8)}, "shape"),
    "another size for testing": ({"x_test": np.zeros((20, 5, 4), np.uint8)}, "differ in size"),
    "values from -1 to 1": ({"x_train": np.linspace(-1, 1, 800).reshape(40, 4, 5)}, "-1 to 1"),
    "no images": ({"x_train": np.zeros((0, 4, 5), np.uint8), "y_train": np.zeros(0)}, "0 images"),
    "no pixels": ({"x_train": np.zeros((40, 0, 5), np.uint8)}, "pixels"),
}


@pytest.mark.parametrize(("change", "reason"), REJECTED.values(), ids=REJECTED)
def test_arrays_that_cannot_be_images_and_labels_are_rejected(tmp_path, data_error, change, reason):
    np.savez(str(tmp_path / "set.npz"), **{**some_arrays(), **change})
    with data_error("set.npz", reason):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("missing", ["x_train", "y_train", "x_test", "y_test"])
def test_a_missing_array_is_named(tmp_path, data_error, missing):
    arrays = some_arrays()
    del arrays[missing]
    np.savez(str(tmp_path / "set.npz"), **arrays)
    with data_error("lacks"):
        load_dataset(str(tmp_path))


def test_two_sets_are_an_error_that_names_both(tmp_path, data_error):
    np.savez(str(tmp_path / "one.npz"), **some_arrays())
    np.savez(str(tmp_path / "two.npz"), **some_arrays())
    with data_error("one.npz", "two.npz"):
        load_dataset(str(tmp_path))


# ---------------------------------------------------------------- damaged and hostile files


def npy(header, data=b"", version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def write_npz(path, **members):
    """Write a .npz of which the given members have other bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in some_arrays().items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", members.get(name, content.getvalue()))
    return path


SHAPE = b"{'descr': '|u1', 'fortran_order': False, 'shape': (40, 4, 5), }"
HEADERS = {
    "empty": b"",
    "not NumPy's": b"PK" * 100,
    "a version that does not exist": npy(SHAPE, bytes(800), version=9),
    "no dictionary": npy(b"[1, 2]"),
    "a call": npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': __import__('os').getcwd(), }"),
    "deep nesting": npy(b"(" * 9_000),
    "a long header": npy(b" " * 70_000, version=2),
    "a negative size": npy(SHAPE.replace(b"40", b"-4"), bytes(800)),
    "a size that is not whole": npy(SHAPE.replace(b"40", b"4.0"), bytes(800)),
    "a huge size": npy(SHAPE.replace(b"40", b"9" * 30), bytes(800)),
    "a size that deflate cannot reach": npy(SHAPE.replace(b"40", b"99999999"), bytes(800)),
    "more values": npy(SHAPE, bytes(801)),
    "fewer values": npy(SHAPE, bytes(799)),
    "an unknown type": npy(SHAPE.replace(b"u1", b"q9"), bytes(800)),
    "Python objects": npy(SHAPE.replace(b"|u1", b"|O8"), bytes(6400)),
    "a type without a size": npy(SHAPE.replace(b"|u1", b"|S0"), b""),
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_a_hostile_array_ends_in_one_line(tmp_path, data_error, content):
    write_npz(tmp_path / "set.npz", x_train=content)
    with data_error("x_train", "set.npz"):
        load_dataset(str(tmp_path))


def test_arrays_that_do_not_fit_into_memory_are_rejected_before_one_is_read(tmp_path, data_error, monkeypatch):
    np.savez_compressed(str(tmp_path / "set.npz"), **some_arrays((50, 50)))
    monkeypatch.setattr(memory, "_ALWAYS_FREE", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: 100_000)
    with data_error("x_train", "of memory"):
        load_dataset(str(tmp_path))


def test_a_file_truncated_anywhere_is_rejected(tmp_path, data_error):
    whole = write_npz(tmp_path / "set.npz").read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "set.npz").write_bytes(whole[:length])
        with data_error("set.npz"):
            load_dataset(str(tmp_path / "set.npz"))
