"""Small scripts instead of the processes of a training, and what they leave behind."""

import contextlib
import json
from pathlib import Path
import subprocess
import sys
import time

from gluon_classics._processes import child_environment
from gluon_classics.distributed import launcher
from gluon_classics.distributed.hosts import Host, read_hosts
from gluon_classics.distributed.launcher import Placement, RunFolders

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
FINISH = {**END_TOGETHER, "worker0": "tell(connected=True); note('done')"}
NO_FOLDERS = RunFolders(lambda folder: None, lambda folder: None)
REMOTE = [Host("localhost", 1), Host("kim@127.0.0.2", 2)]
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


def lose(name="worker1", folder="runs/my run"):
    """Return what processes do when one is killed after the first worker has reported its run folder."""
    report = f"tell(folder={folder!r}); note('reported')"
    others = ", ".join(f"'started {other} '" for other in FINISH)
    die = f"wait_for('reported', {others}); time.sleep(0.2); {DIE}"  # the pause lets the launcher read the report
    if name == "worker0":
        return {"worker0": f"{report}; {die}"}
    return {"worker0": f"{report}; end_with_launcher()", name: die}
