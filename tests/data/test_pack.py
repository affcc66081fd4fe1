"""`pack` makes RecordIO files with the images of a folder, also after it was interrupted."""

import os
import shutil

from gluon_classics.data import pack as packing
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.pack import pack
from gluon_classics.errors import DataError
import numpy as np
from pictures import write_every_kind, write_pictures
import pytest

FILES = ["zoo.idx", "zoo.lst", "zoo.rec", "zoo_test.idx", "zoo_test.lst", "zoo_test.rec"]


@pytest.fixture
def zoo(tmp_path):
    return write_every_kind(tmp_path / "zoo")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "zoo.rec"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sorted_images(part):
    """Return the labels and pixels of the images in an order that depends on nothing else."""
    return sorted((int(label), image.tobytes()) for image, label in zip(part.images, part.labels))


@pytest.mark.parametrize("size", [12, 40])
def test_the_packed_images_are_those_of_the_folder(zoo, out, size):
    packed = pack(zoo, out, transparent_as="#ff8000")
    loaded = load_dataset(str(zoo), size, transparent_as="#ff8000")
    data = load_dataset(str(out), size)
    assert sorted(contents(out.parent)) == FILES
    assert [(part.path, part.images, part.left_out) for part in packed] == [
        (out, len(loaded.train), 0),
        (out.with_name("zoo_test.rec"), len(loaded.test), 0),
    ]
    assert (data.name, data.classes) == ("zoo", loaded.classes)
    for ours, expected in ((data.train, loaded.train), (data.test, loaded.test)):
        assert sorted_images(ours) == sorted_images(expected)


def test_the_order_is_random_and_follows_from_the_seed(zoo, tmp_path):
    labels = []
    for number, seed in enumerate((0, 0, 1)):
        out = tmp_path / f"{number}" / "zoo.rec"
        out.parent.mkdir()
        pack(zoo, out, seed=seed)
        labels.append(load_dataset(str(out), 12).train.labels.tolist())
    assert contents(tmp_path / "0") == contents(tmp_path / "1")
    assert labels[0] != sorted(labels[0])
    assert labels[0] != labels[2]


def test_test_images_of_the_folder_stay_test_images(tmp_path, data_error):
    write_pictures(tmp_path / "zoo" / "train", {"a": 6, "b": 8})
    write_pictures(tmp_path / "zoo" / "test", {"a": 2, "b": 1})
    assert [part.images for part in pack(tmp_path / "zoo", tmp_path / "zoo.rec")] == [14, 3]
    with data_error("has test images", "leave the test share out"):
        pack(tmp_path / "zoo", tmp_path / "other.rec", test_share=0.5)
    assert not (tmp_path / "other.rec").exists()


def test_the_share_of_test_images_can_be_chosen(tmp_path):
    write_pictures(tmp_path / "zoo", {"a": 6, "b": 8})
    assert [part.images for part in pack(tmp_path / "zoo", tmp_path / "zoo.rec", test_share=0.5)] == [7, 7]


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_call_that_was_stopped_while_it_named_the_files_is_continued(zoo, out, tmp_path, monkeypatch, stop):
    (tmp_path / "whole").mkdir()
    pack(zoo, tmp_path / "whole" / "zoo.rec")
    named = []

    def stopped(act):
        def call(*arguments):
            if len(named) == stop:
                raise KeyboardInterrupt
            named.append(arguments)
            return act(*arguments)

        return call

    monkeypatch.setattr(packing.os, "replace", stopped(os.replace))
    with pytest.raises(KeyboardInterrupt):
        pack(zoo, out)
    monkeypatch.undo()
    pack(zoo, out)
    assert contents(out.parent) == contents(tmp_path / "whole")


