"""Follow the calls of a port's modules in any framework: name their outputs, and give dropouts their masks."""

from __future__ import annotations

from contextlib import contextmanager
import functools
import inspect

import numpy as np

from ..graph import Graph
from .tensor_file import PortError

_RANGES = {  # of the outputs of activations
    **{"relu": (0, np.inf), "softplus": (0, np.inf), "sigmoid": (0, 1), "tanh": (-1, 1), "softsign": (-1, 1)},
}
_LIBRARIES = ("torch", "flax")
_RATES = ("p", "rate", "drop_prob", "drop_rate")  # names of a dropout's rate in modules


class _Call:
    """A call of a module that has not returned yet."""

    def __init__(self, path, module, number):
        self.path, self.module, self.number = path, module, number
        self.has_children = self.has_inner = self.drew_mask = False


class ModuleCalls:
    """The calls of a port's modules in one pass.

    Args:
        graph: The network.
        names: Function that returns the trace's name for a module's path and the number of its call, or None.
        keep: Function that keeps an output under a key, and returns the output to continue with. A key is the path of
            a module, the number of its call, and whether this is what the module returns. If not, it is what the
            method of a base class returned to the module's own method.
        masks: The framework's array for each dropout of the pass, in the order of the graph. Empty in prediction mode.
    """

    def __init__(self, graph: Graph, names, keep=None, masks=None):
        self.graph, self.names, self.keep = graph, names, keep
        self.masks = dict(masks or {})
        self.kinds: dict = {}  # of each kept key: "library", "composite" or "own"
        self._unused = list(self.masks)
        self._stack: list = []
        self._counts: dict = {}

    @contextmanager
    def followed(self, paths, method):
        """Return a context in which the calls of modules are followed.

        Args:
            paths: Modules by path.
            method: Name of the method that computes a module.
        """
        path_of = {id(module): path for path, module in paths.items()}
        classes = {base for module in paths.values() for base in type(module).__mro__}
        methods = {base: vars(base).get(method) for base in classes}
        originals = {base: original for base, original in methods.items() if inspect.isfunction(original)}

        def replacement(original):
            @functools.wraps(original)
            def run(module, *inputs, **settings):
                if id(module) not in path_of:
                    return original(module, *inputs, **settings)
                return self.run(path_of[id(module)], module, lambda: original(module, *inputs, **settings), inputs)

            return run

        try:
            for base, original in originals.items():
                setattr(base, method, replacement(original))
            yield
        finally:
            for base, original in originals.items():
                setattr(base, method, original)

    def run(self, path, module, compute, inputs):
        """Return `compute()`, the output of a module or of the method of one of its base classes."""
        if self._stack and self._stack[-1].module is module:
            call, output = self._stack[-1], compute()
            if call.has_inner or not _has_activation(self.graph, self.names(path, call.number)):
                return output
            call.has_inner = True
            return self._kept(call, False, output)
        if self._stack:
            self._stack[-1].has_children = True
        self._counts[path] = self._counts.get(path, -1) + 1
        call = _Call(path, module, self._counts[path])
        self._stack.append(call)
        try:
            output = self._masked(call, inputs, compute())
        finally:
            self._stack.pop()
        return self._kept(call, True, output)

    def _kept(self, call, is_own, output):
        if self.keep is None:
            return output
        name = self.names(call.path, call.number)
        key = (call.path, call.number, is_own)
        if not call.path and isinstance(output, (tuple, list)) and output:  # the first output is the prediction
            make = getattr(output, "_make", type(output))
            return make([self._kept(call, is_own, output[0]), *output[1:]])
        if not hasattr(output, "dtype") or not (name or not call.path):
            return output
        is_library = type(call.module).__module__.partition(".")[0] in _LIBRARIES
        self.kinds[key] = "composite" if call.has_children else "library" if is_library else "own"
        return self.keep(key, output)

    # --- masks

    def mask(self, shape):
        """Return the mask for a dropout that the port draws: that of the module, or the next one that is unused.

        Raises:
            PortError: The trace lacks the mask, or the mask has another shape.
        """
        name = next((name for name in map(self._dropout, reversed(self._stack)) if name), None)
        if name is None and self._unused:
            name = self._unused[0]
        if name is None:
            raise PortError("the port has more dropouts than the trace. Map the names of those that the trace has")
        self._use(name)
        mask = self.masks[name]
        if mask.shape[0] != shape[0] or np.prod(mask.shape) != np.prod(shape):
            found, wanted = list(shape), list(mask.shape)
            raise PortError(f"{name} has a mask of {wanted}, and the port draws {found}. Map the name of the dropout")
        return mask.reshape(tuple(shape))  # a dropout before or after the flattening is the same

    def _dropout(self, call):
        name = self.names(call.path, call.number)
        return name if name in self.masks else None

    def _use(self, name):
        self._unused = [other for other in self._unused if other != name]
        for call in self._stack:
            call.drew_mask = call.drew_mask or self._dropout(call) == name

    def _masked(self, call, inputs, output):
        """Return the output of a module; if it is a dropout that drew no mask by a known function, impose the mask."""
        name = self._dropout(call)
        if name is None or call.drew_mask or not inputs or output is inputs[0]:
            return output
        self._use(name)
        rate = self.graph.operation(name).settings["drop"]
        for attribute in _RATES:
            rate = getattr(call.module, attribute, rate)
        return inputs[0] * (self.masks[name] / (1 - rate))


def operation_outputs(calls: ModuleCalls, arrays: dict) -> dict:
    """Return the key of each operation's output by the operation's name.

    A module with the name of a layer that has a built-in activation may compute the layer alone, or both: a module of
    the framework computes the layer, a module that calls others or the method of its base class computes both, and the
    values decide on the rest.

    Args:
        calls: The calls.
        arrays: NumPy arrays by key, in any order: JAX sorts dictionaries.
    """
    graph = calls.graph
    operations = {row.name: row for row in graph.operations}
    direct: dict = {}
    blocks: dict = {}
    prediction: dict = {}
    for key in filter(arrays.__contains__, calls.kinds):  # in the order of the computation
        path, number, is_own = key
        name = calls.names(path, number)
        if name is None:
            prediction[graph.outputs[0]] = key
            continue
        end = graph.blocks.get(name, name)
        if name in operations and not (is_own and _ends_with_activation(calls, arrays, key, name)):
            direct[name] = key
        elif blocks.setdefault(end, key)[0] == path:
            blocks[end] = key
    return {**prediction, **blocks, **direct}


def _has_activation(graph, name):
    """Return whether a name is that of a layer with a built-in activation, and of the block of both."""
    return graph.blocks.get(name, name) != name and any(row.name == name for row in graph.operations)


def _ends_with_activation(calls, arrays, key, name):
    if not _has_activation(calls.graph, name):
        return False
    inner = arrays.get((*key[:2], False))
    if inner is not None:
        return not np.array_equal(inner, arrays[key])
    if calls.kinds[key] != "own":
        return calls.kinds[key] == "composite"
    low, high = _RANGES.get(calls.graph.operation(calls.graph.blocks[name]).kind, (np.inf, np.inf))
    return bool(np.all((arrays[key] >= low) & (arrays[key] <= high)))
