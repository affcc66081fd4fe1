"""`gluon-classics certify`: does a training depend, to the bit, on how it is run?

One short training is repeated in processes of their own, which differ in threads, compilation and devices, or are only
repeated, or broken off and resumed. Parameters, outputs and loss are compared with those of the first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import itertools
import json
from pathlib import Path
import subprocess
import sys
import tempfile

from gluon_classics import _runtime
from gluon_classics.errors import ClassicsError
import numpy as np

from .processes import child_environment

CLOSE = 4096  # ulp: beyond it half of float32's 24 bits are lost
WHOLE, FIRST_PART, REST = "whole", "first part", "rest"  # what of the training a process does


@dataclass(frozen=True)
class Case:
    """One way to run the training; `devices` is a number of CPU contexts, `note` says what else is special."""

    threads: int
    compiled: bool
    devices: int
    note: str = ""


REFERENCE = Case(2, True, 1, "reference")
AGAIN = Case(2, True, 1, "again")
RESUMED = Case(2, True, 1, "checkpointed and resumed")
_WAYS = [Case(*way) for way in itertools.product((2, 1), (True, False), (1, 2))]
CASES = [AGAIN, RESUMED, *_WAYS[1:]]


def certify(model: str, steps: int) -> list[dict]:
    """A row for each case, the reference first: how it was run, and what `compare` says. Raises ClassicsError."""
    _runtime.require()
    with tempfile.TemporaryDirectory() as folder:
        reference = _run(REFERENCE, model, steps, folder)
        rows = [{**asdict(REFERENCE), **compare(reference, reference)}]
        for case in CASES:
            rows.append({**asdict(case), **compare(reference, _run(case, model, steps, folder))})
    return rows


def compare(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> dict:
    """The verdict on arrays, with the distance of the worst one, in ulp, and its name (None if all are equal).

    An ulp is the spacing of float32 numbers at an array's largest magnitude: small numbers among large ones are not
    held to more than the large ones are.
    """
    distances = {name: _ulp(array, found[name]) for name, array in expected.items()}
    worst = max(distances, key=lambda name: distances[name])
    ulp = distances[worst]
    if all(expected[name].tobytes() == found[name].tobytes() for name in expected):
        return {"verdict": "bitwise equal", "ulp": 0, "worst": None}
    if ulp <= CLOSE:
        return {"verdict": f"equal within {ulp} ulp", "ulp": ulp, "worst": worst}
    return {"verdict": "different", "ulp": ulp, "worst": worst}


def _ulp(expected, found):
    largest = np.abs(expected).max(initial=0)
    distance = np.abs(expected.astype(np.float64) - found).max(initial=0)
    return int(np.ceil(distance / np.spacing(np.float32(largest))))


def _run(case, model, steps, folder):
    if case == RESUMED:
        _process(case, model, steps, folder, FIRST_PART)
        return _process(case, model, steps, folder, REST)
    return _process(case, model, steps, folder, WHOLE)


def _process(case, model, steps, folder, part):
    wanted = {"model": model, "steps": steps, "part": part, "folder": folder, **asdict(case)}
    command = [sys.executable, "-m", f"{__package__}.determinism_worker", json.dumps(wanted)]
    environment = {**child_environment(), "OMP_NUM_THREADS": str(case.threads)}
    result = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or [f"ended with status {result.returncode}"])[-1]
        raise ClassicsError(f"{model} could not be trained: {said}")
    if part == FIRST_PART:
        return {}
    with np.load(Path(folder, "outcome.npz")) as outcome:
        return dict(outcome)
