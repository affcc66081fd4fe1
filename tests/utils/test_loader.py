"""The data loader: batches bit-identical to the blog's, their order, and preparation in threads."""

from collections import Counter
import gc
import subprocess
import sys
import threading
import time
import tracemalloc

from gluon_classics.data.catalogue import IDX_FILES
from gluon_classics.data.datasets import DataSet
from gluon_classics.data.idx import write_idx
from gluon_classics.data.images import Images
from gluon_classics.errors import DataError
from gluon_classics.utils.loader import AHEAD, DataLoader, load_data_fashion_mnist, make_loaders
from gluon_classics.utils.preprocess import Preprocess
import mxnet as mx
from mxnet import gluon, nd
import numpy as np
import pytest

BATCH = 32
SIZES = [None, 32, 96, 224]


def numbered(count, side=2, channels=1):
    """Return images whose pixels, and labels that, are the index of the image, below 256."""
    numbers = np.arange(count, dtype=np.uint8)
    return Images(np.tile(numbers[:, None, None, None], (1, side, side, channels)), numbers)


def all_labels(loader):
    return [int(label) for _, labels in loader for label in labels.asnumpy()]


@pytest.fixture(scope="module")
def real(sample):
    """Return a few real images. Neither number is a multiple of the batch size."""
    return DataSet("few", Images(*sample.train[:150]), Images(*sample.test[:70]), tuple("0123456789"), "")


@pytest.fixture
def root(tmp_path, real):
    """Return a folder with these images in the files of Fashion-MNIST."""
    arrays = (real.train.images[..., 0], real.train.labels, real.test.images[..., 0], real.test.labels)
    for name, array in zip(IDX_FILES, arrays):
        write_idx(tmp_path / f"{name}.gz", array)
    return tmp_path


# ---------------------------------------------------------------- the blog's loader, written step by step


