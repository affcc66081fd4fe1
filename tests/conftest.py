"""What all tests share: seeds, and where the full Fashion-MNIST is."""

import os

from gluon_classics import utils
from gluon_classics.utils import datasets
from gluon_classics.utils.idx import write_idx
import numpy as np
import pytest

SEED = 20180306
SMALL_TRAIN, SMALL_TEST = 320, 100


@pytest.fixture(autouse=True)
def seeded(request):
    """Every test starts from the same seed; what a failing one prints says how to replay it."""
    print(f"seed {SEED}; replay: pytest {request.node.nodeid!r}")
    utils.seed_everything(SEED)


@pytest.fixture(scope="session")
def fashion_mnist():
    """The full Fashion-MNIST where it is installed, else the embedded sample."""
    if datasets.installed_folder("fashion-mnist"):
        return datasets.load_dataset("fashion-mnist")
    return datasets.load_dataset(str(datasets.SAMPLE_FOLDER))


@pytest.fixture
def rng():
    """A NumPy generator of its own for data that a test makes up."""
    return np.random.RandomState(SEED)


@pytest.fixture(scope="session")
def small_home(tmp_path_factory):
    """A folder for MXNET_HOME in which Fashion-MNIST is there and small: 320 + 100 images."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    sample = datasets.load_dataset(str(datasets.SAMPLE_FOLDER))
    train, test = sample.train.subset(SMALL_TRAIN), sample.test.subset(SMALL_TEST)
    arrays = (train.images[..., 0], train.labels, test.images[..., 0], test.labels)
    for name, array in zip(datasets.IDX_FILES, arrays):
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
