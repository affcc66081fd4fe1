"""Run the command as a user does, on a few images of Fashion-MNIST."""

import os
import subprocess
import sys

import pytest

TRAIN_IMAGES, TEST_IMAGES = 320, 100


@pytest.fixture
def command(environment, tmp_path):
    """Return a function that runs `gluon-classics` in an empty folder and returns the finished process."""

    def run(*arguments, **options):
        options = {"env": environment, "cwd": tmp_path, "timeout": 120, **options}
        return subprocess.run(
            [sys.executable, "-m", "gluon_classics", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def trained_run(small_home, tmp_path_factory):
    """Return the folder of a finished run of LeNet."""
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    options = ["--epochs", "2", "--lr", "0.05", "--batch-size", "32", "--out", str(folder)]
    result = subprocess.run(
        [sys.executable, "-m", "gluon_classics", "train", "lenet", *options],
        env={**os.environ, "MXNET_HOME": str(small_home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return folder
