"""`gluon-classics train`: from its options to a run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import time

from gluon_classics import _console
from gluon_classics._files import locked
from gluon_classics.data.datasets import KNOWN
from gluon_classics.experiment.build import load_data, prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.context import parse_contexts

from .folder import RunFolder
from .record import PARAMETERS
from .runner import carry_out

SAMPLE_EPOCHS = 10  # the embedded sample is a tenth of Fashion-MNIST: so many passes are as many updates as one


def run(model, ctx, out, data, checkpoint_minutes, epochs=None, init_from=None, **options) -> None:
    """Train and write a run folder. `options` are fields of `Settings`. Raises ClassicsError."""
    options = {**options, "epochs": epochs, "init_from": _parameter_file(init_from)}
    settings = Settings.of(model, data=None if data is None else lasting(data), **options)
    dataset = load_data(settings)
    if epochs is None and dataset.is_sample and settings.epochs < SAMPLE_EPOCHS:
        settings = replace(settings, epochs=SAMPLE_EPOCHS)
        _console.say(
            f"Training {settings.epochs} epochs, since the sample is a tenth of the full set (--epochs to change)."
        )
    experiment = prepare(settings, parse_contexts(ctx), dataset)
    folder = RunFolder(out or _new_folder(model), experiment)
    devices = ", ".join(map(str, experiment.contexts))
    _console.say(f"Training {model} on {len(dataset.train):,} images at {settings.size}x{settings.size}, {devices}")
    with locked(folder.path):
        carry_out(experiment, folder, checkpoint_minutes)


def _parameter_file(init_from):
    """A run folder stands for its parameters."""
    if init_from is None:
        return None
    path = Path(init_from).expanduser().resolve()
    return str(path / PARAMETERS if path.is_dir() else path)


def lasting(data):
    """The name of a known data set, or a folder's path in a form that holds from any other folder too."""
    return data if data in KNOWN else str(Path(data).expanduser().resolve())


def _new_folder(model):
    name = f"{model}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [Path("runs", name)] + [Path("runs", f"{name}-{number}") for number in range(2, 1000)]
    return next(folder for folder in candidates if not folder.exists())
