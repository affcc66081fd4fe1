"""`gluon-classics resume`: going on with a run to the bits that it would have had without a break."""

from __future__ import annotations

from dataclasses import asdict, replace

from gluon_classics import _console
from gluon_classics._files import locked, remove_leftovers
from gluon_classics.errors import RunError
from gluon_classics.experiment.build import prepare
from gluon_classics.utils.context import parse_contexts
from gluon_classics.utils.training import Position

from .checkpoint import Damaged, checkpoints, read_checkpoint
from .folder import FILES, RunFolder
from .provenance import environment
from .record import Run, read_run
from .runner import carry_out
from .state import put_back

# Of the environment: what the last bits may depend on.
DECISIVE = ("gluon_classics", "commit", "dirty", "mxnet", "numpy", "opencv", "processor", "threads")


def run(path, epochs: int | None, checkpoint_minutes: float) -> None:
    """Go on with the run in folder `path` from its newest sound checkpoint, to the end, or to `epochs` in all.

    Raises RunError where it could not mean the same any more: other settings, data or network than at its start. What
    may change bits only (versions, threads) is told in one line.
    """
    with locked(path):
        run = read_run(path)
        remove_leftovers(path, FILES)
        settings = replace(run.settings, epochs=epochs or run.settings.epochs)
        done = len(run.record["epochs"])
        if done > settings.epochs:
            raise RunError(f"{path} has {done} epochs already: ask for more")
        if run.record["status"] == "done" and done == settings.epochs:
            _console.say(f"Nothing left to do: all {done} epochs of {path} are done (--epochs to train more).")
            return
        checkpoint = _newest(run)
        if checkpoint:
            _check_settings(checkpoint[0], run.settings, path)
        contexts = parse_contexts(",".join(_context_name(device) for device in run.record["environment"]["devices"]))
        # a checkpoint stands for the parameters it once started from, which may be gone
        experiment = prepare(replace(settings, init_from=None) if checkpoint else settings, contexts)
        experiment = replace(experiment, settings=settings)
        if experiment.data.record()["sha256"] != run.record["data"]["sha256"]:
            raise RunError(f"{settings.data} is not the data that {path} was trained on: its images or labels changed")
        start, results = _put_back(checkpoint, experiment, path)
        changed = _changes(run.record["environment"], environment(contexts))
        if changed:
            words = ", ".join(f"{name} {before} -> {now}" for name, (before, now) in changed.items())
            _console.warn(f"The last bits may differ from those of a run without a break: {words}")
        _console.say(f"Resuming {settings.model} in epoch {start.epoch + 1}, after {start.batches:,} batches")
        note = {"epoch": start.epoch, "batches": start.batches, "changed": changed}
        folder = RunFolder.reopened(run, experiment, results, note)
        carry_out(experiment, folder, checkpoint_minutes, start)


def _newest(run: Run):
    """Facts and arrays of the newest checkpoint that is sound; None if the run was stopped before its first."""
    found = checkpoints(run.path)
    damaged = []
    for path in found:
        try:
            checkpoint = read_checkpoint(path)
        except Damaged as error:
            _console.warn(f"{error}: looking for the one before")
            damaged.append(path)
            continue
        for useless in damaged:
            useless.unlink()
        return checkpoint
    if found or len(run.record["epochs"]) > 1:  # an epoch's record is written before its checkpoint
        raise RunError(f"{run.path} has no checkpoint that can be used: train again")
    return None


def _check_settings(facts, settings, path):
    saved = {**facts["settings"], "epochs": settings.epochs}  # how many there shall be changes none of them
    changed = [name for name, value in asdict(settings).items() if saved.get(name) != value]
    if changed:
        words = ", ".join(f"{name} {saved.get(name)} -> {getattr(settings, name)}" for name in changed)
        raise RunError(f"the checkpoint in {path} is of other settings than its run.json ({words})")


def _put_back(checkpoint, experiment, path):
    """Where the training stands and its results so far, with the experiment in the state of that moment."""
    if checkpoint is None:
        return Position(), []
    try:
        return put_back(experiment, *checkpoint)
    except RunError as error:
        raise RunError(f"the checkpoint in {path} does not fit {experiment.settings.model}: {error}") from error


def _changes(before, now):
    return {name: [before.get(name), now[name]] for name in DECISIVE if before.get(name) != now[name]}


def _context_name(device):
    """As --ctx takes it: cpu:0 for MXNet's cpu(0)."""
    return device.replace("(", ":").rstrip(")")
