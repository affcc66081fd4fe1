"""Processes of a training on other hosts."""

import shlex
import signal

from gluon_classics._processes import child_environment
from gluon_classics._runtime import usable_cores
from gluon_classics.cli import member
from gluon_classics.distributed import launcher
from gluon_classics.distributed.launcher import REMOTE_SHELL, Placement
from gluon_classics.errors import ClassicsError, RunError
from launches import DIE, FINISH, REMOTE, lose
import pytest

pytestmark = pytest.mark.short


def test_a_remote_shell_starts_the_processes_of_other_hosts(launches, remote_shell, tmp_path, monkeypatch):
    folder = tmp_path / "a folder's name $HOME"
    folder.mkdir()
    monkeypatch.chdir(folder)
    ends = {**FINISH, "worker2": "wait_for('done')"}
    launches.run(ends, hosts=REMOTE, remote_shell=remote_shell)
    assert (tmp_path / "asked").read_text().splitlines() == 3 * ["-q kim@127.0.0.2"]
    assert launches.names("started") == ["scheduler", "server", "server", "worker0", "worker1", "worker2"]
    numbers = [
        [job[name] for name in ("rank", "of_host", "workers_of_host", "size", "servers")]
        for job in (launches.jobs(f"worker{rank}")[0] for rank in range(3))
    ]
    assert numbers == [[0, 0, 1, 3, 2], [1, 0, 2, 3, 2], [2, 1, 2, 3, 2]]
    (found,) = launches.started("worker2")
    assert found["folder"] == str(folder)
    assert found["variables"]["PYTHONPATH"] == child_environment()["PYTHONPATH"]


def test_a_command_without_a_shell_needs_one(launches, tmp_path):
    """As srun and kubectl, which start a program with its arguments as they are."""
    script = tmp_path / "exec"
    script.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    script.chmod(0o755)
    ends = {**FINISH, "worker2": "wait_for('done')"}
    launches.run(ends, hosts=REMOTE, remote_shell=f"{script} {{host}} sh -c")
    with pytest.raises(RunError, match="check the hosts, and --remote-shell"):
        launches.run({}, hosts=REMOTE, remote_shell=f"{script} {{host}}")


def test_a_host_that_does_not_answer_is_named(launches, monkeypatch):
    monkeypatch.setattr(launcher, "START_SECONDS", 3)
    does = dict.fromkeys(("scheduler", "server", "worker0"), "tell(started=True); end_with_launcher()")
    hangs = "sh -c 'echo waiting for the pod; exec sleep 600' {host}"
    with pytest.raises(RunError) as caught:
        launches.run(does, hosts=REMOTE, remote_shell=hangs)
    words = "the processes on kim@127.0.0.2 did not start within 3 s (waiting for the pod)"
    assert str(caught.value) == f"{words}; check the hosts, and --remote-shell"


def test_a_remote_shell_that_starts_nothing_is_named_with_its_host(launches, monkeypatch):
    monkeypatch.setattr(launcher, "END_SECONDS", 600)
    with pytest.raises(RunError) as caught:
        launches.run({}, hosts=REMOTE, remote_shell="echo {host}")
    words = "the processes on kim@127.0.0.2 ended before connecting; check the hosts, and --remote-shell"
    assert str(caught.value) == words


def test_the_default_remote_shell_does_not_wait_long_for_a_host():
    assert "ConnectTimeout=15" in shlex.split(REMOTE_SHELL)


def test_a_message_names_the_other_host(launches, remote_shell):
    with pytest.raises(RunError) as caught:
        launches.run({"worker2": "sys.exit('Error: no data')"}, hosts=REMOTE, remote_shell=remote_shell)
    assert str(caught.value) == "worker 2 on kim@127.0.0.2: no data"


@pytest.mark.parametrize("status", [255, 128 + signal.SIGKILL])
def test_a_lost_process_on_another_host_restarts_the_training(status, launches, remote_shell):
    """A remote shell adds a signal to 128. ssh ends with 255 if the connection is lost, whatever the worker does."""
    does = lose("worker2")
    does["worker2"] = does["worker2"].replace(DIE, f"os._exit({status})")
    ends = {**FINISH, "worker2": "wait_for('done')"}
    launches.run(does, resumed=ends, hosts=REMOTE, remote_shell=remote_shell)
    assert len(launches.jobs("worker2")) == 2


def test_the_workers_of_a_host_share_its_cores(launches, remote_shell, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    launches.run(FINISH)
    (found,) = launches.started("worker1")
    assert "OMP_NUM_THREADS" not in found["variables"]
    assert member.threads_of(found["job"]) == str(max(1, usable_cores() // 2))
    ends = {**FINISH, "worker2": "wait_for('done')"}
    launches.run(ends, hosts=REMOTE, remote_shell=remote_shell)
    (found,) = launches.started("worker2")
    monkeypatch.setattr(member, "usable_cores", lambda: 10)  # of the other host
    assert member.threads_of(found["job"]) == "5"
    assert "OMP_NUM_THREADS" not in found["variables"]


def test_a_given_number_of_threads_is_that_of_all_workers(launches, remote_shell, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    launches.run({**FINISH, "worker2": "wait_for('done')"}, hosts=REMOTE, remote_shell=remote_shell)
    assert {member.threads_of(launches.jobs(f"worker{rank}")[0]) for rank in range(3)} == {"3"}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ssh", "has no {host}: write it as in ssh {host}"),
        ("", "has no {host}"),
        ("ssh {name}", "has no {host}"),
        ("ssh '{host}", "cannot be used (No closing quotation)"),
    ],
)
def test_a_remote_shell_that_cannot_be_used_is_one_line(command, words):
    with pytest.raises(ClassicsError) as caught:
        Placement(REMOTE, remote_shell=command)
    message = str(caught.value)
    assert message.startswith(f"the remote shell {command!r} ")
    assert words in message
    assert "\n" not in message


def test_a_remote_shell_that_does_not_exist_is_one_line_and_leaves_no_process(launches):
    with pytest.raises(ClassicsError) as caught:
        launches.run({}, hosts=REMOTE, remote_shell="/no/such-shell {host}")
    assert str(caught.value) == ("/no/such-shell cannot be started (No such file or directory): correct --remote-shell")


def test_only_the_host_is_filled_into_a_remote_shell(launches, remote_shell, tmp_path):
    command = remote_shell.replace("-q", "'${HOME}{}{0}{port}'")
    launches.run({**FINISH, "worker2": "wait_for('done')"}, hosts=REMOTE, remote_shell=command)
    assert set((tmp_path / "asked").read_text().splitlines()) == {"${HOME}{}{0}{port} kim@127.0.0.2"}


def test_the_default_remote_shell_never_asks_for_a_password():
    """Nobody would see the question: each process has its own session."""
    assert "BatchMode=yes" in shlex.split(Placement(REMOTE).remote_shell)
    assert Placement(REMOTE).remote_shell == REMOTE_SHELL
