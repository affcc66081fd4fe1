"""Errors for users."""

from gluon_classics.data.images import read_image
from gluon_classics.errors import ClassicsError, DataError, RunError
import pytest


@pytest.mark.parametrize("kind", [ClassicsError, DataError, RunError])
def test_control_characters_in_a_message_are_shown_as_escapes(kind):
    assert str(kind("a\nb\x1b[31m\u202ec")) == "a\\nb\\x1b[31m\\u202ec"
    assert str(kind("中文 é")) == "中文 é"


def test_the_error_about_an_oddly_named_image_is_one_line(data_error, tmp_path):
    with data_error("a\\nb.png", "no such file"):
        read_image(tmp_path / "a\nb.png")
