"""Checkpoints are written after each epoch, and within an epoch at the first fixed point after some minutes."""

from types import SimpleNamespace

from gluon_classics.runs import runner
from gluon_classics.runs.checkpoint import checkpoint_path, checkpoints
from gluon_classics.utils.group import Group
import pytest

SECONDS_PER_BATCH = 10
FIXED_POINTS = 4  # batches between two fixed points


class Loop:
    """A training whose batches advance a simulated clock."""

    def __init__(self, callback, clock):
        self.epoch = self.batches = 0
        self._callback, self._clock = callback, clock

    @property
    def position(self):
        return SimpleNamespace(epoch=self.epoch, batches=self.batches)

    def train(self, batches):
        for self.batches in range(1, batches + 1):
            self._clock.now += SECONDS_PER_BATCH
            self._callback.after_batch(self)
        self.epoch, self.batches = self.epoch + 1, 0
        self._callback.after_epoch(self, None)


@pytest.fixture
def training(monkeypatch, tmp_path):
    """Return a function that makes a training with `minutes` between checkpoints, and the list of their positions."""

    def make(minutes):
        clock, written = SimpleNamespace(now=1000.0), []
        monkeypatch.setattr(runner.time, "perf_counter", lambda: clock.now)
        monkeypatch.setattr(runner, "capture", lambda _experiment, position, _epochs: (position, None))

        def write(path, at, _arrays):
            path.touch()
            written.append((at.epoch, at.batches))

        monkeypatch.setattr(runner, "write_checkpoint", write)
        streams = SimpleNamespace(is_fixed_point=lambda number: number % FIXED_POINTS == 0)
        experiment = SimpleNamespace(streams=streams, settings=SimpleNamespace(epochs=3), group=Group())
        folder = SimpleNamespace(path=tmp_path, record=SimpleNamespace(epochs=()))
        callback = runner.CheckpointCallback(experiment, folder, minutes, SimpleNamespace(signal=None))
        return Loop(callback, clock), written

    return make


def test_a_checkpoint_is_written_at_the_first_fixed_point_after_the_minutes_and_after_each_epoch(training):
    loop, written = training(minutes=1)
    loop.train(18)  # a minute is over after batch 6, and six batches after the checkpoint at batch 8
    assert written == [(0, 8), (0, 16), (1, 0)]
    loop.train(6)
    assert written[3:] == [(2, 0)], "the minutes count from the last checkpoint, which ended the previous epoch"


def test_two_checkpoints_are_kept_while_a_training_runs(training, tmp_path):
    loop, written = training(minutes=0)
    loop.train(9)
    assert len(written) == 3
    assert checkpoints(tmp_path) == [checkpoint_path(tmp_path, *position) for position in reversed(written[1:])]


def test_with_0_minutes_a_checkpoint_is_written_at_every_fixed_point(training):
    loop, written = training(minutes=0)
    loop.train(9)
    assert written == [(0, 4), (0, 8), (1, 0)]
