"""What reaches a terminal: control characters, encodings, JSON and CSV."""

import csv
import io
import json
import os
import subprocess
import sys
import warnings

from gluon_classics import _console
import pytest

HOSTILE = "a\x1b]0;title\x07b\rc\nd\te\u202ef\u2028g\x9bh\x7f\u2066i\udcff"
CONTROLS = "\x1b\x07\r\n\t\u202e\u2028\x9b\x7f\u2066\udcff"


def test_control_characters_are_shown_as_escapes():
    shown = _console.visible(HOSTILE)
    assert not set(shown) & set(CONTROLS)
    assert shown.isprintable()
    assert shown.startswith(r"a\x1b]0;title\x07b\rc\nd\te\u202ef\u2028g\x9bh")


@pytest.mark.parametrize(
    "text", ["T-shirt/top", "衣服", "\u0645\u06cc\u200c\u062e", "👩\u200d🔬", "é", r"back\slash", "a\u00a0b"]
)
def test_letters_of_all_languages_stay_as_they_are(text):
    assert _console.visible(text) == text


@pytest.mark.parametrize(
    "show",
    [
        _console.echo,
        _console.say,
        _console.warn,
        lambda text: _console.echo_json({text: text}),
        lambda text: _console.echo_json_list([text, text]),
        lambda text: _console.table([text, "n:"], [(text, text)], (text, "")),
        lambda text: _console.echo_csv(["name"], [[text.replace("\n", "").replace("\t", "")]]),
    ],
    ids=["echo", "say", "warn", "json", "json list", "table", "csv"],
)
def test_no_output_passes_control_characters_on(show, capsys):
    show(HOSTILE)
    written = "".join(capsys.readouterr())
    assert not set(written) & set(CONTROLS) - {"\n"}
    assert "title" in written


def test_markup_and_emoji_names_are_shown_as_they_are(capsys):
    _console.say("[red]x[/red] :smile:")
    _console.table(["[b]t"], [("[red]x",)], (":smile:",))
    captured = capsys.readouterr()
    assert captured.err == "[red]x[/red] :smile:\n"
    assert all(text in captured.out for text in ("[b]t", "[red]x", ":smile:"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_can_show_every_name(encoding, monkeypatch):
    binary = io.BytesIO()
    stream = io.TextIOWrapper(binary, encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    _console.prepare_streams()
    _console.table(["class", "n:"], [("衣服", 1), ("x\udcff", 2)])
    _console.echo("衣服")
    _console.say("衣服")
    _console.echo_csv(["class"], [["衣服"]])
    written = binary.getvalue().decode(encoding)
    assert written.count("衣服" if encoding == "utf-8" else r"\u8863\u670d") == 4
    framed = {len(line) for line in written.splitlines() if line.startswith(("|", "+"))}
    assert len(framed) == (encoding != "utf-8")  # escapes do not move the frame of ASCII


def test_only_warnings_of_pillow_are_not_shown():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        _console.prepare_streams()
        for module in ("PIL.Image", "PIL.JpegImagePlugin", "PILLOW", "numpy"):
            warnings.warn_explicit(module, UserWarning, "file.py", 1, module=module)
    assert [str(warning.message) for warning in shown] == ["PILLOW", "numpy"]


def test_json_has_null_for_what_json_lacks(capsys):
    _console.echo_json({"loss": float("nan"), "rows": [float("inf"), -float("inf"), 0.5]})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"loss": None, "rows": [None, None, 0.5]}


@pytest.mark.parametrize("values", [[], [1], [{"a": [1, 2]}, "b\n", None]])
def test_a_list_that_is_printed_value_by_value_is_json(values, capsys):
    _console.echo_json_list(iter(values))
    assert json.loads(capsys.readouterr().out) == values


def test_csv_keeps_commas_quotes_and_line_breaks_of_names(capsys):
    rows = [["a,b", 'say "x"', "two\nlines"], ["", "衣服", "x"]]
    _console.echo_csv(["one", "two", "three"], rows)
    assert list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:] == rows


def test_odd_sizes_of_a_terminal_are_ignored():
    """Rich fails on some of these, or prints columns of no width."""
    code = "from gluon_classics import _console; _console.table(['name'], [('lenet',)]); _console.say('done')"
    for columns in ("0", "²", "9" * 5000):
        variables = {**os.environ, "COLUMNS": columns, "LINES": columns, "FORCE_COLOR": "1", "TERM": "\x1bnonsense"}
        result = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
        assert "lenet" in result.stdout, result.stderr[-500:]
        assert "done" in result.stderr
