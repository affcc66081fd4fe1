"""The tensors of a port under the names and in the layout of the trace."""

from __future__ import annotations

from collections.abc import Mapping
import re

import numpy as np

from ..flattening import channels_last_order, flat_operations, flat_vectors, moved_shape
from ..graph import Graph
from .tensor_file import PortError, brief, read_tensors, shown

_PREFIXES = ("mask", "param", "eval", "train", "grad", "grad_out", "optim")
_GIVEN = ("input", "label", "mask", "raw")  # what a port takes from the trace
_SINGLE = ("input", "label", "loss", "raw", "preprocessed")
_STEP = re.compile(r"[1-9][0-9]{0,8}\Z")


class PortTensors:
    """What a port recorded.

    Args:
        tensors: Arrays by key, such as a dictionary or what `numpy.load` returns, or the path of a .npz or
            .safetensors file.
        graph: The network.
        names: The trace's name of each of the port's names that differ. A key's last part is the name.
        reference: Arrays of the trace by key. They decide whether the weights of a dense layer are for inputs that were
            flattened channels last.

    Attributes:
        arrays: Arrays by the keys of the trace, batch first and channels second.
        notices: Remarks on what was converted or ignored.

    Raises:
        PortError: The file or the tensors cannot be used.
    """

    def __init__(self, tensors, graph: Graph, names=None, reference=None):
        given = tensors if isinstance(tensors, Mapping) else read_tensors(tensors)
        self.graph = graph
        self.reference = reference or {}
        self.notices: list = []
        self.arrays = self._renamed(given, _checked_names(names))
        if "input" not in self.arrays:
            raise PortError("the port has no tensor 'input'. Use `Recorder`, or add the images of the network")
        if all((split_key(key)[0] or "").rpartition("/")[2] in _GIVEN for key in self.arrays):
            example = f"eval/{graph.outputs[0]}"
            raise PortError(
                f"the port has no tensor that can be compared. Name its outputs as in the trace: {example!r}"
            )
        self._convert_layout()

    def __contains__(self, key):
        return key in self.arrays

    def __getitem__(self, key):
        return np.asarray(self.arrays[key], np.float64)

    def steps(self) -> list:
        """Return the numbers of the recorded steps."""
        return sorted({int(key.split("/")[1]) for key in self.arrays if key.startswith("step/")})

    def _renamed(self, given, names):
        """Return the arrays under the trace's keys."""
        known = {row.name for row in self.graph.operations} | {row.name for row in self.graph.parameters}
        result: dict = {}
        ignored, twice, empty, reduced = [], [], [], []
        # an operation's own name comes before the name of a block that it ends
        for key, value in sorted(given.items(), key=lambda item: _name(str(item[0])) not in known):
            array = _numbers(key, value)
            place, name = split_key(str(key))
            name = names.get(name, name)
            if name and name not in known:
                name = self.graph.blocks.get(name, name)
            if place is None or (name and name not in known):
                ignored.append(str(key))
                continue
            new = f"{place}/{name}" if name else place
            if not array.size:
                empty.append(str(key))
            elif new in result:
                twice.append(str(key))
            elif array.ndim and new.rpartition("/")[2] == "loss" and not name:
                result[new] = array.mean(dtype=np.float64)
                reduced.append(str(key))
            else:
                result[new] = array
        if ignored:
            self.notices.append(f"unknown names were ignored: {_listed(ignored)}")
        if empty:
            self.notices.append(f"empty tensors were ignored: {_listed(empty)}")
        if reduced:
            self.notices.append(f"not a single number, its mean was taken: {_listed(reduced)}")
        if twice:
            self.notices.append(f"recorded under two names, one was ignored: {_listed(twice)}")
        return result

    def _convert_layout(self):
        """Bring tensors to channels first if all of them are channels last."""
        wanted = self._wanted_shapes()
        first = last = 0
        for key, shape in wanted.items():
            found = self.arrays[key].shape
            if len(shape) == 4 and found != _channels_last(found, shape):
                first += _fits(found, shape)
                last += _fits(found, _to_last(shape))
        if not last or first:
            return
        for key, shape in wanted.items():
            if len(shape) == 4 and self.arrays[key].ndim == 4 and _fits(self.arrays[key].shape, _to_last(shape)):
                self.arrays[key] = self.arrays[key].transpose(0, 3, 1, 2)
        self.notices.append("the port is channels last: its images and feature maps were transposed")
        self._convert_weights()

    def _wanted_shapes(self):
        shapes = {row.name: row.output_shape for row in self.graph.operations}
        (image,) = self.graph.inputs.values()
        wanted = {}
        for key in self.arrays:
            place, name = split_key(key)
            if place in ("eval", "train", "grad_out") or (place or "").endswith("mask"):
                wanted[key] = shapes.get(name, ())
            elif place == "input" or (place or "").endswith("/input"):
                wanted[key] = image
        return wanted

    def _convert_weights(self):
        """Bring kernels (height, width, in, out) and dense weights (in, out) to the trace's layout."""
        rows = {row.name: row for row in self.graph.parameters if row.role == "weight"}
        keys = {}
        for key in self.arrays:
            name = split_key(key)[1]
            if name in rows:
                keys[key] = rows[name]
        changed = False
        for axes, order in ((4, (3, 2, 0, 1)), (2, (1, 0))):
            own = {key: row for key, row in keys.items() if len(row.shape) == axes}
            moved = {key: row for key, row in own.items() if self.arrays[key].ndim == axes}
            if not moved or any(
                tuple(self.arrays[key].shape[axis] for axis in order) != row.shape for key, row in moved.items()
            ):
                continue
            if all(self.arrays[key].shape == row.shape for key, row in moved.items()):
                continue  # square: nothing tells the two layouts apart, so the trace's is taken
            for key in moved:
                self.arrays[key] = self.arrays[key].transpose(order)
            changed = True
        if changed:
            self.notices.append("weights (height, width, in, out) or (in, out) were transposed")
        self._convert_flattened()

    def _convert_flattened(self):
        """Bring flattened images, and the columns of dense weights for them, to the order channel, height, width."""
        for row in self.graph.operations:
            shape = moved_shape(self.graph, row)
            if not shape or not self._is_for_channels_last(row, shape):
                continue
            order = np.argsort(channels_last_order(shape))
            flat = [operation.name for operation in flat_operations(self.graph, row)]
            parameters = (row.parameters["weight"], *flat_vectors(self.graph, row))
            for key in self.arrays:
                place, name = split_key(key)
                is_value = name in flat and place.rpartition("/")[2] in ("eval", "train", "grad_out", "mask")
                is_parameter = name in parameters and self.arrays[key].ndim in (1, 2)
                if (is_value or is_parameter) and self.arrays[key].shape[-1] == order.size:
                    self.arrays[key] = self.arrays[key][..., order]
            self.notices.append(f"{row.name} takes its input flattened in the order height, width, channel: reordered")

    def _is_for_channels_last(self, row, shape):
        key = f"param/{row.parameters['weight']}"
        if key not in self.arrays or key not in self.reference:
            return False
        found, reference = np.asarray(self.arrays[key]), self.reference[key]
        order = channels_last_order(shape)
        if found.shape != reference.shape:
            return False
        return np.linalg.norm(found - reference[:, order]) < np.linalg.norm(found - reference)


