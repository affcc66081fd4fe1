"""The processes that hold the parameters: servers, and the scheduler that connects all processes."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import traceback
from typing import Callable

import mxnet as mx
from mxnet import nd
from mxnet.base import _LIB, check_call

from .hosts import join
from .keys import GRADIENT, WEIGHT, Keys, first_after_boxes
from .server_trainer import arrays_of

FAILED = 70  # exit status of a server with an error, EX_SOFTWARE


class Server:
    """Adds up the gradients of the workers, in their order, and updates the parameters.

    With several servers, each has a part of every large array. All arrays are flat here.

    Args:
        store: MXNet's key-value store of this process.
        make_optimizer: Makes an optimizer from the description that the workers send.
    """

    def __init__(self, store, make_optimizer: Callable[[dict], mx.optimizer.Optimizer]) -> None:
        self._store = store
        self._make_optimizer = make_optimizer
        self._keys = Keys(0, 1, 0)  # before the network is known, all arrays are messages
        self._values: dict[int, nd.NDArray] = {}
        self._writes_states = False

    def command(self, content: dict) -> None:
        """Carry out a command of a worker."""
        name = content.pop("do")
        getattr(self, "_" + name.replace(" ", "_"))(**content)

    def _connect(self):
        self._store._set_updater(_ends_on_error(self.receive))

    def _optimize(self, workers, servers, parameters, optimizer, lr_mult, wd_mult):
        self._keys = Keys(workers, servers, parameters)
        self._gradients: dict[int, dict[int, nd.NDArray]] = {}
        self._optimizer = self._make_optimizer(optimizer)
        self._optimizer.lr_mult = {int(index): factor for index, factor in lr_mult.items()}
        self._optimizer.wd_mult = {int(index): factor for index, factor in wd_mult.items()}
        self._updater = mx.optimizer.get_updater(self._optimizer)

    def _rates(self, learning_rate, rescale_grad):
        self._optimizer.set_learning_rate(learning_rate)
        self._optimizer.rescale_grad = rescale_grad

    def _read_states(self):
        self._writes_states = False

    def _write_states(self, updates):
        self._writes_states = True
        self._optimizer.num_update = updates
        counts = dict.fromkeys(range(self._keys.parameters), updates)
        self._optimizer._all_index_update_counts[0] = counts
        self._optimizer._set_current_context(0)

    def receive(self, key: int, received: nd.NDArray, stored: nd.NDArray) -> None:
        """Store an array that a worker sent. MXNet answers the worker when this function returns.

        Args:
            key: Key of the array.
            received: The array; its memory is only valid during the call.
            stored: The array that workers get for this key.
        """
        if not self._keys.workers or key < first_after_boxes(self._keys.workers):
            stored[:] = received
        else:
            place = self._keys.place(key)
            if place.kind == WEIGHT:
                self._values[place.parameter] = stored
                stored[:] = received
            elif place.kind == GRADIENT:
                stored[:] = received
                self._add(place.member, place.parameter, stored)
            else:
                self._exchange_state(place.member, place.parameter, received, stored)
        nd.waitall()

    def _add(self, worker, index, gradient):
        """Update a parameter when the gradients of all workers are there."""
        gradients = self._gradients.setdefault(index, {})
        gradients[worker] = gradient
        if len(gradients) < self._keys.workers:
            return
        total = gradients[0].copy()
        for other in range(1, self._keys.workers):
            total += gradients[other]
        gradients.clear()
        if index == self._keys.parameters:  # the sums of the metrics
            self._values[index][:] = total
        else:
            self._updater(index, total, self._values[index])

    def _exchange_state(self, slot, index, received, stored):
        updater = self._updater
        if index not in updater.states:
            updater.states[index] = self._optimizer.create_state_multi_precision(index, self._values[index])
            updater.states_synced[index] = True
        state = arrays_of(updater.states[index])[slot]
        if self._writes_states:
            state[:] = received
        stored[:] = state


def serve(variables: dict[str, str], make_optimizer: Callable[[dict], mx.optimizer.Optimizer]) -> None:
    """Run a server or the scheduler until the workers close their group.

    Args:
        variables: See `hosts.join`.
        make_optimizer: See `Server`.
    """
    join(variables)
    store = mx.kv.create("dist_async")
    server = Server(store, make_optimizer)

    def control(_head, body, _unused):
        server.command(json.loads(body))

    prototype = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    check_call(_LIB.MXKVStoreRunServer(store.handle, prototype(_ends_on_error(control)), None))


def _ends_on_error(function):
    """Return a function that ends the process with `FAILED` on an error: ctypes would only print it, and go on."""

    def guarded(*arguments):
        try:
            function(*arguments)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(FAILED)

    return guarded
