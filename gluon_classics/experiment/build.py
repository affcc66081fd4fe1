"""Build the network, the data loaders and the trainer that settings describe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
import functools
import hashlib
import json
import math
from typing import NamedTuple, Sequence

from gluon_classics import _console, get_model, model_info
from gluon_classics.data.augment_words import parse_augment
from gluon_classics.data.datasets import DataSet, load_dataset
from gluon_classics.data.found import hold_out
from gluon_classics.distributed.server_trainer import ServerTrainer
from gluon_classics.errors import ClassicsError, DataError, SettingsError
from gluon_classics.inspection.summary import summarize
from gluon_classics.models._batch_norm import ScratchBatchNorm
from gluon_classics.models.objective import objective_of
from gluon_classics.utils.batches import no_examples
from gluon_classics.utils.group import Group
from gluon_classics.utils.history import EpochRecord
from gluon_classics.utils.loader import DataLoader, make_loaders, small_batch
from gluon_classics.utils.preprocess import Preprocess
from gluon_classics.utils.seeding import RandomStreams, seed_everything
from gluon_classics.utils.training import Callback, TrainingLoop, TrainingPosition
import mxnet as mx
from mxnet import gluon
import numpy as np

from .batch_memory import check_batch
from .classifier import check_classifier
from .diagonal_lm import DiagonalLM, StepSizeCallback
from .image_memory import check_images
from .initializers import initialize
from .optimizers import PatienceCallback, ScheduleCallback, make_optimizer
from .parameter_files import copy_parameters, fix_shapes, load_parameters
from .settings import Settings, parse_channels


@dataclass(frozen=True)
class Experiment:
    """Everything that training needs.

    Attributes:
        settings: Settings of the run.
        data: Data set, limited to the settings' subset.
        train_data: Loader of the training images.
        test_data: Loader of the test images.
        validation_data: Loader of the training images that are held out; None without any.
        net: Network, initialized on the contexts.
        loss: Loss of the network's outputs and labels.
        trainer: Updates the network's parameters.
        contexts: Devices to train on.
        parameters: Number of trainable parameters of the network, frozen or not.
        streams: Source of all random numbers.
        group: Processes that train the network together.
    """

    settings: Settings
    data: DataSet
    train_data: DataLoader
    test_data: DataLoader
    validation_data: DataLoader | None
    net: gluon.nn.Block
    loss: gluon.loss.Loss
    trainer: gluon.Trainer
    contexts: list[mx.Context]
    parameters: int
    streams: RandomStreams
    group: Group = field(default_factory=Group)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the network's input."""
        return (self.data.train.images.shape[3], self.settings.size, self.settings.size)

    @functools.cached_property
    def graph_digest(self) -> str:
        """SHA-256 of the network's operators, their attributes and connections, without names."""
        output = self.net(mx.sym.var("data"))
        graph = mx.sym.Group(output if isinstance(output, (list, tuple)) else [output])
        nodes = [
            # an input is a node and the number of its output; a third number, a version, depends on the process
            (node["op"], [entry[:2] for entry in node["inputs"]], node["op"] != "null" and node.get("attrs"))
            for node in json.loads(graph.tojson())["nodes"]
        ]
        return hashlib.sha256(json.dumps(nodes).encode()).hexdigest()

    def train(
        self,
        callbacks: Sequence[Callback] = (),
        start: TrainingPosition | None = None,
        *,
        eager: bool = False,
        history: Sequence[EpochRecord] = (),
    ) -> list[EpochRecord]:
        """Train until the settings' number of epochs is done, or their patience is over.

        Args:
            callbacks: Called after those that set the learning rate and the optimizer's step sizes.
            start: Position to start from; see `TrainingLoop.run`.
            eager: Run the network as it is instead of its compiled twin.
            history: Metrics of the epochs before `start`.

        Returns:
            The metrics of the epochs that this call finished.

        Raises:
            DataError: There are no examples.
            TrainingDiverged: The loss, or a parameter at the end of an epoch, is infinite or not a number.
        """
        patience = PatienceCallback(self.settings, history)
        if patience.has_stopped:
            return []
        if isinstance(self.trainer, ServerTrainer):
            self.trainer.begin()
        own: list[Callback] = [ScheduleCallback(self.settings, history), patience]
        if isinstance(self.trainer.optimizer, DiagonalLM):
            own.append(StepSizeCallback(self.train_data, self.streams))
        loop = TrainingLoop(
            self.net,
            self.loss,
            self.trainer,
            self.contexts,
            [*own, *callbacks],
            eager=eager,
            streams=self.streams,
            step_size=self.settings.batch_size if self.settings.last_batch == "scale" else None,
            micro_batch_size=self.settings.micro_batch_size,
            group=self.group,
        )
        return loop.run(self.train_data, self.test_data, self.settings.epochs, start, self.validation_data)


