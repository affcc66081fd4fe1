"""Sets of IDX files under all names that people have them, and what their labels mean."""

import gzip
import itertools
import struct
import zipfile

from gluon_classics.data.catalogue import IDX_FILES, KNOWN
from gluon_classics.data.datasets import load_dataset
import numpy as np
import pytest

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array):
    """Return the bytes of an IDX file, made with `struct` alone."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.str[1:]], array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def some_arrays(train=40, test=20, labels=None, type_of_labels="u1"):
    """Return training images and labels and test images and labels, with a different value in every pixel."""
    pixels = np.arange((train + test) * 12, dtype=np.uint8).reshape(-1, 3, 4)
    labels = np.resize(np.arange(10) if labels is None else labels, train + test).astype(type_of_labels)
    return pixels[:train], labels[:train], pixels[train:], labels[train:]


def write(folder, names, arrays, pack=bytes):
    for name, array in zip(names, arrays):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack(idx_bytes(array)))
    return folder


DOTTED = [name.replace("-idx", ".idx") for name in IDX_FILES]
NAMES = {
    "dots": DOTTED,
    "upper case": [name.upper() for name in IDX_FILES],
    "underscores": [name.replace("-", "_") for name in IDX_FILES],
    "test instead of t10k": [name.replace("t10k", "test") for name in IDX_FILES],
    "suffix .idx": [name.split("-idx")[0] + ".idx" for name in IDX_FILES],
    "a folder around each file": [f"{name}/{name}" for name in IDX_FILES],
    "a folder with the dotted name around each file": [f"{dot}/{name}" for dot, name in zip(DOTTED, IDX_FILES)],
    "folders as of torchvision": [f"MNIST/raw/{name}" for name in IDX_FILES],
    "a prefix": [f"digits-{name}" for name in IDX_FILES],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_the_files_are_found_under_their_common_names(tmp_path, names, packed):
    arrays = some_arrays()
    names = [f"{name}.gz" for name in names] if packed else names
    data = load_dataset(str(write(tmp_path / "set", names, arrays, gzip.compress if packed else bytes)))
    for part, images, labels in ((data.train, *arrays[:2]), (data.test, *arrays[2:])):
        np.testing.assert_array_equal(part.images, images[..., None])
        np.testing.assert_array_equal(part.labels, labels)


def test_hidden_files_and_those_of_macos_are_left_out(tmp_path):
    folder = write(tmp_path, IDX_FILES, some_arrays())
    for name in (f"._{IDX_FILES[0]}", f"__MACOSX/{IDX_FILES[0]}", f".git/{IDX_FILES[0]}"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"Mac OS X")
    assert len(load_dataset(str(folder)).train) == 40


def test_one_of_the_files_stands_for_the_set(tmp_path):
    write(tmp_path, [f"emnist-digits-{name}" for name in IDX_FILES], some_arrays())
    write(tmp_path, [f"emnist-balanced-{name}" for name in IDX_FILES], some_arrays(60))
    data = load_dataset(str(tmp_path / f"emnist-balanced-{IDX_FILES[1]}"))
    assert (data.name, len(data.train)) == ("emnist-balanced", 60)


def test_two_sets_in_a_folder_are_an_error_that_names_both(tmp_path, data_error):
    write(tmp_path, [f"emnist-digits-{name}" for name in IDX_FILES], some_arrays())
    write(tmp_path, [f"emnist-letters-{name}" for name in IDX_FILES], some_arrays())
    with data_error("emnist-digits", "emnist-letters", "name"):
        load_dataset(str(tmp_path))


def test_a_plain_and_a_gzipped_file_of_the_same_content_count_as_one(tmp_path):
    arrays = some_arrays()
    write(tmp_path, IDX_FILES, arrays)
    write(tmp_path, [f"{name}.gz" for name in IDX_FILES], arrays, gzip.compress)
    np.testing.assert_array_equal(load_dataset(str(tmp_path)).train.images[..., 0], arrays[0])


@pytest.mark.parametrize("place", range(4))
def test_a_plain_and_a_gzipped_file_that_differ_are_an_error(tmp_path, data_error, place):
    arrays = some_arrays()
    write(tmp_path, IDX_FILES, arrays)
    write(tmp_path, [f"{IDX_FILES[place]}.gz"], [arrays[place][::-1]], gzip.compress)
    with data_error(IDX_FILES[place], f"{IDX_FILES[place]}.gz", "different contents"):
        load_dataset(str(tmp_path))


def test_an_incomplete_second_set_is_mentioned(tmp_path, capsys):
    write(tmp_path, IDX_FILES, some_arrays())
    write(tmp_path / "more", IDX_FILES[:1], some_arrays())
    assert len(load_dataset(str(tmp_path)).train) == 40
    assert "not reading MNIST's IDX files in more" in capsys.readouterr().err


def test_images_next_to_the_files_are_mentioned(tmp_path, capsys):
    write(tmp_path, IDX_FILES, some_arrays())
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"an image")
    assert len(load_dataset(str(tmp_path)).train) == 40
    assert "not a/0.png and 1 more" in capsys.readouterr().err


# ---------------------------------------------------------------- types


@pytest.mark.parametrize("images_type", CODES)
@pytest.mark.parametrize("labels_type", CODES)
def test_images_and_labels_of_every_type_are_read_if_their_values_make_sense(tmp_path, images_type, labels_type):
    arrays = some_arrays()
    arrays = [(array % 128).astype(images_type if array.ndim == 3 else labels_type) for array in arrays]
    data = load_dataset(str(write(tmp_path, IDX_FILES, arrays)))
    assert data.train.images.dtype == np.uint8
    np.testing.assert_array_equal(data.train.images[..., 0], arrays[0])
    np.testing.assert_array_equal(data.test.labels, arrays[3])


@pytest.mark.parametrize(
    ("array", "value", "type_code", "reason"),
    [
        ("images", -1, "i1", "-1 to"),
        ("images", 256, "i2", "to 256"),
        ("images", 4095, "i4", "to 4095"),
        ("images", 1.5, "f4", "1.5"),
        ("images", np.nan, "f4", "finite"),
        ("images", np.inf, "f8", "finite"),
        ("labels", -1, "i1", "-1"),
        ("labels", 2.5, "f4", "2.5"),
        ("labels", np.nan, "f8", "finite"),
    ],
)
def test_values_that_cannot_be_pixels_or_labels_are_rejected(tmp_path, data_error, array, value, type_code, reason):
    arrays = list(some_arrays())
    place = 0 if array == "images" else 1
    arrays[place] = (arrays[place] % 128).astype(type_code)
    arrays[place].flat[5] = value
    with data_error(tmp_path, reason):
        load_dataset(str(write(tmp_path, IDX_FILES, arrays)))


@pytest.mark.parametrize("scale", [1, 255])
def test_pixels_from_0_to_1_are_multiplied_by_255(tmp_path, capsys, scale):
    arrays = list(some_arrays())
    expected = arrays[0]
    for place in (0, 2):
        arrays[place] = (arrays[place] / 255 * scale).astype("f4")
    data = load_dataset(str(write(tmp_path, IDX_FILES, arrays)))
    np.testing.assert_array_equal(data.train.images[..., 0], expected)
    assert ("multiplied by 255" in capsys.readouterr().err) == (scale == 1)


def test_black_and_white_images_of_0_and_1_are_not_read_as_black(tmp_path):
    arrays = list(some_arrays())
    arrays[0], arrays[2] = arrays[0] % 2, arrays[2] % 2
    assert set(np.unique(load_dataset(str(write(tmp_path, IDX_FILES, arrays))).train.images)) == {0, 255}


# ---------------------------------------------------------------- labels


def load_labels(folder, labels, train=40, type_of_labels="u1"):
    arrays = some_arrays(train, 20, np.array(labels), type_of_labels)
    return load_dataset(str(write(folder, IDX_FILES, arrays)))


@pytest.mark.parametrize("count", [2, 10, 26])
def test_labels_counted_from_1_keep_their_names_and_give_no_empty_class(tmp_path, capsys, count):
    data = load_labels(tmp_path, range(1, count + 1))
    assert data.classes == tuple(str(label) for label in range(1, count + 1))
    np.testing.assert_array_equal(data.train.labels, np.resize(np.arange(count), 40))
    assert "counted from 1" in capsys.readouterr().err


def test_labels_counted_from_0_are_kept_without_a_message(tmp_path, capsys):
    data = load_labels(tmp_path, range(10))
    assert data.classes == tuple("0123456789")
    assert capsys.readouterr().err == ""


def test_empty_classes_are_named_in_one_line(tmp_path, capsys):
    data = load_labels(tmp_path, [0, 1, 2, 4, 6])
    assert data.classes == tuple("0123456")
    assert capsys.readouterr().err.splitlines() == [f"{tmp_path}: there are no images of 2 classes: 3, 5"]


def test_classes_that_only_one_part_lacks_are_named(tmp_path, capsys):
    arrays = list(some_arrays())
    arrays[3] = np.full(20, 9, np.uint8)
    load_dataset(str(write(tmp_path / "mnist", IDX_FILES, arrays)))
    assert "no test images of 9 classes: 0, 1, 2, 3, 4, 5, ..., 8" in capsys.readouterr().err


MEANINGLESS = {
    "a mask": [0, 255],
    "a mask with a border": [0, 128, 255],
    "ten classes and 255": [*range(10), 255],
    "two far numbers": [0, 9],
    "one class": [0],
    "one class that is not 0": [7],
    "numbers of the images": range(60),
    "years": [1990, 2000, 2010],
}


@pytest.mark.parametrize("train", [40, 400])
@pytest.mark.parametrize("labels", MEANINGLESS.values(), ids=MEANINGLESS)
def test_labels_that_cannot_be_meant_are_rejected(tmp_path, data_error, labels, train):
    if len(labels) == 60 and train == 400:
        labels = range(420)
    with data_error(tmp_path, "the labels of"):
        load_labels(tmp_path, labels, train, "i4")


@pytest.mark.parametrize("shape", [(40, 2), (40, 10), (20, 2, 1)])
def test_labels_of_another_shape_are_rejected(tmp_path, data_error, shape):
    arrays = list(some_arrays())
    arrays[1] = np.zeros(shape, np.uint8)
    with data_error(IDX_FILES[1]):
        load_dataset(str(write(tmp_path, IDX_FILES, arrays)))


# ---------------------------------------------------------------- EMNIST and QMNIST


def test_emnists_images_are_turned_upright(tmp_path, capsys):
    # a 7: a bar at the top and a stroke at the right; in EMNIST's files it is transposed
    seven = np.zeros((28, 28), np.uint8)
    seven[4, 6:22] = 200
    seven[4:24, 21] = 100
    arrays = list(some_arrays())
    arrays[0], arrays[2] = np.repeat(seven.T[None], 40, 0), np.repeat(seven.T[None], 20, 0)
    data = load_dataset(str(write(tmp_path, [f"emnist-digits-{name}.gz" for name in IDX_FILES], arrays, gzip.compress)))
    assert data.name == "emnist-digits"
    np.testing.assert_array_equal(data.train.images[3, ..., 0], seven)
    np.testing.assert_array_equal(data.test.images[3, ..., 0], seven)
    assert "turned upright" in capsys.readouterr().err


@pytest.mark.parametrize("split", ["letters", "digits"])
def test_emnists_splits_are_read_by_name_from_their_common_archive(tmp_path, monkeypatch, split):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    folder = tmp_path / "datasets" / "emnist"
    folder.mkdir(parents=True)
    splits = {"letters": some_arrays(labels=range(1, 27)), "digits": some_arrays(60)}
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for name, arrays in splits.items():
            for file, array in zip(IDX_FILES, arrays):
                archive.writestr(
                    f"gzip/emnist-{name}-{file.replace('t10k', 'test')}.gz", gzip.compress(idx_bytes(array))
                )
    data = load_dataset(f"emnist-{split}")
    assert (data.name, data.classes) == (f"emnist-{split}", KNOWN[f"emnist-{split}"].classes)
    np.testing.assert_array_equal(data.train.images[..., 0], splits[split][0].transpose(0, 2, 1))


def test_an_archive_with_several_sets_is_an_error_that_names_them(tmp_path, data_error):
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as archive:
        for name in ("letters", "digits"):
            for file, array in zip(IDX_FILES, some_arrays()):
                archive.writestr(f"emnist-{name}-{file}", idx_bytes(array))
    with data_error("emnist-letters", "emnist-digits", "unpack"):
        load_dataset(str(tmp_path / "gzip.zip"))


@pytest.mark.parametrize("last", [26, 25], ids=["all letters", "without z"])
def test_emnists_letters_are_counted_from_1_and_get_their_names(tmp_path, last):
    arrays = some_arrays(labels=np.arange(1, last + 1))
    data = load_dataset(str(write(tmp_path, [f"emnist-letters-{name}" for name in IDX_FILES], arrays)))
    assert data.classes == tuple("abcdefghijklmnopqrstuvwxyz")
    np.testing.assert_array_equal(data.train.labels, arrays[1] - 1)


def test_the_classes_of_emnists_splits_are_those_of_its_paper():
    sizes = {name: len(known.classes) for name, known in KNOWN.items() if name.startswith("emnist")}
    assert sizes == {
        "emnist-balanced": 47,
        "emnist-byclass": 62,
        "emnist-bymerge": 47,
        "emnist-digits": 10,
        "emnist-letters": 26,
        "emnist-mnist": 10,
    }
    assert len({name for name, known in KNOWN.items() if len(set(known.classes)) < len(known.classes)}) == 0


def test_files_that_may_be_emnists_without_its_name_are_pointed_out(tmp_path, capsys):
    arrays = list(some_arrays(labels=range(1, 27)))
    arrays[0], arrays[2] = np.zeros((40, 28, 28), np.uint8), np.zeros((20, 28, 28), np.uint8)
    load_dataset(str(write(tmp_path / "letters", IDX_FILES, arrays)))
    assert "transposed" in capsys.readouterr().err


def test_the_class_is_the_first_of_qmnists_eight_columns(tmp_path):
    arrays = list(some_arrays())
    for place in (1, 3):
        facts = np.arange(8 * len(arrays[place]), dtype="i4").reshape(-1, 8) + 1000
        facts[:, 0] = arrays[place]
        arrays[place] = facts
    kinds = itertools.cycle(("images-idx3-ubyte", "labels-idx2-int"))
    names = [f"qmnist-{part}-{next(kinds)}.gz" for part in ("train", "train", "test", "test")]
    data = load_dataset(str(write(tmp_path, names, arrays, gzip.compress)))
    assert data.name == "qmnist"
    np.testing.assert_array_equal(data.train.labels, np.resize(np.arange(10), 40))


@pytest.mark.parametrize(("folder", "name"), [("FashionMNIST/raw", "fashion-mnist"), ("KMNIST", "kmnist")])
def test_the_name_of_the_folder_gives_the_classes_in_any_case(tmp_path, folder, name):
    data = load_dataset(str(write(tmp_path / folder, IDX_FILES, some_arrays())))
    assert (data.name, data.classes) == (name, KNOWN[name].classes)
