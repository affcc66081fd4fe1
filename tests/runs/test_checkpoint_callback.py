"""When checkpoints are written within an epoch: at the first fixed point after so many minutes."""

from types import SimpleNamespace

from gluon_classics.runs import runner
from gluon_classics.utils.training import Position
import pytest

SECONDS_A_BATCH = 10
FIXED_POINTS = 4  # batches from one to the next


@pytest.fixture
def keeper_of(monkeypatch):
    """A function that makes a keeper with so many minutes between checkpoints, on a clock that batches move.

    Returns the keeper, the clock and the positions that were written, as (epoch, batches, seconds in the epoch).
    """

    def make(minutes):
        clock, written = SimpleNamespace(now=1000.0), []
        monkeypatch.setattr(runner.time, "perf_counter", lambda: clock.now)
        monkeypatch.setattr(runner, "take", lambda _experiment, position, _results: (position, None))
        monkeypatch.setattr(
            runner, "write_checkpoint", lambda _path, at, _: written.append((at.epoch, at.batches, at.seconds))
        )
        monkeypatch.setattr(runner, "remove_old", lambda _folder: None)
        streams = SimpleNamespace(is_fixed_point=lambda number: number % FIXED_POINTS == 0)
        experiment = SimpleNamespace(streams=streams, settings=SimpleNamespace(epochs=3))
        folder = SimpleNamespace(path="run", results=[])
        keeper = runner._Keeper(experiment, folder, minutes, Position(), SimpleNamespace(signal=None))
        return keeper, clock, written

    return make


def train(keeper, clock, batches):
    for number in range(1, batches + 1):
        clock.now += SECONDS_A_BATCH
        keeper.after_batch(number, None)
    keeper.after_epoch()


def test_a_checkpoint_comes_at_the_first_fixed_point_after_the_minutes_and_after_each_epoch(keeper_of):
    keeper, clock, written = keeper_of(minutes=1)
    train(keeper, clock, 18)  # a minute is over after batch 6, and again six batches after that of batch 8
    assert written == [(0, 8, 80), (0, 16, 160), (1, 0, 0)]
    train(keeper, clock, 6)
    assert written[3:] == [(2, 0, 0)], "the minutes count from the last checkpoint, which ended the epoch before"


def test_without_minutes_every_fixed_point_is_a_checkpoint(keeper_of):
    keeper, clock, written = keeper_of(minutes=0)
    train(keeper, clock, 9)
    assert [(epoch, batches) for epoch, batches, _ in written] == [(0, 4), (0, 8), (1, 0)]
