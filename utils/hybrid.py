"""Compiling a plain `nn.Sequential` as one graph."""

from __future__ import annotations

import contextlib
from typing import Callable
import warnings

from gluon_classics._blocks import ByMode
from gluon_classics._objective import objective_of
import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon import nn
from mxnet.gluon.block import _regroup
from mxnet.gluon.parameter import DeferredInitializationError
import numpy as np

from .folding import folded
from .graph import rewritten
from .kernels import in_training_mode, mostly_narrow
from .parts import can_be_parted, in_parts

WIDEN_FROM = 8  # images: for fewer, joining zeros to the parameters takes longer than it saves


def hybridized(net: nn.Block) -> nn.HybridSequential:
    """A twin of `net` that compiles as one static graph and shares every parameter with it.

    As `sorted` beside `list.sort`: `net` itself stays eager, which `nn.Sequential.hybridize` would not leave it
    (it compiles the children one by one). The twin chains the same layers anew in a `nn.HybridSequential`, so that
    outputs are equal and parameter files interchange. Forward hooks of `net` and its chains are left behind.

    On the CPU the graph is compiled in operators that are faster there (see `graph`); some sums are then taken in
    another order, so that outputs can differ from the eager ones in their last bits. `export` gives the graph as
    `net` defines it.

    Raises TypeError if a block in `net` is neither a `HybridBlock` nor a chain (`nn.Sequential` with its own
    `forward`): only the block itself knows what it computes.
    """
    return _twin(net, fused=False)


def compiled(net: nn.Block) -> nn.Block:
    """`net` if it is hybridized already, its compiled twin if it can have one, else `net` with a warning."""
    if getattr(net, "_active", False):
        return net
    try:
        return hybridized(net)
    except TypeError as error:
        warnings.warn(f"running eagerly: {error}", RuntimeWarning, stacklevel=2)
        return net


def frozen(net: nn.Block) -> Callable[[mx.nd.NDArray], mx.nd.NDArray]:
    """`net` for predictions with the parameters as they are now: make a new one after they have changed.

    On the CPU neighbouring layers are fused into one operator, which keeps a copy of its weights. `net` that cannot
    be compiled (see `hybridized`) is returned as it is.
    """
    try:
        return _twin(net, fused=True)
    except TypeError:
        return net


class _Compiled(nn.HybridSequential):
    """A chain that compiles its graph in faster operators, apart for few and for many images.

    `fused`: for predictions only, with parameters that do not change any more. What `graph` is not for (GPUs, other
    types than float32, several inputs, MXNet's NumPy mode, operator hooks) is compiled in MXNet's own way.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.fused = False
        self._graphs: dict[tuple, _CompiledGraph] = {}
        # not through hybridize(), which would compile the layers too, and these are shared with another network
        self._active = True
        self._flags = [("static_alloc", True), ("static_shape", True)]

    def _clear_cached_op(self):
        super()._clear_cached_op()
        self._graphs = {}

    def _call_cached_op(self, x, *args):
        if args or type(x) is not mx.nd.NDArray or x.dtype != np.float32 or x.context.device_type != "cpu":
            return super()._call_cached_op(x, *args)
        if self._callback:
            return super()._call_cached_op(x)
        fused = self.fused and not autograd.is_training() and not autograd.is_recording()  # it has no gradients
        widened = len(x) >= WIDEN_FROM
        parted = not fused and can_be_parted(len(x))
        use = (x.context, fused, widened, parted, x.shape[1:] if fused or parted else None)
        if use not in self._graphs:
            self._graphs[use] = self._compile(x, fused, widened, parted)
        return _regroup(self._graphs[use](x), self._out_format)

    def _compile(self, x, fused, widened, parted):
        (data,), graph = self._get_graph(x)
        parameters = self.collect_params()
        used = [parameters[name] for name in graph.list_inputs() if name != data.name]
        try:
            for parameter in used:
                parameter.data()
        except DeferredInitializationError:
            self._deferred_infer_shape(x)
            for parameter in used:
                parameter._finish_deferred_init()
        self._cached_op_args = [(False, parameter) for parameter in used]  # where `export` looks for them
        shapes = {parameter.name: parameter.shape for parameter in used if np.dtype(parameter.dtype) == np.float32}
        as_in_training = fused and widened and mostly_narrow(graph, x.shape, data.name)
        made: dict[str, mx.nd.NDArray] = {}
        if as_in_training:
            graph, made = folded(in_training_mode(graph), {parameter.name: parameter.data() for parameter in used})
            shapes.update({name: array.shape for name, array in made.items()})
            fused = False
        graph = rewritten(graph, shapes, widened, sink=not fused)
        if parted:
            every_shape = {**{parameter.name: parameter.shape for parameter in used}, data.name: x.shape}
            graph = in_parts(graph, every_shape, data.name)
        if fused:
            graph = graph.optimize_for("MKLDNN")
        return _CompiledGraph(graph, data.name, parameters, made, self._flags, as_in_training)


class _CompiledGraph:
    """A graph with its parameters, some of which were made for it."""

    def __init__(self, graph, data, parameters, made, flags, as_in_training):
        self.as_in_training = as_in_training
        names = graph.list_inputs()
        self.position = names.index(data)
        self.parameters = [made[name] if name in made else parameters[name] for name in names if name != data]
        others = [number for number in range(len(names)) if number != self.position]
        self.run = mx.nd.CachedOp(graph, [("data_indices", [self.position]), ("param_indices", others), *flags])

    def __call__(self, x):
        arrays = [p.data() if isinstance(p, gluon.Parameter) else p for p in self.parameters]
        with autograd.train_mode() if self.as_in_training else contextlib.nullcontext():
            outputs = self.run(*arrays[: self.position], x, *arrays[self.position :])
        return outputs if isinstance(outputs, list) else [outputs]


def _twin(net, fused):
    if isinstance(net, ByMode):
        twins = _twin(net.training, fused), _twin(net.prediction, fused)
        twin = ByMode(*twins, net._children, prefix=net.prefix, params=net.params)
        twin._active = True  # compiled, as `compiled` asks
    else:
        twin = _chain_twin(net, fused)
    twin.objective = objective_of(net)
    return twin


def _chain_twin(net, fused):
    chained = _chained_anew(net)
    twin = _Compiled(prefix=net.prefix, params=net.params)
    twin.fused = fused
    for name, child in ({"0": net} if chained is net else chained._children).items():
        twin.register_child(child, name)
    return twin


def _chained_anew(block):
    own_forward = type(block).forward
    if own_forward in (nn.HybridBlock.forward, gluon.SymbolBlock.forward):
        return block
    if not isinstance(block, nn.Sequential) or own_forward is not nn.Sequential.forward:
        raise TypeError(
            f"{type(block).__name__} cannot be compiled: make it a HybridBlock, or a nn.Sequential without "
            "a forward() of its own"
        )
    twin = nn.HybridSequential(prefix=block.prefix, params=block.params)
    for name, child in block._children.items():  # the same names, so that parameter files interchange
        twin.register_child(_chained_anew(child), name)
    return twin
