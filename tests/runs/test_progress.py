"""Outside of a terminal the progress of a training is a line every ten seconds, and one after each epoch."""

from types import SimpleNamespace

from gluon_classics.runs import progress
from gluon_classics.runs.progress import ProgressCallback
from gluon_classics.utils.history import EpochRecord
import pytest


def test_a_line_every_ten_seconds_has_speed_and_remaining_time(monkeypatch, capsys):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock.now)
    metrics = SimpleNamespace(examples=0, loss=0.5, accuracy=0.75)
    loop = SimpleNamespace(epoch=1, metrics=metrics, seconds=0.0)
    with ProgressCallback(epochs=3, examples=6000) as callback:
        callback.before_epoch(loop)
        for _ in range(6):
            clock.now += 4
            loop.seconds += 4
            metrics.examples += 400
            callback.after_batch(loop)
    assert capsys.readouterr().err.splitlines() == [
        "epoch 2/3: 1,200/6,000 images, 100 images/s, 48 s left, loss 0.500, accuracy 0.750",
        "epoch 2/3: 2,400/6,000 images, 100 images/s, 36 s left, loss 0.500, accuracy 0.750",
    ]


@pytest.mark.parametrize(("accuracy", "words"), [(None, ""), (0.625, "validation accuracy 0.6250, ")])
def test_the_line_of_an_epoch_has_its_validation_accuracy_if_there_is_one(accuracy, words, capsys):
    with ProgressCallback(epochs=3, examples=6000) as callback:
        callback.before_epoch(SimpleNamespace(epoch=1))
        callback.after_epoch(None, EpochRecord(1, 0.5, 0.75, 0.875, 6.0, 1000.0, validation_accuracy=accuracy))
    line = f"epoch 2/3: loss 0.500, train accuracy 0.750, {words}test accuracy 0.8750, 6.0 s, 1,000 images/s\n"
    assert capsys.readouterr().err == line