def plain_batches(images, labels, shuffle, resize):
    """Yield the batches of the blog's loader, with the same steps as its source code."""
    x, y = nd.array(images, dtype="uint8"), nd.array(labels)
    if shuffle:
        order = np.arange(len(images))
        np.random.shuffle(order)
        # nd.array converts a NumPy array to float32 by default, so training images are float32 from here on
        x, y = nd.array(x.asnumpy()[order]), nd.array(y.asnumpy()[order])
    for start in range(0, len(images) // BATCH * BATCH, BATCH):
        data, label = x[start : start + BATCH], y[start : start + BATCH]
        if resize:
            resized = nd.zeros((BATCH, resize, resize, data.shape[3]))
            for i in range(BATCH):
                resized[i] = mx.image.imresize(data[i], resize, resize)
            data = resized
        yield nd.transpose(data.astype("float32"), (0, 3, 1, 2)) / 255, label.astype("float32")


def assert_same_batches(ours, plain):
    ours, plain = list(ours), list(plain)
    assert len(ours) == len(plain) > 0
    for (x, y), (plain_x, plain_y) in zip(ours, plain):
        assert x.dtype == plain_x.dtype == np.float32
        assert y.dtype == plain_y.dtype == np.float32
        np.testing.assert_array_equal(x.asnumpy(), plain_x.asnumpy())
        np.testing.assert_array_equal(y.asnumpy(), plain_y.asnumpy())


@pytest.mark.parametrize("resize", SIZES)
@pytest.mark.parametrize("seed", [0, 7])
def test_batches_are_bit_identical_to_the_published_ones(root, real, resize, seed):
    train, test = load_data_fashion_mnist(BATCH, resize, root, resize_in="published", last_batch="discard")
    np.random.seed(seed)
    ours = [*train, *train]  # the second pass continues with the same generator
    np.random.seed(seed)
    plain = [batch for _ in range(2) for batch in plain_batches(*real.train[:], shuffle=True, resize=resize)]
    assert_same_batches(ours, plain)
    assert_same_batches(test, plain_batches(*real.test[:], shuffle=False, resize=resize))


def resized_one_by_one(images, resize, dtype):
    planes = [mx.image.imresize(nd.array(image, dtype=dtype), resize, resize).asnumpy() for image in images]
    return np.stack(planes).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def preprocessed(part, resize, resize_in):
    return Preprocess(resize, resize_in)(nd.array(part.images, dtype="uint8"), nd.array(part.labels))[0].asnumpy()


@pytest.mark.parametrize("resize_in", ["uint8", "float32"])
@pytest.mark.parametrize("resize", [20, 32, 96, 224])
def test_training_and_test_images_are_resized_in_the_given_type(real, resize_in, resize):
    train, test = make_loaders(real, BATCH, resize, resize_in=resize_in)
    train.shuffle = False
    for loader, part in ((train, real.train), (test, real.test)):
        ours = np.concatenate([x.asnumpy() for x, _ in loader])
        np.testing.assert_array_equal(ours, resized_one_by_one(part.images, resize, resize_in))


def test_images_are_resized_in_uint8_by_default(root, real):
    _, test = load_data_fashion_mnist(BATCH, 32, root)
    ours = np.concatenate([x.asnumpy() for x, _ in test])
    np.testing.assert_array_equal(ours, resized_one_by_one(real.test.images, 32, "uint8"))
    np.testing.assert_array_equal(ours, (ours * 255).round() / np.float32(255))  # all values are multiples of 1/255


@pytest.mark.parametrize("resize", [20, 32, 96, 224])
def test_resizing_in_uint8_and_float32_differs_by_at_most_one_pixel_value(real, resize):
    difference = np.abs(preprocessed(real.train, resize, "uint8") - preprocessed(real.train, resize, "float32"))
    assert 0 < difference.max() <= 1 / 255


def test_without_resize_in_images_are_resized_in_their_own_type(real):
    for dtype in ("uint8", "float32"):
        images = nd.array(real.test.images, dtype=dtype)
        ours, _ = Preprocess(32)(images, nd.array(real.test.labels))
        np.testing.assert_array_equal(ours.asnumpy(), resized_one_by_one(real.test.images, 32, dtype))


@pytest.mark.parametrize("resize_in", ["uint8", "float32"])
@pytest.mark.parametrize("resize", [None, 12, 48])
def test_color_images_keep_the_order_of_their_channels(rng, resize_in, resize):
    part = Images(rng.randint(0, 256, (5, 32, 32, 3)).astype(np.uint8), np.arange(5))
    ours = preprocessed(part, resize, resize_in)
    assert ours.shape == (5, 3, resize or 32, resize or 32)
    np.testing.assert_array_equal(ours, resized_one_by_one(part.images, resize or 32, resize_in))


@pytest.mark.parametrize("resize", SIZES)
def test_batches_are_float32_channels_between_0_and_1(root, resize):
    for loader in load_data_fashion_mnist(BATCH, resize, root):
        x, y = next(iter(loader))
        side = resize or 28
        assert x.shape == (BATCH, 1, side, side)
        assert y.shape == (BATCH,)
        assert x.dtype == y.dtype == np.float32
        assert x.min().asscalar() == 0
        assert 0.9 < x.max().asscalar() <= 1
        assert set(y.asnumpy()) <= set(range(10))


def test_images_that_are_not_resized_keep_their_pixels(real):
    pixels = preprocessed(real.test, None, "uint8")
    np.testing.assert_array_equal((pixels * 255).round(), real.test.images.transpose(0, 3, 1, 2))


# ---------------------------------------------------------------- the examples and their order


def test_training_images_are_shuffled_and_test_images_are_in_order(root, real):
    train, test = load_data_fashion_mnist(BATCH, None, root)
    assert all_labels(test) == real.test.labels.tolist()
    labels = all_labels(train)
    assert labels != real.train.labels.tolist()
    assert Counter(labels) == Counter(real.train.labels.tolist())


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 100, 200])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_example_is_seen_exactly_once_in_a_pass(count, shuffle):
    loader = DataLoader(numbered(count), BATCH, shuffle)
    sizes = [len(labels) for _, labels in loader]
    assert sorted(all_labels(loader)) == list(range(count))
    assert sizes[:-1] == [BATCH] * (len(sizes) - 1)
    assert sum(sizes) == count == loader.examples
    assert len(sizes) == len(loader)


