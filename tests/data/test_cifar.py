"""Reading CIFAR-10's binary files. The tests make such files from the description of the authors."""

import dataclasses
import hashlib
import io
import tarfile

from gluon_classics.data.catalogue import KNOWN
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.download import RemoteFile
from gluon_classics.errors import DataError
import numpy as np
import pytest

ARCHIVE, BATCHES = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
TRAIN = {f"data_batch_{number}.bin": range(3 * number, 3 * number + 3) for number in range(1, 6)}
FILES = {**TRAIN, "test_batch.bin": range(40, 44)}


def read_cifar10(folder):
    data = load_dataset(str(folder))
    return data.train, data.test


def label_of(number):
    return number % 10


def pixel(number, channel, row, column):
    """Return a pixel value that depends on image, channel, row and column, so that the tests detect any mix-up."""
    return (number * 31 + channel * 101 + row * 7 + column) % 256


def record(number):
    """Return one label byte, then 1,024 red, 1,024 green and 1,024 blue bytes, each plane row by row."""
    planes = [pixel(number, channel, row, column) for channel in range(3) for row in range(32) for column in range(32)]
    return bytes([label_of(number), *planes])


CONTENTS = {name: b"".join(map(record, numbers)) for name, numbers in FILES.items()}
TRAIN_CONTENTS = {name: CONTENTS[name] for name in TRAIN}