@pytest.mark.parametrize("stop", [0, 1, 5, 11, 12, 13])
def test_an_interrupted_call_is_continued(zoo, out, tmp_path, monkeypatch, stop, capsys):
    (tmp_path / "whole").mkdir()
    pack(zoo, tmp_path / "whole" / "zoo.rec")
    monkeypatch.setattr(packing, "CHUNK", 3)
    written = []
    pack_record = packing.pack_record

    def interrupted(record):
        if len(written) == stop:
            raise KeyboardInterrupt
        written.append(record)
        return pack_record(record)

    monkeypatch.setattr(packing, "pack_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(zoo, out)
    assert not any(name in FILES for name in contents(out.parent))
    written_before = len(written)
    monkeypatch.setattr(packing, "pack_record", lambda record: written.append(record) or pack_record(record))
    pack(zoo, out)
    assert contents(out.parent) == contents(tmp_path / "whole")
    assert ("continuing after" in capsys.readouterr().err) == (written_before > 0)
    assert len(written) == len(load_dataset(str(out), 12).train) + len(load_dataset(str(out), 12).test)


def test_every_unfinished_file_is_continued(zoo, out, tmp_path, monkeypatch, capsys):
    (tmp_path / "whole").mkdir()
    pack(zoo, tmp_path / "whole" / "zoo.rec")
    whole = contents(tmp_path / "whole")
    first = int(whole["zoo.idx"].splitlines()[1].split()[1])
    with monkeypatch.context() as patch:
        patch.setattr(packing._Writer, "finish", lambda writer: writer.missing)
        with pytest.raises(AttributeError):
            pack(zoo, out)
    (part,) = (path for path in out.parent.glob(".zoo-*.part") if "_test" not in path.name)
    for length in range(0, len(whole["zoo.rec"]), 97):
        for name in FILES:
            (out.parent / name).unlink(missing_ok=True)
        part.write_bytes(whole["zoo.rec"][:length])
        capsys.readouterr()
        pack(zoo, out)
        assert contents(out.parent) == whole
        said = capsys.readouterr().err
        assert ("zoo.rec: continuing after" in said) == (length >= first)
        assert "begun again" not in said


def test_a_changed_folder_is_begun_again(zoo, out, capsys):
    (zoo / "cat" / "zzz.png").write_bytes(b"damaged")
    with pytest.raises(DataError):
        pack(zoo, out)
    (zoo / "cat" / "zzz.png").unlink()
    pack(zoo, out)
    assert "begun again" in capsys.readouterr().err
    assert sorted(contents(out.parent)) == FILES


def test_a_changed_file_is_not_mixed_with_earlier_ones(zoo, out, capsys):
    (zoo / "cat" / "zzz.png").write_bytes(b"damaged")
    with pytest.raises(DataError):
        pack(zoo, out)
    write_pictures(zoo, {"cat": 1}, channels=1)
    (zoo / "cat" / "000.png").rename(zoo / "cat" / "zzz.png")
    write_pictures(zoo, {"cat": 1})
    pack(zoo, out)
    assert "begun again" in capsys.readouterr().err
    data, loaded = load_dataset(str(out), 12), load_dataset(str(zoo), 12)
    assert sorted_images(data.train) == sorted_images(loaded.train)


def test_damaged_images_are_refused_or_left_out(zoo, out, data_error, capsys):
    whole = (zoo / "dog" / "001.png").read_bytes()
    (zoo / "dog" / "001.png").write_bytes(whole[:-30])
    with data_error(zoo / "dog" / "001.png", "damaged", "--skip-damaged"):
        pack(zoo, out)
    assert not out.exists()
    packed = pack(zoo, out, skip_damaged=True)
    assert sum(part.left_out for part in packed) == 1
    assert f"Left out: cannot read {zoo / 'dog' / '001.png'}" in capsys.readouterr().err
    data = load_dataset(str(out), 12)
    assert len(data.train) + len(data.test) == sum(part.images for part in packed)


def damage(folder, share=1.0):
    paths = sorted(folder.iterdir())
    for path in paths[round(len(paths) * (1 - share)) :]:
        path.write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("layout", "damaged", "words"),
    [
        ("", "bee", "all training images of class bee in"),
        ("train", "train/bee", "all training images of class bee in"),
        ("test", "train/cat", "all training images of class cat in"),
        ("test", "test/ant", "all test images of class ant in"),
        ("val", "val/cat", "all test images of class cat in"),
    ],
)
def test_a_class_of_a_folder_without_whole_images_is_refused(tmp_path, layout, damaged, words, data_error):
    for part in {"": [""], "train": ["train"]}.get(layout, ["train", layout]):
        write_pictures(tmp_path / "zoo" / part, {"ant": 6, "bee": 6, "cat": 6})
    damage(tmp_path / "zoo" / damaged)
    with data_error(words, "replace some, or remove the class"):
        pack(tmp_path / "zoo", tmp_path / "zoo.rec", skip_damaged=True)
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]


