"""The launcher starts all processes of a training, and none of them outlives it. Small scripts replace MXNet's."""

import contextlib
import json
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import time

from gluon_classics._processes import child_environment
from gluon_classics._runtime import usable_cores
from gluon_classics.distributed import launcher
from gluon_classics.distributed.hosts import REMOTE_SHELL, Host, read_hosts
from gluon_classics.distributed.launcher import Placement, RunFolders
from gluon_classics.errors import ClassicsError, Interrupted, RunError
import pytest

pytestmark = pytest.mark.short
DEADLINE = 30  # seconds, for a machine that is busy with other work
SCRIPT = """
import json, os, signal, sys, time

job = json.loads(sys.stdin.buffer.readline())
work, name = job["work"], job["role"] + str(job.get("rank", ""))
notes = work["notes"]

def note(kind, content=None):
    path = os.path.join(notes, f"{kind} {name} {os.getpid()}")
    with open(path + ".part", "w") as file:
        json.dump(content, file)
    os.rename(path + ".part", path)

def wait_for(*starts):
    end = time.monotonic() + 30
    while starts and time.monotonic() < end:
        time.sleep(0.005)
        found = os.listdir(notes)
        starts = [start for start in starts if not any(name.startswith(start) for name in found)]

def tell(**content):
    print(json.dumps(content), flush=True)

def listen(*numbers):
    for number in numbers:
        signal.signal(number, lambda number, frame: note(f"signal-{number}"))

def end_with_launcher():
    sys.stdin.buffer.read()
    os._exit(1)

code = work["does"].get(name, "end_with_launcher()")
if "listen" in code:
    exec(code.partition(";")[0])
note("started", {"job": job, "folder": os.getcwd(), "variables": dict(os.environ)})
exec(code)
"""
MODULE = ("-I", "-S", "-c", SCRIPT)
END_TOGETHER = dict.fromkeys(("scheduler", "server", "worker1"), "wait_for('done')")
FINISH = {**END_TOGETHER, "worker0": "note('done')"}
NO_FOLDERS = RunFolders(lambda folder: None, lambda folder: None)
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
LAUNCH = """
import json, os, sys
from gluon_classics.distributed import launcher
from gluon_classics.distributed.hosts import read_hosts
from gluon_classics.errors import Interrupted

module, work, resumed = json.loads(sys.argv[1])
launcher.MODULE, launcher.GRACE_SECONDS = module, 0.5
folders = launcher.RunFolders(lambda folder: None, lambda folder: None)
try:
    launcher.run(launcher.Placement(read_hosts(None, 2)), work, resumed, folders)
except Interrupted as interrupted:
    sys.exit(interrupted.status)
"""


def wait_until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE} s"
        time.sleep(0.01)


