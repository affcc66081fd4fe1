"""Checkpoint files are read exactly or reported as damaged, and training resumes from them bit-identically."""

import hashlib

from gluon_classics import utils
from gluon_classics.errors import ClassicsError, RunError
from gluon_classics.runs import checkpoint
from gluon_classics.runs.checkpoint import Damaged, read_checkpoint, write_checkpoint
from gluon_classics.runs.state import capture_trainer, restore_trainer
from gluon_classics.utils.training import TrainingLoop
import mxnet as mx
from mxnet import gluon, nd
from mxnet.gluon import nn
import numpy as np
import pytest

LOSS = gluon.loss.SoftmaxCrossEntropyLoss()
FACTS = {"epoch": 3, "loss": 0.1 + 0.2, "never": float("nan"), "name": "blår"}
ARRAYS = {
    "weights@0": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "none@0": np.zeros((0, 5), np.float32),
    "count@0": np.array(7, np.int64),
    "half@0": np.ones(3, np.float16),
}
MXNETS = {name for name, kind in mx.optimizer.Optimizer.opt_registry.items() if kind.__module__.startswith("mxnet.")}
OPTIMIZERS = sorted(MXNETS - {"test", "groupadagrad"})  # groupadagrad updates 2-d weights only


@pytest.fixture
def path(tmp_path):
    path = checkpoint.checkpoint_path(tmp_path, 3, 12)
    write_checkpoint(path, FACTS, {**ARRAYS, "ndarray@0": nd.arange(5)})
    return path


def test_a_checkpoint_is_read_as_it_was_written(path):
    facts, arrays = read_checkpoint(path)
    assert repr(facts) == repr(FACTS)
    assert list(arrays) == [*ARRAYS, "ndarray@0"]
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert np.array_equal(arrays[name], array)
    assert np.array_equal(arrays["ndarray@0"], np.arange(5))


