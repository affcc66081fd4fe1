"""Folders and archives that data sets are found in, and what is refused before it is unpacked."""

from dataclasses import replace
import gzip
import hashlib
import io
import os
from pathlib import Path
import struct
import tarfile
import time
import zipfile
import zlib

from gluon_classics.data.catalogue import IDX_FILES, KNOWN, Known
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.download import RemoteFile
from gluon_classics.errors import DataError
import numpy as np
import pytest


def idx_contents(train=20, test=10):
    """Return the bytes of the four IDX files of a data set with two classes, made with `struct`."""
    contents = []
    for count in (train, test):
        images = struct.pack(">4B3I", 0, 0, 8, 3, count, 2, 2) + bytes(range(4)) * count
        contents += [images, struct.pack(">4BI", 0, 0, 8, 1, count) + bytes([0, 1]) * (count // 2)]
    return dict(zip(IDX_FILES, contents))


def write_zip(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def write_tar(path, contents, mode="w:gz"):
    with tarfile.open(str(path), mode) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


ARCHIVES = {
    "zip": ("archive.zip", write_zip),
    "tar.gz": ("archive.tar.gz", write_tar),
    "tgz": ("archive.tgz", write_tar),
    "tar": ("archive.tar", lambda path, contents: write_tar(path, contents, "w")),
}


@pytest.mark.parametrize(("name", "write"), ARCHIVES.values(), ids=ARCHIVES)
@pytest.mark.parametrize("give", ["archive", "folder"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_a_data_set_in_an_archive_is_read(tmp_path, name, write, give, pack):
    path = write(tmp_path / name, {f"set/{file}": pack(content) for file, content in idx_contents().items()})
    data = load_dataset(str(path if give == "archive" else tmp_path))
    np.testing.assert_array_equal(data.train.images, np.resize(np.arange(4), (20, 2, 2, 1)))
    assert sorted(os.listdir(tmp_path)) == [name]


def test_other_files_are_counted_in_the_error(tmp_path, data_error):
    for place in range(12):
        (tmp_path / f"{place}.mat").write_bytes(b"MATLAB")
    (tmp_path / "notes.TXT").write_bytes(b"text")
    with data_error(tmp_path, "12 .mat files and 1 .txt file", "IDX files", "subfolder of images"):
        load_dataset(str(tmp_path))


def test_several_archives_are_an_error_that_says_so(tmp_path, data_error):
    for name in "ab":
        write_zip(tmp_path / f"{name}.zip", idx_contents())
    with data_error(tmp_path, "2 .zip files"):
        load_dataset(str(tmp_path))


def test_an_archive_of_something_else_is_rejected(tmp_path, data_error):
    path = write_zip(tmp_path / "images.zip", {f"cat/{place}.png": b"x" for place in range(3)})
    with data_error(path, "3 .png files", "unpack"):
        load_dataset(str(path))


@pytest.mark.parametrize("pack", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_changed_byte_of_a_zip_archive_is_an_error_or_harmless(tmp_path, data_error, pack):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", pack) as archive:
        for name, content in idx_contents().items():
            archive.writestr(name, content)
    whole = path.read_bytes()
    images = load_dataset(str(path)).train.images
    errors = []
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            np.testing.assert_array_equal(load_dataset(str(path)).train.images, images)
        except DataError as error:
            errors.append(str(error))
    assert len(errors) > len(whole) // 9
    assert max(map(len, errors)) < 500


def test_a_file_that_is_not_a_data_set_is_rejected(tmp_path, data_error):
    (tmp_path / "weights.pt").write_bytes(b"x")
    with data_error("weights.pt", "not a data set"):
        load_dataset(str(tmp_path / "weights.pt"))


@pytest.mark.parametrize("where", ["x" * 5_000, "a\0b", "~nobody-has-this-name/x"])
def test_a_path_that_cannot_be_one_is_rejected(data_error, where):
    with data_error():
        load_dataset(where)


def test_a_loop_of_links_ends(tmp_path):
    for name, content in idx_contents().items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    assert len(load_dataset(str(tmp_path)).train) == 20


def test_a_pipe_with_the_name_of_a_file_is_not_opened(tmp_path, data_error):
    os.mkfifo(tmp_path / IDX_FILES[0])
    for name, content in list(idx_contents().items())[1:]:
        (tmp_path / name).write_bytes(content)
    with data_error(f"lacks {IDX_FILES[0]}"):
        load_dataset(str(tmp_path))


# ---------------------------------------------------------------- bombs


def gzip_of_zeros(head, megabytes):
    """Return gzip of `head` and zeros. Full flushes make its blocks independent, so that it is made in an instant."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    packer.compress(bytes(1 << 20))
    return start + (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)) * megabytes


def header(kind, size):
    member = tarfile.TarInfo("file")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


BOMBS = {
    "zeros": (b"", 4_000),
    "zeros after an IDX header": (struct.pack(">4B3I", 0, 0, 8, 3, 20, 2, 2), 4_000),
    "zeros after the end of an archive": (header(tarfile.REGTYPE, 0) + bytes(1024), 4_000),
    "a file of 4 GB": (header(tarfile.REGTYPE, 4 << 30), 4_000),
    "a name of 4 GB": (header(tarfile.GNUTYPE_LONGNAME, 4 << 30), 4_000),
    "a header of 4 GB": (header(tarfile.XHDTYPE, 4 << 30), 4_000),
}


@pytest.mark.parametrize(("head", "megabytes"), BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("name", ["cifar-10-binary.tar.gz", f"{IDX_FILES[0]}.gz"])
def test_a_gzip_bomb_ends_in_one_line_without_unpacking_it(tmp_path, data_error, name, head, megabytes):
    for file, content in idx_contents().items():
        (tmp_path / f"{file}.gz").write_bytes(gzip.compress(content))
    (tmp_path / name).write_bytes(gzip_of_zeros(head, megabytes))
    start = time.monotonic()
    with data_error(name):
        load_dataset(str(tmp_path / name))
    assert time.monotonic() - start < 5


def test_a_zip_bomb_is_rejected_by_its_header(tmp_path, data_error):
    with zipfile.ZipFile(tmp_path / "set.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            with archive.open(f"{name}.npy", "w") as member:
                for _ in range(8):
                    member.write(bytes(1 << 20))
    with data_error("x_train", "not an array"):
        load_dataset(str(tmp_path / "set.npz"))


# ---------------------------------------------------------------- published files


def test_data_read_from_the_published_files_counts_as_published(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    folder = tmp_path / "datasets" / "kmnist"
    folder.mkdir(parents=True)
    for name, content in idx_contents().items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    files = tuple(RemoteFile(path.name, path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir()))
    monkeypatch.setitem(KNOWN, "kmnist", Known(("a", "b"), files, ()))
    data = load_dataset("kmnist")
    assert data.record().is_published is True
    monkeypatch.setitem(KNOWN, "kmnist", Known(("a", "b"), files[1:], ()))
    assert load_dataset("kmnist").record().is_published is None


def test_a_part_of_the_published_files_does_not_count_as_published(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    folder = tmp_path / "datasets" / "kmnist"
    folder.mkdir(parents=True)
    for name, content in idx_contents().items():
        (folder / name).write_bytes(content)
    files = tuple(RemoteFile(path.name, 1, sha256(path)) for path in sorted(folder.iterdir()))
    monkeypatch.setitem(KNOWN, "kmnist", Known(("a", "b"), files, ()))
    data = load_dataset("kmnist")
    assert replace(data, train=data.train.subset(10)).record().is_published is False


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_documentation_names_every_known_data_set():
    page = (Path(__file__).parents[2] / "docs" / "data-files.md").read_text(encoding="utf-8")
    assert [name for name in KNOWN if f"`{name}`" not in page] == []
