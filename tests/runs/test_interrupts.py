"""No signal is lost during training, whenever it arrives."""

import errno
import itertools
import os
import signal
import sys
import time

from gluon_classics.errors import Interrupted, TrainingDiverged
from gluon_classics.experiment import build
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import curves
from gluon_classics.runs.folder import RunFolder
from gluon_classics.runs.interrupts import NOTE, Interrupts
from gluon_classics.runs.record import read_run
from gluon_classics.runs.runner import CheckpointCallback, run_training
from gluon_classics.utils import evaluation, training
import mxnet as mx
import pytest


@pytest.fixture(autouse=True)
def signals_work():
    """Make Ctrl-C and SIGHUP work even if the tests run in the background, or under nohup."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class InterruptedDel:
    """An object that is interrupted in its `__del__`."""

    interrupted = 0

    def __del__(self):
        InterruptedDel.interrupted += 1
        interrupt()


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.fixture
def folder(small_home, monkeypatch, tmp_path):
    """Return the experiment of a new run of three epochs, and its folder."""
    monkeypatch.setenv("MXNET_HOME", str(small_home))
    made = prepare(Settings("lenet", epochs=3, batch_size=160), [mx.cpu()])
    with RunFolder.claim(tmp_path / "run") as run:
        run.start(made)
        yield made, run


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_python_loses_a_ctrl_c_that_arrives_inside_a_del():
    """This is why `Interrupts` exists. If this test fails on a new Python, the reason is gone."""
    before = InterruptedDel.interrupted
    InterruptedDel()
    assert InterruptedDel.interrupted == before + 1  # and no KeyboardInterrupt was raised


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_recorded_and_the_second_one_stops_at_once(number, capfd):
    with Interrupts() as interrupts:
        assert interrupts.signal is None
        interrupt(number)
        assert interrupts.signal == number
        with pytest.raises(KeyboardInterrupt):
            interrupt(number)
    assert capfd.readouterr().err == NOTE.decode()


def test_a_signal_inside_a_del_is_recorded():
    with Interrupts() as interrupts:
        InterruptedDel()
        assert interrupts.signal == signal.SIGINT


def test_handlers_are_restored_and_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            interrupt(signal.SIGTERM)
            assert interrupts.signal is None
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("epoch", [0, 2])
def test_ctrl_c_during_an_evaluation_stops_the_run_after_it(epoch, folder, monkeypatch):
    """In the last epoch the run is done, but the exit status still reports the interrupt."""
    calls = []

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if len(calls) == epoch + 1:
            InterruptedDel()
        return evaluation.evaluate(*arguments, **options)

    monkeypatch.setattr(training, "evaluate", interrupted)
    with pytest.raises(Interrupted) as end:
        run_training(*folder, 10)
    assert end.value.status == 130
    record = read_run(folder[1].path).record
    assert len(record.epochs) == epoch + 1
    assert record.status == ("done" if epoch == 2 else "interrupted")


def test_ctrl_c_during_a_batch_stops_the_run_at_the_next_fixed_point(folder):
    made, run = folder
    object.__setattr__(made, "streams", training.RandomStreams(0, every=2))
    data, given = made.train_data, []

    class InterruptingData:
        examples = data.examples

        def in_parts(self, *arguments):
            for batch in data.in_parts(*arguments):
                given.append(batch)
                if len(given) == 1:
                    interrupt()
                yield batch

    object.__setattr__(made, "train_data", InterruptingData())
    with pytest.raises(Interrupted):
        run_training(made, run, 10)
    assert len(given) == 2
    assert [path.name for path in run.path.glob("*.ckpt")] == ["checkpoint-00000-00000002.ckpt"]


def test_the_second_ctrl_c_also_prints_how_to_resume(folder, monkeypatch, capfd):
    def interrupted(*_arguments, **_options):
        interrupt()
        interrupt()

    monkeypatch.setattr(build.Experiment, "train", interrupted)
    with pytest.raises(Interrupted) as end:
        run_training(*folder, 10)
    assert end.value.status == 130
    assert f"To resume: gluon-classics resume {folder[1].path}" in capfd.readouterr().err
    assert read_run(folder[1].path).record.status == "interrupted"


def test_a_second_sighup_does_not_stop_at_once():
    """A terminal that closes sends it twice: from the kernel and from the shell."""
    with Interrupts() as interrupts:
        interrupt(signal.SIGHUP)
        interrupt(signal.SIGHUP)
        assert interrupts.signal == signal.SIGHUP


def test_a_signal_is_recorded_if_nobody_reads_the_note(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    write = os.write
    monkeypatch.setattr(os, "write", lambda _two, note: write(writer, note))
    with Interrupts() as interrupts:
        interrupt(signal.SIGTERM)
        assert interrupts.signal == signal.SIGTERM
    os.close(writer)


def test_a_signal_is_not_written_into_a_file_that_got_the_number_of_standard_error(tmp_path):
    kept = os.dup(2)
    os.close(2)
    try:
        with Interrupts(), open(tmp_path / "checkpoint", "wb") as file:
            interrupt(signal.SIGTERM)
            assert file.fileno() != 2
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    assert (tmp_path / "checkpoint").read_bytes() == b""


class Unwritable:
    """A stream whose reader is gone or slow, or whose disk is full. Each call fails for another reason."""

    def __init__(self):
        self.errors = itertools.cycle([errno.EPIPE, errno.EAGAIN, errno.EIO, errno.ENOSPC])
        self.failed = 0

    def write(self, _text=None):
        self.failed += 1
        number = next(self.errors)
        raise OSError(number, os.strerror(number))  # BrokenPipeError, BlockingIOError, OSError, OSError

    flush = write

    def isatty(self):
        return False


def test_a_training_goes_on_if_its_messages_cannot_be_written(folder, monkeypatch):
    made, run = folder
    stream = Unwritable()
    monkeypatch.setattr(sys, "stderr", stream)
    run_training(made, run, 10)
    assert read_run(run.path).record.status == "done"
    assert stream.failed >= 4


def test_a_picture_that_cannot_be_drawn_does_not_fail_the_run(folder, monkeypatch, capsys):
    errors = [ValueError("'nonsense' is not a backend"), OSError(30, "read-only"), ImportError("old"), MemoryError()]

    def broken(*_arguments):
        assert read_run(run.path).record.status == "done", "nothing optional comes before the status"
        raise errors.pop()

    made, run = folder
    monkeypatch.setattr(curves, "draw", broken)
    run_training(made, run, 10)
    assert "curves.png not drawn (MemoryError)" in capsys.readouterr().err
    while errors:
        run.draw_curves()
        assert capsys.readouterr().err.count("curves.png not drawn (") == 1
    assert not list(run.path.glob("*.png"))


def test_a_clock_that_is_set_back_gives_no_negative_seconds(folder, monkeypatch):
    made, run = folder
    now = iter(range(10**6, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    run_training(made, run, 10)
    record = read_run(run.path).record
    assert 0 < record.seconds < 600
    assert all(epoch.seconds > 0 for epoch in record.epochs)


def test_weights_that_are_not_finite_never_replace_a_checkpoint(folder):
    """A run that is stopped before the end of an epoch may not have noticed that it diverged."""
    made, run = folder

    class Breaking(training.Callback):
        def after_epoch(self, loop, record):
            parameter = next(iter(made.net.collect_params().values()))
            parameter.set_data(parameter.data() * float("nan"))

    checkpoint = CheckpointCallback(made, run, 10, Interrupts())
    with pytest.raises(TrainingDiverged, match=r"became infinite or not a number in epoch 1, after 0 batches"):
        made.train([Breaking(), checkpoint])
    assert not list(run.path.glob("*.ckpt"))
