"""The hosts file is read completely or refused in one line; addresses and ports are those of this machine."""

import os
import socket

from gluon_classics.distributed import hosts
from gluon_classics.distributed.hosts import (
    LOCAL,
    MOST_WORKERS,
    Host,
    address_towards,
    free_port,
    join,
    own_address,
    read_hosts,
)
from gluon_classics.errors import ClassicsError
import pytest

NOBODY = "no-such-host.invalid"  # RFC 6761 keeps this domain free


@pytest.fixture
def hosts_of(tmp_path):
    """Return a function that returns the hosts of a file with this text."""

    def read(text, workers):
        path = tmp_path / "hosts"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_hosts(path, workers)

    return read


def error_of(function, *arguments):
    """Return the message of the ClassicsError that a call raises: one line that also says what to do."""
    with pytest.raises(ClassicsError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert ": " in message
    return message


def test_without_a_file_all_workers_are_on_this_machine():
    (host,) = read_hosts(None, 5)
    assert host == Host("localhost", 5)
    assert host.is_local


@pytest.mark.parametrize(
    ("text", "workers", "shares"),
    [
        ("localhost\na\nb\n", 6, {"localhost": 2, "a": 2, "b": 2}),
        ("localhost\na\nb\n", 7, {"localhost": 3, "a": 2, "b": 2}),
        ("localhost 1\na\nb\n", 6, {"localhost": 1, "a": 3, "b": 2}),
        ("localhost 2\na 3\n", 5, {"localhost": 2, "a": 3}),
        ("localhost 4\na 4\n", 5, {"localhost": 3, "a": 2}),
        ("localhost\na 1\nb 2\n", 9, {"localhost": 6, "a": 1, "b": 2}),
    ],
)
def test_hosts_share_the_workers_evenly_up_to_their_numbers(text, workers, shares, hosts_of):
    assert hosts_of(text, workers) == [Host(name, count) for name, count in shares.items()]


def test_hosts_without_a_worker_are_left_out(hosts_of):
    assert hosts_of("localhost\na\nb\nc\n", 2) == [Host("localhost", 1), Host("a", 1)]


def test_comments_empty_lines_and_spaces_are_ignored(hosts_of):
    text = "# our machines\n\n  localhost \t 1  # this one\r\n   \n\ta# the other\n#b\n"
    assert hosts_of(text, 3) == [Host("localhost", 1), Host("a", 2)]


@pytest.mark.parametrize("name", ["kim@gpu-2", "10.0.0.7", "gpu_3.lab.example", "fe80::1%eth0", "user@localhost"])
def test_names_are_kept_as_ssh_takes_them(name, hosts_of):
    _, other = hosts_of(f"localhost\n{name} 2\n", 4)
    assert other == Host(name, 2)
    assert not other.is_local


def test_this_machine_can_be_named_by_its_own_name_as_well(hosts_of):
    for name in (*LOCAL, socket.gethostname(), socket.getfqdn()):
        (host,) = hosts_of(name, 2)
        assert host.is_local, name


@pytest.mark.parametrize(
    ("own", "name", "is_local"),
    [
        (("gpu", "gpu.lab1.edu"), "GPU.lab1.edu", True),
        (("gpu", "gpu.lab1.edu"), "gpu", True),
        (("gpu", "gpu.lab1.edu"), "gpu.lab2.edu", False),
        (("gpu", "localhost.localdomain"), "gpu.lab1.edu", True),
        (("gpu", "gpu"), "other.lab1.edu", False),
    ],
)
def test_another_domain_is_another_machine(own, name, is_local, monkeypatch):
    monkeypatch.setattr(hosts, "_own_names", lambda: own)
    assert Host(name, 1).is_local == is_local


def test_the_largest_number_of_workers_is_accepted_and_one_more_is_not(hosts_of):
    assert sum(host.workers for host in hosts_of("localhost\na\n", MOST_WORKERS)) == MOST_WORKERS
    assert "1,025 workers are too many: use 1,024 at most" in error_of(hosts_of, "localhost\na\n", MOST_WORKERS + 1)
    assert "too many" in error_of(read_hosts, None, MOST_WORKERS + 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lists no hosts"),
        ("# localhost\n\n", "lists no hosts"),
        (b"localhost\n\xff\xfe\n", "is not a hosts file"),
        ("localhost\na b\n", "line 2 of"),
        ("localhost 2 3\n", "line 1 of"),
        ("\n# two\nlocalhost two\n", "line 3 of"),
        ("localhost -2\n", "line 1 of"),
        ("localhost 1.5\n", "line 1 of"),
        ("localhost 10000\n", "line 1 of"),
        ("localhost\na;reboot\n", "line 2 of"),
        ("localhost\n$(reboot)\n", "line 2 of"),
        ("localhost\n{host}\n", "line 2 of"),
        ("localhost\nö\n", "line 2 of"),
        ("localhost\na ²\n", "line 2 of"),
        ("localhost\n\x1b[31m\n", "line 2 of"),
        ("localhost\n-oProxyCommand=reboot\n", "line 2 of"),
        ("localhost\n-v\n", "line 2 of"),
        ("localhost\na\nlocalhost 2\n", "lists localhost twice"),
        ("localhost\na\na\n", "lists a twice"),
        ("localhost\na 0\n", "a has 0 workers"),
        ("localhost 0\na\n", "localhost has 0 workers"),
        ("localhost 1\na 1\n", "have room for 2 workers, not 3"),
        ("a\nlocalhost\n", "the first host of"),
        ("kim@localhost\n", "the first host of"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text, words, hosts_of, tmp_path):
    message = error_of(hosts_of, text, 3)
    assert words in message
    assert str(tmp_path / "hosts") in message


def test_an_endless_line_is_shown_shortened(hosts_of, tmp_path):
    message = error_of(hosts_of, "localhost\n" + 9999 * "?", 3)
    assert len(message) < 300 + len(str(tmp_path))


def test_what_is_not_a_readable_file_is_refused_with_the_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "No such file or directory" in error_of(read_hosts, tmp_path / "missing", 2)
    assert "not a regular file" in error_of(read_hosts, tmp_path, 2)
    assert "not a regular file" in error_of(read_hosts, tmp_path / "pipe", 2)
    assert "is not a path" in error_of(read_hosts, "", 2)


def test_a_tilde_in_the_name_of_the_file_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "hosts").write_text("localhost 3\n")
    assert read_hosts("~/hosts", 3) == [Host("localhost", 3)]


def test_a_port_in_use_is_refused_in_one_line_and_can_be_used_afterwards():
    with socket.socket() as server:
        server.bind((LOCAL[1], 0))
        server.listen()
        port = server.getsockname()[1]
        message = error_of(free_port, LOCAL[1], port)
        assert message.startswith(f"port {port} of 127.0.0.1 cannot be used (Address already in use)")
        assert "--port" in message
        assert free_port(LOCAL[1]) != port
    assert free_port(LOCAL[1], port) == port


def test_an_address_of_another_machine_is_refused_in_one_line():
    message = error_of(free_port, "203.0.113.1")  # RFC 5737 keeps it for documentation
    assert message.startswith("this machine cannot listen on 203.0.113.1 (")


def test_a_free_port_can_be_bound():
    port = free_port(LOCAL[1])
    assert 1024 <= port <= 65535
    with socket.socket() as server:
        server.bind((LOCAL[1], port))


def test_the_address_for_this_machine_alone_is_the_loopback():
    """The port is then closed to other machines."""
    assert own_address([Host("localhost", 2)]) == "127.0.0.1"
    assert own_address([Host("localhost", 1), Host(socket.gethostname(), 1)]) == "127.0.0.1"


@pytest.mark.parametrize("name", ["127.0.0.2", "kim@127.0.0.2"])
def test_the_address_is_that_of_the_network_of_the_other_hosts(name, monkeypatch):
    """The route to the other host decides: a user's name is not a part of it."""
    asked = []
    getaddrinfo = socket.getaddrinfo

    def noted(host, *arguments):
        asked.append(host)
        return getaddrinfo(host, *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    address = own_address([Host("localhost", 1), Host(name, 1)])
    assert asked == ["127.0.0.2"]
    with socket.socket() as server:  # only an address of this machine can be bound
        server.bind((address, 0))


@pytest.mark.parametrize("name", [NOBODY, 70 * "a", "a..b", "fe80::1"])
def test_an_unknown_host_is_one_line_that_names_it(name):
    for message in (
        error_of(address_towards, name, 22),
        error_of(own_address, [Host("localhost", 1), Host(f"kim@{name}", 1)]),
    ):
        assert message.startswith(f"the host {name} is not known (")
        assert message.endswith("): check the hosts file")


def test_a_process_tells_mxnet_the_address_that_leads_to_the_scheduler(monkeypatch):
    """MXNet's own choice is the first network of the machine, which may lead nowhere."""
    monkeypatch.setattr(os, "environ", {"DMLC_NODE_HOST": "10.9.8.7", "HOME": "/"})
    given = {"DMLC_PS_ROOT_URI": "127.0.0.1", "DMLC_PS_ROOT_PORT": "9000", "DMLC_ROLE": "worker"}
    join(given)
    assert os.environ == {"DMLC_NODE_HOST": "127.0.0.1", "HOME": "/", **given}
