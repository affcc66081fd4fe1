"""Images that stay on the disk give the same data as those in memory."""

import os
import threading

from gluon_classics.data import stored_images
from gluon_classics.data.datasets import load_dataset
from gluon_classics.data.stored_images import StoredImages
from gluon_classics.utils.loader import make_loaders
import numpy as np
from pictures import picture, write_every_kind, write_pictures
from PIL import Image
import pytest


@pytest.fixture
def folder(tmp_path):
    return write_every_kind(tmp_path / "zoo")


def turn_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def both(place, size=12, **options):
    """Load a data set from the disk and into memory."""
    return [load_dataset(str(place), size, in_memory=in_memory, **options) for in_memory in (False, True)]


def test_the_images_are_those_in_memory(folder):
    stored, loaded = both(folder, transparent_as="#ff8000")
    assert stored.classes == loaded.classes == ("cat", "dog")
    for on_disk, in_memory in ((stored.train, loaded.train), (stored.test, loaded.test)):
        assert isinstance(on_disk.images, StoredImages)
        assert isinstance(in_memory.images, np.ndarray)
        assert on_disk.images.shape == in_memory.images.shape
        assert on_disk.images.dtype == in_memory.images.dtype
        assert np.array_equal(on_disk.labels, in_memory.labels)
        assert np.array_equal(on_disk.images[np.arange(len(on_disk))], in_memory.images)


def test_slices_masks_and_numbers_are_those_of_an_array(folder):
    stored, loaded = (data.train.images for data in both(folder))
    mask = np.arange(len(loaded)) % 3 == 0
    for index in (slice(2, 9, 2), mask):
        assert isinstance(stored[index], StoredImages)
        assert np.array_equal(stored[index].in_memory("it"), loaded[index])
    assert np.array_equal(stored[3], loaded[3])
    assert np.array_equal(stored[np.array([4, 0, 4])], loaded[[4, 0, 4]])
    assert np.array_equal(stored[2:][1:4][np.array([-1])], loaded[[5]])
    assert stored[np.array([], int)].shape == (0, *loaded.shape[1:])
    with pytest.raises(IndexError):
        stored[len(loaded)]


def test_the_batches_are_bit_identical(folder):
    loaders = [make_loaders(data, 4, augment="crop:2 flip")[0] for data in both(folder)]
    for skip in (0, 2):
        stored, loaded = (list(loader.batches(np.random.RandomState(3), skip)) for loader in loaders)
        assert len(stored) == len(loaded) == len(loaders[0]) - skip
        for (x, y), (other_x, other_y) in zip(stored, loaded):
            assert np.array_equal(x.asnumpy(), other_x.asnumpy())
            assert np.array_equal(y.asnumpy(), other_y.asnumpy())


def test_the_records_of_both_name_the_same_data(folder):
    stored, loaded = (data.record() for data in both(folder))
    assert stored.sha256 is None
    assert loaded.sha256
    assert stored.files_sha256 == loaded.files_sha256
    assert stored.is_same_data(loaded)
    assert loaded.is_same_data(stored)


def test_other_files_are_other_data(folder, tmp_path):
    before = load_dataset(str(folder), 12, in_memory=False)
    records = [before.record()]
    for change in (
        lambda: os.rename(folder / "dog" / "deep.png", folder / "dog" / "deeper.png"),
        lambda: Image.fromarray(picture(9, 30)).save(folder / "cat" / "000.png"),
        lambda: turn_a_bit(folder / "cat" / "photo.jpg"),
        lambda: Image.fromarray(picture(9)).save(folder / "cat" / "new.png"),
        lambda: os.rename(folder / "dog" / "000.png", folder / "cat" / "zzz.png"),
        lambda: os.rename(folder / "dog", folder / "fox"),
    ):
        change()
        records.append(load_dataset(str(folder), 12, in_memory=False).record())
        assert not any(records[-1].is_same_data(earlier) for earlier in records[:-1])
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert load_dataset(str(moved), 12, in_memory=False).record().is_same_data(records[-1])


