"""Trainings in several processes, on a small data set of random images."""

import json
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import time

from gluon_classics._processes import child_environment
from gluon_classics.distributed import launcher
import launches as scripts
from mxnet import nd
import numpy as np
import pytest

TIMEOUT = 300  # seconds for one training; a hang is a failure


class Trainings:
    """Runs the command in a folder with a data set."""

    def __init__(self, folder, images, test_images):
        self.folder = Path(folder)
        rng = np.random.RandomState(0)

        def part(count):
            return rng.randint(0, 256, (count, 28, 28)).astype(np.uint8), np.arange(count) % 10

        names = ("x_train", "y_train", "x_test", "y_test")
        np.savez(self.folder / "data.npz", **dict(zip(names, (*part(images), *part(test_images)))))

    def start(self, *arguments):
        """Start the command and return its process."""
        command = [sys.executable, "-m", "gluon_classics", *arguments]
        environment = {**child_environment(), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, text=True, env=environment)

    def arguments(self, model, out, *options):
        """Return the arguments of a training."""
        return ["train", model, "--data", "data.npz", "--lr", "0.05", "--momentum", "0.9", "--out", out, *options]

    def train(self, model, out, *options):
        """Train to the end and return what was printed."""
        return self.finish(self.start(*self.arguments(model, out, *options)))

    def parameters(self, out):
        """Return the parameters of a run folder as NumPy arrays."""
        return {name: array.asnumpy() for name, array in nd.load(str(self.folder / out / "net.params")).items()}

    def epochs(self, out):
        """Return the metrics of the epochs of a run folder, without times."""
        epochs = json.loads((self.folder / out / "run.json").read_text())["epochs"]
        return [{name: epoch[name] for name in ("train_loss", "train_accuracy", "test_accuracy")} for epoch in epochs]

    def outcome(self, out):
        """Return everything that must be equal in bit-identical runs."""
        parameters = {name: array.tobytes() for name, array in self.parameters(out).items()}
        return self.epochs(out), parameters

    def wait_for_checkpoint(self, out, process):
        """Wait until a training has written its second checkpoint."""
        end = time.monotonic() + TIMEOUT
        while len(list((self.folder / out).glob("*.ckpt"))) < 2:
            assert process.poll() is None, "the training ended before its checkpoints"
            assert time.monotonic() < end
            time.sleep(0.02)

    @staticmethod
    def finish(process, status=0):
        """Wait for a process, check its exit status, and return what it printed."""
        try:
            printed = process.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert process.returncode == status, printed
        return printed


@pytest.fixture(scope="session")
def trainings(tmp_path_factory):
    return Trainings(tmp_path_factory.mktemp("distributed"), images=640, test_images=33)


@pytest.fixture
def launches(tmp_path, monkeypatch):
    """Return the `Launches` of a test, after which no process may be left."""
    monkeypatch.setattr(launcher, "MODULE", scripts.MODULE)
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(launcher, "RESTART_SECONDS", (0,))
    made = scripts.Launches(tmp_path)
    yield made
    left = [pid for pid in made.pids() + made.children() if not scripts.is_gone(pid)]
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
