"""Runs of a recipe that exist already are kept, or refused if they are not its own."""

from dataclasses import replace

from gluon_classics.errors import RunError
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.reproduce import reproduce
import pytest

RECIPE = "lenet_d2l-fashion-mnist-d2l-0.17"


@pytest.fixture
def write(tmp_path):
    """A function that writes the record of a run of seed 0."""

    def write(record):
        (tmp_path / "seed-0").mkdir()
        (tmp_path / "seed-0" / "run.json").write_text(record.to_json())

    return write


def test_a_run_that_is_done_is_returned_without_training(make_record, write, tmp_path):
    write(make_record(RECIPE))
    (run,) = reproduce(get_recipe(RECIPE), 1, 0, "cpu", tmp_path, None, 10)
    assert run.record == make_record(RECIPE)


def test_a_run_of_another_recipe_with_the_same_settings_is_refused(make_record, write, tmp_path):
    write(replace(make_record(RECIPE), recipe="another"))
    with pytest.raises(RunError, match=r"holds a run with other settings \(recipe another\): choose another folder"):
        reproduce(get_recipe(RECIPE), 1, 0, "cpu", tmp_path, None, 10)
