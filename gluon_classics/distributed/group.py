"""The workers that train a network together, connected by MXNet's key-value store."""

from __future__ import annotations

import json
import struct
from typing import Any

from gluon_classics.utils.group import Group
import mxnet as mx
from mxnet import nd
import numpy as np

from . import keys
from .hosts import join

CONTROL = 0  # the number of commands that MXNet's servers hand to Python
_stores: list = []  # a store that is freed, as after an error, waits for those of the other workers
_HEADER = struct.Struct("<q")
_SMALL_BYTES, _LARGE_BYTES = (4 * size for size in keys.BOXES)
_SPACE = _SMALL_BYTES - _HEADER.size


class WorkerGroup(Group):
    """A worker's connection to the others and to the servers.

    MXNet's "dist_sync" adds the gradients in the order in which they arrive, so that with three workers the last bits
    would change from run to run. With "dist_async", each array that a worker sends has its own key, the servers add in
    the order of the workers, and `meet` keeps the workers in step.

    MXNet numbers the workers in the order in which they connect. `rank` is the number that the launcher gave.

    Args:
        rank: Number of this worker, counted from 0.
        size: Number of workers.
        servers: Number of servers.
        on_machine: Number of workers on this machine.
    """

    def __init__(self, rank: int, size: int, servers: int, on_machine: int) -> None:
        self.rank = rank
        self.size = size
        self.on_machine = on_machine
        self.servers = servers
        self.store = mx.kv.create("dist_async")
        _stores.append(self.store)
        self._turn = 0
        self._queued: nd.NDArray | None = None
        self.sums: nd.NDArray | None = None
        if self.store.rank == 0:  # MXNet stores initial values from this one
            self.command(do="connect")
        for box_size in keys.BOXES:
            boxes = [keys.box(worker, size, box_size, turn) for worker in range(size) for turn in range(keys.TURNS)]
            self.store.init(boxes, [nd.zeros(box_size)] * len(boxes))

    def command(self, **content) -> None:
        """Send a command to all servers and wait until they have carried it out."""
        self.store._send_command_to_servers(CONTROL, json.dumps(content))

    def meet(self) -> None:
        """Wait until the servers have everything that the workers sent before."""
        nd.waitall()
        self.store._barrier()

    def gather(self, array: np.ndarray) -> list[np.ndarray]:
        parts = self._gather_bytes(np.ascontiguousarray(array).tobytes())
        return [np.frombuffer(part, array.dtype) for part in parts]

    def share(self, value: Any) -> Any:
        return json.loads(self._gather_bytes(json.dumps(value).encode() if self.rank == 0 else b"")[0])

    def share_array(self, array: np.ndarray | None, dtype) -> np.ndarray:
        """Return the array of process 0, flat. The others' are ignored."""
        own = b"" if array is None else np.ascontiguousarray(array, dtype).tobytes()
        return np.frombuffer(self._gather_bytes(own if self.rank == 0 else b"")[0], dtype)

    def queue_sum(self, sums: list[nd.NDArray]) -> list[nd.NDArray]:
        own = nd.zeros(2)
        for part in sums:
            own += part.as_in_context(own.context)
        self._queued, self.sums = own, nd.zeros(2)
        return [self.sums]

    def queued_sums(self) -> nd.NDArray:
        """Return this worker's sums of the metrics of the current batch, (2,)."""
        return nd.zeros(2) if self._queued is None else self._queued

    def close(self) -> None:
        """Leave the group when all workers do. The servers end."""
        nd.waitall()
        _stores.remove(self.store)
        del self.store

    def _gather_bytes(self, own: bytes) -> list[bytes]:
        """Return the bytes of each worker. The first message has their number, and those for which there is space."""
        found = self._exchange(keys.SMALL, _HEADER.pack(len(own)) + own[:_SPACE])
        lengths = [_HEADER.unpack_from(message)[0] for message in found]
        messages = [[message[_HEADER.size :]] for message in found]
        for start in range(_SPACE, max(lengths), _LARGE_BYTES):
            for parts, message in zip(messages, self._exchange(keys.LARGE, own[start : start + _LARGE_BYTES])):
                parts.append(message)
        return [b"".join(parts)[:length] for parts, length in zip(messages, lengths)]

    def _exchange(self, size, own):
        """Return the message of each worker, padded to the length of a mailbox."""
        self._turn = (self._turn + 1) % keys.TURNS
        boxes = [keys.box(worker, self.size, size, self._turn) for worker in range(self.size)]
        # bits of float32: MXNet only copies them
        self.store.push(boxes[self.rank], nd.array(np.frombuffer(own.ljust(4 * size, b"\0"), np.float32)))
        self.meet()
        found = [nd.zeros(size) for _ in boxes]
        for box, array in zip(boxes, found):
            self.store.pull(box, out=array)
        return [array.asnumpy().tobytes() for array in found]


def connect(rank: int, size: int, servers: int, on_machine: int, variables: dict[str, str]) -> WorkerGroup:
    """Return the group of a worker. Wait for all other processes.

    Args:
        rank: See `WorkerGroup`.
        size: See `WorkerGroup`.
        servers: See `WorkerGroup`.
        on_machine: See `WorkerGroup`.
        variables: See `hosts.join`.
    """
    join(variables)
    return WorkerGroup(rank, size, servers, on_machine)
