"""`doctor` shows how much memory there is, and what batch `train` would accept."""

from gluon_classics import get_model, model_info
from gluon_classics.diagnostics import doctor, memory_worker
from gluon_classics.errors import MemoryTooSmall
from gluon_classics.experiment import batch_memory
from gluon_classics.inspection.summary import summarize
import mxnet as mx
import pytest

FREE = {0: 3 * 10**9, 1: 2 * 10**8}


@pytest.fixture
def devices(monkeypatch):
    """Return a CPU and two GPUs, of whose memory MXNet is made to tell."""
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: 5 * 10**9)
    monkeypatch.setattr(mx.context, "gpu_memory_info", lambda number: (FREE[number], 10**10), raising=False)
    return [mx.cpu(), mx.gpu(0), mx.gpu(1)]


def test_the_batch_is_the_largest_that_train_accepts(devices):
    info = model_info(doctor.EXAMPLE_NETWORK)
    counts = summarize(get_model(doctor.EXAMPLE_NETWORK), info.input_shape)
    rooms = memory_worker.rooms(devices)
    assert [room["device"] for room in rooms] == ["main memory", "gpu(0)", "gpu(1)"]
    assert [room["available"] for room in rooms] == [5 * 10**9, FREE[0], FREE[1]]
    for ctx, room in zip(devices, rooms):
        assert room["images"] > 0
        batch_memory.check_batch(room["images"], counts, [ctx], trained=True)
        with pytest.raises(MemoryTooSmall):
            batch_memory.check_batch(room["images"] + 1, counts, [ctx], trained=True)


def test_several_contexts_of_the_cpu_share_its_memory_and_gpus_do_not(devices):
    counts = summarize(get_model("lenet"), (1, 28, 28))
    one = batch_memory.training_room(counts, [mx.cpu(0)])
    assert batch_memory.training_room(counts, [mx.cpu(0), mx.cpu(1)]) == one
    smallest = batch_memory.training_room(counts, [mx.gpu(1)])
    assert batch_memory.training_room(counts, devices[1:]) == (2 * smallest.images, FREE[1])


def test_an_array_of_the_batch_has_less_than_2_to_31_values(monkeypatch):
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: 10**15)
    counts = summarize(get_model("lenet"), (1, 28, 28))
    most = batch_memory.training_room(counts, [mx.cpu()]).images
    batch_memory.check_batch(most, counts, [mx.cpu()], trained=True)
    with pytest.raises(MemoryTooSmall):
        batch_memory.check_batch(most + 1, counts, [mx.cpu()], trained=True)


def test_the_line_names_each_device_and_a_power_of_two():
    check = doctor.memory_check(
        [
            {"device": "main memory", "available": 5 * 10**9, "images": 700},
            {"device": "gpu(0)", "available": 10**9, "images": 128},
            {"device": "gpu(1)", "available": None, "images": None},
        ]
    )
    words = "main memory 5.0 GB free, a batch of 512; gpu(0) 1.0 GB free, a batch of 128; gpu(1) does not tell"
    assert (check.ok, check.found) == (True, words)
    assert "resnet" in check.fix


def test_memory_for_no_image_at_all_is_a_problem():
    check = doctor.memory_check([{"device": "gpu(0)", "available": 10**6, "images": 0}])
    assert not check.ok
    assert "too little for one image of resnet" in check.fix


def test_a_device_that_does_not_tell_is_not_a_problem(monkeypatch):
    monkeypatch.setattr(batch_memory, "available_memory", lambda processes=1: None)

    def fails(number):
        raise mx.base.MXNetError("no driver")

    monkeypatch.setattr(mx.context, "gpu_memory_info", fails, raising=False)
    rooms = memory_worker.rooms([mx.cpu(), mx.gpu(0)])
    assert [(room["available"], room["images"]) for room in rooms] == [(None, None), (None, None)]
    assert doctor.memory_check(rooms).ok
