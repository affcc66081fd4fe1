"""What a training would do, and how long it would take: the option `--dry-run`. Nothing is trained or written."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, replace
import math
from pathlib import Path
import resource
import statistics
import sys
import time
from typing import Any, NamedTuple

from gluon_classics import _console
from gluon_classics.data.augment_words import NONE
from gluon_classics.data.augmentation import draw_key
from gluon_classics.data.catalogue import KNOWN
from gluon_classics.data.datasets import DataSet, cache_folder, installed_folder
from gluon_classics.data.images import Images
from gluon_classics.data.memory import available_memory
from gluon_classics.data.storage import format_bytes
from gluon_classics.errors import DataError, RunError, memory_explained
from gluon_classics.experiment.batch_memory import kept_values
from gluon_classics.experiment.build import Experiment, build, evaluation_batch_size, load_data, loaders, prepare
from gluon_classics.experiment.published_training import not_done
from gluon_classics.experiment.settings import Settings
from gluon_classics.experiment.settings_words import settings_words
from gluon_classics.inspection.summary import summarize
from gluon_classics.utils.context import parse_contexts
from gluon_classics.utils.evaluation import evaluate
from gluon_classics.utils.training import Callback
import mxnet as mx
import numpy as np

from .state import capture_trainer
from .train import given_settings, parameter_file, settings_for

STEPS = 20  # that are measured, after a first one
SECONDS = 10.0  # after which no further step is measured
LONGEST = 60.0  # seconds of a first step that stays the only one


@dataclass(frozen=True)
class Plan:
    """What a training would do.

    Attributes:
        model: Name of the network.
        parameters: Number of its trainable parameters.
        not_done: What of the published training is not done, and no setting changes.
        settings: The settings.
        data: Where the images are, in words.
        data_is_here: Whether they are on this machine. Otherwise the numbers of images are those that were published.
        training_images: Number of images that each epoch trains on.
        validation_images: Number of training images that are held out.
        test_images: Number of images that it is tested on.
        classes: Number of classes.
        updates_per_epoch: Number of updates in an epoch.
        devices: Names of the devices.
        seconds_per_update: Measured time of an update without the loading of its images.
        seconds_per_batch_loaded: Measured time to load the images of an update; None if the data is not here.
        seconds_per_epoch: Expected time of an epoch with its tests.
        seconds: Expected time of all epochs.
        images_measured: Number of images in each step that was measured.
        memory_measured: Largest memory of this process in bytes, with one batch, or one part of it.
        memory_estimated: Bytes that a batch, or a part of it, needs at least.
        memory_available: Bytes that are available; None if the system does not tell.
        checkpoint_bytes: Size of a checkpoint. A run folder has two while it trains.
    """

    model: str
    parameters: int
    not_done: tuple[str, ...]
    settings: Settings
    data: str
    data_is_here: bool
    training_images: int
    validation_images: int
    test_images: int
    classes: int
    updates_per_epoch: int
    devices: tuple[str, ...]
    seconds_per_update: float
    seconds_per_batch_loaded: float | None
    seconds_per_epoch: float
    seconds: float
    images_measured: int
    memory_measured: int
    memory_estimated: int
    memory_available: int | None
    checkpoint_bytes: int

    @property
    def updates(self) -> int:
        """Number of updates in all epochs."""
        return self.updates_per_epoch * self.settings.epochs

    def as_dict(self) -> dict:
        """Return the plan as values for JSON."""
        return {**asdict(self), "updates": self.updates}

    def rows(self) -> list[tuple[str, str]]:
        """Return the plan in words: titles and texts."""
        settings = self.settings
        held_out = f", {self.validation_images:,} for validation" if self.validation_images else ""
        images = f"{self.training_images:,} for training{held_out}, {self.test_images:,} for tests"
        loading = "the loading of images is not measured, since they are not here"
        if self.seconds_per_batch_loaded is not None:
            loading = f"{duration_words(self.seconds_per_batch_loaded)} to load its images"
        available = ""
        if self.memory_available is not None:
            available = f"; {format_bytes(self.memory_available)} are available"
        part = f"{self.images_measured:,} images of {settings.size}x{settings.size} at a time"
        epochs = f"{settings.epochs:,} epochs" if settings.epochs > 1 else "1 epoch"
        return [
            ("network", f"{self.model}, {self.parameters:,} parameters"),
            ("settings", settings_words(settings)),
            *([("not done as published", "; ".join(self.not_done))] if self.not_done else []),
            ("data", self.data),
            ("images", f"{images}, in {self.classes:,} classes"),
            (
                "updates",
                f"{self.updates_per_epoch:,} per epoch, {self.updates:,} in {epochs}"
                + (" at most" if settings.patience else ""),
            ),
            ("devices", ", ".join(self.devices)),
            ("time per update", f"{duration_words(self.seconds_per_update)}; {loading}"),
            (
                "time in all",
                f"about {duration_words(self.seconds)}, {duration_words(self.seconds_per_epoch)} per epoch "
                "with its tests",
            ),
            (
                "memory",
                f"{format_bytes(self.memory_measured)} with {part}; the least that these need is "
                f"{format_bytes(self.memory_estimated)}{available}",
            ),
            ("disk", f"{format_bytes(self.checkpoint_bytes)} for each of two checkpoints"),
        ]


class _Found(NamedTuple):
    """What is known about the images of a training."""

    data: str
    dataset: DataSet | None
    training: int
    labels: np.ndarray
    test: int
    classes: int
    channels: int


@memory_explained()
def plan_training(
    model: str, ctx: str, out, data, epochs=None, init_from=None, in_memory: bool | None = None, **options: Any
) -> Plan:
    """Return the plan of `runs.train.train` with these arguments. See there for them and for the errors."""
    options = {**options, "epochs": epochs, "init_from": parameter_file(init_from)}
    settings = given_settings(model, data, options)
    found = _find(settings, in_memory)
    is_sample = found.dataset is not None and found.dataset.is_sample
    settings = settings_for(settings, found.channels, found.labels, is_sample, options)
    if out and Path(out).is_dir() and any(Path(out).iterdir()):
        raise RunError(f"the run folder {out} is not empty: choose another with --out")
    return _plan(settings, ctx, found)


@memory_explained()
def plan_settings(settings: Settings, ctx: str) -> Plan:
    """Return the plan of a training with these settings on the devices `ctx`, as `parse_contexts` takes them.

    Raises:
        ClassicsError: The training cannot start.
    """
    return _plan(settings, ctx, _find(settings, None))


def duration_words(seconds: float) -> str:
    """Return a duration in the unit that fits it."""
    for unit, length, limit in (("ms", 1e-3, 1), ("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds / length:.3g} {unit}"
    days = seconds / 86_400
    return f"{days:.3g} days" if days < 730 else f"{days / 365.25:,.1f} years"


def _find(settings, in_memory):
    """Return the images, or what was published about them if they would have to be got first."""
    name = settings.data
    if name in KNOWN and KNOWN[name].counts and not installed_folder(name):
        known = KNOWN[name]
        train, test = known.counts
        if settings.subset is not None:
            if settings.subset > train:
                raise DataError(f"{name} has {train:,} training images, not {settings.subset:,}")
            train = settings.subset
        what = "a run stops" if known.is_in_image_files else "a run downloads it"
        if name == "fashion-mnist":
            what += ", or trains on the embedded sample"
        words = f"{name} is not in {cache_folder(name)} ({what}): the numbers are the published ones"
        classes = known.number_of_classes
        return _Found(words, None, train, np.arange(train) % classes, test, classes, known.channels)
    data = load_data(settings, in_memory)
    classes, channels = len(data.classes), data.train.images.shape[3]
    return _Found(data.origin, data, len(data.train), data.train.labels, len(data.test), classes, channels)


def _plan(settings, ctx, found):
    contexts = parse_contexts(ctx)
    made = _check_data(settings, found.dataset) if found.dataset else None
    held_out = 0
    if settings.validation_share is not None:
        held_out = len(made.validation.dataset) if made else round(settings.validation_share * found.training)
    crops = 10 if settings.test_crops == "ten" else 1
    trained = _used(found.training - held_out, settings.batch_size, settings.last_batch)
    tested = _used(found.test, settings.batch_size, settings.last_batch)
    updates = math.ceil(trained / settings.batch_size)
    size = min(settings.micro_batch_size or settings.batch_size, found.training - held_out)
    _console.say(f"Measuring steps with {size:,} random images of {settings.size}x{settings.size}.")
    available = available_memory()
    experiment = _on_random_images(settings, contexts, found, size)
    steps = _Steps(len(experiment.train_data))
    with contextlib.suppress(_Enough):
        experiment.train([steps])
    predicted = _prediction_seconds(experiment, contexts)
    arrays = capture_trainer(experiment.net, experiment.trainer)[1].values()
    loading = _loading_seconds(made, settings.micro_batch_size) if made else (None, None)
    # on the CPU, loading and computing share the cores
    together = sum if contexts[0].device_type == "cpu" else max
    epoch = together([trained * steps.seconds / size, trained * (loading[0] or 0)])
    evaluated = tested + held_out
    epoch += together([evaluated * crops * predicted, evaluated * (loading[1] or 0)])
    return Plan(
        model=settings.model,
        parameters=experiment.parameters,
        not_done=not_done(settings),
        settings=settings,
        data=found.data,
        data_is_here=found.dataset is not None,
        training_images=trained,
        validation_images=held_out,
        test_images=tested,
        classes=found.classes,
        updates_per_epoch=updates,
        devices=tuple(map(str, contexts)),
        seconds_per_update=steps.seconds * min(settings.batch_size, trained) / size,
        seconds_per_batch_loaded=loading[0] and loading[0] * min(settings.batch_size, trained),
        seconds_per_epoch=epoch,
        seconds=epoch * settings.epochs,
        images_measured=size,
        memory_measured=_peak_memory(),
        memory_estimated=_batch_bytes(experiment, size),
        memory_available=available,
        checkpoint_bytes=sum(array.size * np.dtype(array.dtype).itemsize for array in arrays),
    )


def _used(images, batch_size, last_batch):
    """Return how many images the batches have."""
    return images - images % batch_size if last_batch == "discard" else images


def _check_data(settings, data):
    """Return the loaders of a data set. Raise the errors of a run with it."""
    made = loaders(settings, data)
    made.check(settings.micro_batch_size)
    return made


def _on_random_images(settings, contexts, found, size) -> Experiment:
    """Return an experiment on random images of the network's size, for some steps of `size` images."""
    rng = np.random.RandomState(0)
    shape = (settings.size, settings.size, found.channels)

    def images(count):
        return Images(rng.randint(0, 256, (count, *shape), dtype=np.uint8), rng.randint(0, found.classes, count))

    steps = 1 + max(2, min(STEPS, math.ceil(64 / size)))
    classes = tuple(map(str, range(found.classes)))
    measured = replace(
        settings,
        **{"data": "random images", "subset": None, "test_share": None, "validation_share": None},
        **{"epochs": 1, "schedule": "", "patience": None, "reported": "last"},
        **{"batch_size": size, "micro_batch_size": settings.micro_batch_size and size},
        **{"image_size": None, "fit": "resize", "augment": NONE, "test_crops": "center"},
    )
    training, test = images(steps * size), images(evaluation_batch_size(measured))
    data = DataSet(measured.data, training, test, classes, "random numbers")
    return prepare(measured, contexts, data)


