"""The launcher starts all processes of a training, and restarts them if one is lost."""

import json
import queue
import socket
import subprocess
import sys

from gluon_classics._processes import child_environment
from gluon_classics.distributed import launcher
from gluon_classics.distributed.hosts import read_hosts
from gluon_classics.distributed.launcher import Placement
from gluon_classics.distributed.reports import tell_when_reached
from gluon_classics.errors import Interrupted, RunError
from launches import DIE, FINISH, NO_FOLDERS, REMOTE, lose
import pytest

pytestmark = pytest.mark.short


def test_each_process_gets_its_role_and_its_number(launches):
    launches.run(FINISH)
    assert launches.names("started") == ["scheduler", "server", "worker0", "worker1"]
    roles = {}
    for name in launches.names("started"):
        (job,) = launches.jobs(name)
        variables = job["variables"]
        roles[name] = variables.pop("DMLC_ROLE")
        port = variables.pop("DMLC_PS_ROOT_PORT")
        assert 1024 <= int(port) <= 65535
        assert variables == {"DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_NUM_WORKER": "2", "DMLC_NUM_SERVER": "1"}
        assert job["role"] == roles[name]
    assert roles == {"scheduler": "scheduler", "server": "server", "worker0": "worker", "worker1": "worker"}
    for rank in range(2):
        (job,) = launches.jobs(f"worker{rank}")
        numbers = {name: job[name] for name in ("rank", "of_host", "workers_of_host", "size", "servers")}
        assert numbers == {"rank": rank, "of_host": rank, "workers_of_host": 2, "size": 2, "servers": 1}


def test_the_processes_use_the_given_port(launches):
    port = launcher.free_port("127.0.0.1")
    launches.run(FINISH, port=port)
    assert [launches.jobs(name)[0]["variables"]["DMLC_PS_ROOT_PORT"] for name in FINISH] == 4 * [str(port)]


@pytest.mark.parametrize("status", [1, 130, 143])
def test_the_exit_status_of_the_first_worker_is_passed_on(status, launches):
    with pytest.raises(Interrupted) as caught:
        launches.run({"worker0": f"sys.exit({status})"})
    assert caught.value.status == status


def test_a_worker_that_fails_ends_the_training_with_its_last_message(launches):
    fails = "print('Warning: slow', file=sys.stderr); sys.exit('Error: there is no folder /data\\n\\n')"
    with pytest.raises(RunError) as caught:
        launches.run({"worker1": fails}, restarts=3)
    assert str(caught.value) == "worker 1: there is no folder /data"
    assert len(launches.jobs("worker1")) == 1


def test_the_status_of_the_first_worker_counts_if_another_one_fails_too(launches):
    """The first worker has said what is wrong."""
    with pytest.raises(Interrupted) as caught:
        launches.run({"worker1": "note('failed'); sys.exit(1)", "worker0": "wait_for('failed'); sys.exit(3)"})
    assert caught.value.status == 3


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("worker0", DIE, "worker 0 was ended by SIGKILL"),
        ("worker1", DIE, "worker 1 was ended by SIGKILL"),
        ("worker1", "os.kill(os.getpid(), signal.SIGSEGV)", "worker 1 was ended by SIGSEGV"),
        ("server", "sys.exit('ValueError: wrong')", "the server ended with status 1 (ValueError: wrong)"),
        ("scheduler", DIE, "the scheduler was ended by SIGKILL"),
    ],
)
def test_without_a_run_folder_a_lost_process_is_one_line(name, code, words, launches):
    with pytest.raises(RunError) as caught:
        launches.run({name: code})
    assert str(caught.value) == f"{words}; nothing was trained yet: start again"
    assert launches.names("started").count(name) == 1


@pytest.mark.parametrize("name", ["worker0", "worker1", "server", "scheduler"])
def test_a_killed_process_restarts_all_with_the_resumed_work(name, launches, capsys):
    launches.run(lose(name), resumed=FINISH, position=lambda folder: "checkpoint")
    for member in ("scheduler", "server", "worker0", "worker1"):
        first, second = launches.jobs(member)
        assert "path" not in first["work"]
        assert second["work"]["path"] == "runs/my run"
        assert second["work"]["does"] == FINISH
    warning = capsys.readouterr().err
    assert "was ended by SIGKILL. Restarting from the last checkpoint (1 of 3)." in warning


