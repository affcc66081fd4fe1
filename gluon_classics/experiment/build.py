"""From settings to a network that is ready to train."""

from __future__ import annotations

from dataclasses import dataclass, replace
import functools
import hashlib
import json
from typing import Iterator

from gluon_classics import get_model, model_info
from gluon_classics.data.datasets import DataSet, load_dataset
from gluon_classics.errors import ClassicsError, DataError
from gluon_classics.inspection.summary import summarize
from gluon_classics.models.objective import objective_of
from gluon_classics.utils.loader import DataLoader, make_loaders
from gluon_classics.utils.seeding import Streams, seed_everything
from gluon_classics.utils.training import EpochResult, Position, train_epochs
import mxnet as mx
from mxnet import gluon

from .diagonal_lm import EXAMPLES, DiagonalLM, check
from .initializers import initialize
from .optimizers import make_optimizer, rate_factor
from .parameter_files import fix_shapes, load_parameters
from .settings import Settings


@dataclass(frozen=True)
class Experiment:
    """Everything that training takes; `parameters` is the number of trainable ones."""

    settings: Settings
    data: DataSet
    train_data: DataLoader
    test_data: DataLoader
    net: gluon.nn.Block
    loss: gluon.loss.Loss
    trainer: gluon.Trainer
    contexts: list[mx.Context]
    parameters: int
    streams: Streams

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images that the network is given."""
        return (self.data.train.images.shape[3], self.settings.size, self.settings.size)

    @functools.cached_property
    def graph_digest(self) -> str:
        """SHA-256 of the network's operators, their settings and how they are joined; names do not count."""
        output = self.net(mx.sym.var("data"))
        graph = mx.sym.Group(output if isinstance(output, (list, tuple)) else [output])
        nodes = [
            # an input is a node, which of its outputs, and how often that was drawn up so far
            (node["op"], [entry[:2] for entry in node["inputs"]], node["op"] != "null" and node.get("attrs"))
            for node in json.loads(graph.tojson())["nodes"]
        ]
        return hashlib.sha256(json.dumps(nodes).encode()).hexdigest()

    def epochs(self, on_batch=None, start: Position | None = None) -> Iterator[EpochResult]:
        """Train to the settings' number of epochs, from `start` on, as `train_epochs` does."""
        return train_epochs(
            self.train_data,
            self.test_data,
            self.net,
            self.loss,
            self.trainer,
            self.contexts,
            self.settings.epochs,
            on_batch,
            self.streams,
            start,
            self._before_batch,
            self.settings.batch_size if self.settings.last_batch == "damp" else None,
        )

    def _before_batch(self, epoch, number):
        """Set what changes on the way: the learning rate, and the step sizes of an optimizer that has its own."""
        if number == 0:
            self.trainer.set_learning_rate(self.settings.learning_rate * rate_factor(self.settings.schedule, epoch))
        due = number % max(1, EXAMPLES // self.settings.batch_size) == 0
        if due and isinstance(self.trainer.optimizer, DiagonalLM):
            images, _ = self.train_data.batch(self.streams.some(epoch, number, len(self.data.train), EXAMPLES))
            self.trainer.optimizer.estimate(self.net, self.loss, images.as_in_context(self.contexts[0]))


def prepare(settings: Settings, contexts: list[mx.Context], data: DataSet | None = None) -> Experiment:
    """Seed all generators, load the data (unless given), build and initialise the network and its trainer.

    Raises ClassicsError.
    """
    data = data or load_data(settings)
    seed_everything(settings.seed)
    rate_factor(settings.schedule, 0)  # fails now if it is none
    net = build(settings.model, len(data.classes), trained=True)
    input_shape = (data.train.images.shape[3], settings.size, settings.size)
    summary = summarize(net, input_shape)  # fails now if images are too small
    if settings.init_from:
        load_parameters(net, settings.init_from, contexts, input_shape)
    else:
        initialize(net, settings, contexts, input_shape)
        fix_shapes(net, contexts, input_shape)  # draws the weights now, whatever is drawn in training
    train_data, test_data = loaders(settings, data)
    optimizer = make_optimizer(settings)
    if isinstance(optimizer, DiagonalLM):
        check(net)
    return Experiment(
        settings=settings,
        data=data,
        train_data=train_data,
        test_data=test_data,
        net=net,
        loss=objective_of(net).loss(),
        trainer=gluon.Trainer(list(net.collect_params().values()), optimizer),
        contexts=contexts,
        parameters=summary.params,
        streams=Streams.for_work(settings.seed, settings.batch_size * summary.macs),
    )


def load_data(settings: Settings) -> DataSet:
    """The data set of the settings, with as many training images as they say. Raises DataError."""
    data = load_dataset(settings.data, settings.size)
    if settings.subset is None:
        return data
    if settings.subset > len(data.train):
        raise DataError(f"{data.origin} has {len(data.train):,} training images, not {settings.subset:,}")
    return replace(data, train=data.train.subset(settings.subset))


def loaders(settings: Settings, data: DataSet) -> tuple[DataLoader, DataLoader]:
    """Loaders of the training and the test images; images that have the right size are not resized."""
    resize = None if data.train.images.shape[1:3] == (settings.size, settings.size) else settings.size
    return make_loaders(
        data,
        settings.batch_size,
        resize,
        resize_in=settings.resize_in,
        last_batch="keep" if settings.last_batch == "damp" else settings.last_batch,  # refuses other words
        fit=settings.fit,
        pixels=settings.pixels,
    )


def build(model: str, classes: int, trained: bool = False) -> gluon.nn.Block:
    """The network for so many classes, uninitialised; if it is to be `trained`, with what it needs for that alone.

    Raises ClassicsError for a number of classes that it cannot have.
    """
    arguments = model_info(model).trained_as if trained else {}
    try:
        return get_model(model, classes, **arguments)
    except ValueError as error:
        raise ClassicsError(str(error)) from error
