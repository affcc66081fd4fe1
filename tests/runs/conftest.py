"""Runs of a small network that are interrupted at a given batch, with accuracies of a given list."""

import json
import os
import signal

from gluon_classics.errors import Interrupted, RunError
from gluon_classics.experiment import build
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import runner
from gluon_classics.runs.checkpoint import checkpoints, read_checkpoint
from gluon_classics.runs.folder import RunFolder
from gluon_classics.runs.resume import resume
from gluon_classics.utils import seeding
from gluon_classics.utils.training import TrainingLoop
import mxnet as mx
import pytest
import small_run

_MEASURED = TrainingLoop._accuracies
TIMES = ("seconds", "images_per_second")


class SmallRuns:
    """Trains, interrupts and resumes runs of a small network in a folder. It has 4 batches in an epoch.

    MXNet is seeded again before every second batch, and the network has dropout and running statistics.
    """

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(build, "get_model", small_run.small_network)
        monkeypatch.setattr(seeding, "WORK_BETWEEN_SEEDS", 1e18)
        monkeypatch.setattr(seeding, "BATCHES_BETWEEN_SEEDS", 2)

    def accuracies(self, test, validation=None):
        """Replace the accuracies of each epoch by these."""
        kinds = {"test": test, "validation": validation}

        def made_up(loop, data, kind):
            _MEASURED(loop, data, kind)
            return kinds[kind][loop.epoch], None

        self._monkeypatch.setattr(TrainingLoop, "_accuracies", made_up)

    def train(self, name, interrupt=None, contexts=1, recipe=None, **settings):
        """Train a new run. With `interrupt`, Ctrl-C arrives in this epoch, after this number of batches (None: all)."""
        given = {"batch_size": 80, "momentum": 0.9, "learning_rate": 0.05, "epochs": 3, **settings}
        made = build.prepare(Settings("lenet", **given), [mx.cpu(number) for number in range(contexts)])
        with RunFolder.claim(self.folder / name) as folder:
            folder.start(made, recipe)
            self._interrupted(interrupt, lambda: runner.run_training(made, folder, 10))
        return self.folder / name

    def resume(self, name, epochs=None, interrupt=None):
        """Resume a run."""
        self._interrupted(interrupt, lambda: resume(self.folder / name, epochs, 10))

    def without_checkpoint_of(self, epoch, work):
        """Do what fails when it writes the checkpoint after this epoch, as if it were killed before it."""
        write = runner.write_checkpoint

        def failing(path, facts, arrays):
            if (facts["epoch"], facts["batches"]) == (epoch + 1, 0):
                raise OSError(28, "No space left on device")
            write(path, facts, arrays)

        with self._monkeypatch.context() as patch:
            patch.setattr(runner, "write_checkpoint", failing)
            with pytest.raises(RunError, match="No space left"):
                work()

    def _interrupted(self, at, work):
        class Interrupting(runner.ProgressCallback):
            def after_batch(self, loop):
                super().after_batch(loop)
                if (loop.epoch, loop.batches) == at:
                    os.kill(os.getpid(), signal.SIGINT)

            def after_epoch(self, loop, record):
                super().after_epoch(loop, record)
                if (record.epoch, None) == at:
                    os.kill(os.getpid(), signal.SIGINT)

        with self._monkeypatch.context() as patch:
            patch.setattr(runner, "ProgressCallback", Interrupting)
            if at is None:
                work()
            else:
                with pytest.raises(Interrupted):
                    work()


@pytest.fixture
def runs(small_home, tmp_path, monkeypatch):
    """Return `SmallRuns` in an empty folder."""
    monkeypatch.setenv("MXNET_HOME", str(small_home))
    return SmallRuns(tmp_path, monkeypatch)


def record_of(run):
    """Return the content of a run's run.json."""
    return json.loads((run / "run.json").read_text())


@pytest.fixture
def outcome_of():
    """Return a function from a run folder to all that the run wrote, except times and places."""

    def outcome(run):
        record = record_of(run)
        epochs = [{name: value for name, value in epoch.items() if name not in TIMES} for epoch in record["epochs"]]
        facts, arrays = read_checkpoint(checkpoints(run)[0])
        return {
            "net.params": (run / "net.params").read_bytes(),
            "epochs": epochs,
            "points": (run / "points.json").read_bytes(),
            "state": facts["state"],
            "arrays": {name: array.tobytes() for name, array in arrays.items()},
            **{name: record[name] for name in ("status", "parameters_sha256", "parameters_epoch")},
        }

    return outcome
