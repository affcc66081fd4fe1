"""What a network consists of, counted symbolically: no weights are made."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
import io
import math

from gluon_classics.errors import InputSizeError
from gluon_classics.models.lenet5 import KERNEL, PartialConvolution
import mxnet as mx
from mxnet import autograd
from mxnet.gluon import nn

LARGEST_INPUT = 4096


@dataclass(frozen=True)
class Row:
    """One block: its path in the tree ("4.0"), depth, description and output shape (C, H, W) or (units,).

    Of several outputs the first one's shape is meant; a block that is never called has the shape ().
    `params`, `running` and `macs` count trainable parameters, other ones (as running statistics) and
    multiply-accumulates of this block and all it contains; `leaf` says that it contains no other row.
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
    """`rows` in the order of definition, parents before their children, and the totals for one image."""

    input_shape: tuple[int, ...]
    rows: list[Row]
    params: int
    running: int
    macs: int


def summarize(net: nn.Block, input_shape: tuple[int, ...]) -> Summary:
    """Layers, shapes, parameters and multiply-accumulates of `net` for one image of `input_shape`, (C, H, W).

    Works on any network made of `nn.Sequential` and `HybridBlock`s, initialised or not, and leaves it as it is. What
    it has for training alone is counted. Raises InputSizeError if the image is too small.
    """
    blocks = list(_walk(net))
    outputs: dict[int, mx.sym.Symbol] = {}
    handles = [
        block.register_forward_hook(lambda block, _inputs, output: outputs.__setitem__(id(block), output))
        for _, _, block in blocks
    ]
    try:
        with autograd.train_mode():  # so that what is for training alone is there
            net(mx.sym.var("data"))
    finally:
        for handle in handles:
            handle.detach()
    graph = mx.sym.Group([_first(output) for output in outputs.values()])
    try:
        arguments, shapes, running = _infer_shapes(graph, (1, *input_shape))
    except mx.base.MXNetError as error:
        raise InputSizeError(_too_small(net, input_shape)) from error
    sizes = {name: math.prod(shape) for name, shape in zip(graph.list_arguments(), arguments)}
    sizes.update(zip(graph.list_auxiliary_states(), map(math.prod, running)))
    output_shapes = {block: shape[1:] for block, shape in zip(outputs, shapes)}

    def size(parameter):
        return sizes.get(parameter.name) or math.prod(parameter.shape or [0])  # of a block that is never called

    def count(block):
        own = block._reg_params.values()
        params = sum(size(p) for p in own if p.grad_req != "null")
        running = sum(size(p) for p in own if p.grad_req == "null")
        macs = 0
        if isinstance(block, (nn.Conv2D, nn.Dense, PartialConvolution)) and id(block) in output_shapes:
            # every weight is used once at each position of the output map; a dense layer has one position
            macs = sizes[block.weight.name] * math.prod(output_shapes[id(block)][1:])
        within = [count(child) for child in block._children.values()]
        return tuple(map(sum, zip((params, running, macs), *within)))

    rows = [
        Row(path, depth, _describe(block), not _inner(block), output_shapes.get(id(block), ()), *count(block))
        for path, depth, block in blocks[1:]
    ]
    return Summary(tuple(input_shape), rows, *count(net))


def smallest_input(net: nn.Block, channels: int) -> int:
    """The side of the smallest square image, in pixels, that `net` accepts (0 if there is none up to 4096)."""
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
    """The symbols in nested lists and tuples of symbols."""
    return [outputs] if isinstance(outputs, mx.sym.Symbol) else [symbol for part in outputs for symbol in _flat(part)]


def _first(outputs):
    return _flat(outputs)[0][0]  # an operator may have several outputs too


def _infer_shapes(graph, input_shape):
    with contextlib.redirect_stdout(io.StringIO()):  # where a shape does not fit, MXNet prints before it raises
        return graph.infer_shape(data=input_shape)


def _too_small(net, input_shape):
    channels, height, width = input_shape
    side = smallest_input(net, channels)
    remedy = f"the smallest it takes is {side}x{side}" if side else f"it takes no image with {channels} channels"
    return f"{type(net).__name__} cannot take {height}x{width} images: {remedy}"


def _walk(block, path="", depth=-1):
    yield path, depth, block
    for name, child in _inner(block).items():
        yield from _walk(child, f"{path}.{name}" if path else name, depth + 1)


def _inner(block):
    """The blocks within `block` that get a row: all but the activation inside a layer."""
    return {name: child for name, child in block._children.items() if not isinstance(child, nn.Activation)}


def _describe(block):
    kind = type(block).__name__
    settings = getattr(block, "_kwargs", {})
    if isinstance(block, nn.Conv2D):
        parts = [f"{settings['num_filter']}", "@" + _times(settings["kernel"]), *_geometry(settings)]
        parts += [f"groups {settings['num_group']}"] * (settings["num_group"] > 1)
    elif isinstance(block, (nn.MaxPool2D, nn.AvgPool2D)):
        parts = [_times(settings["kernel"]), *_geometry(settings)]
    elif isinstance(block, PartialConvolution):
        parts = [f"{block.maps}", "@" + _times((KERNEL, KERNEL))]
    elif isinstance(block, nn.Dense):
        parts = [str(block._units)]
    elif isinstance(block, nn.Dropout):
        parts = [str(block._rate)]
    else:
        parts = []
    activation = getattr(block, "act", None)
    if activation is not None:
        parts.append(activation._act_type)
    return " ".join([kind, *parts])


def _geometry(settings):
    stride, pad = settings["stride"], settings["pad"]
    return [f"/{stride[0]}"] * (max(stride) > 1) + [f"pad {pad[0]}"] * (max(pad) > 0)


def _times(kernel):
    return "x".join(map(str, kernel))
