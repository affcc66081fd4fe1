"""The record of a run (run.json): what has to be in it, and of which kind."""

from __future__ import annotations

from dataclasses import dataclass
import json
import math
from pathlib import Path

import gluon_classics
from gluon_classics.errors import RunError
from gluon_classics.experiment.settings import Settings

FORMAT = 1
PARAMETERS, RECORD, POINTS, CURVES = "net.params", "run.json", "points.json", "curves.png"

NUMBER = (int, float)
MAYBE_TEXT = (str, type(None))
EPOCH = {
    "epoch": int,
    "train_loss": NUMBER,
    "train_accuracy": NUMBER,
    "test_accuracy": NUMBER,
    "seconds": NUMBER,
    "images_per_second": NUMBER,
}
WANTED = {
    "recipe": MAYBE_TEXT,
    "settings": {"model": str, "data": str, "epochs": int, "batch_size": int, "learning_rate": NUMBER, "seed": int},
    "data": {
        "name": str,
        "is_sample": bool,
        "is_published": (bool, type(None)),
        "train_images": int,
        "image_shape": [int],
        "classes": [str],
        "sha256": str,
    },
    "parameters": int,
    "tested_images": int,
    "environment": {
        "commit": MAYBE_TEXT,
        "dirty": (bool, type(None)),
        "processor": str,
        "threads": MAYBE_TEXT,
        "devices": [str],
    },
    "started": str,
    "status": str,
    "seconds": NUMBER,
    "epochs": [EPOCH],
}
RESUMPTION = {"changed": dict}


def check_record(record) -> None:
    """Raises ValueError, naming the first thing that is missing or of another kind, unless `record` is a whole one."""
    _check(record, WANTED, "the record")
    _check(record.get("resumed", []), [RESUMPTION], "resumed")
    if [epoch["epoch"] for epoch in record["epochs"]] != list(range(len(record["epochs"]))):
        raise ValueError("its epochs do not count from 0")


def _check(value, wanted, name):
    if isinstance(wanted, dict):
        _expect(isinstance(value, dict), name)
        for key, kind in wanted.items():
            if key not in value:
                raise ValueError(f"{key} is missing")
            _check(value[key], kind, key)
    elif isinstance(wanted, list):
        _expect(isinstance(value, list), name)
        for entry in value:
            _check(entry, wanted[0], name)
    else:
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        _expect(isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)), name)
        _expect(not isinstance(value, float) or math.isfinite(value), name)


def _expect(right, name):
    if not right:
        raise ValueError(f"{name} is of the wrong kind")


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
