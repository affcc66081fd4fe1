"""Compile a plain `nn.Sequential` as one graph."""

from __future__ import annotations

import os
import threading
from typing import Callable
import warnings

from gluon_classics.errors import ClassicsError, library_reason
from gluon_classics.models._blocks import ByMode
from gluon_classics.models.network import ExplainedCalls, require_network
from gluon_classics.models.objective import objective_of
import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon import nn
from mxnet.gluon.block import _regroup
from mxnet.gluon.parameter import DeferredInitializationError
import numpy as np

from .one_thread import copy_into, one_thread_context, use_one_thread
from .processor import ONE_THREAD_MACS, ONE_THREAD_VALUES
from .rewrite import rewritten, to_widen
from .work import macs_per_operator

REWRITES = tuple(map(int, mx.__version__.split(".")[:3])) >= (1, 9, 1)  # older ones fail on some rewritten graphs

# Gluon traces a network in one thread only. And MXNet's engine can hang when two threads start operators that share
# arrays at the same time. A forked process finds the lock open.
_one_thread_at_a_time = threading.RLock()
os.register_at_fork(
    before=_one_thread_at_a_time.acquire,
    after_in_parent=_one_thread_at_a_time.release,
    after_in_child=_one_thread_at_a_time.release,
)


def hybridized(net: nn.Block) -> nn.HybridSequential:
    """Return a compiled twin of `net` that shares every parameter with it.

    The twin runs as one static graph, and `net` itself stays eager. `nn.Sequential.hybridize` does neither: it changes
    `net` and compiles its children one by one. The outputs are equal, and parameter files are interchangeable. Forward
    hooks of `net`, and of the chains in it, are not called.

    On the CPU the graph is rewritten to use faster operators (see `rewrite`). Some sums are then taken in a different
    order, so outputs can differ from the eager ones by rounding. `export` writes the graph as `net` defines it.

    Args:
        net: A `HybridBlock`, or a `nn.Sequential` of such blocks, nested to any depth.

    Returns:
        The twin, for training and prediction.

    Raises:
        InputError: `net` is not a network.
        TypeError: A block in `net` is neither a `HybridBlock` nor a `nn.Sequential` with the inherited `forward`.
            Only the block itself knows what it computes.
    """
    return _twin(net, fused=False)


def compiled(net: nn.Block) -> nn.Block:
    """Return `net` in compiled form if possible.

    Args:
        net: The network.

    Returns:
        `net` itself if it is hybridized already, otherwise its twin from `hybridized`. If `net` cannot be compiled,
        `net` itself, with a `RuntimeWarning`.
    """
    if getattr(net, "_active", False):
        return net
    try:
        return hybridized(net)
    except TypeError as error:
        warnings.warn(f"running eagerly: {error}", RuntimeWarning, stacklevel=2)
        return net


def for_inference(net: nn.Block) -> Callable[[mx.nd.NDArray], mx.nd.NDArray]:
    """Return `net` compiled for predictions with its current parameters.

    On the CPU neighbouring layers are fused into one operator, which keeps a copy of its weights. Call this function
    again after the parameters have changed.

    Args:
        net: The network.

    Returns:
        A function from images to outputs. It is `net` itself, without a warning, if `net` cannot be compiled (see
        `hybridized`). It has no gradients. Short predictions have been computed when it returns; meanwhile no other
        thread may write the images. Several threads can call it.
    """
    try:
        return _twin(net, fused=True)
    except TypeError:
        return net


