"""One process of `certify`: train a network for some steps on random images and write the outcome.

The images are augmented, some are held out for validation, batches are computed in parts, and ten crops are tested. The
learning rate warms up, falls along half a cosine and when the validation accuracy has not risen. Patience may end the
training early.
"""

from __future__ import annotations

from dataclasses import replace
import json
import math
from pathlib import Path
import sys

import cv2
from gluon_classics import model_info
from gluon_classics.compiler.compiled import for_inference
from gluon_classics.data.augment_words import NONE
from gluon_classics.data.colors import TRANSPARENT_AS, parse_color
from gluon_classics.data.datasets import DataSet
from gluon_classics.data.images import Images
from gluon_classics.data.stored_images import ImageFiles, stored_images
from gluon_classics.experiment.build import Experiment, build, head_parameters, prepare
from gluon_classics.experiment.published_training import published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs.checkpoint import write_checkpoint
from gluon_classics.runs.checkpoint_facts import read_training
from gluon_classics.runs.state import capture, restore
from gluon_classics.utils.batches import split_batch
from gluon_classics.utils.history import EpochRecord
from gluon_classics.utils.seeding import RandomStreams
from gluon_classics.utils.training import Callback
import mxnet as mx
from mxnet import autograd, nd
import numpy as np

from .determinism import FIRST_PART, REST

BATCH, MICRO_BATCH = 8, 5
EPOCHS = 3  # before the last one, two accuracies are known, so that the plateau and the patience depend on them
SCHEDULE = "warmup:2 cosine plateau:0.5:1"
PATIENCE = 2  # epochs; the training always reaches the last one
AUGMENT = "crop:2 flip"  # of networks that were published without augmentation
MORE_PIXELS = 4  # per side than the network's input, if it was published without crops
TESTS = 2  # images, of ten crops
CHECKPOINT, OUTCOME, PARAMETERS = "half.ckpt", "outcome.npz", "first.params"


class _HalfDone(Exception):
    pass


class _StopHalfWay(Callback):
    """Write a checkpoint after half of the steps of the last epoch and stop the training."""

    def __init__(self, experiment, steps, path):
        self._experiment = experiment
        self._half = steps_of_epoch(steps) // 2
        self._path = path
        self._epochs = []

    def after_batch(self, loop):
        if (loop.epoch, loop.batches) == (EPOCHS - 1, self._half):
            write_checkpoint(self._path, *capture(self._experiment, loop.position, self._epochs))
            raise _HalfDone

    def after_epoch(self, loop, record):
        self._epochs.append(record)


def steps_of_epoch(steps: int) -> int:
    """Divide steps among the epochs. Return the steps of one epoch, rounded up, and at least 2."""
    return max(2, math.ceil(steps / EPOCHS))


def main(wanted: dict) -> None:
    """Run the case that `certify` describes and write the checkpoint or the outcome to its folder."""
    eager, folder = not wanted["compiled"], Path(wanted["folder"])
    settings = training_settings(wanted["model"])
    if wanted["fine_tunes"]:
        settings = fine_tuning(settings, folder / PARAMETERS)
    data = random_images(settings, wanted["steps"], folder if wanted["on_disk"] else None)
    contexts = [mx.cpu(number) for number in range(wanted["devices"])]
    experiment = prepare(settings, contexts, data)
    experiment = replace(experiment, streams=RandomStreams(settings.seed))
    start, callbacks = None, []
    history: list[EpochRecord] = []
    if wanted["part"] == FIRST_PART:
        callbacks = [_StopHalfWay(experiment, wanted["steps"], folder / CHECKPOINT)]
    if wanted["part"] == REST:
        start, history = restore(experiment, *read_training(folder / CHECKPOINT))
    try:
        *_, record = experiment.train(callbacks, start, eager=eager, history=history)
    except _HalfDone:
        return
    if not (folder / PARAMETERS).exists():  # the reference, with which the fine-tuning starts
        experiment.net.save_parameters(str(folder / PARAMETERS))
    np.savez(folder / OUTCOME, **_outcome(experiment, record, eager))


def training_settings(model: str) -> Settings:
    """Return the settings of the training, as far as they can be those that the network was published with."""
    settings = published_settings(
        model,
        data="made up",
        batch_size=BATCH,
        micro_batch_size=MICRO_BATCH,
        validation_share=0.5,
        reported="best",
        epochs=EPOCHS,
        patience=PATIENCE,
    )
    settings = replace(settings, schedule=SCHEDULE)  # not given, since an optimizer without a rate would refuse it
    if settings.augment == NONE:
        settings = replace(settings, augment=AUGMENT)
    if settings.optimizer == "sgd":
        settings = replace(settings, momentum=0.9)
    return replace(settings, image_size=settings.image_size or settings.size + MORE_PIXELS, test_crops="ten")


def fine_tuning(settings: Settings, path: Path) -> Settings:
    """Return the settings of the training of a new last layer on the parameters of a file.

    The other layers are frozen, except if the last one has fixed weights, as LeNet-5's has.
    """
    info = model_info(settings.model)
    shape = (info.input_shape[0], settings.size, settings.size)
    head = head_parameters(settings.model, info.classes, shape)
    parameters = build(settings.model, info.classes, trained=True)._collect_params_with_prefix()
    is_fixed = all(parameters[name].grad_req == "null" for name in head)
    return replace(settings, init_from=str(path), new_head=True, freeze="none" if is_fixed else "body")


def random_images(settings: Settings, steps: int, folder: Path | None = None) -> DataSet:
    """Return a data set of random images, in memory or as files in `folder`. Half of each class can be held out."""
    info = model_info(settings.model)
    side = settings.image_size or settings.size
    shape = (side, side, info.input_shape[0])
    rng = np.random.RandomState(0)

    def images(name, labels):
        pixels = rng.randint(0, 256, (len(labels), *shape)).astype(np.uint8)
        return Images(pixels if folder is None else _stored(pixels, folder, name), labels)

    labels = rng.randint(0, info.classes, steps_of_epoch(steps) * BATCH)
    training = images("training", np.tile(labels, 2))
    tests = images("tests", rng.randint(0, info.classes, TESTS))
    return DataSet("made up", training, tests, tuple(map(str, range(info.classes))), "random numbers")


def _stored(pixels, folder, name):
    """Write images as files and return them as an array that reads them."""
    paths = [str(folder / f"{name}-{number}.png") for number in range(len(pixels))]
    for path, image in zip(paths, pixels):
        cv2.imwrite(path, image[..., ::-1])  # OpenCV expects BGR
    (images,) = stored_images([ImageFiles(paths)], None, parse_color(TRANSPARENT_AS), TRANSPARENT_AS)
    return images


def _outcome(experiment: Experiment, record, eager):
    """Return the parameters (as a parameter file has them), the outputs for the test images and the loss."""
    parameters = experiment.net._collect_params_with_prefix()
    arrays = {name: parameter._reduce().asnumpy() for name, parameter in parameters.items()}
    forward = experiment.net if eager else for_inference(experiment.net)
    with autograd.predict_mode():
        outputs = [
            forward(x.reshape((-1, *x.shape[2:]))).as_in_context(mx.cpu())
            for images, labels in experiment.test_data
            for x, _ in split_batch(images, labels, experiment.contexts)
        ]
    return {**arrays, "outputs": nd.concat(*outputs, dim=0).asnumpy(), "loss": np.array([record.train_loss])}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
