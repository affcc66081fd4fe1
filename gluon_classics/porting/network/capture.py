"""Read a network as a `Graph` of neutral operations. No weights are allocated, and the network is not changed."""

from __future__ import annotations

from contextlib import ExitStack, redirect_stdout
import io
import json

from gluon_classics._format import format_shape
from gluon_classics.errors import ClassicsError, InputSizeError
from gluon_classics.models._batch_norm import EPSILON, MOMENTUM_KEEP, ScratchBatchNorm
from gluon_classics.models.early_lenet import SquaredErrorLoss
from gluon_classics.models.googlenet import AuxiliaryLoss
from gluon_classics.models.lenet5 import MAPLoss
from gluon_classics.models.objective import objective_of
import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon import nn

from ..graph import Graph, Loss, Operation, Parameter
from .mxnet_operators import FIRST_INPUT_ONLY, TRANSLATIONS, Unsupported, axes_of

DATA = "data"
_BLOCK = "__block__"  # the attribute of a node that holds the path of its block


class UnsupportedOperators(ClassicsError):
    """The network has operators that the neutral graph cannot express.

    Attributes:
        found: The MXNet operator of each such layer, by the layer's name.
    """

    def __init__(self, found: dict[str, str]):
        self.found = found
        layers = ", ".join(f"{name} ({operator})" for name, operator in list(found.items())[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        super().__init__(f"these layers cannot be expressed: {layers}{more}. Replace them, or port them by hand")


def capture(net: nn.Block, input_shape: tuple[int, ...], name: str = "", partial: bool = False) -> Graph:
    """Return the operations of a network, in training mode.

    Args:
        net: A network of `nn.Sequential`s and `HybridBlock`s, initialized or not.
        input_shape: Shape of one image, (C, H, W).
        name: Name of the network; by default that of its class.
        partial: Whether to describe unsupported operators by MXNet's own names instead of raising an error.

    Raises:
        InputSizeError: The image is too small.
        UnsupportedOperators: The network has operators that the graph cannot express.
    """
    parameters = net._collect_params_with_prefix()
    blocks = dict(_walk(net))
    for parameter in parameters.values():
        parameter.var()  # Gluon keeps the variable: it must not get the attribute of a block
    with ExitStack() as stack, autograd.train_mode():
        made = _mark_nodes(stack, blocks)
        outputs = net(mx.sym.var(DATA))
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    paths = {parameter.name: path for path, parameter in parameters.items()}
    translation = _Translation(outputs, made, {DATA: tuple(input_shape)}, paths, blocks, partial)
    trainable = {path: parameter.grad_req != "null" for path, parameter in parameters.items()}
    initializers = {path: _initializer(parameter) for path, parameter in parameters.items()}
    terms = _loss_terms(objective_of(net).loss(), translation.outputs)
    return translation.graph(name or type(net).__name__, trainable, initializers, terms)


def capture_symbol(
    symbol: mx.sym.Symbol, input_shapes: dict[str, tuple[int, ...]], name: str, partial: bool = False
) -> Graph:
    """Return the operations of a model of symbols, as `mx.sym.load` reads it.

    The loss is softmax cross-entropy of the first output. If that is a softmax, such as SoftmaxOutput, the loss takes
    the input of the softmax.

    Args:
        symbol: The model.
        input_shapes: Shape of each input without the number of images, by name. Labels of losses are left out.
        name: Name of the network.
        partial: Whether to describe unsupported operators by MXNet's own names instead of raising an error.

    Raises:
        InputSizeError: The image is too small.
        UnsupportedOperators: The model has operators that the graph cannot express.
    """
    translation = _Translation(list(symbol), {}, input_shapes, {}, {}, partial)
    running = set(symbol.list_auxiliary_states())
    trainable = {name: name not in running for name in symbol.list_inputs()}
    first = translation.outputs[0]
    softmax = [row for row in translation.operations if row.kind == "softmax" and row.name == first]
    logits = softmax[0].inputs[0] if softmax else first
    terms = (Loss("softmax_cross_entropy", logits),)
    return translation.graph(name, trainable, {}, terms)


def _walk(block, path=""):
    yield path, block
    for name, child in block._children.items():
        yield from _walk(child, f"{path}.{name}" if path else name)


def _mark_nodes(stack, blocks):
    """Give each node the path of the innermost block that makes it, until `stack` is closed.

    Return a dictionary that will hold the output symbol of each block, by path, if the block has a single output.
    """
    scopes: list[mx.AttrScope] = []
    made: dict[str, mx.sym.Symbol] = {}

    def enter(path):
        scopes.append(mx.AttrScope(**{_BLOCK: path}))
        scopes[-1].__enter__()

    def leave():
        scopes.pop().__exit__(None, None, None)

    def keep(path, output):
        leave()
        if isinstance(output, mx.sym.Symbol):
            made[path] = output

    stack.callback(lambda: [leave() for _ in list(scopes)])
    for path, block in blocks.items():
        before = block.register_forward_pre_hook(lambda _block, _inputs, path=path: enter(path))
        after = block.register_forward_hook(lambda _block, _inputs, output, path=path: keep(path, output))
        stack.callback(before.detach)
        stack.callback(after.detach)
    return made


def _initializer(parameter):
    """Return the initial value that a parameter sets itself, in MXNet's words."""
    init = parameter.init
    if init is None:
        return ""
    return init if isinstance(init, str) else type(init).__name__


def _loss_terms(loss, outputs):
    if isinstance(loss, AuxiliaryLoss):
        factors = [1.0] + [loss._auxiliary_weight] * (len(outputs) - 1)
        return tuple(Loss("softmax_cross_entropy", name, factor) for name, factor in zip(outputs, factors))
    if isinstance(loss, MAPLoss):
        return (Loss("map", outputs[0], settings={"j": loss.j}),)
    if isinstance(loss, SquaredErrorLoss):
        return (Loss("squared_error", outputs[0]),)
    if isinstance(loss, gluon.loss.SoftmaxCrossEntropyLoss):
        return (Loss("softmax_cross_entropy", outputs[0]),)
    raise ClassicsError(f"the loss {type(loss).__name__} has no neutral description: use softmax cross-entropy")


class _Translation:
    """The translation of the nodes of a symbol into operations.

    Args:
        outputs: The outputs of the network.
        made: The output of each block, by path.
        input_shapes: Shape of one example of each input, by name.
        paths: The names that parameters will have, by MXNet's names.
        blocks: The blocks by path.
        partial: See `capture`.
    """

    def __init__(self, outputs, made, input_shapes, paths, blocks, partial):
        self.blocks, self.paths = blocks, paths
        self.inputs = {name: (None, *shape) for name, shape in input_shapes.items()}
        symbol = mx.sym.Group([*outputs, *made.values()])
        description = json.loads(symbol.tojson())
        self.nodes = description["nodes"]
        self.shapes = _shapes(symbol, input_shapes)
        self.values: dict[tuple, str] = {}  # the name of the value of each entry (node, output)
        self.operations: list[Operation] = []
        self.roles: dict[str, tuple] = {}  # of each parameter: its role and axes
        self.unsupported: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.alone = self._layers_of_one_operation()
        for number, node in enumerate(self.nodes):
            if node["op"] == "null":
                self.values[number, 0] = self.paths.get(node["name"], node["name"])
            else:
                self._translate(number, node)
        if self.unsupported and not partial:
            raise UnsupportedOperators(self.unsupported)
        names = [self.values[number, output] for number, output, *_ in description["heads"]]
        self.outputs = tuple(dict.fromkeys(names[: len(outputs)]))
        self.block_outputs = {path: name for path, name in zip(made, names[len(outputs) :]) if path}

    def graph(self, network, trainable, initializers, loss):
        used = {name for row in self.operations for name in (*row.inputs, *row.parameters.values())}
        shapes = {self.values[entry]: shape for entry, shape in self.shapes.items() if entry in self.values}
        fixed = {row.parameters["gamma"] for row in self.operations if row.settings.get("fixed_gamma")}
        parameters = []
        for path in trainable:
            if path in used and path not in self.inputs:
                role, axes = self.roles.get(path, (path.rpartition(".")[2], axes_of(shapes[path])))
                initial = initializers.get(path, "")
                parameters.append(
                    Parameter(path, role, shapes[path], axes, trainable[path] and path not in fixed, initial)
                )
        operations = tuple(self.operations)
        kinds = {path: type(block).__name__ for path, block in self.blocks.items()}
        return Graph(network, self.inputs, operations, tuple(parameters), self.outputs, loss, self.block_outputs, kinds)

    def _translate(self, number, node):
        block = node.get("attrs", {}).get(_BLOCK, "")
        whole = _as_one_operation(self.blocks.get(block))
        if whole:
            self._translate_block(number, block, *whole)
            return
        sources = node["inputs"][:1] if node["op"] in FIRST_INPUT_ONLY else node["inputs"]
        entries = [self.values[source, output] for source, output, *_ in sources if (source, output) in self.values]
        shapes = [self.shapes[source, output] for source, output, *_ in node["inputs"]]
        attributes = {key: text for key, text in node.get("attrs", {}).items() if not key.startswith("__")}
        try:
            results = TRANSLATIONS[node["op"]](attributes, shapes, self.shapes[number, 0])
            supported = True
        except (KeyError, Unsupported):  # an unknown operator, or attributes that a file lacks
            supported = False
            results = [(node["op"], (), attributes)]
        if results is None:  # it passes its input on
            self.values[number, 0] = entries[0]
            return
        for output, (kind, roles, settings) in enumerate(results):
            name = self._name(node, block, kind)
            if not supported:
                self.unsupported[name] = kind
            parameters = {}
            own = entries[:]
            for position, role, axes in roles:
                if position < len(entries):
                    parameters[role] = entries[position]
                    own.remove(entries[position])
                    self.roles.setdefault(entries[position], (role, axes))
            shape = self.shapes[number, output]
            self.operations.append(Operation(name, kind, tuple(own), parameters, settings, shape, block))
            self.values[number, output] = name

    def _translate_block(self, number, block, kind, roles, settings):
        """Make one operation of the nodes of a block, at the last of them."""
        if self._inside(block)[-1] != number:
            return
        first = next(
            self.values[source, output]
            for inner in self._inside(block)
            for source, output, *_ in self.nodes[inner]["inputs"]
            if self.nodes[source].get("attrs", {}).get(_BLOCK) != block
            and (source, output) in self.values
            and not self.values[source, output].startswith(block + ".")
        )
        parameters = {role: f"{block}.{role}" for role in roles}
        self.roles.update({path: (role, ("channel",)) for role, path in parameters.items()})
        self.operations.append(Operation(block, kind, (first,), parameters, settings, self.shapes[number, 0], block))
        self.values[number, 0] = block

    def _inside(self, block):
        return [
            n
            for n, node in enumerate(self.nodes)
            if node["op"] != "null" and node.get("attrs", {}).get(_BLOCK) == block
        ]

    def _layers_of_one_operation(self):
        """Return the paths of the layers whose name alone names their only operation."""
        counts: dict[str, int] = {}
        for node in self.nodes:
            path = node.get("attrs", {}).get(_BLOCK)
            if path and node["op"] != "null" and not _passes_on(node):
                counts[path] = counts.get(path, 0) + 1
        leaves = {
            path
            for path, block in self.blocks.items()
            if all(isinstance(c, nn.Activation) for c in block._children.values())
        }
        return {path for path, count in counts.items() if count == 1 and path in leaves}

    def _name(self, node, block, kind):
        if not self.blocks:
            name = node["name"][: -len("_fwd")] if node["name"].endswith("_fwd") else node["name"]
        elif block in self.alone:
            name = block
        else:
            name = f"{block}:{kind}" if block else kind
        self.counts[name] = self.counts.get(name, 0) + 1
        return name if self.counts[name] == 1 else f"{name}_{self.counts[name]}"


def _as_one_operation(block):
    """Return the kind, roles and settings of a block whose nodes are a single operation, or None."""
    if isinstance(block, ScratchBatchNorm):
        settings = {
            "eps": EPSILON,
            "momentum_keep": MOMENTUM_KEEP,
            "variance": "biased",
            "use_running": False,
            "fixed_gamma": False,
            "axis": 1,
        }
        return "batch_norm", ("gamma", "beta", "running_mean", "running_var"), settings
    own = type(block)
    if own.__name__ == "DropBlock" and own.__module__.startswith("gluoncv.") and block.block_size % 2:
        settings = {"drop": float(block.drop_prob), "block_size": block.block_size, "shared_axes": [0]}
        return "drop_block", (), settings
    return None


def _passes_on(node):
    attributes = node.get("attrs", {})
    return node["op"] == "slice_axis" and attributes.get("begin") == "0" and attributes.get("end") == "None"


def _shapes(symbol, input_shapes):
    """Return the shape of each entry (node, output). None marks the axis of the images."""
    every = symbol.get_internals()
    found = []
    for images in (2, 3):
        try:
            given = {name: (images, *shape) for name, shape in input_shapes.items()}
            with redirect_stdout(io.StringIO()):  # MXNet prints before it raises an error about a shape
                _, outputs, _ = every.infer_shape(**given)
        except mx.base.MXNetError as error:
            sizes = " and ".join(format_shape(shape) for shape in input_shapes.values())
            raise InputSizeError(f"the network cannot take {sizes} images: choose another size") from error
        found.append(outputs)
    heads = json.loads(every.tojson())["heads"]
    return {
        (number, output): tuple(None if a != b else a for a, b in zip(*shapes))
        for (number, output, *_), *shapes in zip(heads, *found)
    }
