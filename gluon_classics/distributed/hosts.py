"""The machines that the workers run on."""

from __future__ import annotations

import functools
import os
import re
import socket
from typing import NamedTuple, Sequence

from gluon_classics._files import read_text, user_path
from gluon_classics._format import first_line
from gluon_classics.errors import ClassicsError

LOCAL = ("localhost", "127.0.0.1")
MOST_WORKERS = 1024
_LINE = re.compile(r"(?P<name>[\w.:@%-]+)(?:\s+(?P<workers>\d{1,4}))?", re.ASCII)


class Host(NamedTuple):
    """A machine and its number of workers.

    Attributes:
        name: Name or address, as ssh takes it.
        workers: Number of workers.
    """

    name: str
    workers: int

    @property
    def is_local(self) -> bool:
        """Whether this is the machine that starts the workers."""
        own, name = _own_names(), self.name.lower()
        whole = [text for text in own if "." in text and not text.startswith("localhost")]
        if "." in name and whole:
            return name in LOCAL or name in whole
        return name in LOCAL or _short(name) in map(_short, own)


@functools.lru_cache(maxsize=None)
def _own_names():
    return socket.gethostname().lower(), socket.getfqdn().lower()


def _short(name):
    return name.partition(".")[0] if not name[:1].isdigit() else name


def read_hosts(path, workers: int) -> list[Host]:
    """Return the hosts of a file, and the workers that each one runs.

    Each line names a host and, after a space, the largest number of its workers. Without a number, the hosts share the
    workers evenly. The first line is this machine. Empty lines and what follows a # are ignored.

    Args:
        path: The file; None is this machine.
        workers: Number of workers, 1 or more.

    Raises:
        ClassicsError: The file cannot be read, a line is not like that, or there is not enough room for the workers.
    """
    if workers > MOST_WORKERS:
        raise ClassicsError(f"{workers:,} workers are too many: use {MOST_WORKERS:,} at most")
    if path is None:
        return [Host(LOCAL[0], workers)]
    path = user_path(path)
    try:
        text = read_text(path)
    except OSError as error:
        raise ClassicsError(f"cannot read the hosts file {path} ({error.strerror}): check its name") from error
    except ValueError as error:
        raise ClassicsError(f"{path} is not a hosts file ({first_line(error)}): write one host per line") from error
    names: list[tuple[str, int | None]] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        found = _LINE.fullmatch(line)
        if found is None or found["name"].startswith("-"):
            what = f"line {number} of {path} is {line!r:.60}"
            raise ClassicsError(f"{what}: write a host's name, and after a space its number of workers if you like")
        if found["name"] in dict(names):
            raise ClassicsError(f"{path} lists {found['name']} twice: list it once, with its number of workers")
        if found["workers"] and not int(found["workers"]):
            raise ClassicsError(f"{found['name']} has 0 workers in {path}: use 1 or more, or leave the host out")
        names.append((found["name"], int(found["workers"]) if found["workers"] else None))
    if not names:
        raise ClassicsError(f"{path} lists no hosts: write one host per line")
    hosts = [Host(name, count) for name, count in zip(dict(names), _shares([most for _, most in names], workers, path))]
    if not hosts[0].is_local:
        what = f"the first host of {path} is {hosts[0].name}, but the first worker runs on this machine"
        raise ClassicsError(f"{what}: put localhost, or the name {socket.gethostname()}, first")
    if sum(host.is_local for host in hosts) > 1:
        raise ClassicsError(f"{path} lists this machine twice: list it once, with its number of workers")
    return [host for host in hosts if host.workers]


def _shares(most: Sequence[int | None], workers: int, path) -> list[int]:
    """Return the number of workers of each host, given the largest numbers."""
    counts = [0] * len(most)
    while sum(counts) < workers:
        free = [place for place, limit in enumerate(most) if limit is None or counts[place] < limit]
        if not free:
            raise ClassicsError(f"the hosts of {path} have room for {sum(counts)} workers, not {workers}: add hosts")
        counts[min(free, key=lambda place: (counts[place], place))] += 1
    return counts


def own_address(hosts: Sequence[Host]) -> str:
    """Return the address at which the other hosts find this machine.

    Raises ClassicsError if the name of another host is not known.
    """
    others = [host.name for host in hosts if not host.is_local]
    if not others:
        return LOCAL[1]
    return address_towards(others[0].rpartition("@")[2], 22)


def address_towards(name: str, port: int) -> str:
    """Return the address of this machine in the network that leads to a host. Nothing is sent.

    Raises ClassicsError if the host is not known, or there is no way to it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(name, port, socket.AF_INET, socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return probe.getsockname()[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClassicsError(f"the host {name} is not known ({reason}): check the hosts file") from error


def join(variables: dict[str, str]) -> None:
    """Set the environment variables that tell MXNet how to meet the other processes, and the address of this one.

    Import MXNet first: with these variables, `import mxnet` starts MXNet's own server, which unpickles commands.
    """
    scheduler = variables["DMLC_PS_ROOT_URI"], int(variables["DMLC_PS_ROOT_PORT"])
    os.environ.update({"DMLC_NODE_HOST": address_towards(*scheduler), **variables})


def free_port(address: str, wanted: int | None = None) -> int:
    """Return a free port of this machine: `wanted`, or any. Raises ClassicsError if it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, wanted or 0))
        except OSError as error:
            if wanted is None:
                what = f"this machine cannot listen on {address} ({error.strerror})"
                raise ClassicsError(f"{what}: name its own address first in the file of hosts") from error
            what = f"port {wanted} of {address} cannot be used ({error.strerror})"
            raise ClassicsError(f"{what}: choose another with --port, or leave it out") from error
        return probe.getsockname()[1]
