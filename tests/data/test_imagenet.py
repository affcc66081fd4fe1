"""ImageNet is found by its name where users put it, and it is never downloaded."""

from gluon_classics.data.catalogue import KNOWN
from gluon_classics.data.datasets import installed_folder, load_dataset
from gluon_classics.data.pack import pack
from gluon_classics.data.published import known_name
from gluon_classics.errors import DataError
import numpy as np
from pictures import write_pictures
import pytest

COUNTS = {"n01440764": 3, "n01443537": 2}


@pytest.fixture
def write():
    """Return a function that writes ImageNet's layout of folders with a few pictures."""

    def write(folder):
        for part in ("train", "val"):
            write_pictures(folder / part, COUNTS)
        return folder

    return write


def test_it_has_the_published_numbers():
    known = KNOWN["imagenet"]
    assert (known.counts, known.number_of_classes, known.channels) == ((1_281_167, 50_000), 1000, 3)
    assert known.is_in_image_files
    assert (known.files, known.mirrors, known.sha256) == ((), (), None)
    assert [name for name in KNOWN if KNOWN[name].is_in_image_files] == ["imagenet"]


@pytest.mark.parametrize("place", ["home", "first", "second"])
def test_its_folder_is_found_by_its_name(place, places, write):
    folder = write(getattr(places, place) / "datasets" / "imagenet")
    assert installed_folder("imagenet") == folder
    data = load_dataset("imagenet", 16)
    assert (data.name, data.origin) == ("imagenet", str(folder))
    assert data.classes == tuple(COUNTS)
    assert (len(data.train), len(data.test)) == (5, 5)
    assert data.train.images.shape == (5, 16, 16, 3)
    assert data.record().is_published is None


def test_its_images_can_stay_on_the_disk(places, write):
    write(places.home / "datasets" / "imagenet")
    data = load_dataset("imagenet", 16, in_memory=False)
    assert not isinstance(data.train.images, np.ndarray)
    assert np.array_equal(data.train.images[:], load_dataset("imagenet", 16, in_memory=True).train.images)


def test_its_records_are_read_instead(places, write, tmp_path):
    folder = places.home / "datasets" / "imagenet"
    folder.mkdir(parents=True)
    pack(write(tmp_path / "files"), tmp_path / "packed.rec")
    for old, new in (("packed", "train"), ("packed_test", "val")):
        for suffix in (".rec", ".idx", ".lst"):
            (tmp_path / f"{old}{suffix}").rename(folder / f"{new}{suffix}")
    data = load_dataset("imagenet", 16)
    assert (data.name, data.classes) == ("imagenet", tuple(COUNTS))
    assert (len(data.train), len(data.test)) == (5, 5)


def test_other_numbers_than_the_published_ones_are_a_warning(places, write, capsys):
    write(places.home / "datasets" / "imagenet")
    load_dataset("imagenet", 16)
    seen, published = "5 training and 5 test images in 2 classes", "1,281,167 training and 50,000 test images"
    warning = f"imagenet has {seen}; the published imagenet has {published} in 1,000 classes"
    assert warning in capsys.readouterr().err


def test_if_it_is_missing_one_line_says_where_to_put_it(places):
    with pytest.raises(DataError) as error:
        load_dataset("imagenet", 16)
    place = places.home / "datasets" / "imagenet"
    assert str(error.value).startswith(f"imagenet is not in {place}: put train/ and val/, each with one subfolder")
    assert str(error.value).endswith("or give their folder, with --data")
    assert not place.exists()


@pytest.mark.parametrize("content", [[], ["train"], ["val/n01440764"], ["train.txt"]])
def test_a_folder_without_its_images_does_not_count(places, content):
    for name in content:
        (places.home / "datasets" / "imagenet" / name).mkdir(parents=True)
    assert installed_folder("imagenet") is None


def test_a_test_share_is_refused(places, write):
    write(places.home / "datasets" / "imagenet")
    with pytest.raises(DataError, match="imagenet has test images: leave the test share out"):
        load_dataset("imagenet", 16, test_share=0.5)


def test_files_of_other_formats_are_not_taken_for_it():
    assert known_name(["imagenet"]) is None
