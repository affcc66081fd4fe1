"""Signals reach a training, and none of its processes outlives it."""

import contextlib
import os
from pathlib import Path
import signal
import time

from gluon_classics.distributed import launcher
from gluon_classics.errors import Interrupted, RunError
from launches import DEADLINE, DIE, FINISH, is_gone, wait_until
import pytest

pytestmark = pytest.mark.short


def all_end(pids):
    """Return whether all of these processes, of which there are some, end in time."""
    for pid in pids:
        wait_until(lambda pid=pid: is_gone(pid))
    return len(pids) > 0


@pytest.fixture
def hangup_heard():
    """Let new processes hear SIGHUP, also if the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_first_worker_only(number, launches, hangup_heard):
    """The group of the launcher gets it, as it does from Ctrl-C in a terminal."""
    listen = f"listen({int(number)})"
    others = dict.fromkeys(("scheduler", "server", "worker1"), f"{listen}; end_with_launcher()")
    stop = f"{listen}; wait_for('signal-'); time.sleep(0.2); sys.exit({128 + number})"
    with launches.process({**others, "worker0": stop}) as process:
        wait_until(lambda: len(launches.pids()) == 4)
        os.killpg(process.pid, number)
        assert process.wait(DEADLINE) == 128 + number
    assert launches.names(f"signal-{int(number)}") == ["worker0"]


def test_a_second_ctrl_c_ends_all_processes_at_once(launches):
    with launches.process({"worker0": f"listen({int(signal.SIGINT)}); time.sleep(600)"}) as process:
        wait_until(lambda: len(launches.pids()) == 4)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: launches.names("signal-2"))
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) != 0
    assert all_end(launches.pids())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_stopped_before_it_listens_is_not_restarted(number, launches):
    """The signal kills the first worker while it loads MXNet."""
    early = {"worker0": f"signal.signal({int(number)}, signal.SIG_DFL); note('ready'); time.sleep(600)"}
    with launches.process(early, resumed=FINISH, path="runs/known") as process:
        wait_until(lambda: launches.names("ready") and len(launches.pids()) == 4)
        process.send_signal(number)
        assert process.wait(DEADLINE) == 128 + number
    assert len(launches.jobs("worker0")) == 1


def test_the_handlers_of_signals_are_as_before(launches):
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    launches.run(FINISH)
    with pytest.raises(RunError):
        launches.run({"worker1": DIE})
    assert [signal.getsignal(number) for number in numbers] == before


def test_processes_end_when_the_launcher_is_killed(launches):
    with launches.process({}) as process:
        wait_until(lambda: len(launches.pids()) == 4)
        process.kill()
    assert all_end(launches.pids())


def test_the_real_processes_end_when_the_launcher_is_killed(launches):
    """MXNet would wait forever for the worker that is stopped."""

    def has_loaded_mxnet(pid):
        return "libmxnet" in Path(f"/proc/{pid}/maps").read_text()

    def end(pid):
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)

    with contextlib.ExitStack() as cleanup:
        with launches.process({}, module=("-m", "gluon_classics.cli.member")) as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_until(lambda: len(children.read_text().split()) == 4)
            pids = [int(pid) for pid in children.read_text().split()]
            for pid in pids:
                cleanup.callback(end, pid)
            os.kill(pids[-1], signal.SIGSTOP)
            for pid in pids[:-1]:
                wait_until(lambda pid=pid: has_loaded_mxnet(pid))
            os.kill(pids[-1], signal.SIGCONT)
            process.kill()
        assert all_end(pids)


@pytest.mark.parametrize("ended", [*FINISH])
def test_all_processes_are_gone_soon_after_one_has_ended(ended, launches, monkeypatch):
    """The others ignore what would end them, and have processes of their own."""
    monkeypatch.setattr(launcher, "END_SECONDS", 0.2)
    stubborn = (
        "import subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen(['sleep', '600']); note('child', child.pid); time.sleep(600)"
    )
    others = ", ".join(f"'child {other} '" for other in FINISH if other != ended)
    does = {**dict.fromkeys(FINISH, stubborn), ended: f"wait_for({others}); sys.exit(3)"}
    start = time.monotonic()
    with pytest.raises((RunError, Interrupted)):
        launches.run(does)
    assert time.monotonic() - start < DEADLINE
    assert len(launches.children()) == 3
    assert all_end([*launches.pids(), *launches.children()])