def test_the_disk_is_used_if_memory_is_short(folder, monkeypatch, capsys):
    needed = 20 * 12 * 12 * 3
    count = sum(len(files) for _, _, files in os.walk(folder))
    needed = count * 12 * 12 * 3
    for available, in_memory, on_disk in (
        (2 * needed, None, False),
        (2 * needed - 2, None, True),
        (2 * needed - 2, True, False),
        (None, None, False),
    ):
        monkeypatch.setattr(stored_images, "available_memory", lambda available=available: available)
        images = load_dataset(str(folder), 12, in_memory=in_memory).train.images
        said = "Images are read from the disk when they are used" in capsys.readouterr().err
        assert (isinstance(images, StoredImages), said) == (on_disk, on_disk), (available, in_memory)


def test_data_in_other_formats_cannot_stay_on_the_disk(write_set, tmp_path, data_error):
    write_set(tmp_path / "idx")
    for place in (tmp_path / "idx", tmp_path / "idx" / "train-images-idx3-ubyte.gz", "fashion-mnist"):
        with data_error("only image files can stay on the disk"):
            load_dataset(str(place), in_memory=False)


def test_gray_images_have_one_channel(tmp_path, data_error):
    write_pictures(tmp_path, {"a": 5, "b": 6}, channels=1)
    stored, loaded = both(tmp_path)
    assert stored.train.images.shape[3] == 1
    assert np.array_equal(stored.train.images.in_memory("it"), loaded.train.images)


def test_a_colored_image_among_gray_ones_is_not_read_as_gray(tmp_path, data_error, monkeypatch):
    write_pictures(tmp_path, {"a": 5, "b": 6}, channels=1)
    monkeypatch.setattr(stored_images, "SAMPLED", 2)  # the first and the last
    Image.fromarray(picture(1)).save(tmp_path / "a" / "001.png")
    data = load_dataset(str(tmp_path), 12, in_memory=False)
    assert data.train.images.shape[3] == 1
    with data_error(tmp_path / "a" / "001.png", "is colored", "convert"):
        data.train.images[np.arange(len(data.train))]


def test_a_damaged_image_is_named_when_it_is_used(folder, data_error, monkeypatch):
    monkeypatch.setattr(stored_images, "SAMPLED", 1)
    whole = (folder / "cat" / "003.png").read_bytes()
    data = load_dataset(str(folder), 12, in_memory=False)
    loader = make_loaders(data, 4)[0]
    for content in (whole[:-20], b"", b"not an image", None):
        (folder / "cat" / "003.png").unlink()
        if content is not None:
            (folder / "cat" / "003.png").write_bytes(content)
        with data_error("cat/003.png"):
            list(loader)
        if content is None:
            (folder / "cat" / "003.png").touch()


def test_images_of_different_sizes_need_a_size(folder, tmp_path, data_error):
    with data_error("give a size to resize all to"):
        load_dataset(str(folder), in_memory=False).train.images.in_memory("it")
    for name in "ab":
        (tmp_path / "same" / name).mkdir(parents=True)
        for number in range(5):
            Image.fromarray(picture(number)).save(tmp_path / "same" / name / f"{number}.png")
    stored, loaded = both(tmp_path / "same", None)
    assert stored.train.images.shape == loaded.train.images.shape
    assert np.array_equal(stored.train.images.in_memory("it"), loaded.train.images)


def test_many_threads_read_the_same_images(folder):
    stored, loaded = (data.train.images for data in both(folder))
    order = np.random.RandomState(0).permutation(len(loaded)).repeat(5)
    wrong = []

    def read():
        if not np.array_equal(stored[order], loaded[order]):
            wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_may_surprise_in_an_image_is_said_once(tmp_path, capsys):
    write_pictures(tmp_path, {"a": 5, "b": 5})
    frames = [Image.fromarray(picture(number)) for number in range(2)]
    for name in "ab":
        frames[0].save(tmp_path / name / "moving.gif", save_all=True, append_images=frames[1:])
    load_dataset(str(tmp_path), 12, in_memory=False).train.images.in_memory("it")
    assert capsys.readouterr().err.count("only the first one is read") == 1
