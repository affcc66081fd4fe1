"""What the training loop and the loaders do in a group of processes."""

from gluon_classics.data.images import Images
from gluon_classics.errors import ClassicsError
from gluon_classics.utils import context
from gluon_classics.utils.group import Group, average_statistics
from gluon_classics.utils.loader import DataLoader
from gluon_classics.utils.seeding import RandomStreams
import mxnet as mx
from mxnet import gluon
import numpy as np
import pytest

WORKERS = 3


def loader(images, batch_size, share=(0, 1), last_batch="keep"):
    data = Images(np.zeros((images, 2, 2, 1), np.uint8), np.arange(images))
    return DataLoader(data, batch_size, True, last_batch=last_batch, share=share)


def labels(parts):
    return [int(label) for _, labels in parts for label in labels.asnumpy()]


@pytest.mark.parametrize("last_batch", ["keep", "discard"])
@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize(("images", "batch_size"), [(20, 8), (10, 3), (7, 4), (5, 4), (9, 4), (12, 6)])
def test_the_shares_of_a_batch_make_it_whole(images, batch_size, size, last_batch):
    def batches(share):
        made = loader(images, batch_size, share, last_batch).in_parts(np.random.RandomState(0), size, skip=1)
        return [(examples, count, labels(parts)) for examples, count, parts in made]

    shares = [batches((rank, WORKERS)) for rank in range(WORKERS)]
    whole = batches((0, 1))
    assert all(len(share) == len(whole) for share in shares), "all processes make the same number of steps"
    for one, *parts in zip(whole, *shares):
        assert [number for *_, numbers in parts for number in numbers] == one[2]
        assert {examples for examples, *_ in parts} == {one[0]}
        assert max(len(numbers) for *_, numbers in parts) <= -(-one[0] // WORKERS)
        assert all(count == -(-len(numbers) // (size or batch_size)) for _, count, numbers in parts)
    for rank in range(WORKERS):
        made = loader(images, batch_size, (rank, WORKERS), last_batch)
        assert made.share_examples == len(labels(made))
        assert made.examples == loader(images, batch_size, last_batch=last_batch).examples


def test_processes_draw_different_numbers_in_the_same_order_of_images():
    def drawn(rank):
        RandomStreams(5, rank=rank).enter(1, 2)
        return mx.nd.random.uniform(shape=8).asnumpy().tolist()

    assert len({tuple(drawn(rank)) for rank in range(WORKERS)}) == WORKERS
    first, second = (RandomStreams(5, rank=rank).order(1).permutation(50) for rank in (0, 1))
    assert np.array_equal(first, second)


class Others(Group):
    """A group in which the other processes have given arrays."""

    def __init__(self, *others):
        self.size = 1 + len(others)
        self._others = others

    def gather(self, array):
        return [array, *(np.asarray(other, array.dtype) for other in self._others)]


def test_the_sum_of_a_group_is_that_of_all():
    assert Others([1.0, 2.0], [10.0, 20.0]).sum(np.array([0.5, 0.25])).tolist() == [11.5, 22.25]
    assert Group().sum(np.array([3])).tolist() == [3]


@pytest.mark.parametrize("devices", [1, 2])
def test_running_statistics_become_the_mean_of_all_processes(devices):
    contexts = [mx.cpu(number) for number in range(devices)]
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.BatchNorm(in_channels=2))
    net.initialize(ctx=contexts)
    mean, variance = net[0].running_mean, net[0].running_var
    mean.set_data(mx.nd.array([1, 2]))
    average_statistics(net, Others([3, 6, 1, 1], [5, 1, 1, 1]))
    for ctx in contexts:
        assert mean.data(ctx).asnumpy().tolist() == [3, 3]
        assert variance.data(ctx).asnumpy().tolist() == [1, 1]
        assert net[0].gamma.data(ctx).asnumpy().tolist() == [1, 1]


def test_workers_share_the_gpus_of_their_machine(monkeypatch):
    found = [mx.Context("gpu", number) for number in range(5)]
    monkeypatch.setattr(context, "try_all_gpus", lambda: found)
    assert context.contexts_of_worker("auto", 1, 2) == [found[1], found[3]]
    with pytest.raises(ClassicsError, match="6 workers cannot share 5 GPUs"):
        context.contexts_of_worker("auto", 5, 6)
    assert context.contexts_of_worker("cpu:0,cpu:1", 1, 2) == [mx.cpu(0), mx.cpu(1)]
    monkeypatch.setattr(context, "try_all_gpus", lambda: [mx.cpu()])
    assert context.contexts_of_worker("auto", 7, 8) == [mx.cpu()]
