"""Start the processes of a training, watch them, and end all when one ends.

If one process dies, MXNet lets the others wait forever. The launcher therefore ends them. A process also ends when its
standard input is closed, so that none is left if the launcher itself is killed, or the connection to its host is lost.
"""

from __future__ import annotations

from collections import deque
import contextlib
from dataclasses import dataclass, field
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from typing import Any, Callable, NamedTuple, Sequence

from gluon_classics import _console
from gluon_classics._format import joined, resume_command
from gluon_classics._processes import child_environment
from gluon_classics._runtime import given_threads
from gluon_classics._signals import KILLED_BY, handled_by
from gluon_classics.errors import ClassicsError, Interrupted, RunError

from .hosts import Host, free_port, own_address

MODULE = ("-m", "gluon_classics.cli.member")
SCHEDULER, SERVER, WORKER = "scheduler", "server", "worker"
START_SECONDS = 60  # from the start of the processes until each one has reported that it runs
CONNECT_SECONDS = 180  # from the start of the processes until all are connected
GRACE_SECONDS = 5  # for the other processes after one has ended: they may have an error of their own to report
END_SECONDS = 60  # for the other processes after the first one has finished
RESTART_SECONDS = (1, 10, 60)  # before the first, the second and each further restart without a new checkpoint
LINES_KEPT = 20  # of the messages of a process
REMOTE_SHELL = "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 {host}"
RESTARTS = 3  # in a row, if a process is killed before the next checkpoint


@dataclass(frozen=True)
class Placement:
    """How the processes of a training are started.

    Attributes:
        hosts: Machines, the first of which is this one.
        port: Port of the scheduler; None is any free one.
        remote_shell: Command that starts another command on a host, with {host} for its name.
        restarts: How many times in a row to restart from the last checkpoint when a process was killed.
    """

    hosts: Sequence[Host]
    port: int | None = None
    remote_shell: str = REMOTE_SHELL
    restarts: int = RESTARTS

    def __post_init__(self):
        try:
            words = shlex.split(self.remote_shell)
        except ValueError as error:
            raise ClassicsError(f"the remote shell {self.remote_shell!r} cannot be used ({error})") from error
        if not words or "{host}" not in self.remote_shell:
            raise ClassicsError(f"the remote shell {self.remote_shell!r} has no {{host}}: write it as in ssh {{host}}")

    @property
    def workers(self) -> int:
        """Number of workers."""
        return sum(host.workers for host in self.hosts)


class Lost(Exception):
    """A process was killed, crashed, did not connect, or lost its connection. The message names it.

    Args:
        message: What happened.
        remedy: What to do if nothing was trained yet.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass
class _Member:
    """A process of the training. `reported` has what it told the launcher."""

    name: str
    role: str
    process: subprocess.Popen
    host: Host
    reported: dict[str, Any] = field(default_factory=dict)
    messages: deque = field(default_factory=lambda: deque(maxlen=LINES_KEPT))
    threads: list = field(default_factory=list)

    @property
    def is_remote(self) -> bool:
        return not self.host.is_local

    @property
    def status(self) -> int | None:
        return self.process.poll()

    @property
    def last_message(self) -> str:
        return next((line.strip() for line in reversed(self.messages) if line.strip()), "")

    def crashed(self) -> bool:
        """Return whether it ended in another way than a worker with a message for the user."""
        status = self.status or 0
        # a remote shell also shows a signal as KILLED_BY and more; ssh ends with 255 if the connection is lost
        return status < 0 or (self.is_remote and status >= KILLED_BY) or (status != 0 and self.role != WORKER)

    def take(self, line: str) -> None:
        """Take a line of its standard output: a report to the launcher in JSON, or a message."""
        with contextlib.suppress(ValueError):
            content = json.loads(line)
            if isinstance(content, dict):
                self.reported.update(content)
                return
        self.messages.append(line)

    def how_it_ended(self) -> str:
        status = self.status
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return f"{self.name} was ended by {signal.Signals(-status).name}"
        last = self.last_message
        if last.startswith("Error: "):
            return f"{self.name}: {last[len('Error: ') :]}"
        return f"{self.name} ended with status {status}" + (f" ({last})" if last else "")


class RunFolders(NamedTuple):
    """Functions of a run folder that the launcher needs.

    Attributes:
        position: Returns how far its training is, or None.
        fail: Records that its training has failed, if the first worker could not.
    """

    position: Callable[[str], Any]
    fail: Callable[[str], None]


class _Signals:
    """Hands a signal to the first worker, which stops all after a checkpoint. A second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.first: subprocess.Popen | None = None  # process of the first worker, while there is one
        self.is_ending = False  # whether the processes are being ended, so that nothing may interrupt that

    def forward(self) -> None:
        """Hand the signal to the first worker, if there are both."""
        if self.number is not None and self.first is not None:
            with contextlib.suppress(ProcessLookupError):
                self.first.send_signal(self.number)

    def note(self, number, _frame):
        """Handle a signal."""
        again, self.number = self.number is not None, number
        if not again:
            self.forward()
        elif number != signal.SIGHUP and not self.is_ending:
            raise KeyboardInterrupt


