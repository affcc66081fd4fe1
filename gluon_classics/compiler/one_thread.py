"""A CPU context whose operators run on one thread, for short predictions.

OpenMP stores the number of threads separately for each thread that starts parallel work. In MXNet that is the worker
thread of a context. There can be any number of CPU contexts, and they share the main memory. So the number is set to
one for the worker of an additional context, and all other contexts keep theirs.

MXNet's own copy between two contexts is work for their threads, which must be woken for it. That takes longer than a
short prediction, so the calling thread copies its input and its outputs.
"""

from __future__ import annotations

import ctypes
import os

from gluon_classics import _runtime
import mxnet as mx
from mxnet import nd
from mxnet.base import _LIB, check_call
import numpy as np

_FIRST = 1000  # number of our first context; users have as many as they have processors
_CPU = 1  # MXNet's number of this type of device


class _Context(ctypes.Structure):
    _fields_ = [("device_type", ctypes.c_int), ("device_id", ctypes.c_int)]


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
def _set_threads(_run_context, _parameter):
    _LIB.omp_set_num_threads(1)  # of the OpenMP that MXNet is linked to


_ready: set[int] = set()  # the numbers of the contexts whose worker uses one thread
# MXNet starts new workers in both processes. Before Python 3.10, `subprocess` forks, too, but does not call this.
os.register_at_fork(after_in_child=_ready.clear, after_in_parent=_ready.clear)


def one_thread_context(context: mx.Context) -> mx.Context:
    """Return a CPU context that runs on one thread, to use instead of `context` after `use_one_thread`.

    It is `context` itself if there is no other thread, or if MXNet's engine does not have one worker per context
    (MXNET_ENGINE_TYPE, MXNET_CPU_WORKER_NTHREADS).
    """
    if _runtime.given_threads() == "1" or not _has_one_worker_per_context():
        return context
    return mx.cpu(_FIRST + context.device_id)


def use_one_thread(context: mx.Context) -> None:
    """Let the next operators in a context from `one_thread_context` run on one thread."""
    if context.device_id not in _ready:
        place = ctypes.byref(_Context(_CPU, context.device_id))
        check_call(_LIB.MXEnginePushSync(_set_threads, None, None, place, None, 0, None, 0, None, 0, None))
        _ready.add(context.device_id)


def copy_into(out: nd.NDArray, array: nd.NDArray) -> None:
    """Copy an array into another of the same size and type. Both are on the CPU, and `array` has been waited for.

    MXNet does not know of the copy: meanwhile nothing may write `array`, or use `out`.
    """
    ctypes.memmove(_address(out), _address(array), array.size * np.dtype(array.dtype).itemsize)


def _address(array):
    address = ctypes.c_void_p()
    check_call(_LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))  # in the plain layout
    return address


def _has_one_worker_per_context():
    return (
        os.environ.get("MXNET_ENGINE_TYPE", "ThreadedEnginePerDevice") == "ThreadedEnginePerDevice"
        and os.environ.get("MXNET_CPU_WORKER_NTHREADS", "1") == "1"
    )
