"""A trainer whose updates the servers compute, from the gradients of all workers."""

from __future__ import annotations

from mxnet import gluon, nd
import numpy as np

from .group import WorkerGroup
from .keys import Keys


class ServerTrainer(gluon.Trainer):
    """Sends the gradients of this worker to the servers, and gets the parameters after each update.

    MXNet's own trainer cannot do this: it sends the optimizer as a pickle, never sends a new learning rate or batch
    size, and leaves the optimizer's states on the server when a checkpoint is written.

    Args:
        params: Parameters of the network, in its order.
        optimizer: The optimizer. Its attributes follow those of the servers' one, except for the states.
        group: The workers.
        description: What the servers make the same optimizer from; see `server.serve`.
    """

    def __init__(self, params, optimizer, group: WorkerGroup, description: dict) -> None:
        super().__init__(params, optimizer, kvstore=None)
        self.group = group
        self._description = description
        self._keys = Keys(group.size, group.servers, len(self._params))
        self._trained = [index for index, parameter in enumerate(self._params) if parameter.grad_req != "null"]
        self._rates: tuple[float, float] | None = None
        self._has_state_keys = False
        self._restored: tuple[list[list[np.ndarray]], dict] | None = None

    @property
    def statistics(self) -> list[gluon.Parameter]:
        """The parameters that each worker, and each of its devices, has its own values of."""
        return [parameter for parameter in self._params if not parameter._differentiable]

    @property
    def devices(self) -> int:
        """Number of devices of all workers."""
        return len(self._contexts) * self.group.size

    def begin(self) -> None:
        """Give all workers the parameters of the first one, and the state that it restored, if it did."""
        self._init_kvstore()
        self._init_params()

    def _init_kvstore(self):
        # `_update` only asks whether there is one; the group alone holds the store, so that its `close` frees it
        self._kvstore, self._update_on_kvstore, self._distributed = self.group, True, True
        self._kv_initialized = True

    def _init_params(self):
        if not self._params_to_init:
            return
        self._params_to_init: list = []
        if self.group.rank == 0:
            self.group.command(do="optimize", **self._of_optimizer())
        values = [parameter.data(parameter.list_ctx()[0]) for parameter in self._params]
        values.append(nd.zeros(2))
        shapes = [nd.zeros_like(value) for value in values]
        gradients = [*self._trained, len(self._params)]
        self.group.store.init([self._keys.weight(index) for index in range(len(values))], shapes)
        for worker in range(self.group.size):
            kept = [self._keys.gradient(worker, index) for index in gradients]
            self.group.store.init(kept, [shapes[index] for index in gradients])
        if self.group.rank == 0:
            for index, value in enumerate(values):
                self.group.store.push(self._keys.weight(index), value)
        self.group.meet()
        self._pull_parameters(range(len(self._params)))
        nd.waitall()
        self._hand_out()

    def _of_optimizer(self):
        multipliers = {
            name: {
                index: getattr(self._params[index], name)
                for index in self._trained
                if getattr(self._params[index], name) != 1
            }
            for name in ("lr_mult", "wd_mult")
        }
        return {
            "workers": self.group.size,
            "servers": self.group.servers,
            "parameters": len(self._params),
            "optimizer": self._description,
            **multipliers,
        }

    def _pull_parameters(self, indices):
        for index in indices:
            self.group.store.pull(self._keys.weight(index), out=self._params[index].list_data())

    def step(self, batch_size, ignore_stale_grad=False):
        """Update the parameters of all workers from the gradients of all.

        Args:
            batch_size: Divisor of the summed gradients.
            ignore_stale_grad: As in `gluon.Trainer`.
        """
        self._optimizer.rescale_grad = self._scale / batch_size
        self.begin()
        self._update(ignore_stale_grad)  # only checks that all gradients are new
        rates = (self._optimizer.learning_rate, self._optimizer.rescale_grad)
        if self.group.rank == 0 and rates != self._rates:
            self.group.command(do="rates", learning_rate=rates[0], rescale_grad=rates[1])
        self._rates = rates
        for index in reversed(self._trained):  # the last gradient is computed first
            self.group.store.push(self._keys.gradient(self.group.rank, index), self._params[index].list_grad())
            for value in self._params[index].list_data():
                value._fresh_grad = False
        sums = len(self._params)
        self.group.store.push(self._keys.gradient(self.group.rank, sums), self.group.queued_sums())
        self._optimizer._update_count(self._trained)
        self.group.meet()
        self._pull_parameters(self._trained)
        if self.group.sums is not None:
            self.group.store.pull(self._keys.weight(sums), out=self.group.sums)
        nd.waitall()  # the next gradients must not arrive before these sums are read

    def copies(self) -> dict[str, list[nd.NDArray]]:
        """Return the values of each of the `statistics` on all devices of all workers. All workers must call it."""
        nd.waitall()
        own = [copy.asnumpy() for parameter in self.statistics for copy in parameter.list_data()]
        if not own:
            return {}
        rows = self.group.gather(np.concatenate([values.ravel() for values in own]))
        ends = np.cumsum([values.size for values in own])
        found: dict[str, list[nd.NDArray]] = {parameter.name: [] for parameter in self.statistics}
        for row in rows:
            parts = iter(np.split(row, ends[:-1]))
            for parameter in self.statistics:
                found[parameter.name] += [nd.array(next(parts).reshape(parameter.shape)) for _ in parameter.list_ctx()]
        return found

    def states(self) -> list[dict]:
        """Return the optimizer's states in one dictionary, by the number of the parameter; none before the first step.

        All workers must call it. Only the result of the first one has the values.
        """
        if not self._optimizer.num_update:
            return [{}]
        self._add_state_keys()
        states, arrays = self._empty_states()
        if self.group.rank == 0:
            self.group.command(do="read states")
            for key, array in arrays.items():
                self.group.store.push(key, array)
            nd.waitall()
            for key, array in arrays.items():
                self.group.store.pull(key, out=array)
            nd.waitall()
        return [states]

    def restore(self, copies: dict[str, list[np.ndarray]], states: list[dict]) -> None:
        """Keep a state that `begin` gives to all workers and the servers. Call it on the first worker.

        Args:
            copies: Values of each parameter on all devices of all workers; the first one's are set already.
            states: Result of `states`.
        """
        self._restored = [copies[parameter.name] for parameter in self.statistics], states[0]

    def _hand_out(self):
        """Give all workers their running statistics, and the servers the states of the optimizer."""
        if not self.group.share(self._restored is not None):
            return
        copies, states = self._restored or ([], {})
        devices = len(self._contexts)
        flat = [copy.ravel() for copies_of_one in copies for copy in copies_of_one]
        values = self.group.share_array(np.concatenate(flat) if flat else None, np.float32)
        start = 0
        for parameter in self.statistics:
            size = int(np.prod(parameter.shape))
            for number, array in enumerate(parameter.list_data()):
                first = start + size * (self.group.rank * devices + number)
                array[:] = values[first : first + size].reshape(parameter.shape)
            start += size * devices * self.group.size
        updates = self.group.share(self._optimizer.num_update)
        if updates:
            self._add_state_keys()
            self._optimizer.num_update = updates
            self._optimizer._all_index_update_counts[0] = dict.fromkeys(self._trained, updates)
            self._optimizer._set_current_context(0)
            if self.group.rank == 0:
                self.group.command(do="write states", updates=updates)
                _, keys_of = self._empty_states(states)
                for key, array in keys_of.items():
                    self.group.store.push(key, array)
        self.group.meet()

    def _add_state_keys(self):
        if not self._has_state_keys:
            _, arrays = self._empty_states()
            if arrays:
                self.group.store.init(list(arrays), [nd.zeros_like(array) for array in arrays.values()])
            self._has_state_keys = True

    def _empty_states(self, states=None):
        """Return new states, or the given ones, and their arrays by key."""
        if states is None:
            make = self._optimizer.create_state_multi_precision
            states = {index: make(index, self._params[index].list_data()[0]) for index in self._trained}
        arrays = {
            self._keys.state(slot, index): array
            for index in self._trained
            for slot, array in enumerate(arrays_of(states[index]))
        }
        return states, arrays


def arrays_of(state) -> list[nd.NDArray]:
    """Return the arrays of an optimizer's state for one parameter, which can be None, an array or nested tuples."""
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in arrays_of(part)]
    return [] if state is None else [state]