def test_a_class_without_whole_test_images_is_refused(tmp_path, data_error):
    write_pictures(tmp_path / "zoo", {"ant": 6, "bee": 6})
    (tmp_path / "zoo" / "bee" / "004.png").write_bytes(b"damaged")
    with data_error("all test images of class bee in"):
        pack(tmp_path / "zoo", tmp_path / "zoo.rec", skip_damaged=True)
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]


@pytest.mark.parametrize("lost", ["ant", "bee", "cat"])
@pytest.mark.parametrize("has_list", [True, False])
def test_classes_whose_records_are_all_damaged_keep_their_names(tmp_path, lost, has_list, capsys):
    write_pictures(tmp_path / "zoo", {"ant": 8, "bee": 8, "cat": 8})
    path = tmp_path / "zoo.rec"
    pack(tmp_path / "zoo", path)
    content = bytearray(path.read_bytes())
    rows = path.with_suffix(".idx").read_text().splitlines()
    for row, line in zip(rows, path.with_suffix(".lst").read_text().splitlines()):
        if f"\t{lost}/" in line:
            content[int(row.split()[1]) + 100] ^= 1
    path.write_bytes(content)
    names = ("ant", "bee", "cat") if has_list else ("0", "1", "2")
    label = names[("ant", "bee", "cat").index(lost)]
    if not has_list:
        path.with_suffix(".lst").unlink()
        path.with_name("zoo_test.lst").unlink()
    packed = pack(path, tmp_path / "saved.rec", skip_damaged=True)
    assert packed[0].left_out in (6, 7)
    assert f"saved.rec has no images of class {label}" in capsys.readouterr().err
    data = load_dataset(str(tmp_path / "saved.rec"), 8)
    assert data.classes == names
    said = capsys.readouterr().err
    assert f"there are no training images of class {label}" in said
    assert "of its images are not in" not in said
    pack(tmp_path / "saved.rec", tmp_path / "again.rec")
    assert load_dataset(str(tmp_path / "again.rec"), 8).classes == names


def test_the_list_of_the_test_images_names_the_classes_of_both(zoo, out):
    pack(zoo, out)
    out.with_suffix(".lst").unlink()
    pack(out, out.with_name("again.rec"))
    assert load_dataset(str(out.with_name("again.rec")), 12).classes == ("cat", "dog")


def test_an_unfinished_file_is_named_and_continued(zoo, out, data_error, capsys):
    (zoo / "dog" / "001.png").write_bytes(b"damaged")
    with data_error("dog/001.png", "or leave it out with --skip-damaged"):
        pack(zoo, out)
    (part,) = out.parent.iterdir()
    assert f"{part} has what was packed: repeat the command to continue, or remove it" in capsys.readouterr().err
    pack(zoo, out, skip_damaged=True)
    said = capsys.readouterr().err
    assert "continuing after" in said
    assert "has what was packed" not in said
    assert sorted(contents(out.parent)) == FILES


