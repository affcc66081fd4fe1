"""Seeding: one seed for three generators, and independent numbers for different seeds."""

from dataclasses import replace
import itertools
import random

from gluon_classics import LeNet, utils
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils import loader
from gluon_classics.utils.seeding import RandomStreams
from gluon_classics.utils.training import Callback
import mxnet as mx
from mxnet import autograd, nd
import numpy as np
import pytest

COUNT = 2**17  # enough numbers to use all of MXNet's 1024 generators on the CPU


def uniform():
    return nd.random.uniform(shape=(COUNT,)).asnumpy()


def dropout_mask():
    """Return -1 for dropped elements, else 1."""
    with autograd.train_mode():
        return nd.Dropout(nd.ones((COUNT,)), p=0.5).asnumpy() - 1


def shared(first, second):
    """Return the fraction of the numbers in `first` that also occur in `second`, at any place."""
    return len(np.intersect1d(first, second)) / len(first)


def likeness(first, second):
    """Return the largest correlation of two masks over all shifts (1: one mask is the other one, shifted)."""
    products = np.fft.irfft(np.fft.rfft(first) * np.conj(np.fft.rfft(second)), COUNT)
    return np.abs(products).max() / COUNT


def test_the_same_seed_gives_the_same_numbers_weights_and_masks():
    def draws():
        utils.seed_everything(5)
        initial = LeNet()
        initial.initialize(mx.init.Xavier())
        initial(nd.zeros((1, 1, 28, 28)))
        weights = [p.data().asnumpy().tolist() for p in initial.collect_params().values()]
        return uniform().tolist(), dropout_mask().tolist(), np.random.rand(9).tolist(), random.random(), weights

    assert draws() == draws()


@pytest.mark.parametrize("draw", [uniform, dropout_mask, lambda: np.random.rand(9), random.random])
def test_every_generator_is_seeded(draw):
    """After other draws, the same seed gives the same numbers again, and another seed does not."""
    utils.seed_everything(0)
    first = draw()
    draw()
    utils.seed_everything(0)
    assert np.array_equal(draw(), first)
    utils.seed_everything(1)
    assert not np.array_equal(draw(), first)


def test_neighboring_seeds_of_mxnet_itself_share_most_numbers():
    """This is why seeds are spread. If this test fails, spreading is no longer needed."""
    mx.random.seed(0)
    numbers, mask = uniform(), dropout_mask()
    mx.random.seed(1)
    assert shared(numbers, uniform()) > 0.5
    assert likeness(mask, dropout_mask()) > 0.5


def test_neighboring_seeds_share_no_numbers():
    drawn = []
    for seed in range(4):
        utils.seed_everything(seed)
        drawn.append((uniform(), dropout_mask()))
    for (numbers, mask), (other_numbers, other_mask) in itertools.combinations(drawn, 2):
        # there are about 2^24 float32 numbers in 0..1, so chance gives 2^17 / 2^24 = 0.008
        assert shared(numbers, other_numbers) < 0.02
        assert likeness(mask, other_mask) < 0.03  # chance gives about 0.013


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**31, 2**32 - 1, 2**40])
def test_every_seed_from_0_on_is_valid(seed):
    utils.seed_everything(seed)
    first = uniform()
    utils.seed_everything(seed)
    assert np.array_equal(uniform(), first)


# --- streams


def after(seed, epoch, batches):
    """Return uniform numbers and a mask, drawn at a fixed point."""
    RandomStreams(seed).enter(epoch, batches)
    return uniform(), dropout_mask()


def test_different_batches_epochs_and_seeds_share_no_numbers():
    places = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (2, 0, 0)]
    utils.seed_everything(0)
    drawn = [(uniform(), dropout_mask()), *(after(*place) for place in places)]
    for (numbers, mask), (other_numbers, other_mask) in itertools.combinations(drawn, 2):
        assert shared(numbers, other_numbers) < 0.02
        assert likeness(mask, other_mask) < 0.03


def test_two_contexts_share_no_numbers():
    RandomStreams(0).enter(0, 0)
    first, second = (nd.random.uniform(shape=(COUNT,), ctx=mx.cpu(i)).asnumpy() for i in range(2))
    assert shared(first, second) < 0.02


def test_mxnet_is_seeded_only_at_fixed_points():
    streams = RandomStreams(5, every=3)
    assert [streams.is_fixed_point(batches) for batches in range(7)] == [True, False, False, True, False, False, True]
    streams.enter(2, 3)
    first = uniform()
    streams.enter(2, 4)
    assert not np.array_equal(uniform(), first)
    streams.enter(2, 3)
    assert np.array_equal(uniform(), first)


def test_the_order_of_examples_depends_only_on_seed_and_epoch():
    orders = {
        (seed, epoch): RandomStreams(seed).order(epoch).permutation(100) for seed in range(3) for epoch in range(3)
    }
    for one, another in itertools.combinations(orders.values(), 2):
        assert not np.array_equal(one, another)
    np.random.seed(1)
    mx.random.seed(1)
    assert np.array_equal(RandomStreams(1).order(2).permutation(100), orders[1, 2])
    state = np.random.get_state()[1].copy()
    RandomStreams(1).order(2).permutation(100)
    assert np.array_equal(np.random.get_state()[1], state)


def test_the_chosen_examples_are_different_and_depend_on_seed_epoch_and_batches():
    places = list(itertools.product(range(2), repeat=3))
    chosen = {place: RandomStreams(place[0]).some(*place[1:], 1000, 500) for place in places}
    for numbers in chosen.values():
        assert len(set(numbers)) == 500
        assert 0 <= min(numbers) < max(numbers) < 1000
    for one, another in itertools.combinations(chosen.values(), 2):
        assert not np.array_equal(one, another)
    assert np.array_equal(RandomStreams(1).some(0, 1, 1000, 500), chosen[1, 0, 1])


def test_of_fewer_examples_all_are_chosen():
    assert sorted(RandomStreams(0).some(0, 0, 40, 500)) == list(range(40))


@pytest.mark.parametrize(("macs", "every"), [(0, 256), (1, 256), (10**9, 10), (10**10, 1), (10**12, 1)])
def test_batches_with_more_work_are_seeded_more_often(macs, every):
    assert RandomStreams.for_work(0, macs).every == every


def test_prefetching_and_other_random_draws_do_not_change_a_training(fashion_mnist, monkeypatch):
    data = replace(fashion_mnist, train=fashion_mnist.train.subset(96), test=fashion_mnist.test.subset(32))
    settings = Settings("lenet", epochs=2, batch_size=16, momentum=0.9)

    def trained(disturb=None):
        experiment = prepare(settings, [mx.cpu()], data)
        results = experiment.train([disturb] if disturb else [])
        values = [p.data().asnumpy() for p in experiment.net.collect_params().values()]
        return values, [(result.train_loss, result.test_accuracy) for result in results]

    class Disturb(Callback):
        def after_batch(self, loop):
            np.random.seed(loop.batches)
            np.random.rand(loop.batches)
            random.seed(loop.batches)

    values, results = trained()
    for workers, ahead in ((1, 1), (4, 7)):
        monkeypatch.setattr(loader, "WORKERS", workers)
        monkeypatch.setattr(loader, "AHEAD", ahead)
        other_values, other_results = trained(Disturb())
        assert all(map(np.array_equal, values, other_values))
        assert other_results == results
    settings = replace(settings, seed=1)
    assert not np.array_equal(trained()[0][0], values[0])