class _Compiled(ExplainedCalls, nn.HybridSequential):
    """A chain that compiles its graph with faster operators.

    With `fused` set, predictions may use copies of the parameters, so the parameters must not change. MXNet compiles
    the graph itself, without our rewriting, before version 1.9.1, on GPUs, for types other than float32, for several
    inputs, in NumPy mode and with operator hooks.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.fused = False
        self._graphs: dict[tuple, _CompiledGraph] = {}
        self._graph_of: dict[tuple, _CompiledGraph] = {}  # by the shape of the images
        # Not through hybridize(): it would also compile the layers, which belong to another network as well.
        self._active = True
        self._flags = [("static_alloc", True), ("static_shape", True)]

    def _clear_cached_op(self):
        super()._clear_cached_op()
        self._graphs, self._graph_of = {}, {}

    def forward(self, x, *args):
        if args or not self._active or type(x) is not mx.nd.NDArray:
            return super().forward(x, *args)
        with x.context:  # without Gluon's checks of several inputs, which take as long as some operators
            return self._call_cached_op(x)

    def _call_cached_op(self, x, *args):
        is_plain = not args and type(x) is mx.nd.NDArray and x.dtype == np.float32 and x.context.device_type == "cpu"
        if not (REWRITES and is_plain) or self._callback:
            with _one_thread_at_a_time:
                return super()._call_cached_op(x, *args)
        fused = self.fused and not autograd.is_training() and not autograd.is_recording()  # it has no gradients
        key = (x.context, fused, x.shape)
        if key not in self._graph_of:
            with _one_thread_at_a_time:
                self._graph_of[key] = self._graph_for(x, fused)
        return _regroup(self._graph_of[key](x), self._out_format)

    def _graph_for(self, x, fused):
        """Return the compiled graph for images like `x`. Shapes for which all choices are equal share one."""
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
        self._cached_op_args = [(False, parameter) for parameter in used]  # `export` reads them from here
        arrays = {p.name: p.data(x.context) for p in used if np.dtype(p.dtype) == np.float32}
        context = x.context
        widened: frozenset[int] = frozenset()
        if not fused:
            widened = to_widen(graph, arrays, x.shape)
        elif x.size <= ONE_THREAD_VALUES and macs_per_operator(graph, data.name, x.shape) < ONE_THREAD_MACS:
            context = one_thread_context(context)
        key = (x.context, fused, context, widened)
        if key not in self._graphs:
            graph, constants = rewritten(graph, arrays, fused, widened)
            if fused:
                graph = graph.optimize_for("MKLDNN")
            values = {**{parameter.name: parameter for parameter in used}, **constants}
            if context == x.context:
                self._graphs[key] = _CompiledGraph(graph, data.name, values, self._flags)
            else:  # for predictions, where the parameters do not change
                values = {name: _array(value).as_in_context(context) for name, value in values.items()}
                self._graphs[key] = _GraphElsewhere(graph, data.name, values, self._flags, context)
        return self._graphs[key]


class _CompiledGraph:
    """A compiled graph with its parameters.

    Args:
        graph: The graph.
        data: The name of its input.
        parameters: By name, each a `Parameter` or a constant array.
        flags: MXNet's flags for compiled graphs.
    """

    def __init__(self, graph, data, parameters, flags):
        names = graph.list_inputs()
        self.position = names.index(data)
        self.parameters = [parameters[name] for name in names if name != data]
        others = [number for number in range(len(names)) if number != self.position]
        self.run = mx.nd.CachedOp(graph, [("data_indices", [self.position]), ("param_indices", others), *flags])

    def __call__(self, x):
        return self._outputs(self._inputs(x))

    def _inputs(self, x):
        arrays = list(map(_array, self.parameters))
        return [*arrays[: self.position], x, *arrays[self.position :]]

    def _outputs(self, inputs, out=None):
        with _one_thread_at_a_time:
            outputs = self.run(*inputs, out=out)
        return outputs if isinstance(outputs, list) else [outputs]


class _GraphElsewhere(_CompiledGraph):
    """A compiled graph that runs in another CPU context. A call waits for its images and its outputs.

    Args:
        context: The context, which is also that of the parameters.
    """

    def __init__(self, graph, data, parameters, flags, context):
        super().__init__(graph, data, parameters, flags)
        self.context = context
        # The arrays of the last call, as MXNet's engine needs time to free and to make them. A call takes them out, so
        # that no other thread uses them meanwhile.
        self._kept: list[tuple[tuple[int, ...], list, list]] = []

    def __call__(self, x):
        shape, context = x.shape, x.context
        try:
            x.wait_to_read()
        except mx.base.MXNetError as error:
            raise ClassicsError(f"the images could not be computed: {library_reason(error)}") from error
        inputs, outputs = self._arrays(shape)
        copy_into(inputs[self.position], x)
        use_one_thread(self.context)
        outputs = self._outputs(inputs, outputs)
        found = [_in_context(output, context) for output in outputs]
        self._kept[:] = [(shape, inputs, outputs)]
        return found

    def _arrays(self, shape):
        """Return inputs for images of this shape, and the arrays for the outputs; None if MXNet must make them."""
        try:
            kept, inputs, outputs = self._kept.pop()
        except IndexError:
            kept = None
        if kept != shape:
            return self._inputs(mx.nd.empty(shape, self.context)), None
        return inputs, outputs


def _in_context(output, context):
    if type(output) is not mx.nd.NDArray:  # sparse ones have several arrays
        return output.as_in_context(context)
    output.wait_to_read()
    copy = mx.nd.empty(output.shape, context, output.dtype)
    copy_into(copy, output)
    return copy


def _array(parameter):
    return parameter.data() if isinstance(parameter, gluon.Parameter) else parameter


def _twin(net, fused):
    require_network(net)
    if isinstance(net, ByMode):
        twins = _twin(net.training, fused), _twin(net.prediction, fused)
        twin = ByMode(*twins, net._children, prefix=net.prefix, params=net.params)
        twin._active = True  # `compiled` checks this
    else:
        twin = _chain_twin(net, fused)
    twin.objective = objective_of(net)
    return twin


def _chain_twin(net, fused):
    chained = _copied_chain(net)
    twin = _Compiled(prefix=net.prefix, params=net.params)
    twin.fused = fused
    for name, child in ({"0": net} if chained is net else chained._children).items():
        twin.register_child(child, name)
    return twin


def _copied_chain(block):
    own_forward = type(block).forward
    if own_forward in (nn.HybridBlock.forward, gluon.SymbolBlock.forward, _Compiled.forward):
        return block
    if not isinstance(block, nn.Sequential) or own_forward is not nn.Sequential.forward:
        raise TypeError(
            f"{type(block).__name__} cannot be compiled: make it a HybridBlock, or a nn.Sequential that does not "
            "override forward()"
        )
    twin = nn.HybridSequential(prefix=block.prefix, params=block.params)
    for name, child in block._children.items():  # the same names, so that parameter files are interchangeable
        twin.register_child(_copied_chain(child), name)
    return twin
