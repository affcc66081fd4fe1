"""The prose checker reads docstrings, comments, messages and text, but not code."""

from pathlib import Path

import check_prose
import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def found_in(tmp_path, monkeypatch):
    """Return a function that writes a file and returns the checker's messages about it."""
    monkeypatch.setattr(check_prose, "ROOT", tmp_path)

    def check(name, text):
        (tmp_path / name).write_text(text)
        return check_prose.found(tmp_path / name)

    return check


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'x = 1\n"""A file\nbeside another."""\n'),
        ("a.py", "\n\n# beside another\n"),
        ("a.py", '\n\nprint(f"{x} stands beside {y}")\n'),
        ("a.md", "One.\n\nA file beside another.\n"),
        ("a.md", "```\n```\nbeside\n"),
    ],
)
def test_a_banned_phrase_is_reported_with_its_line_and_a_replacement(found_in, name, text):
    (message,) = found_in(name, text)
    assert message == f"{name}:3: 'beside': write next to, or alongside"


@pytest.mark.parametrize(("name", "text"), [("a.py", "beside = 1\n"), ("a.md", "`beside`\n\n```\nbeside\n```\n")])
def test_code_is_not_checked(found_in, name, text):
    assert found_in(name, text) == []


def test_a_phrase_across_a_line_break_is_found(found_in):
    assert len(found_in("a.md", "in\nplace of\n")) == 1