def prepare(
    settings: Settings,
    contexts: list[mx.Context],
    data: DataSet | None = None,
    *,
    restored: bool = False,
    group: Group | None = None,
) -> Experiment:
    """Seed all generators, and build the network, its loaders and its trainer.

    Args:
        settings: Settings of the run.
        contexts: Devices to train on.
        data: Data set; None loads that of the settings.
        restored: Whether the parameters will be those of a checkpoint. Then the settings' file is not read.
        group: Processes that train the network together; None is this one alone.

    Raises:
        ClassicsError: The network, the data or the initial parameters cannot be used together.
    """
    group = group or Group()
    data = data or load_data(settings)
    seed_everything(settings.seed)
    net = build(settings.model, len(data.classes), trained=True)
    input_shape = (data.train.images.shape[3], settings.size, settings.size)
    summary = summarize(net, input_shape)  # fails now if images are too small
    check_classifier(net, settings.model, len(data.classes), input_shape)
    share = math.ceil(min(settings.batch_size, len(data.train)) / group.size)
    at_once = min(settings.micro_batch_size or share, share)
    check_batch(at_once, summary, contexts, trained=True, processes=group.on_machine)
    if settings.init_from and not settings.new_head and not restored:
        load_parameters(net, settings.init_from, contexts, input_shape)
    else:
        initialize(net, settings, contexts, input_shape)
        fix_shapes(net, contexts, input_shape)  # draws the weights now, before training draws random numbers
    if settings.new_head:
        head = head_parameters(settings.model, len(data.classes), input_shape)
        if not restored:
            copy_parameters(net, settings.init_from, input_shape, head)
        if settings.freeze == "body":
            freeze_body(net, head)
    made = loaders(settings, data, (group.rank, group.size))
    made.check(settings.micro_batch_size, group.on_machine)
    train_data, test_data, validation_data = made
    tested = math.ceil(min(test_data.batch_size, len(data.test)) / group.size)
    check_batch(tested * test_data.crops, summary, contexts, processes=group.on_machine)
    return Experiment(
        settings=settings,
        data=data,
        train_data=train_data,
        test_data=test_data,
        validation_data=validation_data,
        net=net,
        loss=objective_of(net).loss(),
        trainer=_trainer(net, settings, group),
        contexts=contexts,
        parameters=summary.params,
        streams=RandomStreams.for_work(settings.seed, settings.batch_size * summary.macs, group.rank),
        group=group,
    )


def _trainer(net, settings, group):
    parameters = list(net.collect_params().values())
    if group.size == 1:
        optimizer = make_optimizer(settings)
        # with several devices a key-value store would update weights one by one, and ignore this optimizer's exceptions
        on_store = False if isinstance(optimizer, DiagonalLM) else None
        return gluon.Trainer(parameters, optimizer, update_on_kvstore=on_store)
    return ServerTrainer(parameters, make_optimizer(settings), group, asdict(settings))


def build(model: str, classes: int, trained: bool = False) -> gluon.nn.Block:
    """Return a new, uninitialized network.

    Args:
        model: Name of the network.
        classes: Number of classes.
        trained: Whether to include the parts that only training needs, such as auxiliary classifiers.

    Raises:
        ClassicsError: The network cannot have this number of classes.
    """
    arguments = model_info(model).trained_as if trained else {}
    try:
        return get_model(model, classes, **arguments)
    except ValueError as error:
        raise ClassicsError(str(error)) from error


def head_parameters(model: str, classes: int, input_shape) -> list[str]:
    """Return the names of the parameters whose shapes depend on the number of classes, as in training.

    Raises:
        ClassicsError: The network has none, or exists with one number of classes only.
    """

    def shapes(number):
        net = build(model, number, trained=True)
        net.initialize(mx.init.Zero())
        fix_shapes(net, [mx.cpu()], input_shape)
        return {name: parameter.shape for name, parameter in net._collect_params_with_prefix().items()}

    own = shapes(classes)
    try:
        other = shapes(classes + 1)
    except ClassicsError:
        other = shapes(classes - 1)
    head = [name for name, shape in own.items() if shape != other[name]]
    if not head:
        raise SettingsError(f"no parameter of {model} depends on the number of classes: leave new_head out")
    return head


def freeze_body(net: gluon.nn.Block, head: Sequence[str]) -> None:
    """Let training change only the parameters of the last layers.

    Batch normalization of the other layers uses its running statistics in training too, and keeps them.

    Args:
        net: The network. Its parameters have their shapes.
        head: Names of the parameters of the last layers, from `head_parameters`.

    Raises:
        ClassicsError: The last layers have fixed parameters, or another layer keeps its running statistics by itself.
    """
    parameters = net._collect_params_with_prefix()
    trained = {id(parameters[name]) for name in head}
    if all(parameters[name].grad_req == "null" for name in head):
        raise ClassicsError(f"the last layer of {type(net).__name__} has fixed weights: leave freeze out")
    for parameter in parameters.values():
        if id(parameter) not in trained:
            parameter.grad_req = "null"

    def keep_statistics(block):
        own = block._reg_params
        if "running_mean" not in own or any(id(parameter) in trained for parameter in own.values()):
            return
        if isinstance(block, gluon.nn.BatchNorm):
            block._kwargs["use_global_stats"] = True
        elif isinstance(block, ScratchBatchNorm):
            block.use_running = True
        else:
            raise ClassicsError(f"{type(block).__name__} cannot keep its running statistics: leave freeze out")

    net.apply(keep_statistics)


