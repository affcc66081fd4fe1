"""The command `gluon-classics resume`: resume a run; the result is bit-identical to an uninterrupted run."""

from __future__ import annotations

from dataclasses import asdict, replace

from gluon_classics import _console
from gluon_classics._files import remove_leftovers
from gluon_classics.errors import RunError, memory_explained
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings, parse_schedule
from gluon_classics.utils.context import parse_contexts
from gluon_classics.utils.training import TrainingPosition

from .checkpoint import Damaged, checkpoints, read_checkpoint
from .folder import FILES, RunFolder
from .provenance import provenance
from .record import Run, read_run
from .runner import run_training
from .state import restore


@memory_explained()
def resume(path, epochs: int | None, checkpoint_minutes: float) -> None:
    """Resume the run in folder `path` from its newest intact checkpoint.

    Args:
        path: Run folder.
        epochs: Total number of epochs; None is the run's.
        checkpoint_minutes: Time between two checkpoints.

    Raises:
        RunError: The settings, the data or the network differ from those of the run. A change that affects only the
            last digits, such as of versions or threads, is a warning.
    """
    with RunFolder(path) as folder:
        run = read_run(path)
        record = run.record
        remove_leftovers(path, FILES)
        settings = replace(record.settings, epochs=epochs or record.settings.epochs)
        done = len(record.epochs)
        if done > settings.epochs:
            raise RunError(f"{path} has {done} epochs already: choose a larger number with --epochs")
        if record.status == "done" and done == settings.epochs:
            _console.say(f"Nothing left to do: all {done} epochs of {path} are done (use --epochs to train more).")
            return
        checkpoint = _newest_checkpoint(run)
        if checkpoint:
            _check_settings(checkpoint[0], record.settings, path)
        if settings.epochs != record.settings.epochs and parse_schedule(settings.schedule).cosine:
            raise RunError(f"the cosine schedule of {path} is for {record.settings.epochs} epochs: leave --epochs out")
        contexts = parse_contexts(",".join(_context_name(device) for device in record.provenance.devices))
        # a checkpoint replaces the parameters that the run started from, whose file may no longer exist
        experiment = prepare(replace(settings, init_from=None) if checkpoint else settings, contexts)
        experiment = replace(experiment, settings=settings)
        if experiment.data.record().sha256 != record.data.sha256:
            raise RunError(f"{settings.data} is not the data that {path} was trained on: its images or labels changed")
        start, history = _restore(checkpoint, experiment, path)
        changed = record.provenance.changes(provenance(contexts))
        if changed:
            words = ", ".join(f"{name} {_short(before)} -> {_short(now)}" for name, (before, now) in changed.items())
            _console.warn(f"The last digits may differ from those of an uninterrupted run: {words}")
        _console.say(f"Resuming {settings.model} in epoch {start.epoch + 1}, after {start.batches:,} batches")
        folder.resume(record, experiment, history, start.epoch, start.batches, changed)
        run_training(experiment, folder, checkpoint_minutes, start)


def _newest_checkpoint(run: Run):
    """Return the facts and arrays of the newest intact checkpoint; None if the run stopped before its first one."""
    found = checkpoints(run.path)
    damaged = []
    for path in found:
        try:
            checkpoint = read_checkpoint(path)
        except Damaged as error:
            _console.warn(f"{error}: trying the previous one")
            damaged.append(path)
            continue
        for useless in damaged:
            useless.unlink()
        return checkpoint
    if found or len(run.record.epochs) > 1:  # an epoch's record is written before its checkpoint
        raise RunError(f"{run.path} has no checkpoint that can be used: train again")
    return None


def _check_settings(facts, settings, path):
    # settings that the version of the checkpoint did not know have their defaults; the number of epochs may change
    saved = {**asdict(Settings(settings.model)), **facts["settings"], "epochs": settings.epochs}
    changed = [name for name, value in asdict(settings).items() if saved.get(name) != value]
    if changed:
        words = ", ".join(f"{name} {saved.get(name)} -> {getattr(settings, name)}" for name in changed)
        raise RunError(f"the checkpoint in {path} has other settings than its run.json ({words}): train again")


def _restore(checkpoint, experiment, path):
    """Restore the state of the experiment, and return the position and the history of the training."""
    if checkpoint is None:
        return TrainingPosition(), []
    try:
        return restore(experiment, *checkpoint)
    except RunError as error:
        raise RunError(f"the checkpoint in {path} does not fit {experiment.settings.model}: {error}") from error


def _short(value):
    return value["name"] if isinstance(value, dict) else value


def _context_name(device):
    """Return a device as --ctx takes it: cpu:0 for MXNet's cpu(0)."""
    return device.replace("(", ":").rstrip(")")