def _checked_names(names):
    if names is None:
        return {}
    if not isinstance(names, dict) or not all(isinstance(text, str) for pair in names.items() for text in pair):
        raise PortError("the map of names is not a dictionary of texts. Map the port's names to the trace's")
    if "" in names.values():
        raise PortError("the map of names has an empty name. Map the port's names to the trace's")
    return names


def _numbers(key, value):
    try:
        array = np.asarray(value)
    except Exception as error:  # of many kinds, from lists of unequal lengths or the array of another framework
        raise PortError(f"{shown(key)} of the port is not an array: {brief(error)}. Record one") from error
    if array.dtype.kind not in "biuf":
        raise PortError(f"{shown(key)} of the port has the type {brief(array.dtype)}. Record arrays of numbers")
    return array


def _listed(names):
    texts = [name if name.isprintable() and len(name) <= 80 else shown(name) for name in names[:3]]
    return ", ".join(texts) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _name(key):
    return split_key(key)[1] or ""


def split_key(key):
    """Return the place of a key, such as "eval" or "step/2/param", and the name; (None, None) if it is unknown."""
    parts = key.split("/")
    prefix = ""
    if parts[0] == "step":
        if len(parts) < 3 or not _STEP.match(parts[1]):
            return None, None
        prefix, parts = f"step/{parts[1]}/", parts[2:]
    if len(parts) == 1:
        return (prefix + parts[0], "") if parts[0] in _SINGLE else (None, None)
    return (prefix + parts[0], "/".join(parts[1:])) if parts[0] in _PREFIXES else (None, None)


def _to_last(shape):
    return (shape[0], *shape[2:], shape[1])


def _channels_last(found, shape):
    """Return the shape if it is the same in both layouts, else None."""
    return found if _fits(found, shape) and _fits(found, _to_last(shape)) else None


def _fits(found, shape):
    return len(found) == len(shape) and all(b in (None, 1) or a == b for a, b in zip(found, shape))
