"""Run the command line in forks of a server that has imported MXNet: the import takes two seconds of a core.

The server belongs to Python's multiprocessing and computes nothing, so a fork behaves like a new process. It has its
own folder, environment, signals and exit status. Only what MXNet reads while it loads is the server's, such as
OMP_NUM_THREADS. A test of that starts a new process.
"""

import multiprocessing
import os
from pathlib import Path
import signal
import subprocess
import tempfile
import time

TIMEOUT = 300  # seconds, for a machine that is busy with other work

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    [
        "pytest",  # multiprocessing imports the main module in each fork
        "gluon_classics.cli",
        *(f"gluon_classics.{name}" for name in ("runs.train", "runs.resume", "runs.predictor", "report.report")),
        *("matplotlib.backends.backend_agg", "jinja2"),
    ]
)


def command_line(arguments):
    """Run `gluon-classics` with these arguments."""
    from gluon_classics.cli import main

    main(args=arguments, prog_name="gluon-classics")


class Fork:
    """A running fork, with the interface of subprocess.Popen.

    Args:
        arguments: The arguments of the command line.
        env: The environment variables.
        cwd: The folder that the fork starts in.
        function: What runs there, with the arguments. A function of a module, so that the fork finds it.
    """

    def __init__(self, arguments, env, cwd, function=command_line):
        self.args = [str(argument) for argument in arguments]
        self._outputs = tempfile.TemporaryDirectory()
        self._paths = [Path(self._outputs.name, name) for name in ("stdout", "stderr")]
        for path in self._paths:
            path.touch()
        self._process = _server.Process(target=_run, args=(function, self.args, dict(env), str(cwd), self._paths))
        self._process.start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        if self.returncode is None:
            self.kill()
            self.wait()
        self._outputs.cleanup()

    @property
    def returncode(self):
        """The exit status, or minus the number of the signal that ended the fork, or None while it runs."""
        return self._process.exitcode

    @property
    def stderr(self):
        """Yield the lines that the fork has written, and those that it writes until it ends."""
        with open(self._paths[1]) as file:
            line = ""
            while True:
                has_ended = self.returncode is not None
                line += file.readline()
                if line.endswith("\n"):
                    yield line
                    line = ""
                elif has_ended:
                    return
                else:
                    time.sleep(0.005)

    def send_signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout=TIMEOUT):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, timeout=TIMEOUT):
        """Wait for the end. Return all that was written to standard output and to standard error."""
        self.wait(timeout)
        return tuple(path.read_text() for path in self._paths)


def run(arguments, env, cwd, timeout=TIMEOUT):
    """Return the finished process of a command in a fork, as subprocess.run does."""
    with Fork(arguments, env, cwd) as fork:
        stdout, stderr = fork.communicate(timeout)
        return subprocess.CompletedProcess(fork.args, fork.returncode, stdout, stderr)


def _run(function, arguments, env, cwd, paths):
    for descriptor, path in enumerate(paths, start=1):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
    function(arguments)
