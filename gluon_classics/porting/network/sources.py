"""Find a network by its name, run folder, exported MXNet model, or GluonCV name, and describe it as a `Graph`."""

from __future__ import annotations

from dataclasses import dataclass, replace
import json
from pathlib import Path
import re
from typing import Callable

import gluon_classics
from gluon_classics._format import format_shape
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.build import build
from gluon_classics.experiment.initializers import initialize
from gluon_classics.experiment.parameter_files import fix_shapes, read_parameters
from gluon_classics.experiment.published_training import for_channels, published_settings
from gluon_classics.experiment.settings import Settings
from gluon_classics.inspection.summary import summarize
from gluon_classics.models.objective import first_output
from gluon_classics.models.registry import GLUONCV, suggestion
from gluon_classics.runs.predictor import from_run
from gluon_classics.runs.record import RECORD
from gluon_classics.utils.seeding import seed_everything
import mxnet as mx
from mxnet.gluon import nn
import numpy as np

from ..graph import Graph
from .capture import capture, capture_symbol
from .mxnet_operators import LOSS_LAYERS

SYMBOL, PARAMETERS = "-symbol.json", ".params"
_EPOCH = re.compile(r"-\d{4}$")  # at the end of the name of a .params file
_CPU = [mx.cpu()]


@dataclass(frozen=True)
class Source:
    """A network that can be described, traced and exported.

    Attributes:
        name: Name of the network.
        graph: Its operations in training mode.
        input_shape: Shape of one image, (C, H, W).
        parameters: Function that returns the values of the graph's parameters, float32, by name.
        predict: Function that returns MXNet's first output for images, (N, C, H, W). Call `parameters` before it.
        settings: Settings of the training, or None if they are not known.
        weights: What the values are, such as "initial weights".
    """

    name: str
    graph: Graph
    input_shape: tuple[int, ...]
    parameters: Callable[[], dict[str, np.ndarray]]
    predict: Callable[[np.ndarray], np.ndarray]
    settings: Settings | None = None
    weights: str = "initial weights"


def source(
    text: str, input_shape: tuple[int, ...] | None = None, partial: bool = False, seed: int | None = None
) -> Source:
    """Return the network that a user names.

    Args:
        text: Name of a network of this package; run folder; exported MXNet model (NAME-symbol.json, its .params file,
            or the common beginning of both); or "gluoncv:" and the name of a model of GluonCV.
        input_shape: Shape of one image, (C, H, W); by default the network's own. An exported model needs it unless
            it records the shape itself.
        partial: Whether to describe unsupported operators by MXNet's own names instead of raising an error.
        seed: Seed of the initial weights of a network of this package; by default that of its settings.

    Raises:
        ClassicsError: There is no such network, its files are damaged, or it cannot be described.
    """
    text = str(text)
    if text in gluon_classics.list_models():
        return _own(text, input_shape, partial, seed)
    if seed is not None:
        raise ClassicsError(f"{text} is not a network of this package, whose initial weights have a seed: leave it out")
    if text.startswith(GLUONCV):
        return _from_gluoncv(text, input_shape, partial)
    if Path(text, RECORD).is_file():
        return _from_run(text, input_shape, partial)
    files = _model_files(text)
    if files:
        return _from_model_files(files, input_shape, partial)
    hint = suggestion(text, gluon_classics.list_models(), "gluon-classics list")
    raise ClassicsError(f"{text!r} is not a network, a run folder or an exported model (NAME{SYMBOL}): {hint}")


