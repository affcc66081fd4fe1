"""Run folders: the parameters, the record, the metrics and a picture of one training run.

    net.params      the network's parameters, in Gluon's own format
    run.json        settings, data, environment, status and results
    metrics.jsonl   one line of metrics an epoch
    curves.png      loss and accuracies along the way (with matplotlib)

Every file is replaced as a whole, so that a reader, or a crash, finds a state that once was true.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
import json
import os
from pathlib import Path
import platform
import shlex
import subprocess
import sys
import time

import cv2
import gluon_classics
import mxnet as mx
import numpy as np

from . import console, curves
from .context import AUTO
from .errors import RunError
from .experiment import Experiment
from .files import atomic_path, write_text
from .parameters import save_parameters
from .settings import Settings
from .training import EpochResult

FORMAT = 1
PARAMETERS, RECORD, METRICS, CURVES = "net.params", "run.json", "metrics.jsonl", "curves.png"


class RunFolder:
    """The folder of a run that is under way; every method leaves it in a state that can be read."""

    def __init__(self, path, experiment: Experiment):
        """Make the folder and write the record. Raises RunError if it cannot be written or is not empty."""
        self.path = Path(path)
        self.results: list[EpochResult] = []
        self._net = experiment.net
        self._started = time.time()
        self._record: dict = {
            "format": FORMAT,
            "settings": asdict(experiment.settings),
            "data": experiment.data.record(),
            "environment": environment(experiment.contexts),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started)),
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise RunError(f"the run folder {self.path} is not empty: choose another with --out")
            self.set_status("running")
        except OSError as error:
            raise RunError(f"cannot write the run folder {self.path} ({error.strerror}): choose another") from error

    def set_status(self, status: str) -> None:
        """Note how the run stands: running, done, interrupted, diverged or failed."""
        last = _metrics(self.results[-1]) if self.results else None
        seconds = round(time.time() - self._started, 1)
        record = {**self._record, "status": status, "epochs_done": len(self.results), "seconds": seconds, "last": last}
        write_text(self.path / RECORD, json.dumps(record, indent=2) + "\n")

    def add_epoch(self, result: EpochResult) -> None:
        """Keep an epoch's metrics and the parameters after it."""
        self.results.append(result)
        lines = [json.dumps(_metrics(result)) + "\n" for result in self.results]
        self.save_parameters()
        write_text(self.path / METRICS, "".join(lines))
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
    """A finished or interrupted run as read from its folder; `image_shape` is (H, W, C) of its data set."""

    path: Path
    settings: Settings
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]

    @property
    def parameters(self) -> Path:
        """The parameter file."""
        return self.path / PARAMETERS


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
        return Run(Path(path), settings, tuple(record["data"]["classes"]), tuple(record["data"]["image_shape"]))
    except OSError as error:
        raise RunError(f"{path} is no run folder: cannot read {record_file} ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{record_file} is damaged ({error}): train again") from error


def environment(contexts) -> dict:
    """What a result may depend on besides its settings."""
    return {
        "gluon_classics": gluon_classics.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "mxnet": mx.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "opencv": cv2.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "devices": [str(ctx) for ctx in contexts],
    }


def _metrics(result):
    """An epoch's metrics but for the points along its way."""
    metrics = asdict(result)
    del metrics["curve"]
    return metrics


def _commit():
    """The checkout's commit, with "+changes" if files differ from it; None outside of a checkout."""
    package = Path(gluon_classics.__file__).parent

    def git(*arguments):
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # fails where another project's folder holds this package
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "")


def _processor():
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def go_on_command(settings: Settings, epochs_done: int, folder, ctx: str) -> str:
    """The command that goes on from the parameters in `folder` for the epochs that are left."""
    options = {"--init-from": folder, "--epochs": max(1, settings.epochs - epochs_done)}
    if ctx != AUTO:
        options["--ctx"] = ctx
    for field in fields(Settings):
        value = getattr(settings, field.name)
        if field.name not in ("model", "epochs", "init_from") and value != field.default:
            option = "lr" if field.name == "learning_rate" else field.name.replace("_", "-")
            options[f"--{option}"] = value
    words = ["gluon-classics", "train", settings.model, *(str(word) for option in options.items() for word in option)]
    return " ".join(map(shlex.quote, words))
