"""Make the programs in `tools/` importable, and the shared files of fuzz cases once."""

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def world():
    """Return the folder of the shared files."""
    from fuzzing import harness

    with harness.new_world() as path:
        yield path
