"""Where data sets are found, and which ones are rejected."""

import dataclasses
import gzip
import hashlib
import json
import shutil

from gluon_classics import _console
from gluon_classics.data import catalogue, datasets
from gluon_classics.data.catalogue import IDX_FILES, KNOWN
from gluon_classics.data.datasets import SAMPLE_FOLDER, load_dataset
from gluon_classics.data.download import RemoteFile
from gluon_classics.data.idx import read_idx, write_idx
from gluon_classics.data.images import Images
import numpy as np
import pytest

CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
# checksums of the decompressed files, because Debian compresses the same bytes with another gzip
FULL_SET = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
# as public projects pin them
MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.fixture(scope="module")
def full_mnist():
    """Return MNIST, or skip the test if it is not installed."""
    if not datasets.installed_folder("mnist"):
        pytest.skip("needs MNIST: python tools/fetch_mnist.py")
    return load_dataset("mnist")


def checksum(data, name):
    """Return the SHA-256 of one of a data set's IDX files, as it was before it was compressed."""
    part = data.train if name.startswith("train") else data.test
    array = part.images[..., 0] if "images" in name else part.labels
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def in_place(root):
    return root / "datasets" / "fashion-mnist"


# ---------------------------------------------------------------- the search order


@pytest.mark.parametrize(
    ("filled", "chosen"),
    [
        (("home", "first", "second"), "home"),
        (("first", "second"), "first"),
        (("second",), "second"),
    ],
)
def test_the_cache_is_searched_before_the_system_folders(places, write_set, capsys, filled, chosen):
    for pixel, place in enumerate(("home", "first", "second")):
        if place in filled:
            write_set(in_place(getattr(places, place)), pixel)
    data = load_dataset()
    assert data.origin == str(in_place(getattr(places, chosen)))
    assert (data.train.images == ("home", "first", "second").index(chosen)).all()
    assert not data.is_sample
    assert capsys.readouterr().err == ""


def test_a_system_folder_is_used_before_a_download(places, write_set, mirror, monkeypatch):
    server = mirror(lambda handler: handler.send(b"", status=404))
    monkeypatch.setenv("MXNET_GLUON_REPO", server.url)
    write_set(in_place(places.second))
    load_dataset()
    assert server.asked == []


def test_a_download_is_used_before_the_sample(places, write_set, mirror, monkeypatch, tmp_path):
    source = write_set(tmp_path / "source", pixel=3)
    files = tuple(
        RemoteFile(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in source.iterdir()
    )
    server = mirror(lambda handler: handler.send((source / handler.path.split("/")[-1]).read_bytes()))
    monkeypatch.setenv("MXNET_GLUON_REPO", server.url)
    monkeypatch.setitem(KNOWN, "fashion-mnist", catalogue.Known(CLOTHES, files, ()))
    data = load_dataset()
    assert not data.is_sample
    assert (data.train.images == 3).all()


def test_a_folder_that_lacks_a_file_is_skipped(places, write_set):
    (write_set(in_place(places.home), 1) / f"{IDX_FILES[3]}.gz").unlink()
    write_set(in_place(places.first), 2)
    assert (load_dataset().train.images == 2).all()


def test_a_damaged_file_in_the_cache_is_an_error_and_not_skipped(places, write_set, data_error):
    broken = write_set(in_place(places.home)) / f"{IDX_FILES[0]}.gz"
    broken.write_bytes(b"")
    write_set(in_place(places.first))
    with data_error(broken):
        load_dataset()


def test_a_local_folder_with_the_name_of_a_data_set_is_named_since_it_is_not_read(
    places, write_set, tmp_path, monkeypatch, capsys
):
    write_set(in_place(places.home), 1)
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "fashion-mnist", 2)
    assert (load_dataset("fashion-mnist").train.images == 1).all()
    line = "Reading the published fashion-mnist, not the folder ./fashion-mnist: to read that, give ./fashion-mnist"
    assert line in capsys.readouterr().err
    assert (load_dataset("./fashion-mnist").train.images == 2).all()
    monkeypatch.chdir(in_place(places.home).parent)
    assert (load_dataset("fashion-mnist").train.images == 1).all()
    assert "Reading the published" not in capsys.readouterr().err