def run(placement: Placement, work: dict[str, Any], resumed: dict[str, Any], of_run: RunFolders) -> None:
    """Run a training in several processes. If one of them is killed, restart them from the last checkpoint.

    Args:
        placement: How the processes are started.
        work: What the first worker does, in JSON; see `runs.worker`.
        resumed: What it does to resume; its run folder is added as "path".
        of_run: What the launcher asks about the run folder, and does with it.

    Raises:
        ClassicsError: A process reported an error, or was killed too often.
        Interrupted: A signal stopped the training, or the first worker failed and has said why.
    """
    folder, restarts, reached = work.get("path"), 0, None
    signals = _Signals()
    with handled_by(signals.note):
        while True:
            processes = _Processes(placement, work, signals)
            try:
                with processes:
                    status = processes.wait()
            except Lost as lost:
                folder = processes.folder or folder
                if signals.number is not None:  # the first worker could not handle it
                    _say_how_to_resume(folder)
                    raise Interrupted(KILLED_BY + signals.number) from lost
                now = of_run.position(folder) if folder else None
                restarts = 1 if now != reached else restarts + 1
                reached = now
                if folder is None or restarts > placement.restarts:
                    remedy = f"to resume: {resume_command(folder)}" if folder else lost.remedy
                    raise RunError(f"{lost}; {remedy}") from lost
                _console.warn(f"{lost}. Restarting from the last checkpoint ({restarts} of {placement.restarts}).")
                work = {**resumed, "path": folder}
                _wait(RESTART_SECONDS[min(restarts, len(RESTART_SECONDS)) - 1], signals)
                continue
            except KeyboardInterrupt:
                _say_how_to_resume(processes.folder or folder)
                raise
            except RunError:
                if processes.folder:
                    of_run.fail(processes.folder)
                raise
            if status:
                raise Interrupted(status)
            return


def _remedy(members):
    """Return what to do about members that did not start, or ended, before anything was trained."""
    remote = any(member.is_remote for member in members)
    return "check the hosts, and --remote-shell" if remote else "nothing was trained yet: start again"


def _say_how_to_resume(folder):
    if folder:
        _console.warn(f"Interrupted. To resume: {resume_command(folder)}")


