"""The command `gluon-classics resume`: resume a run; the result is bit-identical to an uninterrupted run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Callable, NamedTuple

from gluon_classics import _console
from gluon_classics._files import remove_leftovers
from gluon_classics.errors import RunError, memory_explained
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings, parse_schedule
from gluon_classics.utils.context import AUTO, contexts_of_worker
from gluon_classics.utils.group import Group
from gluon_classics.utils.training import TrainingPosition

from .announce import announce, announce_nothing
from .checkpoint import Damaged, checkpoints
from .checkpoint_facts import CheckpointFacts, read_training
from .folder import FILES, RunFolder
from .provenance import provenance
from .record import Run, read_run, with_current_names
from .run_data import absolute_data, data_of
from .runner import run_training, stopped_words
from .state import restore


@memory_explained()
def resume(
    path,
    epochs: int | None = None,
    checkpoint_minutes: float = 10,
    data: str | None = None,
    in_memory: bool | None = None,
    group: Group | None = None,
    devices: tuple[int, int] = (0, 1),
    report: Callable[..., None] = lambda **_content: None,
) -> None:
    """Resume the run in folder `path` from its newest intact checkpoint.

    Args:
        path: Run folder.
        epochs: Total number of epochs; None is the run's.
        checkpoint_minutes: Time between two checkpoints.
        data: Name of a known data set, or a folder, if the run's data has moved; the record gets the new place.
        in_memory: Whether all images are read before the training; see `load_dataset`.
        group: Processes that train together, of which this is the first; None is this one alone.
        devices: `number` and `workers` of `contexts_of_worker`.
        report: Called with `folder`, the path of the run folder.

    Raises:
        RunError: The settings, the data or the network differ from those of the run. A change that affects only the
            last digits, such as of versions or threads, is a warning.
    """
    group = group or Group()
    with RunFolder(path) as folder:
        report(folder=str(folder.path.resolve()))
        run = read_run(path)
        record = run.record
        if record.provenance.workers != group.size:
            what = f"{path} was trained by {record.provenance.workers} workers"
            raise RunError(f"{what}: resume it with the command gluon-classics resume")
        remove_leftovers(path, FILES)
        settings = replace(record.settings, epochs=epochs or record.settings.epochs)
        if data is not None:
            settings = replace(settings, data=absolute_data(data))
        done = len(record.epochs)
        if done > settings.epochs:
            raise RunError(f"{path} has {done} epochs already: choose a larger number with --epochs")
        if record.status == "done" and (record.has_stopped or done == settings.epochs):
            all_done = f"all {done} epochs of {path} are done (use --epochs to train more)"
            why = f"{path} stopped {stopped_words(record)}" if record.has_stopped else all_done
            if data is not None:
                data_of(run, data, in_memory)
                folder.write(replace(record, settings=replace(record.settings, data=settings.data)))
                why = f"{why}; {path} now finds its data in {settings.data}"
            _console.say(f"Nothing left to do: {why}.")
            announce_nothing(group)
            return
        damaged: list[Path] = []
        checkpoint = _newest_checkpoint(run, damaged)
        if settings.epochs != record.settings.epochs and parse_schedule(settings.schedule).cosine:
            raise RunError(f"the cosine schedule of {path} is for {record.settings.epochs} epochs: leave --epochs out")
        names = [_context_name(device) for device in record.provenance.devices]
        ctx = AUTO if group.size > 1 and names[0].startswith("gpu") else ",".join(names)
        contexts = contexts_of_worker(ctx, *devices)
        found = data_of(run, data, in_memory)
        announce(group, settings, found, in_memory, ctx, len(contexts))
        # a checkpoint replaces the parameters that the run started from, whose file may no longer exist
        experiment = prepare(settings, contexts, found, restored=checkpoint is not None, group=group)
        start, history = _restore(checkpoint, run, experiment, damaged)
        for useless in damaged:
            useless.unlink()
        changed = record.provenance.changes(provenance(contexts, group.size))
        if changed:
            words = ", ".join(f"{name} {_short(before)} -> {_short(now)}" for name, (before, now) in changed.items())
            _console.warn(f"The last digits may differ from those of an uninterrupted run: {words}")
        _console.say(f"Resuming {settings.model} in epoch {start.epoch + 1}, after {start.batches:,} batches")
        folder.resume(record, experiment, history, start.epoch, start.batches, changed)
        run_training(experiment, folder, checkpoint_minutes, start)


class _Checkpoint(NamedTuple):
    path: Path
    facts: CheckpointFacts
    arrays: dict


def _newest_checkpoint(run: Run, damaged: list[Path]) -> _Checkpoint | None:
    """Return the newest intact checkpoint; None if the run stopped before its first one.

    Those in `damaged` are passed over, and others that turn out to be damaged are added to it. Raises RunError if there
    are only damaged ones, or if the checkpoint belongs to other settings.
    """
    for path in checkpoints(run.path):
        if path in damaged:
            continue
        try:
            checkpoint = _Checkpoint(path, *read_training(path))
        except Damaged as error:
            _console.warn(f"{error}: trying the previous one")
            damaged.append(path)
            continue
        _check_settings(checkpoint.facts.settings, run.record.settings, run.path)
        return checkpoint
    if damaged or len(run.record.epochs) > 1:  # an epoch's record is written before its checkpoint
        raise RunError(f"{run.path} has no checkpoint that can be used: train again")
    return None


def _check_settings(saved, settings, path):
    # settings that the version of the checkpoint did not know have their defaults; the number of epochs may change, and
    # so may the place of the data, whose checksum is compared
    saved = with_current_names(saved)
    saved = {**asdict(Settings(settings.model)), **saved, "epochs": settings.epochs, "data": settings.data}
    changed = [name for name, value in asdict(settings).items() if saved.get(name) != value]
    if changed:
        words = ", ".join(f"{name} {saved.get(name)} -> {getattr(settings, name)}" for name in changed)
        raise RunError(f"the checkpoint in {path} has other settings than its run.json ({words}): train again")


def _restore(checkpoint, run, experiment, damaged):
    """Restore the state of the experiment, and return the position and the history of the training.

    A checkpoint whose content is not possible is added to `damaged`, and the previous one is restored.
    """
    while checkpoint:
        try:
            return restore(experiment, checkpoint.facts, checkpoint.arrays)
        except Damaged as error:
            _console.warn(f"{checkpoint.path} is damaged ({error}): trying the previous one")
            damaged.append(checkpoint.path)
            checkpoint = _newest_checkpoint(run, damaged)
        except RunError as error:
            what = f"the checkpoint in {run.path} does not fit {experiment.settings.model}: {error}"
            raise RunError(what) from error
    return TrainingPosition(), []


def _short(value):
    return value["name"] if isinstance(value, dict) else value


def _context_name(device):
    """Return a device as --ctx takes it: cpu:0 for MXNet's cpu(0)."""
    return device.replace("(", ":").rstrip(")")