def test_a_finished_training_is_not_restarted_when_a_process_crashes_at_the_end(launches):
    crash = f"wait_for('done'); time.sleep(0.1); {DIE}"
    launches.run({**FINISH, "scheduler": crash, "server": crash}, restarts=3)
    assert len(launches.jobs("worker0")) == 1


def test_a_run_whose_other_worker_fails_is_recorded_as_failed(launches):
    first = "tell(folder='runs/one'); note('reported'); end_with_launcher()"
    fails = "wait_for('reported'); time.sleep(0.2); sys.exit('Error: no data')"
    with pytest.raises(RunError, match="worker 1: no data"):
        launches.run({"worker0": first, "worker1": fails})
    assert launches.failed == ["runs/one"]


def test_a_host_gets_some_time_before_a_restart(launches, monkeypatch):
    waited = []
    monkeypatch.setattr(launcher, "RESTART_SECONDS", (1, 10))
    monkeypatch.setattr(launcher, "_wait", lambda seconds, _signals: waited.append(seconds))
    with pytest.raises(RunError):
        launches.run(lose(), resumed=lose(), position=lambda folder: "checkpoint", restarts=3)
    assert waited == [1, 10, 10]


def test_a_server_that_fails_restarts_all(launches):
    """It has no message for the user: its errors are those of MXNet, or of its connections."""
    does = lose("server")
    does["server"] = does["server"].replace(DIE, "os._exit(70)")
    launches.run(does, resumed=FINISH)
    assert len(launches.jobs("server")) == 2


def test_restarts_without_progress_end_with_the_command_that_resumes(launches):
    with pytest.raises(RunError) as caught:
        launches.run(lose(), resumed=lose(), position=lambda folder: "checkpoint", restarts=2)
    assert str(caught.value) == "worker 1 was ended by SIGKILL; to resume: gluon-classics resume 'runs/my run'"
    assert len(launches.jobs("worker1")) == 3


def test_no_restart_is_made_if_none_is_wanted(launches):
    with pytest.raises(RunError, match="to resume: gluon-classics resume 'runs/my run'"):
        launches.run(lose(), resumed=FINISH, restarts=0)
    assert len(launches.jobs("worker0")) == 1


def test_restarts_are_counted_from_the_last_new_checkpoint(launches):
    positions = iter(["first", "second", "third", "third"])
    with pytest.raises(RunError):
        launches.run(lose(), resumed=lose(), position=lambda folder: next(positions), restarts=1)
    assert len(launches.jobs("worker1")) == 4


def test_a_folder_is_resumed_after_a_loss_before_the_first_report(launches):
    """As `gluon-classics resume` does, where the folder is known from the beginning."""
    work = launches.work({"worker1": f"wait_for('started worker0 '); {DIE}"}, path="runs/known")
    launcher.run(
        Placement(read_hosts(None, 2)),
        work,
        launches.work(FINISH),
        NO_FOLDERS,
    )
    assert [job["work"]["path"] for job in launches.jobs("worker0")] == 2 * ["runs/known"]


def test_lines_that_are_not_reports_are_ignored(launches):
    printed = "print('5\\nnull\\n[1]\\n\"text\"\\nnot JSON\\n')"
    does = lose()
    does["worker0"] = f"{printed}; {does['worker0']}"
    launches.run(does, resumed=FINISH)
    assert launches.jobs("worker0")[1]["work"]["path"] == "runs/my run"


STARTED = "tell(started=True); end_with_launcher()"
REACHED = "tell(started=True, reached=True); end_with_launcher()"


def test_processes_that_do_not_start_end_the_training(launches, monkeypatch):
    monkeypatch.setattr(launcher, "START_SECONDS", 0.2)
    with pytest.raises(RunError) as caught:
        launches.run({})
    words = "the processes on this machine did not start within 0.2 s; nothing was trained yet: start again"
    assert str(caught.value) == words


