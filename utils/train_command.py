"""`gluon-classics train`: from its options to a run folder."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
import time

import click
import mxnet as mx
from mxnet.gluon.parameter import DeferredInitializationError

from . import console
from .context import parse_contexts
from .datasets import KNOWN, load_dataset
from .errors import RunError, TrainingDiverged
from .experiment import Experiment, prepare
from .progress import TrainingProgress
from .runs import PARAMETERS, RunFolder, go_on_command
from .settings import Settings

SAMPLE_EPOCHS = 10  # the embedded sample is a tenth of Fashion-MNIST: so many passes are as many updates as one
INTERRUPTED = 130  # exit status, as shells have it for Ctrl-C


def run(model, ctx, out, data, epochs=None, init_from=None, **options) -> None:
    """Train and write a run folder. `options` are fields of `Settings`. Raises ClassicsError."""
    settings = Settings(model, data=_lasting(data), init_from=_parameter_file(init_from), **options)
    dataset = load_dataset(settings.data, settings.size)
    if epochs is None and dataset.is_sample:
        epochs = SAMPLE_EPOCHS
        console.say(f"Training {epochs} epochs, since the sample is a tenth of the full set (--epochs to change).")
    settings = replace(settings, epochs=epochs or settings.epochs)
    experiment = prepare(settings, parse_contexts(ctx), dataset)
    folder = RunFolder(out or _new_folder(model), experiment)
    devices = ", ".join(map(str, experiment.contexts))
    console.say(f"Training {model} on {len(dataset.train):,} images at {settings.size}x{settings.size}, {devices}")
    try:
        _train(experiment, folder)
    except KeyboardInterrupt:
        _interrupted(settings, folder, ctx)
    except BaseException as error:
        with contextlib.suppress(OSError):  # on a full disk this may fail too; the first error is the one to tell
            folder.set_status("diverged" if isinstance(error, TrainingDiverged) else "failed")
        raise


def _train(experiment: Experiment, folder: RunFolder):
    settings = experiment.settings
    with TrainingProgress(settings.epochs, experiment.train_data.examples) as progress:
        progress.start_epoch(0)
        for result in experiment.epochs(progress.show):
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


def _interrupted(settings, folder, ctx):
    """Keep what was learned and say how to go on."""
    mx.nd.waitall()
    try:
        folder.save_parameters()
    except DeferredInitializationError:
        raise RunError("interrupted before the first batch: nothing was learned yet, start again") from None
    finally:
        folder.set_status("interrupted")
    console.warn(f"Interrupted; the parameters are kept in {folder.path / PARAMETERS}. To go on from them:")
    console.warn(f"  {go_on_command(settings, len(folder.results), folder.path.resolve(), ctx)}")
    raise click.exceptions.Exit(INTERRUPTED)


def _parameter_file(init_from):
    """A run folder stands for its parameters."""
    if init_from is None:
        return None
    path = Path(init_from).expanduser().resolve()
    return str(path / PARAMETERS if path.is_dir() else path)


def _lasting(data):
    """The name of a known data set, or a folder's path in a form that holds from any other folder too."""
    return data if data in KNOWN else str(Path(data).expanduser().resolve())


def _new_folder(model):
    name = f"{model}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [Path("runs", name)] + [Path("runs", f"{name}-{number}") for number in range(2, 1000)]
    return next(folder for folder in candidates if not folder.exists())
