"""The guide docs/porting.md is correct: its commands run, and each step of the example finds what the guide says.

PORT_PYTHON is the Python that runs the port. It needs PyTorch and need not have MXNet.
"""

import os
from pathlib import Path
import re
import shlex
import shutil
import subprocess
import sys

import pytest

CHECKOUT = Path(__file__).parents[2]
GUIDE = (CHECKOUT / "docs" / "porting.md").read_text(encoding="utf-8")
EXAMPLE, TEST = "examples/porting/resnet18.py", "examples/porting/test_resnet18.py"
TRACE, RECORD, COMPARE, SUITE = (shlex.split(block) for block in re.findall(r"```sh\n(.*?)\n```", GUIDE))
PORT_PYTHON = os.environ.get("PORT_PYTHON", sys.executable)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def corrected(text, diff):
    """Return the text with the lines of a diff replaced, wherever they are."""
    sides = {"-": "", "+": ""}
    for line in diff.splitlines(keepends=True):
        sides[line[0]] += line[1:]
    old, new = sides["-"].rstrip("\n"), sides["+"].rstrip("\n")
    assert old in text
    return text.replace(old, new)


@pytest.fixture(scope="module")
def environment():
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}


def run(command, folder, environment, status=0):
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout


def test_each_mistake_of_the_example_is_found_and_named(environment, tmp_path):
    has_torch = not subprocess.run([PORT_PYTHON, "-c", "import torch"], capture_output=True, check=False).returncode
    if not has_torch and "PORT_PYTHON" not in os.environ:
        pytest.skip("needs PyTorch: set PORT_PYTHON to a Python that has it")
    (tmp_path / EXAMPLE).parent.mkdir(parents=True)
    run([sys.executable, "-m", "gluon_classics", *TRACE[1:]], tmp_path, environment)
    text = (CHECKOUT / EXAMPLE).read_text(encoding="utf-8")
    for found, diff in zip(blocks("text"), [*blocks("diff"), None]):
        (tmp_path / EXAMPLE).write_text(text, encoding="utf-8")
        run([PORT_PYTHON, *RECORD[1:]], tmp_path, environment)
        report = run([PORT_PYTHON, "-m", "gluon_classics", *COMPARE[1:]], tmp_path, environment, status=1)
        assert report.partition(" (relative error")[0] == found.strip()
        text = corrected(text, diff) if diff else text
    assert "level reached: F (forward), T (training outputs and loss), G (gradients)" in report
    run([sys.executable, "-m", "gluon_classics", *SUITE[1:], "resnet18_v1"], tmp_path, environment)
    shutil.copy(CHECKOUT / TEST, tmp_path / TEST)
    command = [PORT_PYTHON, "-m", "pytest", "-p", "no:cacheprovider", TEST]
    assert "3 passed" in run(command, tmp_path, environment)
    (tmp_path / EXAMPLE).write_text((CHECKOUT / EXAMPLE).read_text(encoding="utf-8"), encoding="utf-8")
    assert "3 failed" in run(command, tmp_path, environment, status=1)


def test_the_guide_has_an_output_for_each_mistake_and_for_what_remains():
    assert len(blocks("text")) == len(blocks("diff")) + 1 == 4


def test_the_guide_shows_the_test_of_the_example():
    (shown,) = [block for block in blocks("python") if "def test_" in block]
    example = (CHECKOUT / TEST).read_text(encoding="utf-8")
    assert shown in example.replace('os.environ.get("SUITE", "suite")', '"suite"')


def test_the_diffs_of_the_guide_fit_the_example():
    text = (CHECKOUT / EXAMPLE).read_text(encoding="utf-8")
    for diff in blocks("diff"):
        text = corrected(text, diff)
    compile(text, EXAMPLE, "exec")
    mistakes = [line[1:] for diff in blocks("diff") for line in diff.splitlines() if line.startswith("-")]
    assert [line for line in mistakes if line in text] == []
