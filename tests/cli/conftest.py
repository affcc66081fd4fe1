"""Running the command as a user does, on a small piece of Fashion-MNIST."""

import os
import subprocess
import sys

from gluon_classics.utils.datasets import IDX_FILES, SAMPLE_FOLDER, load_dataset
from gluon_classics.utils.idx import write_idx
import pytest

TRAIN_IMAGES, TEST_IMAGES = 320, 100


@pytest.fixture(scope="session")
def small_home(tmp_path_factory):
    """A folder for MXNET_HOME in which Fashion-MNIST is there and small: 320 + 100 images."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    sample = load_dataset(str(SAMPLE_FOLDER))
    train, test = sample.train.subset(TRAIN_IMAGES), sample.test.subset(TEST_IMAGES)
    arrays = (train.images[..., 0], train.labels, test.images[..., 0], test.labels)
    for name, array in zip(IDX_FILES, arrays):
        write_idx(folder / f"{name}.gz", array)
    return home


@pytest.fixture
def environment(small_home):
    """Environment variables for a child process that shall see the small Fashion-MNIST only."""
    return {
        **os.environ,
        "MXNET_HOME": str(small_home),
        "MXNET_GLUON_REPO": "http://127.0.0.1:9",
        "XDG_DATA_DIRS": "/x",
    }


@pytest.fixture
def command(environment, tmp_path):
    """Run `gluon-classics` in an empty folder; returns the finished process."""

    def run(*arguments, **options):
        options = {"env": environment, "cwd": tmp_path, "timeout": 120, **options}
        return subprocess.run(
            [sys.executable, "-m", "gluon_classics.utils", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def trained_run(small_home, tmp_path_factory):
    """The folder of a finished run of LeNet."""
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    options = ["--epochs", "2", "--lr", "0.05", "--batch-size", "32", "--out", str(folder)]
    result = subprocess.run(
        [sys.executable, "-m", "gluon_classics.utils", "train", "lenet", *options],
        env={**os.environ, "MXNET_HOME": str(small_home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return folder
