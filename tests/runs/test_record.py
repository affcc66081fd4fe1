"""Whether a run.json is a whole record: what is missing or of another kind is named, nothing is guessed."""

import copy
import json

from gluon_classics.errors import RunError
from gluon_classics.runs.record import EPOCH, WANTED, check_record, read_run
import pytest

LENET = "lenet_d2l-fashion-mnist-d2l-0.17"
PATHS = [
    *((name,) for name in WANTED),
    *((part, name) for part in ("settings", "data", "environment") for name in WANTED[part]),
    *(("epochs", 3, name) for name in EPOCH),
]


def at(record, path):
    """The part of a record that holds the last of `path`."""
    for name in path[:-1]:
        record = record[name]
    return record


@pytest.mark.parametrize("path", PATHS, ids=lambda path: "-".join(map(str, path)))
def test_every_part_must_be_there_and_of_its_kind(make_record, path):
    whole = make_record(LENET)
    check_record(whole)
    name, broken = path[-1], copy.deepcopy(whole)
    del at(broken, path)[name]
    with pytest.raises(ValueError, match=f"{name} is missing"):
        check_record(broken)
    for wrong in ({"a": 1}, [[]], 3 if isinstance(at(whole, path)[name], (str, bool)) else "3"):
        if type(wrong) is not type(at(whole, path)[name]):
            broken = copy.deepcopy(whole)
            at(broken, path)[name] = wrong
            with pytest.raises(ValueError, match=f"{name} is of the wrong kind"):
                check_record(broken)


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_a_figure_is_a_finite_number(make_record, number):
    record = make_record(LENET)
    record["epochs"][0]["train_loss"] = json.loads(number)
    with pytest.raises(ValueError, match="train_loss is of the wrong kind"):
        check_record(record)


def test_epochs_count_on(make_record):
    record = make_record(LENET)
    del record["epochs"][4]
    with pytest.raises(ValueError, match="do not count from 0"):
        check_record(record)


@pytest.mark.parametrize("change", [{"status": None}, {"environment": []}, {"recipe": 3}, {"resumed": [{}]}])
def test_a_damaged_record_ends_in_one_line(make_record, tmp_path, change):
    (tmp_path / "run.json").write_text(json.dumps({**make_record(LENET), **change}))
    with pytest.raises(RunError, match=r"run\.json is damaged \(.*\): train again"):
        read_run(tmp_path)


def test_for_a_recipes_folder_one_of_its_runs_is_named(make_record, tmp_path):
    for seed in (0, 1):
        (tmp_path / f"seed-{seed}").mkdir()
        (tmp_path / f"seed-{seed}" / "run.json").write_text(json.dumps(make_record(LENET, seed)))
    with pytest.raises(RunError, match=r"name one of the runs in it, such as .*seed-0$"):
        read_run(tmp_path)