def load_data(settings: Settings, in_memory: bool | None = None) -> DataSet:
    """Load the data set of the settings, limited to their subset of training images.

    Args:
        settings: The settings.
        in_memory: Whether all images are read now; see `load_dataset`.

    Raises:
        DataError: The data cannot be loaded.
    """
    data = load_dataset(
        settings.data,
        None if settings.fit == "pad" else settings.image_size or settings.size,
        transparent_as=settings.transparent_as,
        test_share=settings.test_share,
        in_memory=in_memory,
        shorter_side=settings.fit == "crop",
        originals=any(operation.from_original for operation in parse_augment(settings.augment)),
    )
    return limited(data, settings)


def limited(data: DataSet, settings: Settings) -> DataSet:
    """Return a data set with the settings' subset of its training images. Raises DataError if it has fewer."""
    if settings.subset is None:
        return data
    if settings.subset > len(data.train):
        raise DataError(f"{data.origin} has {len(data.train):,} training images, not {settings.subset:,}")
    train = data.train.subset(settings.subset)
    missing = len(data.classes) - len(np.unique(train.labels))
    if missing:
        what = f"{missing:,} of the {len(data.classes):,} classes have no image"
        _console.warn(f"{data.origin}: among the first {settings.subset:,} training images, {what}")
    return replace(data, train=train)


def evaluation_preprocess(settings: Settings) -> Preprocess:
    """Return what brings test images to the network's input."""
    return Preprocess(
        settings.size,
        "float32" if settings.resize_in == "float32" else "uint8",
        settings.fit,
        settings.pixels,
        settings.image_size,
        settings.test_crops,
    )


class Loaders(NamedTuple):
    """The loaders of an experiment.

    Attributes:
        train: The training images that are trained on.
        test: The test images.
        validation: The training images that are held out; None without any.
    """

    train: DataLoader
    test: DataLoader
    validation: DataLoader | None

    def check(self, micro_batch_size: int | None = None, processes: int = 1) -> None:
        """Check that a training can use the loaders.

        Args:
            micro_batch_size: That of the settings.
            processes: Number of processes on this machine that have such loaders.

        Raises:
            DataError: One of the loaders has no examples.
            MemoryTooSmall: Its images do not fit into memory while they are prepared.
        """
        for loader, purpose in ((self.train, "train"), (self.test, "evaluate"), (self.validation, "validate")):
            if loader is None:
                continue
            if not loader.examples:
                raise no_examples(loader, purpose)
            share = math.ceil(loader.batch_size / loader.share[1])
            at_once = min(share, micro_batch_size or share) if loader is self.train else share
            check_images(loader, at_once, True, processes)


def loaders(settings: Settings, data: DataSet, share: tuple[int, int] = (0, 1)) -> Loaders:
    """Return the loaders of a data set.

    Args:
        settings: The settings.
        data: The data set.
        share: See `DataLoader`.

    Raises:
        DataError: The images do not fit the settings: their size, their channels, or the validation share.
    """
    channels = data.train.images.shape[3]
    for name in ("mean", "std"):
        count = len(parse_channels(name, getattr(settings, name)))
        if count not in (0, 1, channels):
            remedy = "give one number for each channel, or one for all"
            there = "1 channel" if channels == 1 else f"{channels} channels"
            raise DataError(f"{name} has {count} numbers, but the images have {there}: {remedy}")
    train, validation = data.train, None
    if settings.validation_share is not None:
        train, validation = hold_out(
            data.train, settings.validation_share, data.origin, "held out for validation", data.classes.__getitem__
        )
    discard = settings.last_batch == "discard"
    make = functools.partial(
        make_loaders,
        resize=settings.size,
        image_size=settings.image_size,
        resize_in=settings.resize_in,
        last_batch="discard" if discard else "keep",
        fit=settings.fit,
        pixels=settings.pixels,
        augment=settings.augment,
        test_crops=settings.test_crops,
        share=share,
    )
    at_once = evaluation_batch_size(settings)
    return Loaders(
        train=make(replace(data, train=train), settings.batch_size)[0],
        test=make(data, at_once)[1],
        validation=make(replace(data, test=validation), at_once)[1] if validation else None,
    )


def evaluation_batch_size(settings: Settings) -> int:
    """Return how many test images are computed at a time, before they are divided by the number of crops.

    After training on a few small images at a time, as LeNet-5's paper does, tests take larger batches: it is faster.
    """
    if settings.last_batch == "discard":
        return settings.batch_size  # which test images are left out depends on it
    if settings.micro_batch_size:
        return settings.micro_batch_size
    return max(settings.batch_size, small_batch(settings.size**2))