@pytest.mark.parametrize(("count", "left"), [(31, 0), (32, 32), (33, 32), (100, 96)])
def test_discard_leaves_out_only_the_last_partial_batch(count, left):
    loader = DataLoader(numbered(count), BATCH, False, last_batch="discard")
    assert all_labels(loader) == list(range(left))
    assert (len(loader), loader.examples) == (left // BATCH, left)


@pytest.mark.parametrize(("last_batch", "batches", "examples"), [("keep", 157, 10_000), ("discard", 156, 9_984)])
def test_only_the_published_evaluation_leaves_out_sixteen_test_images(
    full_fashion_mnist, last_batch, batches, examples
):
    _, test = make_loaders(full_fashion_mnist, 64, 224, last_batch=last_batch)
    assert (len(test), test.examples) == (batches, examples)


def test_shuffling_keeps_images_and_labels_together():
    for x, y in DataLoader(numbered(100), BATCH, True):
        np.testing.assert_array_equal(x[:, 0, 0, 0].asnumpy(), y.asnumpy())


def test_each_pass_has_a_different_order():
    loader = DataLoader(numbered(100), BATCH, True)
    assert all_labels(loader) != all_labels(loader)


def test_the_same_numpy_seed_gives_the_same_order():
    orders = []
    for seed in (1, 1, 2):
        loader = DataLoader(numbered(100), BATCH, True)
        np.random.seed(seed)
        orders.append(all_labels(loader))
    assert orders[0] == orders[1] != orders[2]


def test_a_given_generator_determines_the_order_and_numpys_is_unchanged():
    def order(seed):
        return all_labels(DataLoader(numbered(100), BATCH, True, rng=np.random.RandomState(seed)))

    before = np.random.get_state()[1:3]
    assert order(1) == order(1) != order(2)
    after = np.random.get_state()[1:3]
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_a_numpy_generator_of_the_new_kind_can_determine_the_order():
    orders = [all_labels(DataLoader(numbered(100), BATCH, True, rng=np.random.default_rng(3))) for _ in range(2)]
    assert orders[0] == orders[1] != list(range(100))


def test_without_shuffling_numpys_generator_is_unchanged():
    before = np.random.get_state()[2]
    all_labels(DataLoader(numbered(100), BATCH, False))
    assert np.random.get_state()[2] == before


def test_two_passes_at_the_same_time_are_independent():
    loader = DataLoader(numbered(100), BATCH, False)
    pairs = [(one.asnumpy().tolist(), two.asnumpy().tolist()) for (_, one), (_, two) in zip(loader, loader)]
    assert [label for one, _ in pairs for label in one] == list(range(100))
    assert all(one == two for one, two in pairs)


# ---------------------------------------------------------------- data sets, transforms and arguments


def test_without_a_transform_batches_keep_the_layout_and_type_of_the_images():
    x, y = next(iter(DataLoader(numbered(40, side=3, channels=2), BATCH, False)))
    assert x.shape == (BATCH, 3, 3, 2)
    assert x.dtype == np.uint8
    assert y.dtype == np.float32


def test_a_transform_gets_batches_of_ndarrays_and_its_result_is_the_batch():
    seen = []

    def transform(images, labels):
        assert isinstance(images, nd.NDArray)
        assert isinstance(labels, nd.NDArray)
        seen.append(images.shape)
        # like the source, use only methods of NDArray
        return nd.transpose(images.astype("float32"), (0, 3, 1, 2)) / 255, (labels * 2).astype("float32")

    batches = list(DataLoader(numbered(40), BATCH, False, transform))
    assert sorted(seen) == [(8, 2, 2, 1), (32, 2, 2, 1)]
    np.testing.assert_array_equal(np.concatenate([y.asnumpy() for _, y in batches]), 2 * np.arange(40))
    assert batches[1][0].shape == (8, 1, 2, 2)
    assert batches[1][0][7, 0, 0, 0].asscalar() == np.float32(39) / np.float32(255)


IMAGES, LABELS = np.arange(40, dtype=np.float32).reshape(10, 2, 2, 1), np.arange(10)
DATASETS = {
    "ArrayDataset of NumPy": lambda: gluon.data.ArrayDataset(IMAGES, LABELS),
    "ArrayDataset of NDArrays": lambda: gluon.data.ArrayDataset(nd.array(IMAGES), nd.array(LABELS)),
    "a tuple of NumPy": lambda: (IMAGES, LABELS),
    "a tuple of NDArrays": lambda: (nd.array(IMAGES), nd.array(LABELS)),
    "a list, labels a list": lambda: [IMAGES, LABELS.tolist()],
}


@pytest.mark.parametrize("make", DATASETS.values(), ids=DATASETS)
def test_any_object_whose_slice_is_images_and_labels_is_a_data_set(make):
    loader = DataLoader(make(), 4, False)
    assert loader.examples == 10
    np.testing.assert_array_equal(np.concatenate([x.asnumpy() for x, _ in loader]), IMAGES)
    assert all_labels(loader) == list(range(10))
    assert next(iter(loader))[0].dtype == np.float32


def test_different_numbers_of_images_and_labels_are_rejected():
    with pytest.raises(ValueError, match="10 images, but 9 labels"):
        DataLoader((IMAGES, LABELS[:9]), 4, False)


@pytest.mark.parametrize("last_batch", ["rollover", "", None, "Keep"])
def test_an_unknown_last_batch_is_rejected(last_batch):
    with pytest.raises(ValueError, match="'keep' or 'discard'"):
        DataLoader(numbered(4), 2, False, last_batch=last_batch)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, "2", None, True])
