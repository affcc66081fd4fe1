"""One process of `certify`: trains some steps on made-up images and writes what came of it."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import sys

from gluon_classics import model_info
import mxnet as mx
from mxnet import autograd, nd
import numpy as np

from . import evaluation, training
from .certify import FIRST_PART, REST
from .checkpoint import read_checkpoint, write_checkpoint
from .datasets import DataSet
from .evaluation import split_batch
from .experiment import Experiment, prepare
from .images import Images
from .seeding import Streams
from .settings import Settings
from .snapshot import put_back, take
from .training import Position

BATCH = 8
CHECKPOINT, OUTCOME = "half.ckpt", "outcome.npz"


class _HalfDone(Exception):
    pass


def main(wanted: dict) -> None:
    """Run the case that `certify` describes; its folder gets the checkpoint or the outcome."""
    if not wanted["compiled"]:
        setattr(training, "compiled", lambda net: net)  # noqa: B010  for mypy
        setattr(evaluation, "for_inference", lambda net: net)  # noqa: B010
    experiment = _experiment(wanted["model"], wanted["steps"], wanted["devices"])
    folder, start = Path(wanted["folder"]), Position()

    def stop_half_way(number, tally):
        if wanted["part"] == FIRST_PART and number == wanted["steps"] // 2:
            write_checkpoint(folder / CHECKPOINT, *take(experiment, Position(0, number, tally), []))
            raise _HalfDone

    if wanted["part"] == REST:
        start, _ = put_back(experiment, *read_checkpoint(folder / CHECKPOINT))
    try:
        (result,) = experiment.epochs(stop_half_way, start)
    except _HalfDone:
        return
    np.savez(folder / OUTCOME, **_outcome(experiment, result))


def _experiment(model, steps, devices):
    settings = Settings.of(model, data="made up", batch_size=BATCH)
    if settings.optimizer == "sgd":
        settings = replace(settings, momentum=0.9)
    classes = tuple(map(str, range(model_info(model).classes)))
    shape = (*model_info(model).input_shape[1:], model_info(model).input_shape[0])
    rng = np.random.RandomState(0)

    def images(count):
        pixels = rng.randint(0, 256, (count, *shape)).astype(np.uint8)
        return Images(pixels, rng.randint(0, len(classes), count))

    data = DataSet("made up", images(steps * BATCH), images(BATCH), classes, "random numbers")
    experiment = prepare(replace(settings, epochs=1), [mx.cpu(i) for i in range(devices)], data)
    return replace(experiment, streams=Streams(settings.seed))


def _outcome(experiment: Experiment, result):
    """Parameters (running statistics as a parameter file holds them), outputs for the test images, loss."""
    parameters = experiment.net._collect_params_with_prefix()
    arrays = {name: parameter._reduce().asnumpy() for name, parameter in parameters.items()}
    forward = evaluation.for_inference(experiment.net)
    ((images, labels),) = experiment.test_data
    with autograd.predict_mode():
        outputs = [forward(x).as_in_context(mx.cpu()) for x, _ in split_batch(images, labels, experiment.contexts)]
    return {**arrays, "outputs": nd.concat(*outputs, dim=0).asnumpy(), "loss": np.array([result.train_loss])}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