def write_files(folder, contents):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(folder, contents, extra=()):
    """Write the archive as published, with the files in a folder. `extra` has more members and their contents."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(str(folder / ARCHIVE), "w:gz") as archive:
        members = [(tarfile.TarInfo(f"{BATCHES}/{name}"), content) for name, content in contents.items()]
        for member, content in [*members, *extra]:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder


LAYOUTS = {
    "plain files": write_files,
    "files in the published folder": lambda folder, contents: write_files(folder / BATCHES, contents).parent,
    "the archive": write_archive,
}
any_layout = pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS)


@any_layout
def test_every_pixel_and_label_is_read_into_its_place(tmp_path, write):
    train, test = read_cifar10(write(tmp_path, CONTENTS))
    for part, numbers in ((train, range(3, 18)), (test, range(40, 44))):
        image, row, column, channel = np.indices((len(numbers), 32, 32, 3))
        assert part.images.dtype == np.uint8
        np.testing.assert_array_equal(part.images, pixel(image + numbers[0], channel, row, column))
        np.testing.assert_array_equal(part.labels, [label_of(number) for number in numbers])


@any_layout
def test_a_folder_with_cifar10_is_recognized(tmp_path, write):
    with pytest.raises(DataError):
        load_dataset(str(tmp_path))
    assert load_dataset(str(write(tmp_path, CONTENTS))).name == "cifar10"


@any_layout
def test_the_classes_of_cifar10_do_not_depend_on_the_name_of_the_folder(tmp_path, write):
    data = load_dataset(str(write(tmp_path / "pictures", CONTENTS)))
    assert (data.name, data.classes) == ("cifar10", KNOWN["cifar10"].classes)
    assert data.record().image_shape == (32, 32, 3)


def test_cifar10_is_found_by_name_in_the_cache(places):
    folder = write_archive(places.home / "datasets" / "cifar10", CONTENTS)
    data = load_dataset("cifar10")
    assert data.origin == str(folder)
    assert len(data.train) == 15


def test_unpacked_files_in_a_folder_are_read_before_the_archive_and_that_is_said(tmp_path, capsys):
    write_archive(tmp_path, CONTENTS)
    write_files(tmp_path / BATCHES, {**CONTENTS, "test_batch.bin": record(99)})
    _, test = read_cifar10(tmp_path)
    assert test.labels.tolist() == [9]
    assert f"not {ARCHIVE}; to read that, give its path" in capsys.readouterr().err


def test_the_archive_in_the_cache_is_read_before_unpacked_files_because_its_checksum_is_known(places, monkeypatch):
    folder = write_archive(places.home / "datasets" / "cifar10", CONTENTS)
    write_files(folder, {**CONTENTS, "test_batch.bin": record(99)})
    archive = RemoteFile(ARCHIVE, 1, hashlib.sha256((folder / ARCHIVE).read_bytes()).hexdigest())
    monkeypatch.setitem(KNOWN, "cifar10", dataclasses.replace(KNOWN["cifar10"], files=(archive,)))
    data = load_dataset("cifar10")
    assert data.test.labels.tolist() == [0, 1, 2, 3]
    assert data.record().is_published is True
    assert load_dataset(str(folder)).record().is_published is None


@any_layout
@pytest.mark.parametrize("change", [-1, 1], ids=["one byte less", "one byte more"])
@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin"])
def test_a_file_that_ends_within_a_record_is_rejected(tmp_path, data_error, write, name, change):
    broken = CONTENTS[name][:-1] if change < 0 else CONTENTS[name] + b"\0"
    write(tmp_path, {**CONTENTS, name: broken})
    with data_error(name, "3,073"):
        read_cifar10(tmp_path)


@any_layout
@pytest.mark.parametrize("name", ["data_batch_1.bin", "test_batch.bin"])
def test_an_empty_file_is_rejected(tmp_path, data_error, write, name):
    write(tmp_path, {**CONTENTS, name: b""})
    with data_error(name, "0 bytes"):
        read_cifar10(tmp_path)


def test_a_truncated_archive_is_rejected(tmp_path, data_error):
    whole = (write_archive(tmp_path, CONTENTS) / ARCHIVE).read_bytes()
    for length in [*range(0, len(whole), len(whole) // 20), len(whole) - 9, len(whole) - 1]:
        (tmp_path / ARCHIVE).write_bytes(whole[:length])
        with data_error(tmp_path / ARCHIVE):
            read_cifar10(tmp_path)


def test_a_flipped_byte_of_an_archive_never_changes_the_images(tmp_path):
    # gzip's checksum is at the end of the file, after everything that tar reads
    whole = (write_archive(tmp_path, CONTENTS) / ARCHIVE).read_bytes()
    expected = [(part.images, part.labels) for part in read_cifar10(tmp_path)]
    noticed = 0
    for position in range(0, len(whole), 11):
        broken = bytearray(whole)
        broken[position] ^= 0x10
        (tmp_path / ARCHIVE).write_bytes(broken)
        try:
            parts = read_cifar10(tmp_path)
        except DataError:
            noticed += 1
            continue
        for part, (images, labels) in zip(parts, expected):
            np.testing.assert_array_equal(part.images, images)
            np.testing.assert_array_equal(part.labels, labels)
    assert noticed > len(whole) // 12


def test_a_truncated_uncompressed_archive_is_rejected(tmp_path, data_error):
    with tarfile.open(str(tmp_path / "whole"), "w") as archive:
        for name, content in CONTENTS.items():
            member = tarfile.TarInfo(f"{BATCHES}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    whole = (tmp_path / "whole").read_bytes()
    end = 6 * 512 + 5 * 9_728 + 12_800  # headers and contents, padded to blocks; only zeros follow
    for length in [*range(0, end - 600, 3_001), end - 600]:
        (tmp_path / ARCHIVE).write_bytes(whole[:length])
        with data_error(tmp_path):
            read_cifar10(tmp_path)


@pytest.mark.parametrize("content", [b"<html>not found</html>", b"\x1f\x8b" + b"garbage" * 99], ids=["html", "gzip"])
def test_a_file_that_is_not_an_archive_is_rejected(tmp_path, data_error, content):
    (tmp_path / ARCHIVE).write_bytes(content)
    with data_error(tmp_path / ARCHIVE):
        read_cifar10(tmp_path)


@any_layout
def test_the_error_names_a_missing_test_batch(tmp_path, data_error, write):
    write(tmp_path, TRAIN_CONTENTS)
    with data_error(tmp_path, "test_batch.bin"):
        load_dataset(str(tmp_path))


def test_a_test_batch_without_training_batches_is_rejected(tmp_path, data_error):
    write_files(tmp_path, {"test_batch.bin": CONTENTS["test_batch.bin"]})
    with data_error(tmp_path, "data_batch_1.bin"):
        read_cifar10(tmp_path)


@any_layout
def test_a_set_with_only_four_of_the_five_training_batches_is_rejected(tmp_path, data_error, write):
    # else a training on 40,000 images would give no warning, and its results would not be comparable
    write(tmp_path, {name: content for name, content in CONTENTS.items() if name != "data_batch_3.bin"})
    with data_error(tmp_path, "data_batch_3.bin"):
        read_cifar10(tmp_path)


def test_other_files_in_the_folder_are_not_read(tmp_path):
    (write_files(tmp_path, CONTENTS) / "weights.bin").write_bytes(b"something else")
    train, test = read_cifar10(tmp_path)
    assert (len(train), len(test)) == (15, 4)


@pytest.mark.parametrize(("name", "part"), [("data_batch_2.bin", "training"), ("test_batch.bin", "test")])
def test_a_label_outside_of_the_ten_classes_is_rejected(tmp_path, data_error, name, part):
    write_files(tmp_path, {**CONTENTS, name: bytes([10]) + CONTENTS[name][1:]})
    with data_error(tmp_path, f"{part} label 10", "10 classes"):
        load_dataset(str(tmp_path))


# ---------------------------------------------------------------- malicious archives


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_no_file_of_an_archive_is_written_to_the_disk(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b" / "set"
    outside = tmp_path / "outside"
    outside.mkdir()
    evil = [
        (tarfile.TarInfo("../evil.bin"), record(1)),
        (tarfile.TarInfo(f"{outside}/evil.bin"), record(1)),
        (link("link.bin", str(outside)), b""),
        (tarfile.TarInfo("link.bin/evil.bin"), record(1)),
        (link("hard.bin", "/etc/passwd", tarfile.LNKTYPE), b""),
    ]
    write_archive(folder, CONTENTS, evil)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    before = everything(tmp_path)
    train, test = read_cifar10(folder)
    assert (len(train), len(test)) == (15, 4)
    assert everything(tmp_path) == before


def everything(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
def test_a_link_in_an_archive_is_not_followed(tmp_path, data_error, kind):
    # a link with the name of the test batch must not replace it by the content of another file
    target = f"{BATCHES}/data_batch_1.bin" if kind == tarfile.LNKTYPE else "data_batch_1.bin"
    write_archive(tmp_path, TRAIN_CONTENTS, [(link(f"{BATCHES}/test_batch.bin", target, kind), b"")])
    with data_error("lacks", "test_batch.bin"):
        read_cifar10(tmp_path)


def test_a_folder_in_an_archive_with_the_name_of_a_batch_is_not_read(tmp_path, data_error):
    folder = tarfile.TarInfo(f"{BATCHES}/test_batch.bin")
    folder.type = tarfile.DIRTYPE
    write_archive(tmp_path, TRAIN_CONTENTS, [(folder, b"")])
    with data_error("lacks", "test_batch.bin"):
        read_cifar10(tmp_path)
