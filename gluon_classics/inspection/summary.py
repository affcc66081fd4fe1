"""Summarize a network: layers, shapes, parameters and multiply-accumulates. No weights are allocated."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import io
import math

from gluon_classics._format import format_shape
from gluon_classics._numbers import is_whole
from gluon_classics.errors import InputError, InputSizeError
from gluon_classics.models._blocks import LocalResponseNorm
from gluon_classics.models.lenet5 import KERNEL, PartialConvolution
from gluon_classics.models.network import name_of, require_network
import mxnet as mx
from mxnet import autograd
from mxnet.gluon import nn

LARGEST_INPUT = 4096
LARGEST_RANK = 3
MOST_VALUES = 2**31 - 1  # of an array in MXNet
OTHER_CHANNELS = (3, 1, 4)  # to try if images of any size do not fit
LARGEST_OF_ONE_SIZE = 256  # for networks that take images of one size only
SHARED_MASKS = {(2, 3): ["per channel"], (1, 2, 3): ["per image"]}  # of dropout, by the axes that share one draw
TRANSPOSED = (nn.Conv1DTranspose, nn.Conv2DTranspose)
COUNTED = (nn.Conv1D, nn.Conv2D, *TRANSPOSED, nn.Dense, PartialConvolution)  # layers that multiply
BATCH_NORM = (("eps", 1e-5), ("momentum", 0.9))  # Gluon's own values, which are not shown


@dataclass(frozen=True)
class Row:
    """One block of a network. The counts include the blocks within it.

    Attributes:
        path: The path in the tree of blocks, such as "4.0".
        depth: The depth in the tree of blocks, from 0.
        layer: A description of the block.
        leaf: Whether no other row is within this one.
        output_shape: (C, H, W) or (units,); of the first output if there are several; () if it is never called.
        params: The number of trainable parameters.
        running: The number of other parameters, such as running statistics.
        macs: The number of multiply-accumulates.
    """

    path: str
    depth: int
    layer: str
    leaf: bool
    output_shape: tuple[int, ...]
    params: int
    running: int
    macs: int


@dataclass(frozen=True)
class Summary:
    """The rows of a network and its totals for one image.

    Attributes:
        input_shape: (C, H, W).
        rows: The blocks in order of definition, each one before the blocks within it.
        params: The number of trainable parameters.
        running: The number of other parameters, such as running statistics.
        macs: The number of multiply-accumulates.
    """

    input_shape: tuple[int, ...]
    rows: list[Row]
    params: int
    running: int
    macs: int


def summarize(net: nn.Block, input_shape: tuple[int, ...]) -> Summary:
    """Count the layers, shapes, parameters and multiply-accumulates of a network.

    Multiply-accumulates are those of convolutions, transposed ones too, and of dense layers. The counts include parts
    that are used only in training, such as auxiliary classifiers. The network is not changed.

    Args:
        net: A network of `nn.Sequential`s and `HybridBlock`s, initialized or not.
        input_shape: The shape (C, H, W) of the image.

    Raises:
        InputError: `input_shape` is not a shape, or `net` is not a network.
        InputSizeError: The image is too small, or so large that an array exceeds MXNet's limit.
    """
    require_network(net)
    _check_shape(input_shape)
    blocks = list(_walk(net))
    outputs: dict[int, mx.sym.Symbol] = {}
    inputs: dict[int, mx.sym.Symbol] = {}  # of transposed convolutions

    def keep(block, given, output):
        outputs[id(block)] = output
        if isinstance(block, TRANSPOSED):
            inputs[id(block)] = given[0]

    handles = [block.register_forward_hook(keep) for _, _, block in blocks]
    try:
        with autograd.train_mode():  # include parts that are used only in training
            net(mx.sym.var("data"))
    finally:
        for handle in handles:
            handle.detach()
    graph = mx.sym.Group([*map(_first, outputs.values()), *inputs.values()])
    try:
        arguments, shapes, running = _infer_shapes(graph, (1, *input_shape))
    except mx.base.MXNetError as error:
        raise InputSizeError(_too_small(net, input_shape)) from error
    sizes = {name: math.prod(shape) for name, shape in zip(graph.list_arguments(), arguments)}
    sizes.update(zip(graph.list_auxiliary_states(), map(math.prod, running)))
    output_shapes = {block: shape[1:] for block, shape in zip(outputs, shapes)}
    input_shapes = {block: shape[1:] for block, shape in zip(inputs, shapes[len(outputs) :])}
    most = max([*map(math.prod, output_shapes.values()), *sizes.values()])
    if most > MOST_VALUES:  # MXNet would count with 32 bits and go on with wrong shapes
        what = f"{type(net).__name__} for {format_shape(input_shape)} images"
        raise InputSizeError(
            f"{what} has an array of {most:,} values: MXNet can have 2^31 - 1. Use smaller images or fewer classes"
        )

    def size(parameter):
        return sizes.get(parameter.name) or math.prod(parameter.shape or [0])  # no size if its block is never called

    def count(block):
        own = block._reg_params.values()
        params = sum(size(p) for p in own if p.grad_req != "null")
        running = sum(size(p) for p in own if p.grad_req == "null")
        macs = 0
        if isinstance(block, COUNTED) and id(block) in output_shapes:
            # each weight is used once per position of the output, or of the input of a transposed convolution
            shape = input_shapes.get(id(block), output_shapes[id(block)])
            positions = shape[:-1] if isinstance(block, nn.Dense) else shape[1:]
            macs = sizes[block.weight.name] * math.prod(positions)
        within = [count(child) for child in block._children.values()]
        return tuple(map(sum, zip((params, running, macs), *within)))

    rows = [
        Row(path, depth, _describe(block), not _inner(block), output_shapes.get(id(block), ()), *count(block))
        for path, depth, block in blocks[1:]
    ]
    return Summary(tuple(input_shape), rows, *count(net))


def _check_shape(shape):
    """Raise an InputError unless `shape` is the shape of an array that MXNet can hold."""
    is_sequence = isinstance(shape, (tuple, list)) and 1 <= len(shape) <= LARGEST_RANK
    if not is_sequence or not all(map(is_whole, shape)) or math.prod(map(int, shape)) > MOST_VALUES:
        what = f"{shape!r:.80}".replace("\n", " ")
        raise InputError(f"the input shape is {what}: use (C, H, W), whole numbers whose product is below 2**31")


def smallest_input(net: nn.Block, channels: int) -> int:
    """Return the height of the smallest square image that a network accepts.

    Args:
        net: The network.
        channels: The number of channels of the image.

    Returns:
        The height in pixels, or 0 if no image up to 4096x4096 is accepted.
    """
    low, high = 0, LARGEST_INPUT
    if not _fits(net, channels, high):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fits(net, channels, middle) else (middle, high)
    return high


def _fits(net, channels, side):
    try:
        _, shapes, _ = _infer_shapes(_all_outputs(net), (1, channels, side, side))
    except mx.base.MXNetError:
        return False
    return all(map(math.prod, shapes))


def _all_outputs(net):
    with autograd.train_mode():
        return mx.sym.Group(_flat(net(mx.sym.var("data"))))


def _flat(outputs):
    """Return the symbols in nested lists and tuples as one list."""
    return [outputs] if isinstance(outputs, mx.sym.Symbol) else [symbol for part in outputs for symbol in _flat(part)]


def _first(outputs):
    return _flat(outputs)[0][0]  # the second index is for an operator with several outputs


def _infer_shapes(graph, input_shape):
    with contextlib.redirect_stdout(io.StringIO()):  # MXNet prints before it raises an error about a shape
        return graph.infer_shape(data=input_shape)


def _too_small(net, input_shape):
    if len(input_shape) != 3:
        return f"{name_of(net)} cannot take an input of shape {input_shape}: use (C, H, W)"
    channels, height, width = input_shape
    smallest = smallest_input(net, channels)
    # a network with a bias for each place does not take much larger images than its own
    largest = 0 if smallest else next((n for n in range(LARGEST_OF_ONE_SIZE, 0, -1) if _fits(net, channels, n)), 0)
    side, which = (smallest, "smallest") if smallest else (largest, "largest")
    if side:
        remedy = f"the {which} it takes is {side}x{side}"
    elif any(smallest_input(net, other) for other in OTHER_CHANNELS):
        remedy = f"it does not take {channels} channels"
    else:
        remedy = "it does not take single images of any size that was tried"
    return f"{name_of(net)} cannot take {height}x{width} images: {remedy}"


def _walk(block, path="", depth=-1):
    yield path, depth, block
    for name, child in _inner(block).items():
        yield from _walk(child, f"{path}.{name}" if path else name, depth + 1)


def _inner(block):
    """Return the blocks within `block` that get a row: all but the activation of a layer."""
    return {name: child for name, child in block._children.items() if not isinstance(child, nn.Activation)}


def _describe(block):
    kind = type(block).__name__
    settings = getattr(block, "_kwargs", {})
    if isinstance(block, nn.Conv2D):
        parts = [f"{settings['num_filter']}", "@" + format_shape(settings["kernel"]), *_geometry(settings)]
        parts += [f"groups {settings['num_group']}"] * (settings["num_group"] > 1)
    elif isinstance(block, (nn.MaxPool2D, nn.AvgPool2D)):
        parts = [format_shape(settings["kernel"]), *_geometry(settings)]
        parts += ["ceil"] * (settings["pooling_convention"] == "full")
        parts += ["padding not counted"] * (settings.get("count_include_pad") is False)
    elif isinstance(block, LocalResponseNorm):
        constants = block._settings
        alpha = f"alpha {constants['alpha']:g}/{constants['nsize']}"  # MXNet divides alpha by the size
        parts = [f"size {constants['nsize']}", alpha, f"beta {constants['beta']:g}", f"k {constants['knorm']:g}"]
    elif isinstance(block, nn.BatchNorm):
        parts = [f"{name} {settings[name]:g}" for name, usual in BATCH_NORM if settings[name] != usual]
    elif isinstance(block, PartialConvolution):
        parts = [f"{block.maps}", "@" + format_shape((KERNEL, KERNEL)), *[f"/{block.strides}"] * (block.strides > 1)]
    elif isinstance(block, nn.Dense):
        parts = [str(block._units)]
    elif isinstance(block, nn.Dropout):
        parts = [f"{block._rate:g}", *SHARED_MASKS.get(tuple(block._axes), [])]
    else:
        parts = []
    activation = getattr(block, "act", None)
    if activation is not None:
        parts.append(activation._act_type)
    return " ".join([kind, *parts])


def _geometry(settings):
    stride, pad = settings["stride"], settings["pad"]
    return [f"/{stride[0]}"] * (max(stride) > 1) + [f"pad {pad[0]}"] * (max(pad) > 0)
