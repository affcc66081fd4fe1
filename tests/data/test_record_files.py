"""Data sets in RecordIO files, of MXNet's tools and of ours, and damaged ones."""

import os
import struct

import cv2
from gluon_classics.data import stored_images
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.pack import pack
from gluon_classics.data.stored_images import StoredImages
from gluon_classics.errors import DataError
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


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_the_lists_together_name_the_classes(im2rec, missing, capsys):
    path = im2rec("some.rec", [image for image in animals(15) if image[0] != missing])
    im2rec("some_test.rec", animals(9))
    data = load_dataset(str(path))
    assert data.classes == ("ant", "bee", "cat")
    assert set(data.train.labels.tolist()) == {0, 1, 2} - {missing}
    assert f"no training images of class {data.classes[missing]}" in capsys.readouterr().err


def test_a_class_that_no_list_names_is_a_number_and_the_others_keep_their_names(im2rec, capsys):
    path = im2rec("some.rec", [image for image in animals(24) if image[0] != 1])
    assert load_dataset(str(path)).classes == ("ant", "1", "cat")
    assert "there are no images of class 1" in capsys.readouterr().err
    path = im2rec("other.rec", [(label + 1, name, image) for label, name, image in animals(24)])
    assert load_dataset(str(path)).classes == ("ant", "bee", "cat")
    path = im2rec("digits.rec", [(label, {0: "1", 2: "0"}[label], i) for label, _, i in animals(24) if label != 1])
    assert load_dataset(str(path)).classes == ("1", "1_", "0")


def test_the_error_about_a_small_class_has_its_name(im2rec, tmp_path, data_error):
    path = im2rec("some.rec", [*animals(24), (3, "10", picture(99))])
    with data_error("class 10 of", "fewer than 5 images"):
        load_dataset(str(path))
    with data_error("class 10 has fewer than 5 images"):
        pack(path, tmp_path / "again.rec")


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
    with data_error("some.idx", "does not match", "remove it"):
        load_dataset(str(path))


def changed_index(rows, change, size):
    """Return the numbers and offsets of an index with an error."""
    rows = [list(row) for row in rows]
    if change == "wrong offset":
        rows[2][1] += 4
    elif change == "wrong last offset":
        rows[-1][1] += 4
    elif change == "offset beyond the end":
        rows[2][1] = size + 400
    elif change == "entries beyond the end":
        rows += [[len(rows), size + 400], [len(rows) + 1, size + 800]]
    elif change == "exchanged offsets":
        rows[2][1], rows[3][1] = rows[3][1], rows[2][1]
    elif change == "exchanged numbers and a wrong offset":
        rows[2][0], rows[3][0], rows[4][1] = rows[3][0], rows[2][0], 4
    elif change == "the same offset twice":
        rows[2][1] = rows[3][1]
    elif change == "the same number twice":
        rows[2][0] = rows[3][0]
    elif change == "lost line":
        del rows[4]
    elif change == "lost last lines":
        del rows[-2:]
    return rows


WRONG_INDEXES = [
    *("wrong offset", "wrong last offset", "offset beyond the end", "entries beyond the end", "exchanged offsets"),
    *("exchanged numbers and a wrong offset", "the same offset twice", "the same number twice"),
    *("lost line", "lost last lines"),
]


@pytest.mark.parametrize("change", WRONG_INDEXES)
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_wrong_index_is_named_and_no_image_is_lost(im2rec, tmp_path, change, in_memory, data_error):
    path = im2rec("some.rec", animals(15))
    index = path.with_suffix(".idx")
    rows = [tuple(map(int, line.split())) for line in index.read_text().splitlines()]
    rows = changed_index(rows, change, path.stat().st_size)
    index.write_text("".join(f"{number}\t{offset}\n" for number, offset in rows))
    with data_error("some.idx does not match some.rec", "remove it"):
        data = load_dataset(str(path), in_memory=in_memory)
        data.train.images[np.arange(len(data.train))]
    assert sum(part.images for part in pack(path, tmp_path / "saved.rec", skip_damaged=True)) == 15
    index.unlink()
    for place in (path, tmp_path / "saved.rec"):
        data = load_dataset(str(place))
        assert data.classes == ("ant", "bee", "cat")
        labels = {image.tobytes(): label for label, _, image in animals(15)}
        for part in (data.train, data.test):
            assert part.labels.tolist() == [labels[image.tobytes()] for image in part.images]


def test_records_with_gaps_in_their_numbers_need_no_index(tmp_path):
    write_pictures(tmp_path / "zoo", {"a": 8, "b": 8})
    (tmp_path / "zoo" / "a" / "002.png").write_bytes(b"damaged")
    pack(tmp_path / "zoo", tmp_path / "zoo.rec", skip_damaged=True)
    before = load_dataset(str(tmp_path / "zoo.rec"), 8)
    (tmp_path / "zoo.idx").unlink()
    after = load_dataset(str(tmp_path / "zoo.rec"), 8)
    assert after.classes == before.classes == ("a", "b")
    assert after.train.labels.tolist() == before.train.labels.tolist()


