"""The READMEs are correct: their tables are up to date, and their commands and examples run."""

from pathlib import Path
import re
import subprocess
import sys

from gluon_classics.cli import main
from gluon_classics.diagnostics import doctor
import make_tables
from pictures import write_pictures
import pytest

CHECKOUT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")

pytestmark = pytest.mark.short


def blocks(name, language):
    """Return the code blocks of one language in a file of the checkout."""
    return re.findall(rf"```{language}\n(.*?)```", (CHECKOUT / name).read_text(encoding="utf-8"), re.DOTALL)


# usually the same in both languages
EXAMPLES = list(dict.fromkeys(code for name in READMES for code in blocks(name, "python")))


@pytest.mark.parametrize("name", make_tables.TABLES)
def test_the_tables_are_up_to_date(name):
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    assert make_tables.with_tables(name, text) == text, "run python tools/make_tables.py"


@pytest.mark.parametrize("name", READMES)
def test_the_sentence_about_speed_gives_the_lowest_mean(name):
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    sentence = text.partition("<!-- speed -->")[0].rpartition("\n## ")[2]
    assert f"{make_tables.lowest_mean():.2f}" in sentence


@pytest.mark.parametrize("left_out", [{"certify"}, pytest.param(set(), marks=pytest.mark.slow)], ids=["quick", "all"])
def test_the_commands_of_the_table_run_in_their_order(left_out, command, tmp_path):
    """`certify` trains in many new processes."""
    (tmp_path / "examples").symlink_to(CHECKOUT / "examples")
    write_pictures(tmp_path / "photos", {"cat": 5, "dog": 6})
    rows = re.findall(r"^\| (`gluon-classics .*`) \|", (CHECKOUT / "README.md").read_text(), re.MULTILINE)
    lines = [line.split() for row in rows for line in re.findall(r"`(.*?)`", row)]
    assert {line[1] for line in lines} == set(main.commands)
    for program, *arguments in lines:
        assert program == "gluon-classics"
        if arguments[0] in left_out:
            continue
        result = command(*arguments)
        assert result.returncode == 0, f"{arguments}\n{result.stderr}"


def test_the_readme_has_at_most_150_lines():
    assert len((CHECKOUT / "README.md").read_text().splitlines()) <= 150


def test_ci_runs_every_other_command():
    ci = (CHECKOUT / ".ci" / "run").read_text()
    others = [
        line
        for name in READMES
        for block in blocks(name, "sh")
        for line in block.splitlines()
        if not line.startswith("gluon-classics ")
    ]
    assert len(others) == 4
    for line in others:
        last_word = line.split("/")[-1]
        assert line.startswith("python3 -m venv ")
        assert f'run_readme_command "{last_word}"' in ci


@pytest.mark.parametrize("name", READMES)
def test_the_two_commands_are_the_same_in_both_languages(name):
    english = [line for block in blocks("README.md", "sh")[:2] for line in block.splitlines()]
    assert [line for block in blocks(name, "sh")[:2] for line in block.splitlines()] == english


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_run(environment, code):
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    if "utils.train(" in code:
        assert re.search(r"Epoch 0\. Loss: [\d.]+, Train acc [\d.]+, Test acc [\d.]+, Time [\d.]+ sec", result.stdout)


def test_the_problems_that_the_readme_explains_are_checks_of_doctor():
    section = (CHECKOUT / "README.md").read_text().partition("| check | problem |")[2].partition("\n\n")[0]
    explained = re.findall(r"^\| ([\w -]+) \|", section, re.MULTILINE)
    assert len(explained) >= 7
    assert set(explained) <= {check.name for check in doctor.examine()}


def test_every_path_in_the_readme_exists():
    text = (CHECKOUT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert len(links) >= 4
    for path in links:
        assert (CHECKOUT / path).exists(), path
