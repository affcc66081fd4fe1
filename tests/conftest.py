"""What all tests share: seeds, and where the full Fashion-MNIST is."""

import random

from gluon_classics import utils
from gluon_classics.utils import datasets
import numpy as np
import pytest

SEED = 20180306


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same seed; one that fails shows it here."""
    utils.seed_everything(SEED)
    yield SEED
    random.seed()


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
