"""The in-memory loader: the blog's batches, bit for bit where it promises that, prepared ahead in threads."""

from collections import Counter
import gc
import subprocess
import sys
import threading
import time
import tracemalloc

from gluon_classics.utils.datasets import IDX_FILES, DataSet
from gluon_classics.utils.errors import DataError
from gluon_classics.utils.idx import write_idx
from gluon_classics.utils.images import Images
from gluon_classics.utils.loader import AHEAD, DataLoader, Preprocess, load_data_fashion_mnist, make_loaders
import mxnet as mx
from mxnet import gluon, nd
import numpy as np
import pytest

BATCH = 32
SIZES = [None, 32, 96, 224]


def numbered(count, side=2, channels=1):
    """Images and labels that both tell their number, below 256."""
    numbers = np.arange(count, dtype=np.uint8)
    return Images(np.tile(numbers[:, None, None, None], (1, side, side, channels)), numbers)


def all_labels(loader):
    return [int(label) for _, labels in loader for label in labels.asnumpy()]


@pytest.fixture(scope="module")
def real(sample):
    """Real images, few: neither count is a multiple of the batch size."""
    return DataSet("few", Images(*sample.train[:150]), Images(*sample.test[:70]), tuple("0123456789"), "")


@pytest.fixture
def root(tmp_path, real):
    """A folder that holds these images as Fashion-MNIST."""
    arrays = (real.train.images[..., 0], real.train.labels, real.test.images[..., 0], real.test.labels)
    for name, array in zip(IDX_FILES, arrays):
        write_idx(tmp_path / f"{name}.gz", array)
    return tmp_path


# ---------------------------------------------------------------- the blog's loader, in plain words


def plain_batches(images, labels, shuffle, resize):
    """The batches of the blog's loader, each step as plain as its source has it."""
    x, y = nd.array(images, dtype="uint8"), nd.array(labels)
    if shuffle:
        order = np.arange(len(images))
        np.random.shuffle(order)
        # nd.array of a NumPy array is float32 unless told otherwise: from here on training images are floats
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
def test_the_published_batches_come_bit_for_bit(root, real, resize, seed):
    train, test = load_data_fashion_mnist(BATCH, resize, root, resize_in="published", last_batch="discard")
    np.random.seed(seed)
    ours = [*train, *train]  # the second pass goes on with the same generator
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
def test_both_splits_are_resized_in_the_type_that_was_asked_for(real, resize_in, resize):
    train, test = make_loaders(real, BATCH, resize, resize_in=resize_in)
    train.shuffle = False
    for loader, part in ((train, real.train), (test, real.test)):
        ours = np.concatenate([x.asnumpy() for x, _ in loader])
        np.testing.assert_array_equal(ours, resized_one_by_one(part.images, resize, resize_in))


def test_uint8_is_the_default(root, real):
    _, test = load_data_fashion_mnist(BATCH, 32, root)
    ours = np.concatenate([x.asnumpy() for x, _ in test])
    np.testing.assert_array_equal(ours, resized_one_by_one(real.test.images, 32, "uint8"))
    np.testing.assert_array_equal(ours, (ours * 255).round() / np.float32(255))  # rounded to whole levels


@pytest.mark.parametrize("resize", [20, 32, 96, 224])
def test_the_two_ways_to_round_differ_and_by_no_more_than_one_level(real, resize):
    difference = np.abs(preprocessed(real.train, resize, "uint8") - preprocessed(real.train, resize, "float32"))
    assert 0 < difference.max() <= 1 / 255


def test_without_a_type_images_are_resized_in_their_own(real):
    for dtype in ("uint8", "float32"):
        images = nd.array(real.test.images, dtype=dtype)
        ours, _ = Preprocess(32)(images, nd.array(real.test.labels))
        np.testing.assert_array_equal(ours.asnumpy(), resized_one_by_one(real.test.images, 32, dtype))


@pytest.mark.parametrize("resize_in", ["uint8", "float32"])
@pytest.mark.parametrize("resize", [None, 12, 48])
def test_colour_images_keep_their_channels_in_order(rng, resize_in, resize):
    part = Images(rng.randint(0, 256, (5, 32, 32, 3)).astype(np.uint8), np.arange(5))
    ours = preprocessed(part, resize, resize_in)
    assert ours.shape == (5, 3, resize or 32, resize or 32)
    np.testing.assert_array_equal(ours, resized_one_by_one(part.images, resize or 32, resize_in))


