"""Options of several workers that cannot be used are refused in one line, before a process starts."""

import socket
import subprocess

from gluon_classics.distributed import launcher
from gluon_classics.distributed.hosts import MOST_WORKERS, Host
from gluon_classics.distributed.launcher import REMOTE_SHELL
from gluon_classics.experiment.settings import ON_SERVERS, OPTIMIZERS
import pytest


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Start each test in an empty folder, where processes cannot be started."""

    def started(arguments, **_options):
        raise AssertionError(f"a process was started: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", started)
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def refused(invoke, empty_folder):
    """Return a function that returns the error, of one line, of a command that must be refused without any change."""

    def run(*arguments, status=1):
        result = invoke(*arguments)
        assert result.exit_code == status, result.output
        *usage, error = filter(None, result.stderr.splitlines())
        allowed = ("Usage:", "Try ") if status == 2 else ("Starting ",)
        assert all(line.startswith(allowed) for line in usage), result.stderr
        assert error.startswith("Error: ")
        assert result.stdout == ""
        assert list(empty_folder.iterdir()) == []
        return error

    return run


@pytest.fixture
def hosts_file(tmp_path):
    """Return a function that returns the path of a hosts file with this text."""

    def write(text):
        path = tmp_path / "hosts"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def launched(monkeypatch):
    """Return a list of the arguments with which the launcher was called."""
    calls = []
    monkeypatch.setattr(launcher, "run", lambda *arguments: calls.append(arguments))
    return calls


def test_the_processes_of_allowed_options_would_be_started(invoke):
    """So the other tests here see it when one is."""
    result = invoke("train", "lenet", "--workers", "2")
    assert "a process was started" in str(result.exception)


def test_the_options_reach_the_launcher(invoke, launched, hosts_file):
    hosts = hosts_file("localhost 1\nkim@gpu-2\n")
    options = ["--port", "5000", "--remote-shell", "rsh {host}", "--restarts", "0", "--lr", "0.25", "--out", "new"]
    result = invoke("train", "lenet", "--workers", "3", "--hosts", hosts, *options)
    assert result.exit_code == 0, result.output
    ((placement, work, resumed, _),) = launched
    assert placement == launcher.Placement([Host("localhost", 1), Host("kim@gpu-2", 2)], 5000, "rsh {host}", 0)
    assert (work["do"], resumed["do"]) == ("train", "resume")
    given = {name: work["arguments"][name] for name in ("model", "learning_rate", "out")}
    assert given == {"model": "lenet", "learning_rate": 0.25, "out": "new"}


def test_without_other_options_all_workers_are_on_this_machine(invoke, launched):
    assert invoke("train", "lenet", "--workers", "2").exit_code == 0
    ((placement, *_),) = launched
    assert placement == launcher.Placement([Host("localhost", 2)], None, REMOTE_SHELL, 3)


@pytest.mark.parametrize("options", [["--hosts", "hosts"], ["--port", "5000"], ["--workers", "1", "--hosts", "hosts"]])
def test_hosts_and_ports_need_several_workers(options, refused):
    assert "use them with --workers" in refused("train", "lenet", *options, status=2)


@pytest.mark.parametrize("value", ["0", "-1", "2147483648", "two", "1.5"])
def test_workers_are_counted_from_one(value, refused):
    assert "'--workers'" in refused("train", "lenet", f"--workers={value}", status=2)


@pytest.mark.parametrize("value", ["0", "80", "1023", "65536", "http"])
def test_a_port_that_users_cannot_open_is_refused(value, refused):
    assert "'--port'" in refused("train", "lenet", "--workers", "2", f"--port={value}", status=2)


def test_more_workers_than_the_launcher_can_start_are_refused(refused):
    message = refused("train", "lenet", "--workers", MOST_WORKERS + 1, "--batch-size", "5000")
    assert "1,025 workers are too many" in message


def test_a_dry_run_is_for_one_process(refused):
    assert "leave --workers out" in refused("train", "lenet", "--dry-run", "--workers", "2", status=2)


def test_each_worker_needs_an_image_of_each_batch(refused, invoke, launched):
    message = refused("train", "lenet", "--workers", "5", "--batch-size", "4")
    assert "a batch of 4 images cannot be divided among 5 workers" in message
    assert launched == []
    assert invoke("train", "lenet", "--workers", "4", "--batch-size", "4").exit_code == 0
    assert len(launched) == 1


@pytest.mark.parametrize(("name", "optimizer"), [("lenet5", "diagonallm"), ("lenet", "sgld"), ("lenet", "nadam")])
def test_an_optimizer_that_servers_cannot_run_is_refused(name, optimizer, refused):
    message = refused("train", name, "--workers", "2", "--optimizer", optimizer)
    assert f"the optimizer {optimizer} cannot be used with several workers" in message


def test_lenet5_as_published_is_refused(refused):
    """Its optimizer needs the second derivatives of all images."""
    assert "diagonallm cannot be used" in refused("train", "lenet5", "--workers", "2")


def test_the_optimizers_of_servers_are_accepted(invoke, launched):
    for optimizer in ON_SERVERS:
        result = invoke("train", "lenet", "--workers", "2", "--optimizer", optimizer)
        assert result.exit_code == 0, (optimizer, result.output)
    assert len(launched) == len(ON_SERVERS)
    assert set(ON_SERVERS) < set(OPTIMIZERS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lists no hosts"),
        ("localhost\na b c\n", "line 2 of"),
        ("localhost 1\na 1\n", "have room for 2 workers, not 3"),
        ("gpu-1\nlocalhost\n", "the first host of"),
        ("localhost\na\na\n", "lists a twice"),
    ],
)
def test_a_wrong_hosts_file_is_refused(text, words, refused, hosts_file):
    assert words in refused("train", "lenet", "--workers", "3", "--hosts", hosts_file(text))


def test_a_hosts_file_that_cannot_be_read_is_refused(refused, tmp_path):
    missing = tmp_path / "missing"
    message = refused("train", "lenet", "--workers", "2", "--hosts", missing)
    assert f"cannot read the hosts file {missing} (No such file or directory)" in message
    assert "not a regular file" in refused("train", "lenet", "--workers", "2", "--hosts", tmp_path)
    assert "home folder" in refused("train", "lenet", "--workers", "2", "--hosts=~nosuchuser/hosts", status=2)


def test_an_unknown_host_is_refused(refused, hosts_file):
    hosts = hosts_file("localhost\nno-such-host.invalid\n")
    message = refused("train", "lenet", "--workers", "2", "--hosts", hosts)
    assert "the host no-such-host.invalid is not known" in message


@pytest.mark.parametrize(
    ("command", "words"),
    [("ssh", "has no {host}"), ("", "has no {host}"), ("ssh '{host}", "No closing quotation")],
)
def test_a_remote_shell_that_cannot_be_used_is_refused(command, words, refused, hosts_file):
    hosts = hosts_file("localhost\n127.0.0.2\n")
    assert words in refused("train", "lenet", "--workers", "2", "--hosts", hosts, f"--remote-shell={command}")


def test_a_port_in_use_is_refused(refused):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        message = refused("train", "lenet", "--workers", "2", "--port", port)
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use)" in message


@pytest.mark.short
@pytest.mark.parametrize("options", [["--hosts", "hosts"], ["--port", "5000"]])
def test_a_run_of_one_process_is_resumed_by_one(options, refused, trained_run):
    message = refused("resume", trained_run, *options, status=2)
    assert "was trained by one process: leave --hosts, --port, --remote-shell and --restarts out" in message