def test_the_cache_can_be_given_as_an_argument(places, write_set, tmp_path):
    write_set(in_place(places.home), 1)
    mine = write_set(tmp_path / "mine", 2)
    data = load_dataset(cache=mine)
    assert (data.train.images == 2).all()
    assert data.origin == str(mine)


def test_the_default_cache_is_dot_mxnet_in_the_home_folder(places, write_set, monkeypatch, tmp_path):
    monkeypatch.delenv("MXNET_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    folder = write_set(in_place(tmp_path / "user" / ".mxnet"), 5)
    data = load_dataset()
    assert data.origin == str(folder)
    assert (data.train.images == 5).all()


def test_an_empty_variable_counts_as_unset(places, write_set, monkeypatch, tmp_path):
    monkeypatch.setenv("MXNET_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    write_set(in_place(tmp_path / "user" / ".mxnet"), 5)
    assert (load_dataset().train.images == 5).all()


def test_an_empty_entry_of_xdg_data_dirs_is_not_the_current_folder(places, write_set, monkeypatch, tmp_path):
    # the XDG specification says that relative paths in these variables must be ignored
    monkeypatch.setenv("XDG_DATA_DIRS", f":{places.first}:")
    monkeypatch.chdir(tmp_path)
    write_set(in_place(tmp_path), 1)
    write_set(in_place(places.first), 2)
    assert (load_dataset().train.images == 2).all()


@pytest.mark.skipif(
    not in_place(datasets.Path("/usr/share")).is_dir(),
    reason="needs Debian's files in /usr/share: apt-get install dataset-fashion-mnist",
)
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_debians_data_set_is_found_without_any_variable(places, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("XDG_DATA_DIRS")
    else:
        monkeypatch.setenv("XDG_DATA_DIRS", value)
    assert str(datasets.installed_folder("fashion-mnist")).startswith("/usr/")


# ---------------------------------------------------------------- the embedded sample


@pytest.fixture
def lone_sample(places, capsys):
    """Return the data set that is loaded without Fashion-MNIST and without a network, and the printed messages."""
    data = load_dataset()
    return data, capsys.readouterr().err


def test_without_data_and_network_the_embedded_sample_is_used(lone_sample, sample):
    data, _ = lone_sample
    assert data.is_sample
    assert data.name == "fashion-mnist"
    assert data.classes == CLOTHES
    assert data.train.images.shape == (6_000, 28, 28, 1)
    assert data.test.images.shape == (1_000, 28, 28, 1)
    np.testing.assert_array_equal(data.train.images, sample.train.images)
    np.testing.assert_array_equal(data.test.labels, sample.test.labels)


def test_the_embedded_sample_gives_one_warning_that_says_what_to_do(lone_sample, places):
    _, printed = lone_sample
    lines = [line for line in printed.splitlines() if "EMBEDDED SAMPLE" in line]
    assert len(lines) == 1
    counts = "6,000 training and 1,000 test images"
    for text in (counts, "not comparable", "--data", str(in_place(places.home)), "not reachable"):
        assert text in lines[0]


def test_the_warning_about_the_embedded_sample_is_printed_even_when_quiet(places, capsys, monkeypatch):
    monkeypatch.setattr(_console.err, "quiet", True)
    load_dataset()
    assert capsys.readouterr().err.count("EMBEDDED SAMPLE") == 1


def test_a_failed_download_leaves_the_cache_empty(lone_sample, places):
    assert [path for path in places.home.rglob("*") if path.is_file()] == []


def test_the_sample_is_used_if_the_cache_cannot_be_written(places, capsys):
    places.home.write_text("a file where the folder should be")
    assert load_dataset().is_sample
    assert capsys.readouterr().err.count("EMBEDDED SAMPLE") == 1


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_data_set_without_a_sample_is_an_error_that_says_what_to_do(places, data_error, name):
    with data_error("not reachable", "--data", places.home / "datasets" / name):
        load_dataset(name)


# ---------------------------------------------------------------- a folder of IDX files


@pytest.mark.parametrize(
    ("name", "classes"), [("fashion-mnist", CLOTHES), ("mnist", tuple("0123456789"))], ids=["fashion-mnist", "mnist"]
)
def test_a_folder_with_the_name_of_a_known_data_set_gets_its_classes(tmp_path, write_set, name, classes):
    data = load_dataset(str(write_set(tmp_path / name)))
    assert (data.name, data.classes) == (name, classes)
    assert not data.is_sample


@pytest.mark.parametrize("name", ["kuzushiji", "cifar10"])
def test_the_classes_of_idx_files_in_any_other_folder_are_numbers(tmp_path, write_set, name):
    data = load_dataset(str(write_set(tmp_path / name)))
    assert (data.name, data.classes) == (name, tuple("0123456789"))


def test_the_current_folder_is_recognized_by_its_name(tmp_path, write_set, monkeypatch):
    monkeypatch.chdir(write_set(tmp_path / "fashion-mnist"))
    assert load_dataset(".").classes == CLOTHES


def test_a_tilde_means_the_home_folder(tmp_path, write_set, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_set(tmp_path / "mine", pixel=4)
    assert (load_dataset("~/mine").test.images == 4).all()


def test_plain_files_give_the_same_images_as_gzipped_files(tmp_path, write_set):
    packed = load_dataset(str(write_set(tmp_path / "packed", pixel=9)))
    for path in write_set(tmp_path / "plain", pixel=9).iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    plain = load_dataset(str(tmp_path / "plain"))
    assert plain.record().sha256 == packed.record().sha256
    assert len(plain.train) == 20


def test_images_of_idx_files_have_one_channel_and_keep_their_labels(tmp_path, write_set):
    folder = write_set(tmp_path / "set")
    images = np.arange(20 * 16, dtype=np.uint8).reshape(20, 4, 4)
    write_idx(folder / f"{catalogue.TRAIN_IMAGES}.gz", images)
    data = load_dataset(str(folder))
    np.testing.assert_array_equal(data.train.images, images[..., None])
    np.testing.assert_array_equal(data.train.labels, np.arange(20) % 10)


@pytest.mark.parametrize("missing", IDX_FILES)
def test_a_folder_that_lacks_one_of_the_four_files_is_rejected(tmp_path, write_set, data_error, missing):
    folder = write_set(tmp_path / "set")
    (folder / f"{missing}.gz").unlink()
    with data_error(folder, f"lacks {missing}"):
        load_dataset(str(folder))


@pytest.mark.parametrize("labels_file", [catalogue.TRAIN_LABELS, catalogue.TEST_LABELS])
@pytest.mark.parametrize("count", [9, 21])
def test_different_numbers_of_images_and_labels_are_rejected(tmp_path, write_set, data_error, labels_file, count):
    folder = write_set(tmp_path / "set")
    write_idx(folder / f"{labels_file}.gz", np.zeros(count))
    with data_error(folder, labels_file, f"{count} labels"):
        load_dataset(str(folder))


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_data_set_without_images_is_rejected(tmp_path, write_set, data_error, part):
    folder = write_set(tmp_path / "set", **{part: 0})
    with data_error(folder, "0 images"):
        load_dataset(str(folder))


def test_training_and_test_images_of_different_sizes_are_rejected(tmp_path, write_set, data_error):
    folder = write_set(tmp_path / "set", side=4)
    write_idx(folder / f"{catalogue.TEST_IMAGES}.gz", np.zeros((10, 5, 4)))
    with data_error(folder, "size"):
        load_dataset(str(folder))


@pytest.mark.parametrize(
    ("labels_file", "part"), [(catalogue.TRAIN_LABELS, "training"), (catalogue.TEST_LABELS, "test")]
)
def test_a_label_outside_of_the_known_classes_is_rejected(tmp_path, write_set, data_error, labels_file, part):
    folder = write_set(tmp_path / "fashion-mnist")
    labels = np.zeros(20 if part == "training" else 10)
    labels[-1] = 10
    write_idx(folder / f"{labels_file}.gz", labels)
    with data_error(folder, f"{part} label 10", "10 classes"):
        load_dataset(str(folder))


def test_images_instead_of_labels_are_rejected(tmp_path, write_set, data_error):
    folder = write_set(tmp_path / "set")
    shutil.copy(str(folder / f"{catalogue.TRAIN_IMAGES}.gz"), str(folder / f"{catalogue.TRAIN_LABELS}.gz"))
    with data_error(catalogue.TRAIN_LABELS, "1 dimensions"):
        load_dataset(str(folder))


def test_an_unknown_name_is_an_error_that_lists_the_known_ones(tmp_path, monkeypatch, data_error):
    monkeypatch.chdir(tmp_path)
    with data_error("no folder fashion-minst", *KNOWN):
        load_dataset("fashion-minst")


def test_a_file_instead_of_a_folder_is_rejected(tmp_path, data_error):
    file = tmp_path / "images.zip"
    file.write_bytes(b"PK")
    with data_error(file):
        load_dataset(str(file))


def test_an_empty_folder_is_rejected(tmp_path, data_error):
    with data_error(tmp_path, "subfolders of images"):
        load_dataset(str(tmp_path))


# ---------------------------------------------------------------- the record of the data


def test_the_record_describes_the_data_and_can_be_written_as_json(tmp_path, write_set):
    folder = write_set(tmp_path / "digits", side=6)
    record = dataclasses.asdict(load_dataset(str(folder)).record())
    assert len(record.pop("sha256")) == len(record.pop("content_sha256")) == 64
    assert record.pop("files_sha256") is None
    assert json.loads(json.dumps(record)) == {
        "name": "digits",
        "origin": str(folder),
        "is_sample": False,
        "is_published": None,
        "train_images": 20,
        "test_images": 10,
        "image_shape": [6, 6, 1],
        "classes": list("0123456789"),
    }


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist"])
def test_other_images_in_a_folder_with_a_known_name_do_not_count_as_published(tmp_path, write_set, name):
    assert load_dataset(str(write_set(tmp_path / name))).record().is_published is False


def test_the_record_marks_the_embedded_sample(lone_sample):
    assert lone_sample[0].record().is_sample is True


@pytest.mark.parametrize("file", IDX_FILES)
def test_changing_a_pixel_or_label_changes_the_checksum(tmp_path, write_set, file):
    folder = write_set(tmp_path / "mnist")
    before = load_dataset(str(folder)).record().sha256
    content = np.array(read_idx(folder / f"{file}.gz"))
    content.flat[-1] ^= 1
    write_idx(folder / f"{file}.gz", content)
    assert load_dataset(str(folder)).record().sha256 != before


def test_the_checksum_does_not_depend_on_the_folder_or_the_type_of_the_labels(tmp_path, write_set):
    one, two = (load_dataset(str(write_set(tmp_path / place / "mnist"))) for place in "ab")
    train, test = (Images(part.images, part.labels.astype("int64")) for part in (two.train, two.test))
    wide = datasets.DataSet("mnist", train, test, two.classes, "")
    assert one.record().sha256 == two.record().sha256 == wide.record().sha256


def changed(**changes):
    """Return the record of a small data set of other content."""
    images, labels = np.arange(64, dtype=np.uint8).reshape(4, 4, 4, 1), np.array([0, 1, 2, 0])
    part = Images(changes.get("images", images), changes.get("labels", labels))
    return datasets.DataSet("set", part, part, changes.get("classes", ("a", "b", "c")), "").record()


CHANGES = {
    "a label and 256 more": {"labels": np.array([0, 1, 258, 0])},
    "another shape": {"images": np.arange(64, dtype=np.uint8).reshape(4, 2, 8, 1)},
    "other class names": {"classes": ("a", "c", "b")},
    "other pixels": {"images": np.arange(1, 65, dtype=np.uint8).reshape(4, 4, 4, 1)},
    "another label": {"labels": np.array([0, 1, 1, 0])},
    "another type": {"images": np.arange(64, dtype=np.float32).reshape(4, 4, 4, 1)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_data_with_a_difference_that_results_depend_on_is_not_the_same(change):
    assert changed().is_same_data(changed())
    assert not changed().is_same_data(changed(**change))


def test_a_record_without_the_second_checksum_is_compared_by_the_first():
    old = dataclasses.replace(changed(), content_sha256=None)
    assert changed().is_same_data(old)
    assert old.is_same_data(changed(classes=("x", "y", "z")))
    assert not old.is_same_data(changed(labels=np.array([0, 1, 1, 0])))


def test_the_first_checksum_is_still_that_of_the_pixels_and_one_byte_for_each_label():
    record = changed(labels=np.array([0, 1, 258, 0]))
    part = bytes(range(64)) + bytes([0, 1, 2, 0])
    assert record.sha256 == hashlib.sha256(part + part).hexdigest()


# ---------------------------------------------------------------- the real images


@pytest.mark.parametrize("name", IDX_FILES)
def test_the_sample_is_in_the_published_format(name):
    content = gzip.decompress((SAMPLE_FOLDER / f"{name}.gz").read_bytes())
    count = 6_000 if name.startswith("train") else 1_000
    if "images" in name:
        header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (count, 28, 28))
        size = count * 28 * 28
    else:
        header = bytes([0, 0, 8, 1]) + count.to_bytes(4, "big")
        size = count
    assert content.startswith(header)
    assert len(content) == len(header) + size


def test_the_sample_has_equally_many_images_of_each_class(sample):
    np.testing.assert_array_equal(np.bincount(sample.train.labels), [600] * 10)
    np.testing.assert_array_equal(np.bincount(sample.test.labels), [100] * 10)


def test_the_sample_contains_no_image_twice(sample):
    everything = np.concatenate([sample.train.images, sample.test.images]).reshape(7_000, -1)
    assert len({image.tobytes() for image in everything}) == 7_000


def test_the_first_labels_of_the_sample_are_the_published_ones(sample):
    # the first training images show an ankle boot, two T-shirts and a dress; the test images, a boot and a pullover
    assert [CLOTHES[label] for label in sample.train.labels[:4]] == [
        "Ankle boot",
        "T-shirt/top",
        "T-shirt/top",
        "Dress",
    ]
    assert [CLOTHES[label] for label in sample.test.labels[:2]] == ["Ankle boot", "Pullover"]


@pytest.mark.parametrize(("part", "count"), [("train", 600), ("test", 100)])
def test_the_sample_is_the_first_images_of_each_class_in_published_order(full_fashion_mnist, sample, part, count):
    full, small = getattr(full_fashion_mnist, part), getattr(sample, part)
    seen, chosen = np.zeros(10, int), []
    for position, label in enumerate(full.labels):
        if seen[label] < count:
            chosen.append(position)
        seen[label] += 1
    np.testing.assert_array_equal(small.labels, full.labels[chosen])
    np.testing.assert_array_equal(small.images, full.images[chosen])


def test_the_full_set_has_the_published_images_and_classes(full_fashion_mnist):
    assert full_fashion_mnist.train.images.shape == (60_000, 28, 28, 1)
    assert full_fashion_mnist.test.images.shape == (10_000, 28, 28, 1)
    assert full_fashion_mnist.classes == CLOTHES
    np.testing.assert_array_equal(np.bincount(full_fashion_mnist.train.labels), [6_000] * 10)
    np.testing.assert_array_equal(np.bincount(full_fashion_mnist.test.labels), [1_000] * 10)
    assert not full_fashion_mnist.is_sample


@pytest.mark.parametrize("name", FULL_SET)
def test_the_full_set_is_read_with_exactly_the_published_bytes(full_fashion_mnist, name):
    assert checksum(full_fashion_mnist, name) == FULL_SET[name]


@pytest.mark.parametrize("name", MNIST)
def test_mnist_is_read_with_exactly_the_published_bytes(full_mnist, name):
    assert checksum(full_mnist, name) == MNIST[name]


def test_mnist_counts_as_published(full_mnist):
    assert full_mnist.record().is_published is True


def test_the_full_set_is_recognized_by_its_content(full_fashion_mnist, tmp_path):
    folder = tmp_path / "images"
    folder.symlink_to(datasets.installed_folder("fashion-mnist"))
    (tmp_path / "copy").mkdir()
    for path in folder.iterdir():
        (tmp_path / "copy" / path.name).symlink_to(path)
    data = datasets.load_dataset(str(tmp_path / "copy"))
    assert data.name == "fashion-mnist"
    assert data.classes == full_fashion_mnist.classes
    assert data.record().is_published is True


def test_a_part_of_a_data_set_does_not_count_as_published(full_fashion_mnist):
    part = dataclasses.replace(full_fashion_mnist, train=full_fashion_mnist.train.subset(100))
    assert part.record().is_published is False
