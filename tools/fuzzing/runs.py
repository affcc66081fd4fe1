"""Copies of the shared runs, and what is known about their results."""

from __future__ import annotations

import json
from pathlib import Path
import shutil

from .case import Answer


def copy(place, name: str = "whole") -> Path:
    """Return a copy of a shared run in the folder of the case."""
    return Path(shutil.copytree(place.world / name, place.folder / "run"))


def last_accuracy(run: Path) -> float:
    """Return the test accuracy after the last epoch, from the record."""
    return json.loads((run / "run.json").read_text())["epochs"][-1]["test_accuracy"]


def strict_json(text: str):
    """Return the content of JSON text, which must not have NaN or infinity. Raises ValueError."""

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def same_accuracy(expected: float):
    """Return the check that `evaluate --json` measures this accuracy."""

    def check(answer: Answer) -> str | None:
        try:
            measured = strict_json(answer.value)["accuracy"]
        except ValueError as error:
            return f"the output is not JSON: {error}"
        return None if measured == expected else f"accuracy {measured} instead of {expected}"

    return check


def sound_json(answer: Answer) -> str | None:
    """Check that a command's output is JSON without NaN."""
    try:
        strict_json(answer.value)
    except ValueError as error:
        return f"the output is not JSON: {error}"
    return None
