"""Tables on narrow terminals."""

import re

from gluon_classics import _console
import pytest

TITLES = ("network", "settings", "published", "parameters:", "verdict")
ROWS = [("lenet_d2l-fashion-mnist", "28x28, batch 256, sgd 0.9", "train loss 0.472", "61,706", "reproduced")]
TOTAL = ("total", "", "", "3,857,973,248", "")


@pytest.fixture
def printed(monkeypatch, capsys):
    """Return a function that returns the table as a terminal with N columns shows it, without colors."""

    def show(columns, rows=ROWS):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(columns))
        _console.table(TITLES, iter(rows), TOTAL)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)

    return show


def letters(text):
    return sorted(character for character in text if character.isalnum())


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_letter_and_no_digit_is_lost(columns, printed):
    """Cells may be wrapped, so compare the letters, not the words."""
    shown = printed(columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert letters(shown) == letters("".join((*TITLES, *ROWS[0], *TOTAL)))


def test_a_name_is_not_wrapped_if_it_fits_in_half_of_the_width(printed):
    assert "lenet_d2l-fashion-mnist " in printed(50)
    assert "lenet_d2l-fashion-mnist " not in printed(44)


def test_the_first_column_is_only_as_wide_as_its_longest_name(printed):
    wide = [("vgg", *row[1:]) for row in ROWS]
    assert "28x28, batch 256, sgd 0.9 " in printed(100, wide)