def test_an_index_with_other_numbers_than_the_records_is_accepted(im2rec):
    path = im2rec("some.rec", animals(15), listed=False)
    rows = [line.split() for line in path.with_suffix(".idx").read_text().splitlines()]
    path.with_suffix(".idx").write_text("".join(f"{14 - int(number)}\t{offset}\n" for number, offset in rows))
    assert len(load_dataset(str(path)).train) == 12


@pytest.mark.parametrize("lost", [".idx", ".lst", None])
@pytest.mark.parametrize("cut", ["in a head", "in an image", "between records"])
def test_the_whole_records_of_a_cut_off_file_are_saved(im2rec, tmp_path, lost, cut, data_error, capsys):
    path = im2rec("some.rec", animals(30))
    offsets = [int(line.split()[1]) for line in path.with_suffix(".idx").read_text().splitlines()]
    length = offsets[26] + {"in a head": 5, "in an image": 300, "between records": 0}[cut]
    path.write_bytes(path.read_bytes()[:length])
    if lost:
        path.with_suffix(lost).unlink()
    is_known = not (cut == "between records" and lost == ".idx")
    if is_known:
        with data_error("some.rec is damaged or cut off at byte", "--skip-damaged", "26" if lost == ".idx" else "4 of"):
            load_dataset(str(path))
    packed = pack(path, tmp_path / "saved.rec", skip_damaged=True)
    assert sum(part.images for part in packed) == 26
    said = capsys.readouterr().err
    assert "26 whole records of 30" in said or "4 of its 30 records are lost" in said or not is_known
    assert sum(part.left_out for part in packed) == (4 if is_known else 0)
    data = load_dataset(str(tmp_path / "saved.rec"))
    assert data.classes == (("0", "1", "2") if lost == ".lst" else ("ant", "bee", "cat"))
    expected = sorted(image.tobytes() for _, _, image in animals(26))
    assert sorted(image.tobytes() for part in (data.train, data.test) for image in part.images) == expected


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_a_class_of_which_few_records_are_left_has_training_images_only(im2rec, tmp_path, kept, capsys):
    images = [*[(0, "ant", picture(i)) for i in range(9)], *[(1, "bee", picture(i)) for i in range(20, 29)]]
    images += [(2, "cat", picture(i)) for i in range(40, 49)]
    path = im2rec("some.rec", images)
    offset = path.with_suffix(".idx").read_text().splitlines()[18 + kept].split()[1]
    path.write_bytes(path.read_bytes()[: int(offset) + 9])
    packed = pack(path, tmp_path / "saved.rec", skip_damaged=True)
    assert [part.left_out for part in packed] == [9 - kept, 0]
    assert "saved_test.rec has no images of class cat" in capsys.readouterr().err
    data = load_dataset(str(tmp_path / "saved.rec"))
    assert data.classes == ("ant", "bee", "cat")
    assert np.bincount(data.train.labels, minlength=3).tolist() == [8, 8, kept]


def error_of(path):
    """Return the message of the DataError of a data set, or an empty text."""
    try:
        load_dataset(str(path), 8)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("lost", [(), (".idx",), (".lst",), (".idx", ".lst")])
def test_changed_heads_of_a_record_lose_this_record_only(tmp_path, im2rec, lost, capsys):
    write_pictures(tmp_path / "zoo", {"a": 8, "b": 8})
    pack(tmp_path / "zoo", tmp_path / "some.rec")
    path = tmp_path / "some.rec"
    whole = path.read_bytes()
    offset = int(path.with_suffix(".idx").read_text().splitlines()[5].split()[1])
    for suffix in lost:
        path.with_suffix(suffix).unlink()
    for place in range(offset, offset + 32):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        capsys.readouterr()
        message = error_of(path)
        assert not message or ("some.rec" in message and "does not match" not in message)
        for part in tmp_path.glob("saved*"):
            part.unlink()
        packed = pack(path, tmp_path / "saved.rec", skip_damaged=True)
        said = capsys.readouterr().err
        assert packed[0].images == 14 or (packed[0].images == 13 and "record" in said)
        assert load_dataset(str(tmp_path / "saved.rec"), 8).classes == ("a", "b")


def test_a_changed_label_is_named_with_its_class(im2rec, tmp_path, data_error):
    path = im2rec("some.rec", animals(30))
    content = bytearray(path.read_bytes())
    offset = int(path.with_suffix(".idx").read_text().splitlines()[4].split()[1])
    content[offset + 12 : offset + 16] = struct.pack("<f", 2)
    path.write_bytes(content)
    with data_error("record 4 (bee/4.png)", "has label 2 (cat), but its list says 1 (bee): correct or remove"):
        load_dataset(str(path))
    assert sum(part.images for part in pack(path, tmp_path / "saved.rec", skip_damaged=True)) == 29


def test_a_list_of_other_records_does_not_make_all_damaged(im2rec, tmp_path, data_error):
    path = im2rec("some.rec", animals(15))
    lines = path.with_suffix(".lst")
    lines.write_text("".join(f"{i}\t{(i + 1) % 3:f}\tant/{i}.png\n" for i in range(15)))
    with data_error("some.lst has other labels than 15 of the records", "remove it"):
        pack(path, tmp_path / "saved.rec", skip_damaged=True)


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