def test_a_batch_size_that_is_not_a_whole_number_from_one_is_rejected(batch_size):
    with pytest.raises(ValueError, match="use a whole number, 1 or more"):
        DataLoader(numbered(4), batch_size, False)


@pytest.mark.parametrize("resize_in", ["float16", "", None])
def test_an_unknown_type_for_resizing_is_rejected(root, resize_in):
    with pytest.raises(ValueError, match="uint8, float32, published"):
        load_data_fashion_mnist(BATCH, 32, root, resize_in=resize_in)


# ---------------------------------------------------------------- augmentation


def test_the_root_folder_may_be_a_string_and_is_searched_first(root, small_home, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(small_home))
    train, test = load_data_fashion_mnist(BATCH, None, str(root))
    assert (train.examples, test.examples) == (150, 70)


# ---------------------------------------------------------------- preparation in threads


class Counting:
    """A transform that counts the batches it was called for, and fails at the batch with label `fail_at`."""

    def __init__(self, fail_at=None):
        self.begun, self.fail_at, self._lock = 0, fail_at, threading.Lock()

    def __call__(self, images, labels):
        with self._lock:
            self.begun += 1
        if self.fail_at is not None and labels[0].asscalar() == self.fail_at:
            raise ZeroDivisionError("in the transform")
        return images, labels


