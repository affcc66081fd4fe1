"""Run folders: the parameters, the record and a picture of one training run.

    net.params   the network's parameters, in Gluon's own format
    run.json     the record: recipe, settings, data, environment, status and the metrics of each epoch
    points.json  for each epoch the points along its way: images seen, loss and accuracy since the last point
    curves.png   loss and accuracies along the way (with matplotlib)

Every file is replaced as a whole, so that a reader, or a crash, finds a state that once was true.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import functools
import json
import os
from pathlib import Path
import platform
import subprocess
import sys
import time

import cv2
import gluon_classics
import mxnet as mx
import numpy as np

from . import console, curves
from .checkpoint import CHECKPOINTS
from .errors import RunError
from .experiment import Experiment
from .files import atomic_path, remove_leftovers, write_text
from .parameters import save_parameters
from .record import check_record
from .settings import Settings
from .training import EpochResult

FORMAT = 1
PARAMETERS, RECORD, POINTS, CURVES = "net.params", "run.json", "points.json", "curves.png"
FILES = (PARAMETERS, RECORD, POINTS, CURVES, CHECKPOINTS)


class RunFolder:
    """The folder of a run that is under way; every method leaves it in a state that can be read."""

    def __init__(self, path, experiment: Experiment, recipe: str | None = None):
        """Make the folder and write the record. `recipe` is the name of the one that is run.

        Raises RunError if the folder cannot be written or is not empty.
        """
        self.path = Path(path)
        self.results: list[EpochResult] = []
        self._net = experiment.net
        self._started = time.time()
        self._record: dict = {
            "format": FORMAT,
            "recipe": recipe,
            "settings": asdict(experiment.settings),
            "data": experiment.data.record(),
            "parameters": experiment.parameters,
            "trained_images": experiment.train_data.examples,
            "tested_images": experiment.test_data.examples,
            "environment": environment(experiment.contexts),
            "started": _now(),
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.path, FILES)  # a process may have been killed in its first writing
            if any(self.path.iterdir()):
                raise RunError(f"the run folder {self.path} is not empty: choose another with --out")
            self.set_status("running")
        except OSError as error:
            raise RunError(f"cannot write the run folder {self.path} ({error.strerror}): choose another") from error

    @classmethod
    def reopened(cls, run: Run, experiment: Experiment, results: list[EpochResult], note: dict) -> RunFolder:
        """The folder of a run that goes on after `results`; `note` joins the record's list of resumptions."""
        folder = cls.__new__(cls)
        folder.path = run.path
        folder.results = results
        folder._net = experiment.net
        folder._started = time.time() - run.record["seconds"]
        resumed = [*run.record.get("resumed", []), {"at": _now(), **note}]
        folder._record = {**run.record, "settings": asdict(experiment.settings), "resumed": resumed}
        folder.set_status("running")
        return folder

    @property
    def recipe(self) -> str | None:
        """The name of the recipe that is run."""
        return self._record["recipe"]

    def set_status(self, status: str) -> None:
        """Note how the run stands: running, done, interrupted, diverged or failed."""
        seconds = round(time.time() - self._started, 1)
        epochs = [_metrics(result) for result in self.results]
        record = {**self._record, "status": status, "seconds": seconds, "epochs": epochs}
        write_text(self.path / RECORD, json.dumps(record, indent=2) + "\n")

    def add_epoch(self, result: EpochResult) -> None:
        """Keep an epoch's metrics and the parameters after it."""
        self.results.append(result)
        self.save_parameters()
        write_text(self.path / POINTS, json.dumps([result.curve for result in self.results]) + "\n")
        self.set_status("running")

    def save_parameters(self) -> None:
        """Keep the parameters as they are now."""
        save_parameters(self._net, self.path / PARAMETERS)

    def draw_curves(self) -> None:
        """Draw the epochs' metrics, if matplotlib is there; else say which extra draws them."""
        try:
            with atomic_path(self.path / CURVES) as temporary:
                curves.draw(self.results, self._record["settings"]["model"], temporary)
        except ImportError:
            console.say(f"{CURVES} not drawn: it needs the extra plot (pip install 'gluon-classics[plot]')")


@dataclass(frozen=True)
class Run:
    """A finished or interrupted run as read from its folder; `image_shape` is (H, W, C) of its data set.

    `record` is its whole run.json.
    """

    path: Path
    settings: Settings
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    record: dict

    @property
    def parameters(self) -> Path:
        """The parameter file."""
        return self.path / PARAMETERS

    def points(self) -> list[list[tuple[int, float, float]]]:
        """For each epoch the points along its way; none where their file is missing or damaged: it decides nothing."""
        try:
            ways = json.loads((self.path / POINTS).read_text(encoding="utf-8"))
            ways = [[(int(seen), float(loss), float(right)) for seen, loss, right in way] for way in ways]
            if any(seen < 1 for way in ways for seen, _, _ in way):
                raise ValueError("points count images from 1")
        except (OSError, ValueError, TypeError):
            return [[] for _ in self.record["epochs"]]
        return (ways + [[] for _ in self.record["epochs"]])[: len(self.record["epochs"])]


def read_run(path) -> Run:
    """The run in a folder. Raises RunError if it is no run folder or its record cannot be used."""
    record_file = Path(path, RECORD)
    try:
        record = json.loads(record_file.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise RunError(
                f"{record_file} has format {record['format']}, this version reads {FORMAT}: update the package"
            )
        settings = Settings(**record["settings"])
        gluon_classics.model_info(settings.model)  # fails for one that this version does not have
        check_record(record)
        record["data"]["origin"]  # results/ has records without: where the data was does not concern others
        classes, image_shape = tuple(record["data"]["classes"]), tuple(record["data"]["image_shape"])
        return Run(Path(path), settings, classes, image_shape, record)
    except OSError as error:
        runs = sorted(Path(path).glob(f"*/{RECORD}"))
        what = (
            f"name one of the runs in it, such as {runs[0].parent}"
            if runs
            else f"cannot read {record_file} ({error.strerror})"
        )
        raise RunError(f"{path} is no run folder: {what}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{record_file} is damaged ({error}): train again") from error


def environment(contexts) -> dict:
    """What a result may depend on besides its settings."""
    commit, dirty = code()
    return {
        "gluon_classics": gluon_classics.__version__,
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "mxnet": mx.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "opencv": cv2.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "devices": [str(ctx) for ctx in contexts],
    }


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _metrics(result):
    """An epoch's metrics but for the points along its way."""
    metrics = asdict(result)
    del metrics["curve"]
    return metrics


@functools.lru_cache(maxsize=None)
def code() -> tuple[str | None, bool | None]:
    """The checkout's commit, and whether the package's files differ from it; twice None outside of a checkout.

    It is that of the first call in a process: what happens to the files later is not what runs here.
    """
    package = Path(gluon_classics.__file__).parent

    def git(*arguments):
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    places = [str(package), str((package / "utils").resolve())]
    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # fails where another project's folder holds this package
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", *places)
    except (OSError, subprocess.CalledProcessError):
        return None, None
    return commit, bool(changes)


def _processor():
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
