"""`gluon-classics train`: from its options to a run folder."""

from __future__ import annotations

from pathlib import Path
import time

import click
import mxnet as mx
from mxnet.gluon.parameter import DeferredInitializationError

from . import console
from .context import parse_contexts
from .datasets import load_dataset
from .errors import RunError, TrainingDiverged
from .experiment import Experiment, Settings, prepare
from .progress import TrainingProgress
from .runs import PARAMETERS, RunFolder, go_on_command
from .training import train_epochs

SAMPLE_EPOCHS = 10  # the embedded sample is a tenth of Fashion-MNIST: so many passes are as many updates as one
INTERRUPTED = 130  # exit status, as shells have it for Ctrl-C


def run(model, ctx, out, epochs=None, init_from=None, **options) -> None:
    """Train and write a run folder. `options` are fields of `Settings`. Raises ClassicsError."""
    settings = Settings(model, init_from=_parameter_file(init_from), **options)
    data = load_dataset(settings.data, settings.size)
    if epochs is None and data.is_sample:
        epochs = SAMPLE_EPOCHS
        console.say(f"Training {epochs} epochs, since the sample is a tenth of the full set (--epochs to change).")
    settings = Settings(**{**vars(settings), "epochs": epochs or settings.epochs})
    experiment = prepare(settings, parse_contexts(ctx), data)
    folder = RunFolder(out or _new_folder(model), experiment)
    devices = ", ".join(map(str, experiment.contexts))
    console.say(f"Training {model} on {len(data.train):,} images at {settings.size}x{settings.size}, {devices}")
    try:
        _train(experiment, folder)
    except KeyboardInterrupt:
        _interrupted(settings, folder)
    except TrainingDiverged:
        folder.set_status("diverged")
        raise
    except BaseException:
        folder.set_status("failed")
        raise


def _train(experiment: Experiment, folder: RunFolder):
    settings = experiment.settings
    with TrainingProgress(settings.epochs, experiment.train_data.examples) as progress:
        epochs = train_epochs(
            experiment.train_data,
            experiment.test_data,
            experiment.net,
            experiment.loss,
            experiment.trainer,
            experiment.contexts,
            settings.epochs,
            progress.show,
        )
        progress.start_epoch(0)
        for result in epochs:
            folder.add_epoch(result)
            console.say(
                f"epoch {result.epoch + 1}/{settings.epochs}: loss {result.train_loss:.3f}, "
                f"train accuracy {result.train_accuracy:.3f}, test accuracy {result.test_accuracy:.4f}, "
                f"{result.seconds:.1f} s, {result.images_per_second:,.0f} images/s"
            )
            progress.start_epoch(result.epoch + 1)
    folder.draw_curves()
    folder.set_status("done")
    data = experiment.data
    what = f"{len(data.test):,} test images" + (" of the EMBEDDED SAMPLE" if data.is_sample else "")
    console.say(
        f"{settings.model}: {result.test_accuracy:.2%} of {what} classified correctly; run folder {folder.path}"
    )


def _interrupted(settings, folder):
    """Keep what was learned and say how to go on."""
    mx.nd.waitall()
    try:
        folder.save_parameters()
    except DeferredInitializationError:
        folder.set_status("interrupted")
        raise RunError("interrupted before the first batch: nothing was learned yet, start again") from None
    folder.set_status("interrupted")
    console.warn(f"Interrupted; the parameters are kept in {folder.path / PARAMETERS}. To go on from them:")
    console.warn(f"  {go_on_command(settings, len(folder.results), folder.path)}")
    raise click.exceptions.Exit(INTERRUPTED)


def _parameter_file(init_from):
    """A run folder stands for its parameters."""
    if init_from is None:
        return None
    return str(Path(init_from, PARAMETERS) if Path(init_from).is_dir() else init_from)


def _new_folder(model):
    name = f"{model}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [Path("runs", name)] + [Path("runs", f"{name}-{number}") for number in range(2, 1000)]
    return next(folder for folder in candidates if not folder.exists())
