"""From settings to a network that is ready to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from gluon_classics import ResNet, get_model
import mxnet as mx
from mxnet import gluon

from .context import try_gpu
from .datasets import DataSet, load_dataset
from .errors import ClassicsError
from .loader import DataLoader, load_data_fashion_mnist, make_loaders
from .parameters import load_parameters
from .seeding import seed_everything
from .settings import Settings
from .summary import summarize
from .training import EpochResult, train, train_epochs


@dataclass(frozen=True)
class Experiment:
    """Everything that training takes."""

    settings: Settings
    data: DataSet
    train_data: DataLoader
    test_data: DataLoader
    net: gluon.nn.Block
    loss: gluon.loss.Loss
    trainer: gluon.Trainer
    contexts: list[mx.Context]

    def epochs(self, on_batch=None) -> Iterator[EpochResult]:
        """Train for the settings' number of epochs, as `train_epochs` does."""
        return train_epochs(
            self.train_data,
            self.test_data,
            self.net,
            self.loss,
            self.trainer,
            self.contexts,
            self.settings.epochs,
            on_batch,
        )


def prepare(settings: Settings, contexts: list[mx.Context], data: DataSet | None = None) -> Experiment:
    """Seed all generators, load the data (unless given), build and initialise the network and its trainer.

    Weights are drawn by Xavier's rule, as the blog does. Raises ClassicsError.
    """
    data = data or load_dataset(settings.data, settings.size)
    seed_everything(settings.seed)
    net = get_model(settings.model, classes=len(data.classes))
    input_shape = (data.train.images.shape[3], settings.size, settings.size)
    summarize(net, input_shape)  # fails now if images are too small
    if settings.init_from:
        load_parameters(net, settings.init_from, contexts, input_shape)
    else:
        net.initialize(mx.init.Xavier(), ctx=contexts)
    train_data, test_data = loaders(settings, data)
    return Experiment(
        settings=settings,
        data=data,
        train_data=train_data,
        test_data=test_data,
        net=net,
        loss=gluon.loss.SoftmaxCrossEntropyLoss(),
        trainer=gluon.Trainer(net.collect_params(), _optimizer(settings)),
        contexts=contexts,
    )


def loaders(settings: Settings, data: DataSet) -> tuple[DataLoader, DataLoader]:
    """Loaders of the training and the test images; images that have the right size are not resized."""
    resize = None if data.train.images.shape[1:3] == (settings.size, settings.size) else settings.size
    return make_loaders(data, settings.batch_size, resize, resize_in=settings.resize_in, last_batch=settings.last_batch)


def _optimizer(settings):
    options = {"learning_rate": settings.learning_rate, "wd": settings.weight_decay}
    if settings.momentum:
        options["momentum"] = settings.momentum
    try:
        return mx.optimizer.create(settings.optimizer, **options)
    except ValueError as error:
        known = ", ".join(sorted(set(mx.optimizer.Optimizer.opt_registry) - {"test"}))
        raise ClassicsError(f"unknown optimizer {settings.optimizer!r}: use one of {known}") from error
    except TypeError as error:
        raise ClassicsError(f"the optimizer {settings.optimizer} takes no momentum: leave --momentum out") from error


def do_exp() -> list[EpochResult]:
    """The blog's experiment: one epoch of ResNet on Fashion-MNIST at 224, batch 64, SGD with learning rate .01.

    Prints `train`'s lines and returns its results.
    """
    ctx = try_gpu()
    train_data, test_data = load_data_fashion_mnist(64, resize=224)
    net = ResNet(10)
    net.initialize(mx.init.Xavier(), ctx=ctx)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01})
    return train(train_data, test_data, net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, ctx, num_epochs=1)