def test_a_host_that_does_not_reach_the_scheduler_is_named(launches, remote_shell, monkeypatch):
    monkeypatch.setattr(launcher, "CONNECT_SECONDS", 3)
    does = {**dict.fromkeys(("scheduler", "server", "worker0", "worker1"), REACHED), "worker2": STARTED}
    with pytest.raises(RunError) as caught:
        launches.run(does, hosts=REMOTE, remote_shell=remote_shell, port=(port := launcher.free_port("127.0.0.1")))
    where = f"the processes on kim@127.0.0.2 did not reach the scheduler (127.0.0.1:{port}) within 3 s"
    assert str(caught.value) == f"{where}; check that no firewall closes ports of this machine"


def test_hosts_that_do_not_reach_each_other_end_the_training(launches, monkeypatch):
    monkeypatch.setattr(launcher, "CONNECT_SECONDS", 3)
    with pytest.raises(RunError, match="some did not reach each other within 3 s; check that no firewall"):
        launches.run(dict.fromkeys(FINISH, REACHED))


def test_a_connected_training_may_take_longer_than_connecting(launches, monkeypatch):
    monkeypatch.setattr(launcher, "CONNECT_SECONDS", 1.5)
    launches.run({**FINISH, "worker0": "tell(connected=True); time.sleep(1.7); note('done')"})
    assert launches.names("done") == ["worker0"]


def test_a_server_that_leaves_the_training_is_a_loss(launches, monkeypatch):
    monkeypatch.setattr(launcher, "END_SECONDS", 0.2)
    connected = "tell(connected=True); note('connected'); end_with_launcher()"
    with pytest.raises(RunError, match=r"^the server ended before the training did; "):
        launches.run({"server": "wait_for('connected'); time.sleep(0.5)", "worker0": connected})


@pytest.mark.parametrize(("name", "words"), [("server", "the server"), ("worker1", "worker 1")])
def test_a_process_that_ends_before_it_connects_is_named(name, words, launches, monkeypatch):
    monkeypatch.setattr(launcher, "END_SECONDS", 600)
    with pytest.raises(RunError) as caught:
        launches.run({name: "pass"})
    assert str(caught.value) == f"{words} ended before connecting; nothing was trained yet: start again"


def test_the_real_processes_report_that_they_run_and_reach_the_scheduler():
    with socket.create_server(("127.0.0.1", 0)) as scheduler:
        address = {"DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_PS_ROOT_PORT": str(scheduler.getsockname()[1])}
        job = {"role": "server", "threads": "1", "variables": {**address, "DMLC_ROLE": "server"}}
        with subprocess.Popen(
            [sys.executable, "-m", "gluon_classics.cli.member"],
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            reports = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.kill()
    assert reports == [{"started": True}, {"reached": True}]


def test_a_process_waits_for_the_scheduler_to_listen(monkeypatch):
    reports = queue.Queue()
    monkeypatch.setattr("gluon_classics.distributed.reports.tell", lambda **content: reports.put(content))
    port = launcher.free_port("127.0.0.1")
    tell_when_reached({"DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_PS_ROOT_PORT": str(port)})
    with pytest.raises(queue.Empty):
        reports.get(timeout=0.5)
    with socket.create_server(("127.0.0.1", port)):
        assert reports.get(timeout=30) == {"reached": True}


def test_the_launcher_does_not_load_mxnet():
    """MXNet would set the number of threads for one process, and the workers would inherit it."""
    script = (
        "import os, sys; from gluon_classics.cli import main; from gluon_classics.distributed import launcher\n"
        "launcher.run = lambda *_arguments: print('mxnet' in sys.modules, os.environ.get('OMP_NUM_THREADS'))\n"
        "main(['train', 'lenet', '--workers', '2'])"
    )
    environment = {name: value for name, value in child_environment().items() if name != "OMP_NUM_THREADS"}
    result = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert result.stdout.splitlines() == ["False None"], result.stderr