def eventually(condition, seconds=10):
    """Return whether `condition()` becomes true within this number of seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def test_the_next_batches_are_prepared_while_the_current_one_is_used():
    counting = Counting()
    batches = iter(DataLoader(numbered(200), 10, False, counting))
    for taken in range(1, 5):
        next(batches)
        assert eventually(lambda ahead=taken + AHEAD: counting.begun == ahead)
    batches.close()


def test_the_number_of_prepared_batches_is_limited():
    counting = Counting()
    for taken, _ in enumerate(DataLoader(numbered(200), 10, False, counting), 1):
        time.sleep(0.01)  # enough time for the threads to prepare more
        assert counting.begun <= taken + AHEAD
    assert counting.begun == 20


@pytest.mark.parametrize("skip", [0, 2])
def test_batches_in_parts_have_the_same_examples_and_only_a_few_parts_are_prepared(skip):
    loader = DataLoader(numbered(50), 16, shuffle=True)
    prepared, make = [], loader.batch
    loader.batch = lambda part, key: prepared.append(len(part)) or make(part, key)
    whole = [labels.asnumpy() for _, labels in loader.batches(np.random.RandomState(1), skip)]
    prepared.clear()
    seen, found = 0, []
    for examples, count, parts in loader.in_parts(np.random.RandomState(1), 5, skip):
        labels = []
        for _, some in parts:
            seen += 1
            assert len(prepared) <= seen + AHEAD
            labels.append(some.asnumpy())
        assert (examples, count) == (sum(map(len, labels)), len(labels))
        found.append(np.concatenate(labels))
    assert set(prepared) <= {5, 1, 2}
    assert len(found) == len(whole)
    assert all(np.array_equal(one, other) for one, other in zip(found, whole))


def test_no_batch_is_prepared_before_the_first_one_is_requested():
    counting = Counting()
    batches = iter(DataLoader(numbered(200), 10, True, counting))
    time.sleep(0.02)
    assert counting.begun == 0
    batches.close()


def test_after_a_pass_is_abandoned_no_threads_are_left_and_no_batch_is_prepared():
    before = set(threading.enumerate())
    counting = Counting()
    for _ in DataLoader(numbered(200), 10, False, counting):
        break
    gc.collect()
    assert set(threading.enumerate()) == before
    assert counting.begun <= 1 + AHEAD


def test_after_a_complete_pass_no_threads_are_left():
    before = set(threading.enumerate())
    list(DataLoader(numbered(50), 10, False))
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("fail_at", [0, 50, 90])
def test_an_error_in_the_transform_is_raised_after_the_earlier_batches(fail_at):
    before = set(threading.enumerate())
    seen = []

    def loop():
        for _, labels in DataLoader(numbered(100), 10, False, Counting(fail_at)):
            seen.append(labels[0].asscalar())

    with pytest.raises(ZeroDivisionError, match="in the transform"):
        loop()
    assert seen == list(range(0, fail_at, 10))
    assert set(threading.enumerate()) == before


def test_a_loader_works_again_after_an_abandoned_pass():
    loader = DataLoader(numbered(100), 10, False)
    for _ in loader:
        break
    assert all_labels(loader) == list(range(100))


def test_a_batch_keeps_its_values_while_later_ones_are_prepared(real):
    # batches use memory of NumPy, which must not be reused or freed too early
    loader, _ = make_loaders(real, 10, 32)
    loader.shuffle = False
    kept = list(loader)
    del loader
    gc.collect()
    expected = resized_one_by_one(real.train.images, 32, "uint8")
    np.testing.assert_array_equal(np.concatenate([x.asnumpy() for x, _ in kept]), expected)


def test_a_batch_can_be_changed_in_place(real):
    _, test = make_loaders(real, BATCH, 32)
    x, _ = next(iter(test))
    expected = x.asnumpy() * 2
    x *= 2
    np.testing.assert_array_equal(x.asnumpy(), expected)


def test_the_memory_of_used_batches_is_freed(real):
    loader, _ = make_loaders(real, 10, 224)
    tracemalloc.start()
    try:
        for x, _ in loader:
            x.wait_to_read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    batch = 10 * 224 * 224 * 4
    # the current batch, the one before it, those ahead, and those being prepared; all 15 would take twice as much
    assert 2 * batch < peak < (AHEAD + 5) * batch


def test_a_script_can_exit_in_the_middle_of_a_pass(root):
    # without the exit hook, Python 3.8 stops MXNet first and then waits for threads that wait for MXNet
    script = (
        "from gluon_classics import utils\n"
        f"train, _ = utils.load_data_fashion_mnist(10, 32, {str(root)!r})\n"
        "batches = iter(train)\n"
        "images, labels = next(batches)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], timeout=20, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("size", [28, 29, 32, 40])
def test_padding_puts_images_in_the_middle_of_the_background(real, size):
    _, test = make_loaders(real, BATCH, size, fit="pad")
    ours = np.concatenate([x.asnumpy() for x, _ in test])
    before = (size - 28) // 2
    middle = ours[:, :, before : before + 28, before : before + 28].copy()
    np.testing.assert_array_equal(middle, preprocessed(real.test, None, None))
    ours[:, :, before : before + 28, before : before + 28] = 0
    assert ours.shape[1:] == (1, size, size)
    assert not ours.any()


@pytest.mark.parametrize("resize", [None, 20, 40])
@pytest.mark.parametrize("fit", ["resize", "pad"])
def test_pixel_values_0_and_255_become_the_given_network_inputs(real, resize, fit):
    if (fit, resize) == ("pad", 20):
        with pytest.raises(DataError, match=r"images of 28x28 cannot be padded to 20x20: resize them \(--fit resize\)"):
            make_loaders(real, BATCH, resize, fit=fit)
        return
    plain, other = (
        np.concatenate([x.asnumpy() for x, _ in make_loaders(real, BATCH, resize, fit=fit, pixels=pixels)[1]])
        for pixels in ((0.0, 1.0), (-0.1, 1.175))
    )
    assert other.dtype == np.float32
    # three operations of float32, on numbers up to 1.275, on either side
    np.testing.assert_allclose(other, plain * 1.275 - 0.1, rtol=0, atol=2 * 3 * 1.275 * 2**-24)
    assert other.min() == np.float32(-0.1)


def test_an_unknown_fit_is_rejected(real):
    with pytest.raises(ValueError, match="unknown fit 'stretch': use one of resize, pad, crop"):
        make_loaders(real, BATCH, 32, fit="stretch")