class _Enough(Exception):
    """Enough steps were measured."""


class _Steps(Callback):
    """Measures the steps of a training, and ends it before its tests.

    Args:
        most: Number of steps at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._measured: list[float] = []

    @property
    def seconds(self) -> float:
        """Median time of a step. The first one, which also prepares the others, counts only if it is alone."""
        return statistics.median(self._measured[1:] or self._measured)

    def before_batch(self, loop):
        mx.nd.waitall()
        self._start = time.perf_counter()

    def after_batch(self, loop):
        mx.nd.waitall()
        self._measured.append(time.perf_counter() - self._start)
        if sum(self._measured[1:]) > SECONDS or self._measured[0] > LONGEST or len(self._measured) == self._most:
            raise _Enough


def _prediction_seconds(experiment, contexts):
    """Return the time to predict an image. The first batch also prepares the network: it only counts if it is slow."""
    for _ in range(2):
        start = time.perf_counter()
        evaluate(experiment.test_data, experiment.net, contexts)
        seconds = time.perf_counter() - start
        if seconds > LONGEST:
            break
    return seconds / len(experiment.data.test)


def _loading_seconds(made, micro_batch_size):
    """Return the times to load a training and a test image, of those that are prepared together."""

    def seconds(loader, part=None, key=None):
        available = len(loader.dataset)
        count = min(part or loader.images_together, available)
        numbers = np.linspace(0, available - 1, count).astype(int)
        start = time.perf_counter()
        loader.batch(numbers, key)
        mx.nd.waitall()
        return (time.perf_counter() - start) / len(numbers)

    return seconds(made.train, micro_batch_size, draw_key(np.random.RandomState(0))), seconds(made.test)


def _batch_bytes(experiment, size):
    """Return what `check_batch` finds that a batch needs at least, in bytes."""
    net = build(experiment.settings.model, len(experiment.data.classes), trained=True)
    counts = summarize(net, experiment.input_shape)
    return 4 * size * (math.prod(experiment.input_shape) + sum(kept_values(counts)))


def _peak_memory():
    """Return the largest memory of this process so far, in bytes."""
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
