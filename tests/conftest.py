"""Fixtures of all tests: seeds, data sets, records of runs, and the command line."""

import contextlib
from dataclasses import replace
import faulthandler
import inspect
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

if "PYTEST_XDIST_WORKER" in os.environ:  # before MXNet loads: each of the two workers has a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from click.testing import CliRunner
import forks
from gluon_classics import utils
from gluon_classics.cli import main
from gluon_classics.data import catalogue, datasets
from gluon_classics.data.idx import read_idx, write_idx
from gluon_classics.data.images import Images
from gluon_classics.data.record import DataRecord
from gluon_classics.errors import DataError
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.runs.record import Processor, Provenance, RunRecord
from gluon_classics.utils.history import EpochRecord
import numpy as np
import pytest

SEED = 20180306
SMALL_TRAIN, SMALL_TEST = 320, 100
LONGEST = 900  # seconds; the slowest test takes about a minute
_stderr = pytest.StashKey()
INSTALL = "apt-get install dataset-fashion-mnist"


def pytest_configure(config):
    config.stash[_stderr] = os.dup(2)  # not yet captured


@pytest.fixture(autouse=True)
def no_test_waits_for_ever(request):
    """End a process whose test takes too long. It prints what its threads are doing, and pytest names the test."""
    faulthandler.dump_traceback_later(LONGEST, exit=True, file=request.config.stash[_stderr])
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_reaches_commands():
    """Make SIGINT work in commands that tests start: background jobs of a shell ignore it, and so do their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def seeded(request):
    """Start each test from the same seed. A failing test prints the command that replays it."""
    print(f"seed {SEED}; replay: pytest {request.node.nodeid!r}")
    utils.seed_everything(SEED)


@pytest.fixture(scope="session")
def fashion_mnist():
    """Return the full Fashion-MNIST if it is installed, else the embedded sample."""
    if datasets.installed_folder("fashion-mnist"):
        return datasets.load_dataset("fashion-mnist")
    return datasets.load_dataset(str(datasets.SAMPLE_FOLDER))


@pytest.fixture
def rng():
    """Return a NumPy generator for the random data of a test."""
    return np.random.RandomState(SEED)


@pytest.fixture(scope="session")
def make_home(tmp_path_factory):
    """Return a function that makes a folder for MXNET_HOME whose Fashion-MNIST is a part of the sample."""

    def make(train_images, test_images):
        home = tmp_path_factory.mktemp("home")
        folder = home / "datasets" / "fashion-mnist"
        folder.mkdir(parents=True)
        sample = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
        train, test = sample.train.subset(train_images), sample.test.subset(test_images)
        arrays = (train.images[..., 0], train.labels, test.images[..., 0], test.labels)
        for name, array in zip(catalogue.IDX_FILES, arrays):
            write_idx(folder / f"{name}.gz", array)
        return home

    return make


@pytest.fixture(scope="session")
def small_home(make_home):
    """Return a folder for MXNET_HOME whose Fashion-MNIST has only 320 training and 100 test images."""
    return make_home(SMALL_TRAIN, SMALL_TEST)


@pytest.fixture(scope="session")
def environment(small_home):
    """Return environment variables for a child process that must find only the small Fashion-MNIST."""
    return {
        **os.environ,
        "MXNET_HOME": str(small_home),
        "MXNET_GLUON_REPO": "http://127.0.0.1:9",
        "XDG_DATA_DIRS": "/x",
    }


@pytest.fixture
def make_record():
    """A function that makes the record of a finished, comparable run with the given metrics after each epoch."""

    def make(name, seed=0, loss=0.5, train=0.8, test=0.8):
        recipe = get_recipe(name)
        settings = replace(recipe.settings, seed=seed)
        epochs = tuple(EpochRecord(epoch, loss, train, test, 6.0, 10_000.0) for epoch in range(settings.epochs))
        data = DataRecord(
            name=settings.data,
            is_sample=False,
            is_published=True,
            train_images=60_000,
            image_shape=(28, 28, 1),
            classes=tuple("0123456789"),
            sha256="0",
            origin="/home/somebody/images",
        )
        provenance = Provenance(
            commit="0123456789abcdef0123456789abcdef01234567",
            dirty=False,
            processor=Processor("a processor"),
            threads="2",
            devices=("cpu(0)",),
        )
        return RunRecord(
            recipe=name,
            settings=settings,
            data=data,
            parameters=61_706,
            tested_images=10_000,
            provenance=provenance,
            started="2018-03-06T12:00:00Z",
            status="done",
            seconds=6.0 * settings.epochs,
            epochs=epochs,
        )

    return make


@pytest.fixture
def command(environment, tmp_path):
    """Return a function that runs `gluon-classics` in an empty folder and returns the finished process.

    It runs in a fork, where `home` is MXNET_HOME. With an option of subprocess.run, or with `new_process`, it runs in a
    new process.
    """

    def run(*arguments, cwd=tmp_path, home=environment["MXNET_HOME"], new_process=False, **options):
        variables = {**environment, "MXNET_HOME": str(home)}
        if not (new_process or options):
            return forks.run(arguments, variables, cwd)
        options = {"env": variables, "timeout": forks.TIMEOUT, **options}
        return subprocess.run(
            [sys.executable, "-m", "gluon_classics", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def invoke():
    """Return a function that runs `gluon-classics` in this process and returns its output and exit code."""
    separate = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}  # click < 8.2
    runner = CliRunner(**separate)
    return lambda *arguments: runner.invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="session")
def trained_run(environment, tmp_path_factory):
    """Return the folder of a finished run of LeNet."""
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    options = ["--epochs", "2", "--lr", "0.05", "--batch-size", "32", "--out", str(folder)]
    result = forks.run(["train", "lenet", *options], environment, folder.parent)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def data_error():
    """Return a context manager whose body must raise a one-line DataError that contains all of the given texts."""

    @contextlib.contextmanager
    def check(*texts):
        with pytest.raises(DataError) as caught:
            yield caught
        message = str(caught.value)
        assert message.strip(), "the error has no message"
        assert "\n" not in message
        for text in texts:
            assert str(text) in message

    return check


@pytest.fixture(scope="session")
def full_fashion_mnist(fashion_mnist):
    """Return the full Fashion-MNIST, or skip the test if only the sample is available."""
    if len(fashion_mnist.train) < 60_000:
        pytest.skip(f"needs the full Fashion-MNIST: {INSTALL}")
    return fashion_mnist


@pytest.fixture(scope="session")
def sample():
    """Return the training and test images of the embedded sample, read directly from its files."""
    train_images, train_labels, test_images, test_labels = (
        read_idx(datasets.SAMPLE_FOLDER / f"{name}.gz") for name in catalogue.IDX_FILES
    )
    return SimpleNamespace(
        train=Images(train_images[..., None], train_labels), test=Images(test_images[..., None], test_labels)
    )
