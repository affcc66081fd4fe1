"""The base class of all networks: its calls explain in one line what does not fit.

MXNet reports a wrong array with a stack of its C++ library, an assertion, or an error of deferred initialization. Which
one depends on the layer, and on whether the network is compiled.
"""

from __future__ import annotations

import contextlib
import re
from typing import NoReturn
import warnings

from gluon_classics.errors import ClassicsError, InputError, memory_explained
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np

_SHAPES = re.compile(r"Provided = [\[(](?P<known>[\d,]+)[\])], inferred shape=[\[(](?P<needed>[\d,]+)[\])]")
_RAW_ERRORS = (mx.base.MXNetError, AssertionError, AttributeError, RuntimeError, TypeError, ValueError)
_LONGEST_REASON = 120


class ExplainedCalls(nn.Block):
    """A block whose call with an array that does not fit raises an InputError."""

    def __call__(self, *inputs):
        with explained(self, *inputs):
            return super().__call__(*inputs)


class Network(ExplainedCalls, nn.Sequential):
    """A chain of layers that is a whole network. It differs from `nn.Sequential` only in its errors and warnings.

    It warns about gradients in prediction mode, which MXNet computes wrongly through max pooling on the CPU. It refuses
    float16 on the CPU. See docs/limits.md.
    """


def refuse_numpy_mode() -> None:
    """Raise a ClassicsError if `npx.set_np()` is in effect.

    In that mode layers make other operators, which the compiler does not know, and take `mx.np` arrays only.
    """
    if mx.util.is_np_array() or mx.util.is_np_shape():
        raise ClassicsError("MXNet's NumPy mode is on, and gluon_classics does not support it: call npx.reset_np()")


def require_network(net) -> None:
    """Raise an InputError if `net` is not a Gluon block, or a ClassicsError in NumPy mode."""
    refuse_numpy_mode()
    if not isinstance(net, nn.Block):
        raise InputError(f"{kind_of(net)} is not a network: use get_model, or another Gluon block")


@contextlib.contextmanager
def explained(net: nn.Block, *inputs):
    """Within, errors of a call of `net` with these inputs become InputErrors of one line.

    Warn about a gradient that MXNet computes wrongly, and refuse what it does not compute at all.
    """
    images = inputs[0] if inputs else None
    if isinstance(images, nd.NDArray):
        _check_support(net, images)
    try:
        with memory_explained():
            yield
    except ClassicsError:
        raise
    except _RAW_ERRORS as error:
        if not inputs or isinstance(images, mx.sym.Symbol):
            raise
        _explain(net, images, error)


def _check_support(net, images):
    if images.dtype == np.float16 and images.context.device_type == "cpu":
        raise InputError("MXNet does not compute float16 on the CPU: use float32, or a GPU")
    if autograd.is_recording() and not autograd.is_training() and _has_max_pool(net):
        warnings.warn(
            "MXNet computes wrong gradients through max pooling in prediction mode on the CPU: use autograd.record() "
            "without train_mode=False",
            RuntimeWarning,
            stacklevel=5,
        )


def _has_max_pool(block):
    is_one = getattr(block, "_kwargs", {}).get("pool_type") == "max"
    return is_one or any(map(_has_max_pool, block._children.values()))


def _explain(net, images, error) -> NoReturn:
    """Raise an InputError that says why a call failed, or `error` itself if that is not known."""
    refuse_numpy_mode()
    problem = _unfit_array(net, images) or _unfit_shape(net, images.shape, error)
    if problem is None:
        raise error
    raise InputError(problem) from error


def _unfit_array(net, images):
    """Return how the type or the device of `images` differ from those of the parameters, or None."""
    if not isinstance(images, nd.NDArray) or isinstance(images, mx.np.ndarray):
        return f"{name_of(net)} takes an NDArray, not {kind_of(images)}: convert it with mx.nd.array"
    for parameter in net.collect_params().values():
        if parameter._data is None and not parameter._deferred_init:
            return f"{name_of(net)} is not initialized: call its initialize() first"
        if parameter._data is not None and isinstance(parameter._data[0], mx.np.ndarray):
            return f"{name_of(net)} was made in MXNet's NumPy mode: make it again without npx.set_np()"
        if images.context not in parameter.list_ctx():
            places = ", ".join(map(str, parameter.list_ctx()))
            return f"the images are on {images.context}, but {name_of(net)} is on {places}: use the same device"
    types = {np.dtype(parameter.dtype).name for parameter in net.collect_params().values()}
    given = np.dtype(images.dtype).name
    if types and given not in types:
        wanted = " and ".join(sorted(types))
        return f"the images are {given}, but {name_of(net)} is {wanted}: convert them with images.astype('{wanted}')"
    return None


def _unfit_shape(net, shape, error):
    """Return how a shape does not fit, or None if the error is not MXNet's."""
    text = str(error)
    start = f"{name_of(net)} cannot take images of shape {shape}"
    shapes = _SHAPES.search(text)
    if shapes:
        known, needed = (tuple(map(int, shapes[group].split(","))) for group in ("known", "needed"))
        if len(known) == 4 and known[1] != needed[1]:
            remedy = ": use (N, C, H, W)" if shape[-1] == known[1] else ""
            return f"{start}: it takes C = {known[1]}, and these have C = {needed[1]}{remedy}"
        return f"{start}: a layer has weights of shape {known}, and these images need {needed}"
    if "kernel size" in text and "exceed" in text:
        return f"{start}: H or W is too small, or the order is not (N, C, H, W)"
    if "should be 4D" in text:
        return f"{start}: use (N, C, H, W)"
    if isinstance(error, mx.base.MXNetError) or "MXNetError" in text:
        reason = text.rpartition("MXNetError:")[2].rpartition("Check failed:")[2].strip().splitlines() or [""]
        return f"{start}: {reason[0][:_LONGEST_REASON]}"
    return None


def kind_of(value) -> str:
    """Return the type of a value for messages, such as "list" or "numpy.ndarray"."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def name_of(net: nn.Block) -> str:
    """Return how messages call a network: its class, or "the compiled network"."""
    return "the compiled network" if type(net).__name__.startswith("_") else type(net).__name__