def test_records_are_packed_again_without_damaged_ones(zoo, out, tmp_path, data_error):
    pack(zoo, out)
    content = bytearray(out.read_bytes())
    content[len(content) // 2] ^= 1
    out.write_bytes(content)
    with data_error("record", "checksum"):
        load_dataset(str(out), 12)
    with data_error("record", "checksum", "--skip-damaged"):
        pack(out, tmp_path / "again.rec")
    packed = pack(out, tmp_path / "again.rec", skip_damaged=True)
    assert [part.left_out for part in packed] == [1, 0]
    data, source = load_dataset(str(tmp_path / "again.rec"), 12), load_dataset(str(zoo), 12)
    assert data.classes == source.classes
    assert set(sorted_images(data.train)) < set(sorted_images(source.train))
    assert sorted_images(data.test) == sorted_images(source.test)


def test_images_that_an_interrupted_call_left_out_are_named_again(zoo, out, monkeypatch, capsys, data_error):
    monkeypatch.setattr(packing, "CHUNK", 1)
    pack_record, written = packing.pack_record, []

    def interrupted(record):
        if len(written) == 13:  # in the second file
            raise KeyboardInterrupt
        written.append(record)
        return pack_record(record)

    for name in ("cat/001.png", "cat/002.png", "dog/002.png"):
        (zoo / name).write_bytes(b"damaged")
    monkeypatch.setattr(packing, "pack_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(zoo, out, skip_damaged=True, test_share=0.4)
    monkeypatch.setattr(packing, "pack_record", pack_record)
    with data_error("--skip-damaged"):
        pack(zoo, out, test_share=0.4)
    capsys.readouterr()
    packed = pack(zoo, out, skip_damaged=True, test_share=0.4)
    said = capsys.readouterr().err
    assert said.count("Left out: ") == 3 == sum(part.left_out for part in packed)


def test_a_pipe_is_not_waited_for(zoo, out, data_error):
    os.mkfifo(zoo / "cat" / "pipe.png")
    with data_error("pipe.png", "not a regular file"):
        pack(zoo, out)


def test_links_that_lead_nowhere_are_refused_or_left_out_like_damaged_images(zoo, out, data_error, capsys):
    (zoo / "cat" / "gone.png").symlink_to(zoo / "nothing.png")
    with data_error("gone.png", "no such file", "--skip-damaged"):
        pack(zoo, out)
    packed = pack(zoo, out, skip_damaged=True)
    assert sum(part.left_out for part in packed) == 1
    assert f"Left out: cannot read {zoo / 'cat' / 'gone.png'}" in capsys.readouterr().err
    data = load_dataset(str(out), 12)
    assert len(data.train) + len(data.test) == sum(part.images for part in packed)


def test_test_images_have_the_name_that_the_training_looks_for(zoo, tmp_path, data_error):
    pack(zoo, tmp_path / "zoo_train.rec")
    data, loaded = load_dataset(str(tmp_path / "zoo_train.rec"), 12), load_dataset(str(zoo), 12)
    assert sorted_images(data.test) == sorted_images(loaded.test)
    for name, words in (
        ("zoo_test.rec", "name of test images"),
        ("a_val.rec", "name of test images"),
        ("A.REC", ".rec"),
    ):
        with data_error(name, words):
            pack(zoo, tmp_path / name)


def test_names_with_separators_of_lines_are_read_again(zoo, out):
    (zoo / "cat" / "000.png").rename(zoo / "cat" / "a\u2028b\x0cc.png")
    pack(zoo, out)
    assert load_dataset(str(out), 12).classes == ("cat", "dog")


def test_nothing_is_replaced(zoo, out, data_error):
    for name in FILES:
        (out.parent / name).write_text("mine")
        with data_error(name, "exists"):
            pack(zoo, out)
        assert contents(out.parent) == {name: b"mine"}
        (out.parent / name).unlink()


def test_two_processes_do_not_write_the_same_file(zoo, out, monkeypatch, data_error):
    pack_record = packing.pack_record

    def twice(record):
        with data_error("another process is writing"):
            pack(zoo, out)
        return pack_record(record)

    monkeypatch.setattr(packing, "pack_record", twice)
    pack(zoo, out)
    assert sorted(contents(out.parent)) == FILES


def test_what_cannot_be_packed_is_refused(zoo, out, tmp_path, data_error):
    shutil.copytree(zoo, tmp_path / "tab")
    os.rename(tmp_path / "tab" / "cat" / "000.png", tmp_path / "tab" / "cat" / "a\tb.png")
    (tmp_path / "damaged" / "a").mkdir(parents=True)
    (tmp_path / "damaged" / "b").mkdir()
    for number in range(4):
        (tmp_path / "damaged" / "ab"[number % 2] / f"{number}.png").write_bytes(b"no image")
    for source, place, *words in (
        (tmp_path / "missing", out, "there is no folder"),
        (tmp_path / "missing.rec", out, "there is no file"),
        (zoo, out.with_suffix(".zip"), "must end with .rec"),
        (zoo, tmp_path / "nowhere" / "zoo.rec", "there is no folder", "nowhere"),
        (tmp_path / "tab", out, "tab or a line break"),
        (zoo / "cat", out, "subfolders"),
    ):
        with data_error(*words):
            pack(source, place)
    with data_error("fewer than"):
        pack(tmp_path / "damaged", out, skip_damaged=True)
    with data_error("no images: all are damaged"):
        pack(tmp_path / "damaged", out, skip_damaged=True, test_share=0.5)
    assert not any(name in FILES for name in contents(out.parent))


def test_names_that_are_not_utf_8_are_kept(zoo, out):
    os.rename(os.fsencode(zoo / "cat" / "000.png"), os.fsencode(zoo / "cat") + b"/\xff\xe9.png")
    pack(zoo, out)
    data = load_dataset(str(out), 12)
    assert np.bincount(data.train.labels).sum() == len(data.train)
