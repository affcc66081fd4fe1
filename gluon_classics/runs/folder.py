"""Run folders: the parameters, the record and a picture of one training run.

    net.params   the network's parameters after the last epoch or the best one, in Gluon's own format
    run.json     the record: recipe, settings, data, provenance, status and the metrics of each epoch
    points.json  points along each epoch: images seen, loss and accuracy since the previous point
    curves.png   loss and accuracies over the epochs (needs matplotlib)
    *.ckpt       checkpoints to resume from

Files are replaced atomically. After a crash, a reader finds the complete previous version.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
import itertools
import json
import os
from pathlib import Path
import time

from gluon_classics import _console
from gluon_classics._files import atomic_path, locked, remove_leftovers, sha256_of, write_errors, write_text
from gluon_classics._format import first_line, is_utf8
from gluon_classics.errors import RunError
from gluon_classics.experiment.build import Experiment
from gluon_classics.experiment.parameter_files import save_parameters
from gluon_classics.experiment.settings import REPORTED
from gluon_classics.utils.history import EpochRecord

from . import curves
from .checkpoint import CHECKPOINTS
from .provenance import provenance
from .record import CURVES, PARAMETERS, POINTS, RECORD, TIME, Resumption, RunRecord

FILES = (PARAMETERS, RECORD, POINTS, CURVES, CHECKPOINTS)


class RunFolder:
    """A run folder that is locked by this process. Use it as a context manager: the end of the block unlocks it.

    The constructor locks an existing folder. `claim` and `claim_new` create one. Then call `start` for a new run or
    `resume` for an interrupted one.

    Raises:
        RunError: The folder does not exist, or another process has locked it.
    """

    record: RunRecord

    def __init__(self, path) -> None:
        self.path = Path(path)
        _require_utf8(self.path)
        self._lock = contextlib.ExitStack()
        self._lock.enter_context(locked(self.path))

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *exception) -> None:
        self._lock.close()

    @classmethod
    def claim(cls, path) -> RunFolder:
        """Create the folder `path`, or use it if it is empty, and lock it.

        Raises RunError if it is not empty, cannot be written, or is locked by another process.
        """
        path = Path(path)
        _require_utf8(path)
        with _writing(path):
            path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        with contextlib.ExitStack() as on_error:
            on_error.enter_context(folder)
            with _writing(path):
                remove_leftovers(path, FILES)  # of a process that was killed while it wrote its first file
                if any(path.iterdir()):
                    raise RunError(f"the run folder {path} is not empty: choose another with --out")
            on_error.pop_all()
        return folder

    @classmethod
    def claim_new(cls, path) -> RunFolder:
        """Create a new folder and lock it: `path`, or `path` with the first free number appended.

        Raises RunError if it cannot be written.
        """
        _require_utf8(Path(path))
        for number in itertools.count(1):
            candidate = Path(path if number == 1 else f"{path}-{number}")
            with _writing(candidate):
                candidate.parent.mkdir(parents=True, exist_ok=True)
                try:
                    candidate.mkdir()
                except FileExistsError:
                    continue
                return cls(candidate)
        raise AssertionError("unreachable")

    def start(self, experiment: Experiment, recipe: str | None = None) -> None:
        """Write the record of a new run. `recipe` is the name of its recipe, if it has one.

        Raises RunError if the record cannot be written.
        """
        try:
            record = RunRecord(
                recipe=recipe,
                settings=experiment.settings,
                data=experiment.data.record(),
                parameters=experiment.parameters,
                trained_images=experiment.train_data.examples,
                tested_images=experiment.test_data.examples,
                provenance=provenance(experiment.contexts, experiment.group.size),
                started=_now(),
                status="running",
                seconds=0.0,
                epochs=(),
            )
        except ValueError as error:  # now, not after an epoch whose record could not be read
            raise RunError(f"the run cannot be recorded: {error}") from error
        with _writing(self.path):
            self._begin(record, experiment)

    def resume(
        self, record: RunRecord, experiment: Experiment, epochs: list[EpochRecord], epoch: int, batches: int, changed
    ) -> None:
        """Continue the record of an interrupted run.

        Args:
            record: Record of the run so far.
            experiment: The experiment, with the restored state.
            epochs: Records of the epochs that the restored state includes.
            epoch: Epoch in which the run resumes, counted from 0.
            batches: Number of batches of this epoch that are already trained.
            changed: Result of `Provenance.changes`.
        """
        resumption = Resumption(_now(), epoch, batches, changed)
        resumed = (*record.resumed, resumption)
        self._begin(replace(record, settings=experiment.settings, epochs=tuple(epochs), resumed=resumed), experiment)

    def _begin(self, record, experiment):
        self.record = record
        self._net = experiment.net
        self._start = time.monotonic() - record.seconds  # a clock that is set back does not matter
        self.set_status("running")

    def write(self, record: RunRecord) -> None:
        """Replace the record."""
        with _writing(self.path):
            write_text(self.path / RECORD, record.to_json())

    def set_status(self, status: str) -> None:
        """Write the record with this status, one of `record.STATUSES`."""
        self.record = replace(self.record, status=status, seconds=round(time.monotonic() - self._start, 1))
        write_text(self.path / RECORD, self.record.to_json())

    def add_epoch(self, epoch: EpochRecord) -> None:
        """Write an epoch's metrics, and the parameters after it if it is the one to report so far."""
        record = replace(self.record, epochs=(*self.record.epochs, epoch))
        if record.reported_epoch == epoch.epoch:
            self.save_parameters(epoch.epoch)
        self.record = replace(self.record, epochs=record.epochs)
        points = [epoch.curve for epoch in self.record.epochs]
        write_text(self.path / POINTS, json.dumps(points, allow_nan=False) + "\n")
        self.set_status("running")

    def save_position(self) -> None:
        """Write the parameters in the middle of an epoch, unless those of a finished epoch are to be kept."""
        if self.record.settings.reported == REPORTED[0] or not self.record.epochs:
            self.save_parameters(None)

    def save_parameters(self, epoch: int | None) -> None:
        """Write the current parameters, and their checksum to the record.

        `epoch` is the number of the epoch after which they are saved; None within an epoch.

        Before the file is replaced, the record gets the checksums of both the new and the old one. If the process is
        killed between the two writes, the file is therefore still known. The next record has only the new checksum.
        """
        path = self.path / PARAMETERS

        def announce(sha256):
            either = tuple(known for known in (sha256, sha256_of(path)) if known)
            self.record = replace(self.record, parameters_sha256=either, parameters_epoch=epoch)
            write_text(self.path / RECORD, self.record.to_json())

        save_parameters(self._net, path, announce)
        self.record = replace(self.record, parameters_sha256=self.record.parameters_sha256[:1])

    def draw_curves(self) -> None:
        """Plot the metrics of the epochs. If that fails, print why: the run is complete without the picture."""
        try:
            with atomic_path(self.path / CURVES) as temporary:
                curves.draw(self.record.epochs, self.record.settings.model, temporary)
        except ModuleNotFoundError:
            _console.say(f"{CURVES} not drawn: it needs the extra plot (pip install 'gluon-classics[plot]')")
        except Exception as error:  # of any kind: matplotlib reads the user's fonts, settings and cache
            _console.warn(f"{CURVES} not drawn ({first_line(error)}): the run is complete without it")


def _require_utf8(path):
    """Raise RunError for names that MXNet cannot write to, before an epoch is trained."""
    if not is_utf8(os.path.realpath(path)):
        raise RunError(f"the name of the run folder {os.fsencode(path)!r} is not UTF-8: choose another with --out")


def _writing(path):
    return write_errors(f"the run folder {path}", "choose another with --out", RunError)


def _now():
    return time.strftime(TIME, time.gmtime())
