"""Data sets in RecordIO files, of MXNet's tools and of ours, and damaged ones."""

import os

import cv2
from gluon_classics.data import stored_images
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.pack import pack
from gluon_classics.data.stored_images import StoredImages
import mxnet as mx
import numpy as np
from pictures import picture, write_pictures, write_records
import pytest


@pytest.fixture
def im2rec(tmp_path):
    """Return a function that writes .rec, .idx and .lst as im2rec does, from (label, class, pixels) of each image."""

    def write(name, images, listed=True):
        path = tmp_path / name
        contents = [cv2.imencode(".png", pixels[..., ::-1])[1].tobytes() for _, _, pixels in images]
        write_records(path, contents, [float(label) for label, _, _ in images])
        if listed:
            lines = [f"{i}\t{label:f}\t{folder}/{i}.png\n" for i, (label, folder, _) in enumerate(images)]
            path.with_suffix(".lst").write_text("".join(reversed(lines)))  # in any order
        return path

    return write


def animals(count, start=0):
    """Return (label, class, pixels) of `count` images of three classes."""
    return [(i % 3, ("ant", "bee", "cat")[i % 3], picture(start + i)) for i in range(count)]


@pytest.mark.parametrize("in_memory", [True, False])
def test_files_of_im2rec_are_read(im2rec, in_memory):
    images, tests = animals(12), animals(6, 50)
    path = im2rec("some_train.rec", images)
    im2rec("some_val.rec", tests)
    data = load_dataset(str(path), in_memory=in_memory)
    assert (data.name, data.classes, data.origin) == ("some", ("ant", "bee", "cat"), str(path))
    for part, expected in ((data.train, images), (data.test, tests)):
        assert isinstance(part.images, np.ndarray if in_memory else StoredImages)
        assert part.labels.tolist() == [label for label, _, _ in expected]
        assert np.array_equal(part.images[np.arange(len(part))], [pixels for _, _, pixels in expected])


def test_only_the_records_are_necessary(im2rec, capsys):
    images = animals(15)
    path = im2rec("some.rec", images, listed=False)
    path.with_suffix(".idx").unlink()
    data = load_dataset(str(path), test_share=0.4)
    said = capsys.readouterr().err
    for words in ("has no index", "has no list", "40 % of each class are test images"):
        assert words in said
    assert data.classes == ("0", "1", "2")
    assert (len(data.train), len(data.test)) == (9, 6)
    assert sorted(map(bytes, [*data.train.images, *data.test.images])) == sorted(bytes(image) for _, _, image in images)


def test_a_folder_with_records_is_a_data_set(im2rec, tmp_path, data_error):
    im2rec("some_train.rec", animals(12))
    im2rec("some_test.rec", animals(6))
    im2rec("some_val.rec", animals(3))
    data = load_dataset(str(tmp_path))
    assert (data.name, len(data.train), len(data.test)) == ("some", 12, 6)
    im2rec("other.rec", animals(12))
    with data_error("several", "other.rec", "some_train.rec"):
        load_dataset(str(tmp_path))
    with data_error("some_test.rec", "has the test images of", "some_train.rec"):
        load_dataset(str(tmp_path / "some_test.rec"))


@pytest.mark.parametrize("suffix", [".idx", ".lst"])
def test_lost_test_images_are_not_replaced_by_training_images(im2rec, suffix, data_error):
    path = im2rec("some.rec", animals(15))
    path.with_name(f"some_test{suffix}").touch()
    with data_error(f"some_test{suffix} is there, but not some_test.rec"):
        load_dataset(str(path))


def test_the_classes_are_numbers_if_the_list_does_not_name_them(im2rec):
    path = im2rec("some.rec", [(i % 2, "all", picture(i)) for i in range(10)])
    assert load_dataset(str(path)).classes == ("0", "1")


def test_two_lists_with_other_classes_are_refused(im2rec, data_error):
    path = im2rec("some.rec", animals(9))
    im2rec("some_test.rec", [(label, name.upper(), pixels) for label, name, pixels in animals(9)])
    with data_error("name different classes"):
        load_dataset(str(path))


@pytest.mark.parametrize("suffix", [".idx", ".lst"])
def test_a_pipe_is_not_waited_for(im2rec, suffix, data_error):
    path = im2rec("some.rec", animals(9))
    path.with_suffix(suffix).unlink()
    os.mkfifo(path.with_suffix(suffix))
    with data_error(f"some{suffix}", "not a regular file"):
        load_dataset(str(path))


def test_labels_from_1_are_shifted(im2rec, capsys):
    path = im2rec("some.rec", [(1 + i % 3, "all", picture(i)) for i in range(15)])
    data = load_dataset(str(path))
    assert data.classes == ("1", "2", "3")
    assert sorted(set(data.train.labels.tolist())) == [0, 1, 2]
    assert "labels are counted from 1" in capsys.readouterr().err


