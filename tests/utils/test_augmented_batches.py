"""Augmentation in the loader: what an image becomes depends on the seed, the epoch and its number only."""

from gluon_classics.data.augment_words import parse_augment
from gluon_classics.data.augmentation import augmented, generator_of
from gluon_classics.data.datasets import DataSet, load_dataset
from gluon_classics.data.images import Images, read_image, resize_image
from gluon_classics.utils.loader import DataLoader, make_loaders
from gluon_classics.utils.preprocess import Preprocess
from gluon_classics.utils.seeding import RandomStreams
from mxnet import gluon
import numpy as np
from PIL import Image
import pytest

KEY = np.array([1, 2], np.uint64)


@pytest.fixture
def colored(rng):
    """Return 41 random color images of 12x12, whose labels are their numbers."""
    return Images(rng.randint(0, 256, (41, 12, 12, 3), np.uint8), np.arange(41))


def by_label(loader, seed=7, skip=0, key=KEY):
    """Return the images of a pass by their label."""
    batches = loader.batches(np.random.RandomState(seed), skip, key)
    return {int(y): x for images, labels in batches for x, y in zip(images.asnumpy(), labels.asnumpy())}


TEXTS = ["flip", "crop:2 flip", "resized-crop color lighting", "scale:12:20 affine:0.2"]


@pytest.mark.parametrize("text", TEXTS)
def test_an_image_becomes_the_same_in_batches_of_any_size_and_order(colored, text):
    passes = [
        by_label(DataLoader(colored, size, shuffle=size != 41, transform=Preprocess(10), augment=text), seed=size)
        for size in (1, 7, 41)
    ]
    for other in passes[1:]:
        assert passes[0].keys() == other.keys() == set(range(41))
        assert all(np.array_equal(passes[0][label], other[label]) for label in other)
    changed = by_label(DataLoader(colored, 7, True, Preprocess(10), augment=text), key=KEY + np.uint64(1))
    assert sum(np.array_equal(passes[0][label], changed[label]) for label in changed) < 41


def test_skipped_batches_do_not_matter(colored):
    loader = DataLoader(colored, 8, shuffle=True, transform=Preprocess(12), augment="crop:2 flip")
    whole, rest = by_label(loader), by_label(loader, skip=3)
    assert len(rest) == 41 - 24
    assert all(np.array_equal(whole[label], rest[label]) for label in rest)


def test_the_key_of_a_pass_follows_from_seed_and_epoch():
    keys = {tuple(RandomStreams(seed).augmentation(epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(keys) == 4
    assert tuple(RandomStreams(1).augmentation(1)) in keys


def test_without_a_key_each_pass_is_another_one(colored):
    loader = DataLoader(colored, 8, shuffle=True, augment="flip")
    rng = np.random.RandomState(1)
    first, second, again = (
        by_label(loader, key=None) if rng is None else dict(enumerate(x for x, _ in loader.batches(rng)))
        for rng in (rng, rng, np.random.RandomState(1))
    )
    assert any((first[i].asnumpy() != second[i].asnumpy()).any() for i in first)
    assert all((first[i].asnumpy() == again[i].asnumpy()).all() for i in first)


def test_images_are_resized_before_the_augmentation_and_scaled_after_it(colored):
    loader = DataLoader(colored, 41, False, Preprocess(16, pixels=(-1, 1)), augment="crop:4 color")
    found = by_label(loader)
    sized = Preprocess(16).sized(colored.images)
    for label in (0, 17):
        pixels = augmented(sized[label], parse_augment("crop:4 color"), generator_of(KEY, label), 16, 16)
        np.testing.assert_allclose(found[label], pixels.transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)


def test_crops_of_the_networks_size_come_from_images_of_the_image_size(colored):
    data = DataSet("few", colored, colored, tuple(map(str, range(41))), "")
    train, test = make_loaders(data, 41, 12, image_size=20, augment="crop")
    sized = Preprocess(20).sized(colored.images).transpose(0, 3, 1, 2) / np.float32(255)
    windows = [sized[:, :, top : top + 12, left : left + 12] for top in range(9) for left in range(9)]
    for label, image in by_label(train).items():
        assert any(np.array_equal(image, window[label]) for window in windows)
    for label, image in by_label(test).items():
        assert np.array_equal(image, sized[label, :, 4:16, 4:16])


def test_images_without_channels_are_refused(data_error):
    with data_error("(N, H, W, C)"):
        DataLoader(gluon.data.ArrayDataset(np.zeros((9, 20, 20), np.uint8), np.arange(9)), 2, True, augment="flip")


def test_the_data_set_itself_is_not_changed(colored):
    before = colored.images.copy()
    by_label(DataLoader(colored, 8, True, augment="crop:2 flip color lighting affine"))
    assert (colored.images == before).all()


# ---------------------------------------------------------------- originals


@pytest.fixture
def zoo(tmp_path, rng):
    """Return a folder of images of various sizes."""
    for number, name in enumerate(("ant", "bee")):
        (tmp_path / "zoo" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.randint(0, 256, (20 + 7 * i, 50 - 6 * i, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "zoo" / name / f"{number}{i}.png")
    return tmp_path / "zoo"


@pytest.mark.parametrize("text", ["resized-crop flip", "scale:16:24"])
def test_random_parts_are_cut_out_of_the_image_files_themselves(zoo, text):
    data = load_dataset(str(zoo), 16, shorter_side=True, originals=True)
    train, test = make_loaders(data, 4, 16, fit="crop", augment=text)
    paths = [path for name in ("ant", "bee") for path in sorted((zoo / name).glob("*.png"))]
    trained = [path for number, path in enumerate(paths) if number % 6 != 4]
    numbers = iter(range(len(trained)))
    for images, _ in DataLoader(data.train, 3, False, train.transform, augment=text).batches(np.random, key=KEY):
        for image in images.asnumpy():
            number = next(numbers)
            original = read_image(trained[number])
            expected = augmented(original, parse_augment(text), generator_of(KEY, number), 16, 16)
            assert np.array_equal(image, expected.transpose(2, 0, 1) / np.float32(255))
    tested = [read_image(path, 16, shorter_side=True) for path in paths if path not in trained]
    for image, (expected) in zip((image for images, _ in test for image in images.asnumpy()), tested):
        assert np.array_equal(image, expected.transpose(2, 0, 1) / np.float32(255))


def test_original_image_files_cannot_be_in_memory(zoo, data_error):
    with data_error("random parts of image files are read when they are used", "leave --in-memory out"):
        load_dataset(str(zoo), 16, originals=True, in_memory=True)


def test_an_image_that_is_too_long_is_named(zoo, data_error):
    Image.fromarray(np.zeros((1, 4000, 3), np.uint8)).save(zoo / "ant" / "00.png")
    data = load_dataset(str(zoo), 16, shorter_side=True, originals=True)
    train, _ = make_loaders(data, 4, 16, fit="crop", augment="scale:16:16")
    with data_error("00.png: it is 1x4000, too long to resize its shorter side to 16"):
        list(train)


def test_the_shorter_side_is_resized_and_the_longer_one_cut(rng):
    wide = rng.randint(0, 256, (3, 10, 16, 3), np.uint8)
    cut = Preprocess(10, fit="crop").sized(wide)
    assert np.array_equal(cut, wide[:, :, 3:13])
    tall = wide.transpose(0, 2, 1, 3)
    resized = np.stack([resize_image(np.ascontiguousarray(image), 32, 20) for image in tall])
    assert np.array_equal(Preprocess(20, fit="crop").sized(tall), resized[:, 6:26])
