"""Small batches are prepared together, with the same bits."""

from gluon_classics.data.images import Images
from gluon_classics.utils.loader import DataLoader, small_batch
from gluon_classics.utils.preprocess import Preprocess
from mxnet import gluon
import numpy as np
import pytest


@pytest.fixture(scope="module")
def images(sample):
    """Return a few real images, whose number is not a multiple of the batch sizes."""
    return Images(*sample.train[:150])


def in_evaluation(loader, skip=0, key=None):
    """Return all images and labels of a pass, batch by batch."""
    batches = loader.batches(np.random.RandomState(3), skip, key)
    return [(images.asnumpy(), labels.asnumpy()) for images, labels in batches]


def in_training(loader, skip=0, key=None):
    """Return the same as a training gets it."""
    batches = loader.in_parts(np.random.RandomState(3), None, skip, key)
    return [(images.asnumpy(), labels.asnumpy()) for _, _, parts in batches for images, labels in parts]


def assert_same(found, expected):
    assert [len(labels) for _, labels in found] == [len(labels) for _, labels in expected]
    for pair, other in zip(found, expected):
        for array, same in zip(pair, other):
            np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize(("batch_size", "share"), [(1, (0, 1)), (3, (0, 1)), (40, (0, 1)), (3, (1, 2)), (40, (1, 2))])
@pytest.mark.parametrize("augment", ["none", "flip affine"])
@pytest.mark.parametrize("batches", [in_evaluation, in_training])
def test_small_batches_are_prepared_together_and_have_the_bits_of_single_ones(
    batches, batch_size, augment, share, images
):
    key = np.array([1, 2], np.uint64) if augment != "none" else None
    options = {"augment": augment, "share": share}
    loader = DataLoader(images, batch_size, True, Preprocess(32, "uint8", "pad"), **options)
    alone = DataLoader(images, batch_size, True, Preprocess(32, "uint8", "pad"), **options)
    alone._groups = lambda parts: ([part] for part in parts)
    calls = []
    loader.batch, batch = lambda *args: calls.append(1) or batch(*args), loader.batch
    found, expected = batches(loader, key=key), batches(alone, key=key)
    assert len(calls) == -(-len(found) // (64 // len(found[0][1])))
    assert_same(found, expected)
    assert_same(batches(loader, 2, key), expected[2:])


def test_batches_of_other_transforms_are_never_put_together():
    """They may use the whole batch, as by subtracting its mean."""
    sizes = []

    def transform(images, labels):
        sizes.append(len(images))
        return images, labels

    nine = Images(np.zeros((9, 2, 2, 1), np.uint8), np.arange(9))
    assert len(list(DataLoader(nine, 2, False, transform))) == 5
    assert sorted(sizes) == [1, 2, 2, 2, 2]


@pytest.mark.parametrize("shape", [(9, 3), (9, 2, 2), (9, 2, 2, 1), (9, 2, 2, 2, 1)])
def test_small_batches_may_have_any_number_of_axes(shape):
    values = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    loader = DataLoader(gluon.data.ArrayDataset(values, np.arange(9)), 2, False)
    batches = list(loader)
    np.testing.assert_array_equal(np.concatenate([images.asnumpy() for images, _ in batches]), values)
    np.testing.assert_array_equal(np.concatenate([labels.asnumpy() for _, labels in batches]), np.arange(9))


@pytest.mark.parametrize(("side", "count"), [(0, 64), (28, 64), (32, 64), (64, 16), (224, 1)])
def test_a_small_batch_has_few_pixels(side, count):
    assert small_batch(side**2) == count


@pytest.mark.parametrize(
    ("side", "preprocess", "count"),
    [
        (32, Preprocess(32), 64),
        (224, Preprocess(32), 1),
        (8, Preprocess(32, image_size=64), 16),
        (8, Preprocess(32, image_size=33, crops="ten"), 6),
        (32, lambda images, labels: (images, labels), 1),
    ],
    ids=["network's size", "large", "cropped", "ten crops", "another transform"],
)
def test_as_many_images_are_prepared_together_as_are_small_all_the_way(side, preprocess, count):
    loader = DataLoader(Images(np.zeros((99, side, side, 1), np.uint8), np.zeros(99, int)), 1, False, preprocess)
    assert loader.images_together == count
    assert DataLoader(loader.dataset, 70, False, preprocess).images_together == 70


def test_the_shares_of_large_images_are_not_put_together():
    large = Images(np.zeros((8, 224, 224, 1), np.uint8), np.zeros(8, int))
    loader, sizes = DataLoader(large, 4, False, Preprocess(224), share=(0, 2)), []
    loader.batch, batch = lambda part, key: sizes.append(len(part)) or batch(part, key), loader.batch
    assert len(list(loader)) == 2
    assert sizes == [2, 2]