@pytest.mark.parametrize("resize", SIZES)
def test_batches_are_float_planes_between_nought_and_one(root, resize):
    for loader in load_data_fashion_mnist(BATCH, resize, root):
        x, y = next(iter(loader))
        side = resize or 28
        assert x.shape == (BATCH, 1, side, side)
        assert y.shape == (BATCH,)
        assert x.dtype == y.dtype == np.float32
        assert x.min().asscalar() == 0
        assert 0.9 < x.max().asscalar() <= 1
        assert set(y.asnumpy()) <= set(range(10))


def test_images_that_are_not_resized_lose_nothing(real):
    pixels = preprocessed(real.test, None, "uint8")
    np.testing.assert_array_equal((pixels * 255).round(), real.test.images.transpose(0, 3, 1, 2))


# ---------------------------------------------------------------- which examples, in which order


def test_the_training_images_are_shuffled_and_the_test_images_in_order(root, real):
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
def test_discard_drops_the_last_partial_batch_and_nothing_else(count, left):
    loader = DataLoader(numbered(count), BATCH, False, last_batch="discard")
    assert all_labels(loader) == list(range(left))
    assert (len(loader), loader.examples) == (left // BATCH, left)


@pytest.mark.parametrize(("last_batch", "batches", "examples"), [("keep", 157, 10_000), ("discard", 156, 9_984)])
def test_the_published_evaluation_leaves_out_sixteen_test_images_ours_none(
    full_fashion_mnist, last_batch, batches, examples
):
    _, test = make_loaders(full_fashion_mnist, 64, 224, last_batch=last_batch)
    assert (len(test), test.examples) == (batches, examples)


def test_images_and_labels_stay_together():
    for x, y in DataLoader(numbered(100), BATCH, True):
        np.testing.assert_array_equal(x[:, 0, 0, 0].asnumpy(), y.asnumpy())


def test_every_pass_has_another_order():
    loader = DataLoader(numbered(100), BATCH, True)
    assert all_labels(loader) != all_labels(loader)


def test_the_same_numpy_seed_gives_the_same_order():
    orders = []
    for seed in (1, 1, 2):
        loader = DataLoader(numbered(100), BATCH, True)
        np.random.seed(seed)
        orders.append(all_labels(loader))
    assert orders[0] == orders[1] != orders[2]


def test_a_generator_of_its_own_decides_the_order_and_leaves_numpys_alone():
    def order(seed):
        return all_labels(DataLoader(numbered(100), BATCH, True, rng=np.random.RandomState(seed)))

    before = np.random.get_state()[1:3]
    assert order(1) == order(1) != order(2)
    after = np.random.get_state()[1:3]
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_a_newer_numpy_generator_can_decide_the_order_too():
    orders = [all_labels(DataLoader(numbered(100), BATCH, True, rng=np.random.default_rng(3))) for _ in range(2)]
    assert orders[0] == orders[1] != list(range(100))


def test_without_shuffling_numpys_generator_is_left_alone():
    before = np.random.get_state()[2]
    all_labels(DataLoader(numbered(100), BATCH, False))
    assert np.random.get_state()[2] == before


def test_two_passes_at_once_do_not_disturb_each_other():
    loader = DataLoader(numbered(100), BATCH, False)
    pairs = [(one.asnumpy().tolist(), two.asnumpy().tolist()) for (_, one), (_, two) in zip(loader, loader)]
    assert [label for one, _ in pairs for label in one] == list(range(100))
    assert all(one == two for one, two in pairs)


# ---------------------------------------------------------------- what it takes


def test_without_a_transform_batches_have_the_images_own_layout_and_type():
    x, y = next(iter(DataLoader(numbered(40, side=3, channels=2), BATCH, False)))
    assert x.shape == (BATCH, 3, 3, 2)
    assert x.dtype == np.uint8
    assert y.dtype == np.float32


def test_a_transform_gets_whole_batches_of_ndarrays_and_its_result_is_the_batch():
    seen = []

    def transform(images, labels):
        assert isinstance(images, nd.NDArray)
        assert isinstance(labels, nd.NDArray)
        seen.append(images.shape)
        # as in the source: NDArray methods only
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
def test_whatever_gives_images_and_labels_for_a_slice_is_a_data_set(make):
    loader = DataLoader(make(), 4, False)
    assert loader.examples == 10
    np.testing.assert_array_equal(np.concatenate([x.asnumpy() for x, _ in loader]), IMAGES)
    assert all_labels(loader) == list(range(10))
    assert next(iter(loader))[0].dtype == np.float32


def test_images_and_labels_that_differ_in_number_are_refused():
    with pytest.raises(ValueError, match="10 images and 9 labels"):
        DataLoader((IMAGES, LABELS[:9]), 4, False)


@pytest.mark.parametrize("last_batch", ["rollover", "", None, "Keep"])
def test_an_unknown_last_batch_is_refused(last_batch):
    with pytest.raises(ValueError, match="'keep' or 'discard'"):
        DataLoader(numbered(4), 2, False, last_batch=last_batch)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_one_is_refused(batch_size):
    with pytest.raises(ValueError, match="use 1 or more"):
        DataLoader(numbered(4), batch_size, False)


@pytest.mark.parametrize("resize_in", ["float16", "", None])
def test_an_unknown_way_to_round_is_refused(root, resize_in):
    with pytest.raises(ValueError, match="uint8, float32, published"):
        load_data_fashion_mnist(BATCH, 32, root, resize_in=resize_in)


def test_the_root_folder_may_be_a_string_and_comes_before_every_other_place(root, places):
    train, test = load_data_fashion_mnist(BATCH, None, str(root))
    assert (train.examples, test.examples) == (150, 70)


# ---------------------------------------------------------------- ahead, in threads


class Counting:
    """A transform that counts the batches begun, and may wait or fail."""

    def __init__(self, fail_at=None):
        self.begun, self.fail_at, self._lock = 0, fail_at, threading.Lock()

    def __call__(self, images, labels):
        with self._lock:
            self.begun += 1
        if self.fail_at is not None and labels[0].asscalar() == self.fail_at:
            raise ZeroDivisionError("in the transform")
        return images, labels


def eventually(condition, seconds=10):
    """Whether `condition()` becomes true within so many seconds."""
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


def test_no_more_than_the_current_batch_and_those_ahead_are_ever_prepared():
    counting = Counting()
    for taken, _ in enumerate(DataLoader(numbered(200), 10, False, counting), 1):
        time.sleep(0.01)  # time enough for the threads to run away
        assert counting.begun <= taken + AHEAD
    assert counting.begun == 20


def test_nothing_is_prepared_before_the_first_batch_is_asked_for():
    counting = Counting()
    batches = iter(DataLoader(numbered(200), 10, True, counting))
    time.sleep(0.02)
    assert counting.begun == 0
    batches.close()


def test_an_abandoned_pass_leaves_no_threads_and_prepares_no_more():
    before = set(threading.enumerate())
    counting = Counting()
    for _ in DataLoader(numbered(200), 10, False, counting):
        break
    gc.collect()
    assert set(threading.enumerate()) == before
    assert counting.begun <= 1 + AHEAD


def test_a_whole_pass_leaves_no_threads():
    before = set(threading.enumerate())
    list(DataLoader(numbered(50), 10, False))
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("fail_at", [0, 50, 90])
def test_an_error_in_the_transform_reaches_the_loop_after_the_batches_before_it(fail_at):
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


def test_a_batch_keeps_its_values_while_later_ones_are_made(real):
    # batches lie in NumPy's memory: none may be used twice or given back early
    loader, _ = make_loaders(real, 10, 32)
    loader.shuffle = False
    kept = list(loader)
    del loader
    gc.collect()
    expected = resized_one_by_one(real.train.images, 32, "uint8")
    np.testing.assert_array_equal(np.concatenate([x.asnumpy() for x, _ in kept]), expected)


def test_a_batch_can_be_changed_by_who_gets_it(real):
    _, test = make_loaders(real, BATCH, 32)
    x, _ = next(iter(test))
    expected = x.asnumpy() * 2
    x *= 2
    np.testing.assert_array_equal(x.asnumpy(), expected)


def test_batches_are_freed_when_they_are_no_longer_used(real):
    loader, _ = make_loaders(real, 10, 224)
    tracemalloc.start()
    try:
        for x, _ in loader:
            x.wait_to_read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    batch = 10 * 224 * 224 * 4
    # the current one, the one before it, those ahead, and what is under way; all 15 would be twice as much
    assert 2 * batch < peak < (AHEAD + 5) * batch


def test_a_script_may_end_in_the_middle_of_a_pass(root):
    # Python 3.8 lets MXNet stop first and then waits for threads that wait for MXNet
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
def test_padded_images_stand_in_the_middle_of_the_background(real, size):
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
def test_pixels_of_0_and_255_become_what_was_asked_for(real, resize, fit):
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


def test_an_unknown_way_to_fit_is_refused(real):
    with pytest.raises(ValueError, match="fit is 'crop': use one of resize, pad"):
        make_loaders(real, BATCH, 32, fit="crop")
