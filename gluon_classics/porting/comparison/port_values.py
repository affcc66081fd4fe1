"""The values of a port in one mode: what it recorded, and what follows from that."""

from __future__ import annotations

import numpy as np

from ..graph import Graph, Operation
from ..replay import replay


class PortValues:
    """Values by name, in float64. A value that the port did not record is computed from those that it did.

    Args:
        graph: The network.
        port: The port's tensors.
        trace: The reference trace.
        place: "eval" or "train".
        batch: Prefix of the input and the masks: "" for those of the first step, or "step/2/".
        parameters: Prefix of the parameters, "param" or "step/1/param".
    """

    def __init__(self, graph: Graph, port, trace, place: str, batch: str = "", parameters: str = "param"):
        self.graph, self.port, self.trace, self.place = graph, port, trace, place
        self.batch, self.parameters = batch, parameters
        self.training = place == "train"
        self.operations = {row.name: row for row in graph.operations}
        self.computed: dict = {}
        self.replaced: dict = {}  # the operation or output that a found mistake shows, by name
        self.unrecorded_parameters: set = set()

    def recorded(self, name: str) -> bool:
        """Return whether the port recorded the output of this operation."""
        return bool(self.place) and f"{self.place}/{name}" in self.port

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.operations:
            return self._given(name)
        if self.recorded(name):
            return self.port[f"{self.place}/{name}"]
        if name not in self.computed:
            for row in self._missing(name):
                self.computed[row.name] = self.output(row)
        return self.computed[name]

    def output(self, operation: Operation) -> np.ndarray:
        """Return what an operation gives for the port's own inputs and parameters."""
        other = self.replaced.get(operation.name, operation)
        if isinstance(other, np.ndarray):
            return other
        return replay.forward(other, self, self.training, self.mask(operation.name))

    def mask(self, name: str):
        """Return the keep mask of a dropout, or None."""
        key = f"{self.batch}mask/{name}"
        return self.port[key] if key in self.port else self.trace.tensors.get(key)

    def label(self):
        """Return the class of each image, (N,) int64, or None if the labels are not class numbers."""
        label = self._of_batch("label")
        batch, classes = self[self.graph.loss[0].output].shape
        is_right = label.shape == (batch,) and ((label >= 0) & (label < classes) & (label == np.floor(label))).all()
        return label.astype(np.int64) if is_right else None

    def suspects(self, name: str) -> list:
        """Return the operation and those without recorded outputs between it and recorded ones, nearest first."""
        inner = [row for source in self.operations[name].inputs for row in self._missing(source, computed=True)]
        unique = {row.name: row for row in inner}
        return [self.operations[name], *reversed([row for row in self.graph.operations if row.name in unique])]

    def _of_batch(self, name):
        key = f"{self.batch}{name}"
        return self.port[key] if key in self.port else np.asarray(self.trace.tensors[key], np.float64)

    def _given(self, name):
        if name in self.graph.inputs:
            return self._of_batch("input")
        key = f"{self.parameters}/{name}"
        if key in self.port:
            return self.port[key]
        self.unrecorded_parameters.add(name)
        return np.asarray(self.trace.tensors.get(key, self.trace.tensors[f"param/{name}"]), np.float64)

    def _missing(self, name, computed=False):
        """Return the operations to compute for this output, in order. With `computed`, those computed already too."""
        wanted, stack = set(), [name]
        while stack:
            current = stack.pop()
            if current not in self.operations or current in wanted or self.recorded(current):
                continue
            if current in self.computed and not computed:
                continue
            wanted.add(current)
            stack.extend(self.operations[current].inputs)
        return [row for row in self.graph.operations if row.name in wanted]
