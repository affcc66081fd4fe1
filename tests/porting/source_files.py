"""Checks of the text of generated source files."""

import importlib.util
from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).parents[2]


def assert_formatted(text):
    """Check that a text is Python, and if ruff is installed that it is formatted and has no findings."""
    compile(text, "port.py", "exec")
    assert max(map(len, text.split("\n"))) <= 120
    if importlib.util.find_spec("ruff") is None:
        return
    for command in (["format", "--diff"], ["check"]):
        result = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "--config",
                str(ROOT / "ruff.toml"),
                "--stdin-filename",
                "port.py",
                "-",
            ],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