def _wait(seconds, signals):
    """Wait before a restart: a host that starts again needs some time. A signal ends the wait."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and signals.number is None:
        time.sleep(0.05)


def _processes_on_hosts(members):
    names = dict.fromkeys("this machine" if member.host.is_local else member.host.name for member in members)
    return f"the processes on {joined(names)}"


class _Processes:
    """All processes of one attempt. Use it as a context manager: the end of the block ends all of them."""

    def __init__(self, placement: Placement, work: dict[str, Any], signals: _Signals) -> None:
        self._placement = placement
        self._work = work
        self._members: list[_Member] = []
        self._signals = signals
        self._scheduler = ""  # its address

    def __enter__(self):
        address = own_address(self._placement.hosts)
        port = free_port(address, self._placement.port)
        self._scheduler = f"{address}:{port}"
        numbers = {
            "DMLC_PS_ROOT_URI": address,
            "DMLC_PS_ROOT_PORT": str(port),
            "DMLC_NUM_WORKER": str(self._placement.workers),
            "DMLC_NUM_SERVER": str(len(self._placement.hosts)),
        }
        try:
            first, *_ = self._placement.hosts
            self._start(first, SCHEDULER, "the scheduler", numbers)
            rank = 0
            for host in self._placement.hosts:
                place = "" if host.is_local else f" on {host.name}"
                self._start(host, SERVER, f"the server{place}", numbers)
                for number in range(host.workers):
                    self._start(host, WORKER, f"worker {rank}{place}", numbers, rank=rank, of_host=number)
                    rank += 1
        except BaseException:
            self.__exit__()
            raise
        self._signals.first = self._first.process
        self._signals.forward()  # one that came before
        return self

    def __exit__(self, *_exception):
        self._signals.first, self._signals.is_ending = None, True
        for member in self._members:
            _close_input(member.process)
        end = time.monotonic() + GRACE_SECONDS
        for member in self._members:
            if member.is_remote:  # its remote shell ends when it has ended
                with contextlib.suppress(subprocess.TimeoutExpired):
                    member.process.wait(max(0, end - time.monotonic()))
            _kill(member.process)
        for member in self._members:
            with contextlib.suppress(subprocess.TimeoutExpired):
                member.process.wait(GRACE_SECONDS)
            for thread in member.threads:
                thread.join(1)
        self._signals.is_ending = False

    @property
    def _first(self):
        return next(member for member in self._members if member.role == WORKER)

    @property
    def folder(self) -> str | None:
        """The run folder, when the first worker has reported it."""
        return next((member.reported["folder"] for member in self._members if "folder" in member.reported), None)

    @property
    def _are_connected(self):
        return bool(self._first.reported.get("connected"))

    def wait(self) -> int:
        """Wait until the first worker ends, and return its exit status.

        Raises:
            Lost: A process was killed, crashed, could not connect, or ended before the first worker.
            RunError: Another worker had an error.
        """
        start = time.monotonic()
        while not any(member.status is not None for member in self._members):
            if not self._are_connected:
                self._check_connection(time.monotonic() - start)
            time.sleep(0.05)
        first, ended = self._first, time.monotonic()
        while any(member.status is None for member in self._members):
            if first.status or any(member.crashed() for member in self._members):
                break
            is_finishing = self._are_connected and not any(member.status for member in self._members)
            if time.monotonic() - ended > (END_SECONDS if is_finishing else GRACE_SECONDS):
                break
            time.sleep(0.05)
        if first.status is not None and not first.crashed():  # it has finished, or has said what is wrong
            return first.status
        lost = next((member for member in self._members if member.crashed()), None)
        failed = lost or next((member for member in self._members if member.status), None)
        if failed is None:
            early = [member for member in self._members if member.status is not None]
            when = "the training did" if self._are_connected else "connecting"
            what = early[0].name if not early[1:] else _processes_on_hosts(early)
            raise Lost(f"{what} ended before {when}", _remedy(early))
        for thread in failed.threads:
            thread.join(1)
        if lost:
            raise Lost(lost.how_it_ended(), _remedy([lost]))
        raise RunError(failed.how_it_ended())

    def _check_connection(self, seconds):
        """Raise Lost if the processes should have started, or should have connected, after these seconds."""
        silent = [member for member in self._members if not member.reported.get("started")]
        if silent and seconds > START_SECONDS:
            last = next((member.last_message for member in silent if member.last_message), "")
            what = f"{_processes_on_hosts(silent)} did not start within {START_SECONDS} s"
            raise Lost(what + (f" ({last:.200})" if last else ""), _remedy(silent))
        if seconds > CONNECT_SECONDS:
            apart = [member for member in self._members if not member.reported.get("reached")]
            ports = "check that no firewall closes ports"
            if apart:
                what = f"{_processes_on_hosts(apart)} did not reach the scheduler ({self._scheduler})"
                raise Lost(f"{what} within {CONNECT_SECONDS} s", f"{ports} of this machine")
            what = "all processes reached the scheduler, but some did not reach each other"
            raise Lost(f"{what} within {CONNECT_SECONDS} s", f"{ports} between the hosts")

    def _start(self, host: Host, role: str, name: str, numbers: dict[str, str], **given: int) -> None:
        job = {
            "role": role,
            "variables": {**numbers, "DMLC_ROLE": role},
            "work": self._work,
            "quiet": _console.err.quiet,
            "threads": given_threads(),
            "workers_of_host": host.workers,
            "size": self._placement.workers,
            "servers": len(self._placement.hosts),
            **given,
        }
        is_first = given.get("rank") == 0
        command, environment = [sys.executable, *MODULE], child_environment()
        if not host.is_local:
            words = [word.replace("{host}", host.name) for word in shlex.split(self._placement.remote_shell)]
            path = shlex.quote(f"PYTHONPATH={environment['PYTHONPATH']}")
            command = [*words, f"cd {shlex.quote(os.getcwd())} && exec env {path} {shlex.join(command)}"]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if is_first else subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C in the terminal is for the launcher
            )
        except OSError as error:
            raise ClassicsError(f"{command[0]} cannot be started ({error.strerror}): correct --remote-shell") from error
        member = _Member(name, role, process, host)
        self._members.append(member)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and its status says why
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        self._read(member, process.stdout, member.take)
        if process.stderr is not None:
            self._read(member, process.stderr, member.messages.append)

    def _read(self, member, stream, use):
        def read():
            with stream:
                for line in stream:
                    use(line.decode(errors="replace").rstrip("\n"))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        member.threads.append(thread)


def _close_input(process):
    """Close the standard input of a process, which ends it, also on another host."""
    with contextlib.suppress(OSError):
        process.stdin.close()


def _kill(process):
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
