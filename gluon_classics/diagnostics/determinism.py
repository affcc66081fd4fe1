"""`gluon-classics certify`: check whether training is bit-identical in different setups.

A short training is repeated in new processes. They differ in threads, compilation and devices, read the images from the
disk, repeat the first run, or resume from a checkpoint. The training augments images, holds some out, computes batches
in parts and tests ten crops of each image. Its learning rate warms up, falls along half a cosine and when the
validation accuracy has not risen, on which its patience depends too. The parameters, outputs and loss are compared with
those of the first run.

A second training starts from the parameters of the first one, with a new last layer, and freezes the others (unless the
last layer has fixed weights, as in LeNet-5). It is repeated and resumed, and compared with its own first run.

Not covered: several workers. `tools/kill_workers.py` checks that they resume bit-identically.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
import itertools
import json
from pathlib import Path
import subprocess
import sys
import tempfile

from gluon_classics import _runtime
from gluon_classics._processes import child_environment
from gluon_classics.errors import ClassicsError
import numpy as np

CLOSE = 4096  # ulp; a larger difference loses more than half of float32's 24 bits
WHOLE, FIRST_PART, REST = "whole", "first part", "rest"  # the part of the training that a process runs


@dataclass(frozen=True)
class Case:
    """One way to run the training.

    Attributes:
        threads: The number of OpenMP threads.
        compiled: Whether the network is compiled; else it runs eagerly.
        devices: The number of CPU contexts.
        note: What else distinguishes the case, for the user.
        resumed: Whether a first process writes a checkpoint, and a second one goes on from there.
        on_disk: Whether the images are files on the disk; else they are in memory.
        fine_tunes: Whether a new last layer is trained for the parameters of an earlier case.
    """

    threads: int
    compiled: bool
    devices: int
    note: str = ""
    resumed: bool = False
    on_disk: bool = False
    fine_tunes: bool = False


REFERENCE = Case(2, True, 1, "reference")
AGAIN = Case(2, True, 1, "repeated")
RESUMED = Case(2, True, 1, "resumed from a checkpoint", resumed=True)
_WAYS = [Case(*way) for way in itertools.product((2, 1), (True, False), (1, 2))]
CASES = [AGAIN, RESUMED, Case(2, True, 1, "images on the disk", on_disk=True), *_WAYS[1:]]
FINE_TUNING = [
    replace(case, note=f"new last layer, {case.note}", fine_tunes=True) for case in (REFERENCE, AGAIN, RESUMED)
]


def certify(model: str, steps: int) -> list[dict]:
    """Train a network in all cases and compare the results with those of the reference.

    Args:
        model: The name of the network.
        steps: The number of training steps, 2 or more. They are divided into 3 epochs of at least 2 steps.

    Returns:
        A row for each case, the reference before those that are compared with it: the fields of `Case`, whether it is
        the reference, and the result of `compare`.

    Raises:
        ClassicsError: The network could not be trained.
    """
    _runtime.require()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for reference, *others in ([REFERENCE, *CASES], FINE_TUNING):
            expected = _run(reference, model, steps, folder)
            rows.append({**asdict(reference), "is_reference": True, **compare(expected, expected)})
            for case in others:
                found = _run(case, model, steps, folder)
                rows.append({**asdict(case), "is_reference": False, **compare(expected, found)})
    return rows


def compare(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> dict:
    """Compare arrays of the same names and shapes.

    The unit of the differences, ulp, is the spacing of float32 numbers at the largest magnitude of an array. Small
    values are compared with the same absolute tolerance as the large values of their array.

    Returns:
        The verdict ("bit-identical", "equal within N ulp" or "different"), the largest difference of an array in ulp,
        and the name of that array (None if all arrays are bit-identical).
    """
    distances = {name: _ulp(array, found[name]) for name, array in expected.items()}
    worst = max(distances, key=lambda name: distances[name])
    ulp = distances[worst]
    if all(expected[name].tobytes() == found[name].tobytes() for name in expected):
        return {"verdict": "bit-identical", "ulp": 0, "worst": None}
    if ulp <= CLOSE:
        return {"verdict": f"equal within {ulp} ulp", "ulp": ulp, "worst": worst}
    return {"verdict": "different", "ulp": ulp, "worst": worst}


def _ulp(expected, found):
    largest = np.abs(expected).max(initial=0)
    distance = np.abs(expected.astype(np.float64) - found).max(initial=0)
    return int(np.ceil(distance / np.spacing(np.float32(largest))))


def _run(case, model, steps, folder):
    if case.resumed:
        _process(case, model, steps, folder, FIRST_PART)
        return _process(case, model, steps, folder, REST)
    return _process(case, model, steps, folder, WHOLE)


def _process(case, model, steps, folder, part):
    wanted = {"model": model, "steps": steps, "part": part, "folder": folder, **asdict(case)}
    command = [sys.executable, "-m", f"{__package__}.determinism_worker", json.dumps(wanted)]
    environment = {**child_environment(), "OMP_NUM_THREADS": str(case.threads)}
    result = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or [f"ended with status {result.returncode}"])[-1]
        raise ClassicsError(f"{model} could not be trained: {reason}")
    if part == FIRST_PART:
        return {}
    with np.load(Path(folder, "outcome.npz")) as outcome:
        return dict(outcome)