def test_a_changed_byte_is_detected(path, rng):
    content = path.read_bytes()
    for place in [0, len(content) - 1, *rng.randint(0, len(content), 60)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.randint(8)
        path.write_bytes(damaged)
        with pytest.raises(Damaged, match="is damaged"):
            read_checkpoint(path)


def test_a_truncated_or_extended_file_is_detected(path, rng):
    content = path.read_bytes()
    for length in [0, 1, 31, 32, 33, len(content) - 1, *rng.randint(0, len(content), 20)]:
        path.write_bytes(content[:length])
        with pytest.raises(Damaged, match="is damaged"):
            read_checkpoint(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(Damaged, match="is damaged"):
        read_checkpoint(path)


def test_a_header_that_numpy_cannot_read_is_damage(path):
    write_checkpoint(path, {}, {"a": np.zeros(3)})
    content = path.read_bytes()[:-32].replace(b"(3,), }", b"(3L,(  ")
    path.write_bytes(content + hashlib.sha256(content).digest())
    with pytest.raises(Damaged, match="one of its arrays has a header"):
        read_checkpoint(path)


def test_a_missing_file_counts_as_damaged_and_another_format_does_not(path, monkeypatch):
    with pytest.raises(Damaged, match="No such file"):
        read_checkpoint(path.with_name("missing.ckpt"))
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    write_checkpoint(path, FACTS, ARRAYS)
    monkeypatch.undo()
    with pytest.raises(RunError, match="has format 99") as error:
        read_checkpoint(path)
    assert not isinstance(error.value, Damaged)


def test_a_failed_write_leaves_the_previous_content(path):
    class Unreadable:
        def asnumpy(self):
            raise OSError(28, "No space left on device")

    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(path, {}, {**ARRAYS, "last": Unreadable()})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_newest_checkpoints_are_kept_by_position(tmp_path):
    positions = [(0, 5), (0, 40), (1, 0), (10, 3), (99_999, 99_999_999), (99_999, 10**8), (100_000, 0)]
    for epoch, batches in positions:
        checkpoint.checkpoint_path(tmp_path, epoch, batches).touch()
    (tmp_path / "checkpoint-mine.ckpt").touch()
    assert checkpoint.checkpoints(tmp_path)[4] == checkpoint.checkpoint_path(tmp_path, 1, 0)
    checkpoint.remove_old(tmp_path)
    names = [path.name for path in checkpoint.checkpoints(tmp_path)]
    assert names == ["checkpoint-100000-00000000.ckpt", "checkpoint-99999-100000000.ckpt"]
    assert (tmp_path / "checkpoint-mine.ckpt").exists()


# --- the state of a training


class Training:
    """A small network that is hard to restore exactly, with its optimizer and its training batches."""

    def __init__(self, optimizer, contexts, net=None, **options):
        self.contexts = contexts
        self.net = net or layers()
        self.net.initialize(mx.init.Xavier(), ctx=contexts)
        for ctx in contexts:
            self.net(nd.zeros((1, 1, 6, 6), ctx=ctx))
        optimizer = mx.optimizer.create(optimizer, **options)
        self.trainer = gluon.Trainer(list(self.net.collect_params().values()), optimizer)
        self.forward = utils.hybridized(self.net)

    def steps(self, numbers):
        def batch(number):
            mx.random.seed(number)
            rng = np.random.RandomState(number)
            return nd.array(rng.rand(9, 1, 6, 6)), nd.array(rng.randint(0, 3, 9))

        given = map(batch, numbers)
        TrainingLoop(self.forward, LOSS, self.trainer, self.contexts).run(given, [batch(0)], 1)

    def values(self):
        """Return the facts of the state, and all arrays of the network on every context and of the optimizer."""
        facts, arrays = capture_trainer(self.net, self.trainer)
        copies = [c.asnumpy() for p in self.net.collect_params().values() for c in p.list_data()]
        return facts, copies + [array.asnumpy() for array in arrays.values()]


def layers():
    net = nn.Sequential()
    net.add(nn.Conv2D(4, 3, activation="relu"), nn.BatchNorm(), nn.Dropout(0.3), nn.Dense(5), nn.Dense(3))
    return net


def assert_same(first, second):
    assert repr(first[0]) == repr(second[0])
    assert all(map(np.array_equal, first[1], second[1]))


CONTEXTS = [[mx.cpu(0)], [mx.cpu(0), mx.cpu(1)]]


@pytest.mark.parametrize("contexts", CONTEXTS, ids=["one", "two"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resumed_training_is_bit_identical_with_every_optimizer(name, contexts, tmp_path):
    options = {"learning_rate": 0.01, "wd": 0.001}
    if name in ("sgd", "nag", "signum", "lars", "lbsgd", "ccsgd"):
        options["momentum"] = 0.9
    whole = Training(name, contexts, **options)
    parts = Training(name, contexts, **options)
    for mine, other in zip(whole.net.collect_params().values(), parts.net.collect_params().values()):
        mine.set_data(other.data(contexts[0]))
    whole.steps(range(6))
    parts.steps(range(3))
    write_checkpoint(tmp_path / "half", *capture_trainer(parts.net, parts.trainer))
    again = Training(name, contexts, **options)
    restore_trainer(again.net, again.trainer, *read_checkpoint(tmp_path / "half"))
    assert_same(again.values(), parts.values())
    again.steps(range(3, 6))
    assert_same(again.values(), whole.values())
    assert not np.array_equal(whole.values()[1][0], parts.values()[1][0])


@pytest.mark.parametrize("forgotten", ["optimizer", "states"])
def test_training_differs_without_the_state_of_the_optimizer(forgotten, tmp_path):
    """Without it the comparison in the test above would fail."""
    whole = Training("adam", CONTEXTS[0])
    whole.steps(range(3))
    write_checkpoint(tmp_path / "part", *capture_trainer(whole.net, whole.trainer))
    fresh = Training("adam", CONTEXTS[0])
    restore_trainer(fresh.net, fresh.trainer, *read_checkpoint(tmp_path / "part"))
    (updater,), optimizer = fresh.trainer._updaters, fresh.trainer.optimizer
    if forgotten == "states":
        updater.states.clear()
    else:
        optimizer.num_update = 0
        optimizer._all_index_update_counts[0].clear()
    whole.steps([3])
    fresh.steps([3])
    assert not np.array_equal(whole.values()[1][0], fresh.values()[1][0])


def test_restored_states_of_the_optimizer_move_to_the_device_of_the_training(tmp_path):
    device = mx.cpu(1)
    first, again = (Training("sgd", [device], momentum=0.9) for _ in range(2))
    first.steps([0])
    write_checkpoint(tmp_path / "half", *capture_trainer(first.net, first.trainer))
    restore_trainer(again.net, again.trainer, *read_checkpoint(tmp_path / "half"))
    again.steps([1])
    states = [state for state in again.trainer._updaters[0].states.values() if state is not None]
    assert len(states) == 8
    assert {state.context for state in states} == {device}


def test_a_learning_rate_schedule_is_resumed(tmp_path):
    def training():
        schedule = mx.lr_scheduler.FactorScheduler(step=2, factor=0.5, base_lr=0.1)
        return Training("sgd", CONTEXTS[0], lr_scheduler=schedule)

    whole, again = training(), training()
    whole.steps(range(5))
    write_checkpoint(tmp_path / "half", *capture_trainer(whole.net, whole.trainer))
    restore_trainer(again.net, again.trainer, *read_checkpoint(tmp_path / "half"))
    whole.steps(range(5, 8))
    again.steps(range(5, 8))
    assert again.trainer.learning_rate == whole.trainer.learning_rate < 0.1
    assert_same(again.values(), whole.values())


def test_running_statistics_are_kept_for_each_context():
    training = Training("sgd", CONTEXTS[1])
    training.steps(range(2))
    _, arrays = capture_trainer(training.net, training.trainer)
    twice = {name[:-2] for name in arrays if name.endswith("@1")}
    assert twice == {"1.running_mean", "1.running_var"}


def test_the_state_of_another_network_or_number_of_devices_is_refused():
    training = Training("sgd", CONTEXTS[0], momentum=0.9)
    training.steps(range(1))
    state, arrays = capture_trainer(training.net, training.trainer)
    arrays = {name: array.asnumpy() for name, array in arrays.items()}
    twice = Training("sgd", CONTEXTS[1], momentum=0.9)
    with pytest.raises(RunError, match="another number of devices"):
        restore_trainer(twice.net, twice.trainer, state, arrays)
    wider = nn.Sequential()
    wider.add(nn.Conv2D(5, 3), nn.BatchNorm(), nn.Dropout(0.3), nn.Dense(5), nn.Dense(3))
    other = Training("sgd", CONTEXTS[0], net=wider, momentum=0.9)
    with pytest.raises(RunError, match="another network"):
        restore_trainer(other.net, other.trainer, state, arrays)


def test_an_optimizer_whose_state_cannot_be_saved_is_named_in_the_error():
    training = Training("sgd", CONTEXTS[0])
    training.steps(range(1))
    training.trainer.optimizer.callback = print
    with pytest.raises(ClassicsError, match="SGD cannot be checkpointed: it keeps a builtin_function"):
        capture_trainer(training.net, training.trainer)