def test_a_few_colored_images_make_all_colored_in_memory(im2rec, monkeypatch, data_error):
    monkeypatch.setattr(stored_images, "SAMPLED", 1)
    gray = [(i % 2, "ab"[i % 2], picture(i, channels=1)[..., None]) for i in range(12)]
    path = im2rec("some.rec", [*gray, *[(i % 2, "ab"[i % 2], picture(i)) for i in range(4)]])
    assert load_dataset(str(path), 12).train.images.shape[3] == 3
    data = load_dataset(str(path), 12, in_memory=False)
    with data_error("(a/", "is colored", "the others to color"):
        data.train.images.in_memory("it")


def test_a_folder_with_images_and_records_says_what_is_read(im2rec, tmp_path, capsys):
    write_pictures(tmp_path, {"a": 6, "b": 5})
    im2rec("some.rec", animals(9))
    assert load_dataset(str(tmp_path), 12).classes == ("a", "b")
    assert "reading the image files, not some.rec" in capsys.readouterr().err


def test_a_list_of_other_records_is_refused(im2rec, data_error):
    path = im2rec("some.rec", animals(9))
    lines = path.with_suffix(".lst")
    whole = lines.read_text()
    lines.write_text(whole.replace("1.000000", "0.000000"))
    with data_error("record", "label 1, but its list says 0", "some.lst"):
        load_dataset(str(path))
    lines.write_text("".join(whole.splitlines(True)[1:]))
    with data_error("some.lst", "does not list all images"):
        load_dataset(str(path))
    for text in ("nonsense", "0\t1\n", "0\t1\t2\ta/b\n", "x\t1\ta/b\n", ""):
        lines.write_text(text)
        with data_error("some.lst"):
            load_dataset(str(path))


@pytest.mark.parametrize("label", [-1.0, 0.5, float("nan"), float("inf"), 3e9, 1e30, 1e6])
def test_labels_that_are_no_classes_are_refused(im2rec, label, data_error):
    images = animals(9)
    images[4] = (label, "cat", picture(4))
    path = im2rec("some.rec", images, listed=False)
    with data_error("label"):
        load_dataset(str(path))


def test_an_index_of_another_file_is_refused(im2rec, data_error):
    path = im2rec("some.rec", animals(9))
    index = path.with_suffix(".idx")
    rows = index.read_text().splitlines()
    index.write_text("\n".join(f"{row.split()[0]}\t{int(row.split()[1]) + 4}" for row in rows) + "\n")
    with data_error("record", "damaged"):
        load_dataset(str(path))


def test_an_index_without_some_records_is_refused(im2rec, data_error):
    path = im2rec("some.rec", animals(9))
    index = path.with_suffix(".idx")
    rows = index.read_text().splitlines(True)
    for changed in (rows[1:], rows[:-1], [*rows, rows[3]], [*rows[:3], rows[4].replace("4\t", "3\t"), *rows[4:]], []):
        index.write_text("".join(changed))
        with data_error("some.idx"):
            load_dataset(str(path))


def test_images_of_the_list_that_are_not_packed_are_counted(im2rec, capsys):
    path = im2rec("some.rec", animals(15))
    with path.with_suffix(".lst").open("a") as lines:
        lines.write("99\t1.0\tbee/unreadable.png\n")
    assert len(load_dataset(str(path)).train) == 12
    assert "some.lst: 1 of its images are not in some.rec" in capsys.readouterr().err


def test_the_same_records_elsewhere_are_the_same_data(im2rec, tmp_path):
    path = im2rec("some.rec", animals(15))
    before = load_dataset(str(path), in_memory=False).record()
    assert before.is_same_data(load_dataset(str(path)).record())
    (tmp_path / "moved").mkdir()
    for suffix in (".rec", ".idx", ".lst"):
        path.with_suffix(suffix).rename(tmp_path / "moved" / f"some{suffix}")
    moved = tmp_path / "moved" / "some.rec"
    assert before.is_same_data(load_dataset(str(moved), in_memory=False).record())
    im2rec("some.rec", animals(15, 1))
    assert not before.is_same_data(load_dataset(str(path)).record())


def test_what_is_no_record_file_is_refused(tmp_path, data_error):
    path = tmp_path / "some.rec"
    for content in (b"", b"text", bytes(100)):
        path.write_bytes(content)
        with data_error("some.rec"):
            load_dataset(str(path))


def test_mxnet_trains_on_what_we_pack(tmp_path):
    write_pictures(tmp_path / "zoo", {"a": 6, "b": 8})
    pack(tmp_path / "zoo", tmp_path / "zoo.rec")
    data = load_dataset(str(tmp_path / "zoo.rec"), 8)
    rows = mx.io.ImageRecordIter(
        path_imgrec=str(tmp_path / "zoo.rec"),
        path_imgidx=str(tmp_path / "zoo.idx"),
        data_shape=(3, 20, 16),
        batch_size=1,
        round_batch=False,
    )
    labels = [int(row.label[0].asscalar()) for row in rows]
    assert labels == data.train.labels.tolist()
