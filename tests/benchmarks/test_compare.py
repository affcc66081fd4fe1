"""`benchmarks/compare.py` flags ratios that fell, and no others."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

COMPARE = Path(__file__).parents[2] / "benchmarks" / "compare.py"
OLD = {"median": 2.0, "low": 1.9, "high": 2.1, "turns": 5}


def result(**ratios):
    return {"networks": {"lenet": {"ratios": ratios}}}


def compare(tmp_path, old, new):
    """Run compare.py on two results, each a value or the text of a file, and return the finished process."""
    paths = []
    for name, content in (("old.json", old), ("new.json", new)):
        paths.append(tmp_path / name)
        paths[-1].write_text(content if isinstance(content, str) else json.dumps(content))
    command = [sys.executable, str(COMPARE), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("median", "low", "high", "flagged"),
    [
        (2.0, 1.9, 2.1, False),
        (1.5, 1.4, 1.6, True),
        (1.85, 1.5, 1.95, True),
        (1.85, 1.5, 2.05, False),  # a turn of the new run reached the old median
        (1.95, 1.94, 1.96, False),  # a turn of the old run was as slow
        (3.0, 2.9, 3.1, False),
    ],
)
def test_a_ratio_that_fell_by_more_than_the_spread_is_flagged(tmp_path, median, low, high, flagged):
    new = {"median": median, "low": low, "high": high, "turns": 5}
    done = compare(tmp_path, result(train=OLD), result(train=new))
    assert (done.returncode, "fell" in done.stdout) == (int(flagged), flagged)


@pytest.mark.parametrize(("median", "flagged"), [(1.99, False), (1.91, False), (1.89, True)])
def test_a_ratio_without_a_spread_is_flagged_if_it_fell_by_more_than_a_twentieth(tmp_path, median, flagged):
    old, new = ({"median": value, "low": value, "high": value, "turns": 1} for value in (2.0, median))
    assert compare(tmp_path, result(memory=old), result(memory=new)).returncode == int(flagged)


def test_different_options_give_a_warning(tmp_path):
    old = {**result(train=OLD), "options": {"seconds": 1.5}, "machine": {"processor": "A", "load": 0.1}}
    new = {**result(train=OLD), "options": {"seconds": 0.8}, "machine": {"processor": "A", "load": 0.4}}
    done = compare(tmp_path, old, new)
    assert done.returncode == 0
    assert "the files differ in options:" in done.stderr
    assert "machine" not in done.stderr


def test_only_the_ratio_that_fell_is_flagged(tmp_path):
    fallen = {"median": 1.0, "low": 0.9, "high": 1.1, "turns": 5}
    done = compare(tmp_path, result(train=OLD, predict=OLD), result(train=OLD, predict=fallen))
    rows = [line for line in done.stdout.splitlines() if "lenet" in line]
    assert ["fell" in row for row in rows] == ["predict" in row for row in rows]
    assert len(rows) == 2


def test_a_ratio_that_only_one_file_has_is_reported(tmp_path):
    done = compare(tmp_path, result(train=OLD, predict=OLD), result(train=OLD))
    assert done.returncode == 0
    assert "only in one of the files: lenet, predict" in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", "{}", '{"networks": {"lenet": 1}}', "\x00", '{"networks": {"lenet": {"ratios": {"train": 3}}}}'),
        '{"networks": {"lenet": {"ratios": {"train": {"median": 2}}}}}',
        '{"networks": {"lenet": {"ratios": {"train": {"median": NaN, "low": 1, "high": 1, "turns": 1}}}}}',
    ],
)
def test_another_kind_of_file_is_a_one_line_error(tmp_path, content):
    done = compare(tmp_path, content, result(train=OLD))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "old.json: not a file that benchmarks/speed.py --json wrote" in done.stderr


def test_files_without_a_common_ratio_cannot_be_compared(tmp_path):
    done = compare(tmp_path, result(train=OLD), result(predict=OLD))
    assert done.returncode == 2
    assert "no ratio in common" in done.stderr


def test_a_missing_file_is_a_one_line_error(tmp_path):
    missing = str(tmp_path / "none.json")
    done = subprocess.run([sys.executable, str(COMPARE), missing, missing], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"{missing}: No such file or directory\n")
