"""Find a network by its name, run folder, exported MXNet model, or GluonCV name, and describe it as a `Graph`."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path
import re
from typing import Callable

import gluon_classics
from gluon_classics.errors import ClassicsError, require_extra
from gluon_classics.experiment.build import build
from gluon_classics.experiment.initializers import initialize
from gluon_classics.experiment.parameter_files import fix_shapes
from gluon_classics.experiment.settings import Settings
from gluon_classics.inspection.summary import summarize
from gluon_classics.models.registry import suggestion
from gluon_classics.runs.predictor import from_run
from gluon_classics.runs.record import RECORD
from gluon_classics.utils.seeding import seed_everything
import mxnet as mx
from mxnet.gluon import nn
import numpy as np

from .capture import capture, capture_symbol
from .graph import Graph
from .mxnet_operators import LOSS_LAYERS

GLUONCV = "gluoncv:"
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
        settings: Settings of the training, or None if they are not known.
        weights: What the values are, such as "initial weights".
    """

    name: str
    graph: Graph
    input_shape: tuple[int, ...]
    parameters: Callable[[], dict[str, np.ndarray]]
    settings: Settings | None = None
    weights: str = "initial weights"


def source(text: str, input_shape: tuple[int, ...] | None = None, partial: bool = False) -> Source:
    """Return the network that a user names.

    Args:
        text: Name of a network of this package; run folder; exported MXNet model (NAME-symbol.json, its .params file,
            or the common beginning of both); or "gluoncv:" and the name of a model of GluonCV.
        input_shape: Shape of one image, (C, H, W); by default the network's own. An exported model needs it unless
            it records the shape itself.
        partial: Whether to describe unsupported operators by MXNet's own names instead of raising an error.

    Raises:
        ClassicsError: There is no such network, its files are damaged, or it cannot be described.
    """
    text = str(text)
    if text in gluon_classics.list_models():
        return _own(text, input_shape, partial)
    if text.startswith(GLUONCV):
        return _from_gluoncv(text[len(GLUONCV) :], input_shape, partial)
    if Path(text, RECORD).is_file():
        return _from_run(text, input_shape, partial)
    files = _model_files(text)
    if files:
        return _from_model_files(*files, input_shape, partial)
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

    return Source(graph.network, graph, tuple(input_shape), parameters, **facts)


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
        raise ClassicsError(f"the parameters of {name} lack {_first_of(lacking)}: use the .params file of this model")
    if len(data) != 1:
        found = ", ".join(data) or "none"
        raise ClassicsError(f"{name} has the inputs {found}: only models with one input can be used")
    extra = sorted(set(values) - set(symbol.list_inputs()))
    if extra:
        raise ClassicsError(f"the parameters of {name} also have {_first_of(extra)}: use the .params file of this model")
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
            raise ClassicsError(f"{row.name} of {name} is {found}, not {row.shape}: use the .params file of this model")
        used[row.name] = array
    for operation in graph.operations:
        if operation.settings.get("fixed_gamma"):  # MXNet ignores what the file has
            gamma = operation.parameters["gamma"]
            used[gamma] = np.ones_like(used[gamma])
    return Source(name, graph, tuple(shape), lambda: used, weights="weights of the file")


def _own(name, input_shape, partial):
    settings = Settings.of(name)
    info = gluon_classics.model_info(name)
    net = build(name, info.classes, trained=True)
    shape = input_shape or info.input_shape
    summarize(net, shape)  # its error names the smallest image
    made = from_block(net, shape, name, partial, settings=settings)

    def parameters():
        seed_everything(settings.seed)
        initialize(net, settings, _CPU, shape)
        fix_shapes(net, _CPU, shape)  # draws the weights in the same order as training does
        return made.parameters()

    return Source(name, made.graph, made.input_shape, parameters, settings)


def _from_run(folder, input_shape, partial):
    trained = from_run(folder, "cpu")
    own = (trained.image_shape[2], trained.settings.size, trained.settings.size)
    facts = {"settings": trained.settings, "weights": "trained weights of the run"}
    return from_block(trained.net, input_shape or own, trained.settings.model, partial, **facts)


def _from_gluoncv(name, input_shape, partial):
    with require_extra("gluoncv", f"{GLUONCV}{name}"):
        from gluoncv import model_zoo
    try:
        net = model_zoo.get_model(name, pretrained=False, pretrained_base=False)
    except (ValueError, TypeError) as error:
        raise ClassicsError(f"GluonCV has no classification model {name!r}: see gluoncv.model_zoo") from error
    net.initialize(mx.init.MSRAPrelu())
    shape = input_shape or _gluoncv_input(name)
    return from_block(net, shape, name, partial, weights="random weights")


def _gluoncv_input(name):
    """Return the shape of the images that a model of GluonCV was trained on."""
    side = 32 if name.startswith("cifar_") else 299 if "inception" in name else 224
    return (3, side, side)


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


def _from_model_files(symbol_file, parameter_file, input_shape, partial):
    try:
        symbol = mx.sym.load(str(symbol_file))
    except (mx.base.MXNetError, UnicodeDecodeError) as error:
        raise ClassicsError(f"{symbol_file} is not a model of MXNet, or it is damaged: export it again") from error
    try:
        content = mx.nd.load(str(parameter_file))
    except (mx.base.MXNetError, ValueError) as error:
        raise ClassicsError(f"{parameter_file} is not a parameter file, or it is damaged: export it again") from error
    if not isinstance(content, dict):
        raise ClassicsError(f"the arrays in {parameter_file} have no names: export the model again")
    values = {key.split(":", 1)[-1]: value for key, value in content.items()}
    return from_symbol(symbol, values, input_shape, symbol_file.name[: -len(SYMBOL)], partial)


def _recorded_shape(symbol, name):
    text = symbol.attr_dict().get(name, {}).get("__shape__")
    if text is None:
        return None
    shape = tuple(int(size) for size in re.findall(r"\d+", text))[1:]
    return shape if shape and all(shape) else None


def _first_of(names):
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
