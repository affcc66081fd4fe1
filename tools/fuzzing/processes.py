"""Run the command in its own process."""

from __future__ import annotations

import os
import subprocess
import sys

from .case import Answer

LIMIT = 100  # seconds of a command
COMMAND = (sys.executable, "-m", "gluon_classics")


def environment(**changes) -> dict[str, str]:
    """Return this process's variables with changes; None removes one."""
    found = {**os.environ, "MPLBACKEND": "agg", **changes}
    return {name: value for name, value in found.items() if value is not None}


def run(*arguments, variables=None, limits=lambda: None, **options) -> Answer:
    """Run the command to its end. `limits` runs in the new process first.

    Raises:
        subprocess.TimeoutExpired: It took too long; the process is killed.
    """
    variables = environment(**(variables or {}))
    encoding = variables.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        preexec_fn=limits,
        **options,
    )
    printed, said = (text.decode(encoding, "replace") for text in (done.stdout, done.stderr))
    return Answer(printed, status=done.returncode, said=said)
