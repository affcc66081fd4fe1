"""What `--json` prints is JSON, whatever the numbers are, and words are listed as people list them."""

import json
import math
from pathlib import Path

import gluon_classics
from gluon_classics._format import joined, to_json
import numpy as np
import pytest


def test_numbers_that_are_not_finite_become_null():
    value = {"a": [1.5, math.nan, (math.inf, -math.inf)], "b": {"c": np.float64("nan")}, "d": None, "e": 3}
    assert json.loads(to_json(value), parse_constant=float) == {
        "a": [1.5, None, [None, None]],
        "b": {"c": None},
        "d": None,
        "e": 3,
    }


def test_every_command_prints_json_in_this_way():
    folder = Path(gluon_classics.__file__).parent / "cli"
    assert not [path.name for path in folder.glob("*.py") if "json.dumps" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(("words", "text"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_words_are_joined_as_people_list_them(words, text):
    assert joined(words) == text
