"""Copy a graph node by node, with changes. Nodes are dictionaries as in `Symbol.tojson`."""

from __future__ import annotations

import json

import mxnet as mx

Entry = tuple  # one output of a node, in MXNet's form: (number of the node, index of the output, version)


def nodes_of(graph: mx.sym.Symbol) -> list[dict]:
    """Return the nodes of `graph`, in topological order."""
    return json.loads(graph.tojson())["nodes"]


class GraphCopy:
    """A copy of `graph` under construction.

    Args:
        graph: The graph to copy.

    Attributes:
        nodes: The nodes of `graph`, in topological order.
        heads: The outputs of `graph`.
        copies: For each old node, the new entry of its first output. The caller appends to it in the order of `nodes`.
    """

    def __init__(self, graph: mx.sym.Symbol):
        self._source = json.loads(graph.tojson())
        self.nodes: list[dict] = self._source["nodes"]
        self.heads: list[Entry] = self._source["heads"]
        self.copies: list[Entry] = []
        self._new: list[dict] = []

    def add(self, node: dict, inputs: list[Entry]) -> Entry:
        """Add a node like `node` with these inputs of the new graph. Return its first output."""
        self._new.append({**node, "inputs": inputs})
        return (len(self._new) - 1, 0, 0)

    def moved(self, old: Entry) -> Entry:
        """Return the new entry of an output of an old node."""
        number, output, version = old
        copy, first_output, _ = self.copies[number]
        return (copy, first_output + output, version)

    def name_of(self, entry: Entry) -> str:
        """Return the name of the new node with this output."""
        return self._new[entry[0]]["name"]

    def is_variable(self, entry: Entry) -> bool:
        """Return whether `entry` is an input or a parameter of the new graph."""
        return self._new[entry[0]]["op"] == "null"

    def symbol(self, heads: list[Entry]) -> mx.sym.Symbol:
        """Return the new graph with these outputs."""
        variables = [number for number, node in enumerate(self._new) if node["op"] == "null"]
        graph = {"nodes": self._new, "arg_nodes": variables, "heads": heads, "attrs": self._source["attrs"]}
        return mx.sym.load_json(json.dumps(graph))