def from_block(
    net: nn.HybridBlock, input_shape: tuple[int, ...], name: str = "", partial: bool = False, **facts
) -> Source:
    """Return any network of Gluon as a source. Its parameters must be initialized before they are used.

    Args:
        net: A network whose forward pass accepts symbols, as those of `HybridBlock`s do.
        input_shape: Shape of one image, (C, H, W).
        name: Name of the network; by default that of its class.
        partial: See `source`.
        **facts: `settings` and `weights` of the `Source`.

    Raises:
        ClassicsError: The network cannot be described.
    """
    try:
        graph = capture(net, input_shape, name, partial)
    except ClassicsError:
        raise
    except (AttributeError, TypeError, NotImplementedError, AssertionError, ValueError, mx.base.MXNetError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise ClassicsError(
            f"{name or type(net).__name__} cannot be read as a graph ({reason}): write it with HybridBlocks"
        ) from error

    def parameters():
        own = net._collect_params_with_prefix()
        shapes = {row.name: row.shape for row in graph.parameters}
        for operation in graph.operations:
            for parameter_name in operation.parameters.values():
                if parameter_name in shapes:
                    own[parameter_name].shape = shapes[parameter_name]
                    own[parameter_name]._finish_deferred_init()
        return {row.name: own[row.name].data(_CPU[0]).asnumpy() for row in graph.parameters}

    def predict(images):
        return first_output(net(mx.nd.array(images, ctx=_CPU[0]))).asnumpy()

    return Source(graph.network, graph, tuple(input_shape), parameters, predict, **facts)


def from_symbol(
    symbol: mx.sym.Symbol,
    values: dict[str, mx.nd.NDArray],
    input_shape: tuple[int, ...] | None = None,
    name: str = "model",
    partial: bool = False,
) -> Source:
    """Return a model of symbols as a source.

    Args:
        symbol: The model. Labels of a SoftmaxOutput are not counted as inputs.
        values: Its parameters and running statistics, by name.
        input_shape: Shape of one image, (C, H, W); by default the one that the symbol records.
        name: Name of the network.
        partial: See `source`.

    Raises:
        ClassicsError: Parameters are missing or have the wrong shape, or the model cannot be described.
    """
    nodes = json.loads(symbol.tojson())["nodes"]
    labels = {nodes[node["inputs"][1][0]]["name"] for node in nodes if node["op"] in LOSS_LAYERS and node["inputs"][1:]}
    free = [arg for arg in symbol.list_arguments() if arg not in values and arg not in labels]
    lacking = [arg for arg in symbol.list_auxiliary_states() if arg not in values]
    data = [arg for arg in free if not arg.endswith(("_weight", "_bias", "_gamma", "_beta"))]
    lacking = [arg for arg in free if arg not in data] + lacking
    if lacking:
        raise ClassicsError(f"the parameters of {name} lack {_first_of(lacking)}: use its own .params file")
    if len(data) != 1:
        found = ", ".join(data) or "none"
        raise ClassicsError(f"{name} has the inputs {found}: only models with one input can be used")
    extra = sorted(set(values) - set(symbol.list_inputs()))
    if extra:
        raise ClassicsError(
            f"the parameters of {name} also have {_first_of(extra)}: use the .params file of this model"
        )
    shape = input_shape or _recorded_shape(symbol, data[0])
    if shape is None:
        raise ClassicsError(f"{name} does not record the size of its input: give it with --input, as in 3x224x224")
    arrays = {key: value.asnumpy().astype(np.float32) for key, value in values.items()}
    try:
        graph = capture_symbol(symbol, {data[0]: shape}, name, partial)
    except mx.base.MXNetError as error:
        raise ClassicsError(f"{name} cannot be read as a graph: {str(error).strip().splitlines()[-1]}") from error
    used = {}
    for row in graph.parameters:
        array = arrays.get(row.name)
        if array is None or array.shape != row.shape:
            found = "missing" if array is None else f"of shape {array.shape}"
            raise ClassicsError(f"{row.name} of {name} is {found}, not {row.shape}: use its own .params file")
        used[row.name] = array
    for operation in graph.operations:
        if operation.settings.get("fixed_gamma"):  # MXNet ignores what the file has
            gamma = operation.parameters["gamma"]
            used[gamma] = np.ones_like(used[gamma])

    def predict(images):
        first = symbol[0]
        inputs = [arg for arg in first.list_arguments() if arg not in arrays]  # the images, and labels of a loss layer
        block = mx.gluon.SymbolBlock(first, [mx.sym.var(arg, dtype="float32") for arg in inputs])
        for key, parameter in block.collect_params().items():
            parameter.shape = arrays[key].shape
            parameter.initialize(ctx=_CPU)
            parameter.set_data(mx.nd.array(arrays[key]))
        sizes = dict(zip(first.list_arguments(), first.infer_shape(**{data[0]: images.shape})[0]))
        given = [images if arg == data[0] else np.zeros(sizes[arg]) for arg in inputs]
        return block(*map(mx.nd.array, given)).asnumpy()

    return Source(name, graph, tuple(shape), lambda: used, predict, weights="weights of the file")


def _own(name, input_shape, partial, seed):
    info = gluon_classics.model_info(name)
    shape = input_shape or info.input_shape
    is_other_square = shape[1:] != info.input_shape[1:] and len(set(shape[1:])) == 1
    settings = published_settings(name, seed=seed, resize=shape[1] if is_other_square else None)
    settings, _ = for_channels(settings, shape[0])
    net = build(name, info.classes, trained=True)
    summarize(net, shape)  # its error names the smallest image
    weights = f"initial weights, seed {settings.seed}"
    made = from_block(net, shape, name, partial, settings=settings, weights=weights)

    def parameters():
        seed_everything(settings.seed)
        initialize(net, settings, _CPU, shape)
        fix_shapes(net, _CPU, shape)  # draws the weights in the same order as training does
        return made.parameters()

    return replace(made, parameters=parameters)


def _from_run(folder, input_shape, partial):
    trained = from_run(folder, "cpu")
    own = (trained.image_shape[2], trained.settings.size, trained.settings.size)
    facts = {"settings": trained.settings, "weights": "trained weights of the run"}
    made = from_block(trained.net, input_shape or own, trained.settings.model, partial, **facts)
    shapes = {name: row.shape for name, row in trained.net._collect_params_with_prefix().items()}
    if any(shapes[row.name] != row.shape for row in made.graph.parameters):
        remedy = "leave --input out, or train with this size"
        raise ClassicsError(f"the weights of {folder} are for {format_shape(own)} input: {remedy}")
    return made


def _from_gluoncv(name, input_shape, partial):
    try:
        shape = input_shape or gluon_classics.model_info(name).input_shape
    except ValueError as error:
        raise ClassicsError(str(error)) from error
    net = gluon_classics.get_model(name)
    net.initialize(mx.init.Xavier())
    return from_block(net, shape, name[len(GLUONCV) :], partial, weights="random weights")


def _model_files(text):
    """Return the symbol file and the parameter file that a path means, or None."""
    path = Path(text)
    if path.name.endswith(SYMBOL):
        prefix = path.name[: -len(SYMBOL)]
    elif path.name.endswith(PARAMETERS):
        prefix = _EPOCH.sub("", path.name[: -len(PARAMETERS)])
    else:
        prefix = path.name
    symbol = path.with_name(prefix + SYMBOL) if prefix else path
    if not path.name.endswith((SYMBOL, PARAMETERS)) and not symbol.is_file():
        return None
    for wanted in (symbol, *([path] if path.name.endswith(PARAMETERS) else [])):
        if not wanted.is_file():
            raise ClassicsError(f"there is no file {wanted}: an exported model is NAME{SYMBOL} with NAME-0000.params")
    if path.name.endswith(PARAMETERS):
        return symbol, path
    epochs = sorted(
        found
        for found in symbol.parent.glob(f"*{PARAMETERS}")
        if _EPOCH.sub("", found.stem) == prefix  # not a glob of the prefix, which may hold wildcards
    )
    if not epochs:
        raise ClassicsError(f"there is no parameter file {prefix}-0000.params next to {symbol}: put it there")
    return symbol, epochs[-1]


def _from_model_files(files, input_shape, partial):
    symbol_file, parameter_file = files
    try:
        symbol = mx.sym.load(str(symbol_file))
    except (mx.base.MXNetError, UnicodeDecodeError) as error:
        raise ClassicsError(f"{symbol_file} is not a model of MXNet, or it is damaged: export it again") from error
    values = {name: mx.nd.array(value) for name, value in read_parameters(parameter_file).items()}
    return from_symbol(symbol, values, input_shape, symbol_file.name[: -len(SYMBOL)], partial)


def _recorded_shape(symbol, name):
    text = symbol.attr_dict().get(name, {}).get("__shape__")
    if text is None:
        return None
    shape = tuple(int(size) for size in re.findall(r"\d+", text))[1:]
    return shape if shape and all(shape) else None


def _first_of(names):
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
