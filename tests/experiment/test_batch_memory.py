"""Batches that do not fit into memory are an error before anything is allocated."""

import gluon_classics
from gluon_classics.data import memory
from gluon_classics.data.datasets import embedded_sample
from gluon_classics.errors import ClassicsError, MemoryTooSmall, memory_explained
from gluon_classics.experiment import batch_memory, build
from gluon_classics.experiment.settings import Settings
from gluon_classics.inspection.summary import summarize
from gluon_classics.utils.group import Group
import mxnet as mx
import numpy as np
import pytest

CPU = [mx.cpu()]


@pytest.fixture
def lenet():
    return summarize(gluon_classics.get_model("lenet"), (1, 28, 28))


def test_training_needs_the_outputs_of_all_layers_with_parameters(lenet, monkeypatch):
    values = 28 * 28 + 20 * 24 * 24 + 50 * 10 * 10 + 128 + 10
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: 4 * 1000 * values)
    batch_memory.check_batch(1000, lenet, CPU, trained=True)
    with pytest.raises(MemoryTooSmall, match=r"1,001 images of 1x28x28 needs 0.1 GB .* 0.1 GB are available"):
        batch_memory.check_batch(1001, lenet, CPU, trained=True)


def test_prediction_needs_only_the_largest_output(lenet, monkeypatch):
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: 4 * 1000 * (28 * 28 + 20 * 24 * 24))
    batch_memory.check_batch(1000, lenet, CPU)
    with pytest.raises(MemoryTooSmall):
        batch_memory.check_batch(1001, lenet, CPU)


class OfTwo(Group):
    """The first of two workers, both on this machine, which is never connected to the other."""

    size = on_machine = 2


@pytest.mark.parametrize("images", [100, 3000])
def test_workers_of_a_machine_share_its_memory_and_the_batches(monkeypatch, images):
    """With 3,000 images at once, testing needs less than training, and 1,000 test images are one batch."""
    values = 28 * 28 + 20 * 24 * 24 + 50 * 10 * 10 + 128 + 10
    monkeypatch.setattr(build, "_trainer", lambda *_: None)
    settings, data = Settings("lenet", batch_size=images), embedded_sample()
    for group in (Group(), OfTwo()):
        needed = 4 * images // group.size * values
        for free, fits in ((needed, True), (needed - 1, False)):
            monkeypatch.setattr(batch_memory, "available_memory", lambda processes, free=free: free)
            if fits:
                build.prepare(settings, CPU, data, group=group)
                continue
            with pytest.raises(
                MemoryTooSmall, match=f"a smaller batch size, {images - group.size:,} at most"
            ) as caught:
                build.prepare(settings, CPU, data, group=group)
            assert ("in each of 2 workers" in str(caught.value)) == (group.size == 2)


def test_a_machines_memory_is_divided_and_a_processs_limit_is_not(monkeypatch):
    for name, bytes_free in (("_system_memory", 8000), ("_group_memory", 6000), ("_address_space", 2500)):
        monkeypatch.setattr(memory, name, lambda bytes_free=bytes_free: bytes_free)
    assert [memory.available_memory(processes) for processes in (1, 2, 4)] == [2500, 2500, 1500]


def test_an_array_of_a_batch_has_less_than_2_to_31_values(lenet, monkeypatch):
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: None)
    largest = (2**31 - 1) // (20 * 24 * 24)
    batch_memory.check_batch(largest, lenet, CPU)
    with pytest.raises(MemoryTooSmall, match="use a smaller batch size"):
        batch_memory.check_batch(largest + 1, lenet, CPU)
    batch_memory.check_batch(2 * largest, lenet, [mx.cpu(0), mx.cpu(1)])


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda: np.zeros((10**6, 10**8)), r"Unable to allocate 728\. TiB"),
        (lambda: bytes(2**62), "an array cannot be allocated"),
        (lambda: mx.nd.zeros((2**31, 2)).wait_to_read(), r"4294967296 vs\. 2147483647"),
    ],
    ids=["NumPy", "Python", "MXNet"],
)
def test_missing_memory_is_one_line_that_says_what_to_do(work, words):
    with pytest.raises(MemoryTooSmall, match=words) as caught, memory_explained():
        work()
    assert isinstance(caught.value, (ClassicsError, MemoryError))
    assert "use a smaller batch size" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("free", [(10**9, 10**9), (10**9, 2 * 10**8)])
def test_a_batch_must_fit_into_the_memory_of_each_gpu(lenet, monkeypatch, free):
    monkeypatch.setattr(mx.context, "gpu_memory_info", lambda number: (free[number], 10**10), raising=False)
    values = 28 * 28 + 20 * 24 * 24 + 50 * 10 * 10 + 128 + 10
    most = 2 * (min(free) // (4 * values))
    gpus = [mx.gpu(0), mx.gpu(1)]
    batch_memory.check_batch(most, lenet, gpus, trained=True)
    where = rf"gpu\({free.index(min(free))}\)"
    with pytest.raises(MemoryTooSmall, match=rf"or more on {where}, .*: use a smaller batch size, {most:,} at most"):
        batch_memory.check_batch(most + 1, lenet, gpus, trained=True)


def test_the_gpus_error_about_memory_is_explained():
    text = "Traceback\n  File x\nMXNetError: Check failed: e == cudaSuccess: cudaMalloc retry failed: out of memory"
    with pytest.raises(MemoryTooSmall, match=r"out of memory.*: use a smaller batch size"), memory_explained():
        raise mx.base.MXNetError(text)


def test_other_errors_stay_as_they_are():
    with pytest.raises(ZeroDivisionError), memory_explained():
        print(1 / 0)
