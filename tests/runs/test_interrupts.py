"""No signal is lost during training, whenever it arrives."""

import os
import signal

from gluon_classics.errors import Interrupted
from gluon_classics.experiment import build
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs.folder import RunFolder
from gluon_classics.runs.interrupts import NOTE, Interrupts
from gluon_classics.runs.record import read_run
from gluon_classics.runs.runner import run_training
from gluon_classics.utils import evaluation, training
import mxnet as mx
import pytest


@pytest.fixture(autouse=True)
def ctrl_c_works():
    """Make Ctrl-C work even if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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

        def batches(self, *arguments):
            for batch in data.batches(*arguments):
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
    def interrupted(*_arguments):
        interrupt()
        interrupt()

    monkeypatch.setattr(build.Experiment, "train", interrupted)
    with pytest.raises(Interrupted) as end:
        run_training(*folder, 10)
    assert end.value.status == 130
    assert f"To resume: gluon-classics resume {folder[1].path}" in capfd.readouterr().err
    assert read_run(folder[1].path).record.status == "interrupted"