def is_gone(pid):
    """Return whether a process has ended. A zombie has, if process 1 does not collect it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


class Launches:
    """Runs the launcher with scripts as its processes, and reads the notes that they leave in a folder."""

    def __init__(self, folder):
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.failed = []  # run folders

    def work(self, does, **others):
        return {"notes": str(self.notes), "does": does, **others}

    def run(self, does, resumed=None, position=lambda folder: None, hosts=None, **options):
        """Run the launcher in this process.

        Args:
            does: Code of the processes by role and rank. The others wait until the launcher ends them.
            resumed: The same after a restart.
            position: See `RunFolders`.
            hosts: Hosts; two workers on this machine by default.
            options: Others of `Placement`.
        """
        placement = Placement(hosts or read_hosts(None, 2), **options)
        folders = RunFolders(position, self.failed.append)
        launcher.run(placement, self.work(does), self.work(resumed or {}), folders)

    @contextlib.contextmanager
    def process(self, does, resumed=None, path=None, module=MODULE):
        """Yield a new process that runs the launcher, as a shell would start it."""
        work = self.work(does, **({"path": path} if path else {}))
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, json.dumps([module, work, self.work(resumed or {})])],
            env=child_environment(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def noted(self, kind):
        """Return the names and process ids of the processes with a note of this kind."""
        found = (path.name.split() for path in self.notes.iterdir() if path.suffix != ".part")
        return [(name, int(pid)) for first, name, pid in found if first == kind]

    def names(self, kind):
        return sorted(name for name, _ in self.noted(kind))

    def pids(self):
        return [pid for _, pid in self.noted("started")]

    def children(self):
        """Return the ids of the processes that others have started."""
        return [json.loads(path.read_text()) for path in self.notes.glob("child *[0-9]")]

    def started(self, name):
        """Return what each process with this name was given, in the order of their starts."""
        paths = sorted(self.notes.glob(f"started {name} *"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in paths]

    def jobs(self, name):
        return [found["job"] for found in self.started(name)]


@pytest.fixture
def launches(tmp_path, monkeypatch):
    """Return the `Launches` of a test, after which no process may be left."""
    monkeypatch.setattr(launcher, "MODULE", MODULE)
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(launcher, "RESTART_SECONDS", (0,))
    made = Launches(tmp_path)
    yield made
    left = [pid for pid in made.pids() + made.children() if not is_gone(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture
def remote_shell(tmp_path):
    """Return a remote shell that runs on this machine. It notes its options and the host in a file, `asked`."""
    script = tmp_path / "remote shell"
    asked = shlex.quote(str(tmp_path / "asked"))
    script.write_text(f'#!/bin/sh\necho "$1 $2" >> {asked}\nshift 2\nexec sh -c "$*"\n')
    script.chmod(0o755)
    return f"{shlex.quote(str(script))} -q {{host}}"


REMOTE = [Host("localhost", 1), Host("kim@127.0.0.2", 2)]


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


def lose(name="worker1", folder="runs/my run"):
    """Return what processes do when one is killed after the first worker has reported its run folder."""
    report = f"tell(folder={folder!r}); note('reported')"
    others = ", ".join(f"'started {other} '" for other in FINISH)
    die = f"wait_for('reported', {others}); time.sleep(0.2); {DIE}"  # the pause lets the launcher read the report
    if name == "worker0":
        return {"worker0": f"{report}; {die}"}
    return {"worker0": f"{report}; end_with_launcher()", name: die}


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


def test_processes_that_do_not_connect_end_the_training(launches, monkeypatch):
    monkeypatch.setattr(launcher, "CONNECT_SECONDS", 0.2)
    with pytest.raises(RunError, match="did not connect within"):
        launches.run({})


def test_a_connected_training_may_take_longer_than_connecting(launches, monkeypatch):
    monkeypatch.setattr(launcher, "CONNECT_SECONDS", 1.5)
    launches.run({**FINISH, "worker0": "tell(connected=True); time.sleep(1.7); note('done')"})


def test_a_server_that_leaves_the_training_is_a_loss(launches, monkeypatch):
    monkeypatch.setattr(launcher, "END_SECONDS", 0.2)
    with pytest.raises(RunError, match="the processes did not end together"):
        launches.run({"server": "pass"})


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
    for pid in (*launches.pids(), *launches.children()):
        wait_until(lambda pid=pid: is_gone(pid))


def test_processes_end_when_the_launcher_is_killed(launches):
    with launches.process({}) as process:
        wait_until(lambda: len(launches.pids()) == 4)
        process.kill()
    for pid in launches.pids():
        wait_until(lambda pid=pid: is_gone(pid))


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
        for pid in pids:
            wait_until(lambda pid=pid: is_gone(pid))


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
    for pid in launches.pids():
        wait_until(lambda pid=pid: is_gone(pid))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_training_that_is_stopped_before_it_listens_is_not_restarted(number, launches):
    """The signal kills the first worker while it loads MXNet."""
    early = {"worker0": f"signal.signal({int(number)}, signal.SIG_DFL); note('ready'); time.sleep(600)"}
    with launches.process(early, resumed=FINISH, path="runs/known") as process:
        wait_until(lambda: launches.names("ready") and len(launches.pids()) == 4)
        process.send_signal(number)
        assert process.wait(DEADLINE) == 128 + number
    assert len(launches.jobs("worker0")) == 1


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


def test_the_handlers_of_signals_are_as_before(launches):
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    launches.run(FINISH)
    with pytest.raises(RunError):
        launches.run({"worker1": DIE})
    assert [signal.getsignal(number) for number in numbers] == before


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
        launches.run(ends, hosts=REMOTE, remote_shell=f"{script} {{host}}")


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
    assert found["variables"]["OMP_NUM_THREADS"] == str(max(1, usable_cores() // 2))
    ends = {**FINISH, "worker2": "wait_for('done')"}
    launches.run(ends, hosts=REMOTE, remote_shell=remote_shell)
    (found,) = launches.started("worker2")
    assert found["job"]["threads"] is None  # the worker asks its own machine
    assert "OMP_NUM_THREADS" not in found["variables"]


def test_a_given_number_of_threads_is_that_of_all_workers(launches, remote_shell, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    launches.run({**FINISH, "worker2": "wait_for('done')"}, hosts=REMOTE, remote_shell=remote_shell)
    assert launches.started("worker0")[0]["variables"]["OMP_NUM_THREADS"] == "3"
    assert launches.jobs("worker2")[0]["threads"] == "3"


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
    assert str(caught.value) == (
        "cannot start /no/such-shell (No such file or directory): install it, or check its name"
    )


def test_only_the_host_is_filled_into_a_remote_shell(launches, remote_shell, tmp_path):
    command = remote_shell.replace("-q", "'${HOME}{}{0}{port}'")
    launches.run({**FINISH, "worker2": "wait_for('done')"}, hosts=REMOTE, remote_shell=command)
    assert set((tmp_path / "asked").read_text().splitlines()) == {"${HOME}{}{0}{port} kim@127.0.0.2"}


def test_the_default_remote_shell_never_asks_for_a_password():
    """Nobody would see the question: each process has its own session."""
    assert "BatchMode=yes" in shlex.split(Placement(REMOTE).remote_shell)
    assert Placement(REMOTE).remote_shell == REMOTE_SHELL
