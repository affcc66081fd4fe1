"""The command `gluon-classics train`: train a network in a new run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import time
from typing import Callable

from gluon_classics import _console
from gluon_classics._files import user_path
from gluon_classics.errors import memory_explained
from gluon_classics.experiment.build import load_data, prepare
from gluon_classics.experiment.published_training import for_images, not_done, published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.utils.context import contexts_of_worker
from gluon_classics.utils.group import Group

from .announce import announce
from .folder import RunFolder
from .record import PARAMETERS, RECORD, read_run
from .run_data import absolute_data
from .runner import run_training

SAMPLE_EPOCHS = 10  # the embedded sample is a tenth of Fashion-MNIST: ten epochs make as many updates as one of all


@memory_explained()
def train(
    model: str,
    ctx: str,
    out,
    data,
    checkpoint_minutes: float,
    epochs=None,
    init_from=None,
    in_memory: bool | None = None,
    group: Group | None = None,
    devices: tuple[int, int] = (0, 1),
    report: Callable[..., None] = lambda **_content: None,
    **options,
) -> None:
    """Train and write a run folder.

    Args:
        model: Name of the network.
        ctx: Devices, as `parse_contexts` takes them.
        out: Run folder to write; None makes a new one in runs/.
        data: Name of a known data set, or a folder; None is the default.
        checkpoint_minutes: Time between two checkpoints within an epoch.
        epochs: Passes over the training images; None is the default, or `SAMPLE_EPOCHS` on the embedded sample.
        init_from: Run folder or parameter file to start from.
        in_memory: Whether all images are read before the training; see `load_dataset`.
        group: Processes that train together, of which this is the first; None is this one alone.
        devices: `number` and `workers` of `contexts_of_worker`.
        report: Called with `folder`, the path of the run folder, when it has a record.
        options: Other fields of `Settings`; None is the default.

    Raises:
        ClassicsError: The training cannot start, or failed.
    """
    options = {**options, "epochs": epochs, "init_from": parameter_file(init_from)}
    settings = given_settings(model, data, options)
    dataset = load_data(settings, in_memory)
    height, width, channels = dataset.train.images.shape[1:]
    settings = settings_for(settings, channels, dataset.train.labels, dataset.is_sample, options)
    if init_from is not None:
        _warn_of_other_inputs(Path(user_path(init_from)), settings)
    contexts = contexts_of_worker(ctx, *devices)
    group = group or Group()
    announce(group, settings, dataset, in_memory, ctx, len(contexts))
    experiment = prepare(settings, contexts, dataset, group=group)
    name = f"{model.replace(':', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    with RunFolder.claim(out) if out else RunFolder.claim_new(Path("runs", name)) as folder:
        folder.start(experiment)
        report(folder=str(folder.path.resolve()))
        places = ", ".join(map(str, contexts))
        if group.size > 1:
            places = f"{group.size} workers, each on {places}"
        if not_done(settings):
            _console.say(f"Not done as published: {'; '.join(not_done(settings))}")
        images = f"{len(dataset.train):,} {'color' if channels == 3 else 'grayscale'} images of {height}x{width}"
        _console.say(f"Training {model} on {images} at {settings.size}x{settings.size}, {places}")
        run_training(experiment, folder, checkpoint_minutes)


def given_settings(model: str, data, options: dict) -> Settings:
    """Return the settings of a training as they are before its images are known.

    Args:
        model: Name of the network.
        data: Name of a known data set, or a folder; None is the default.
        options: Fields of `Settings`; None is the default.
    """
    return published_settings(model, data=None if data is None else absolute_data(data), **options)


def settings_for(settings: Settings, channels: int, labels, is_sample: bool, options: dict) -> Settings:
    """Return the settings of a training on these images. Print what changes.

    Args:
        settings: The result of `given_settings`.
        channels: Number of channels of the images.
        labels: Classes of the training images, (N,).
        is_sample: Whether they are the embedded sample.
        options: The fields that the user chose, as in `given_settings`.
    """
    settings, left_out = for_images(settings, channels, labels, options)
    if left_out:
        _console.say(left_out)
    if options["epochs"] is None and is_sample and settings.epochs < SAMPLE_EPOCHS:
        settings = replace(settings, epochs=SAMPLE_EPOCHS)
        _console.say(
            f"Training {settings.epochs} epochs, since the sample is a tenth of the full set (change with --epochs)."
        )
    return settings


def parameter_file(init_from):
    """Return the absolute path of a parameter file, or of the one in a run folder. Raises RunError if it is damaged."""
    if init_from is None:
        return None
    path = Path(user_path(init_from)).resolve()
    if (path / RECORD).is_file():
        return str(read_run(path).parameters)
    return str(path / PARAMETERS if path.is_dir() else path)


def _warn_of_other_inputs(source, settings):
    """Warn if the run to start from made other network inputs of the same pixels."""
    if not (source / RECORD).is_file():
        return
    before = read_run(source).record.settings
    if before.pixels != settings.pixels:
        theirs, ours = (" to ".join(map(_numbers, each.pixels)) for each in (before, settings))
        remedy = "give the same --mean and --std, or --background and --foreground, unless you want that"
        _console.warn(f"in {source} pixels became {theirs}, and here they become {ours}: {remedy}")


def _numbers(values):
    return ",".join(f"{value:g}" for value in values)
