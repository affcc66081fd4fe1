"""Run folders: the parameters, the record and a picture of one training run.

    net.params   the network's parameters, in Gluon's own format
    run.json     the record: recipe, settings, data, environment, status and the metrics of each epoch
    points.json  for each epoch the points along its way: images seen, loss and accuracy since the last point
    curves.png   loss and accuracies along the way (with matplotlib)

Every file is replaced as a whole, so that a reader, or a crash, finds a state that once was true.
"""

from __future__ import annotations

from dataclasses import asdict
import json
from pathlib import Path
import time

from gluon_classics import _console
from gluon_classics._files import atomic_path, remove_leftovers, write_text
from gluon_classics.errors import RunError
from gluon_classics.experiment.build import Experiment
from gluon_classics.experiment.parameter_files import save_parameters
from gluon_classics.utils.training import EpochResult

from . import curves
from .checkpoint import CHECKPOINTS
from .provenance import environment
from .record import CURVES, FORMAT, PARAMETERS, POINTS, RECORD, Run

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
            _console.say(f"{CURVES} not drawn: it needs the extra plot (pip install 'gluon-classics[plot]')")


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _metrics(result):
    """An epoch's metrics but for the points along its way."""
    metrics = asdict(result)
    del metrics["curve"]
    return metrics
