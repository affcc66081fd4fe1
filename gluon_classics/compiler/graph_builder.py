"""Changing a graph: a copy that is built node by node, as `Symbol.tojson` writes them."""

from __future__ import annotations

import json

import mxnet as mx

Entry = tuple  # MXNet's triple: number of the node, which of its outputs, version


class GraphCopy:
    """A copy of `graph` under construction, in the topological order of `nodes`, the old ones.

    `copies` takes the new entry of each old node's first output.
    """

    def __init__(self, graph: mx.sym.Symbol):
        self._source = json.loads(graph.tojson())
        self.nodes: list[dict] = self._source["nodes"]
        self.heads: list[Entry] = self._source["heads"]
        self.copies: list[Entry] = []
        self._new: list[dict] = []

    def add(self, node: dict, inputs: list[Entry]) -> Entry:
        """Add a node like `node` with these new inputs; returns its first output."""
        self._new.append({**node, "inputs": inputs})
        return (len(self._new) - 1, 0, 0)

    def moved(self, old: Entry) -> Entry:
        """Where an old node's output is now."""
        number, output, version = old
        copy, first_output, _ = self.copies[number]
        return (copy, first_output + output, version)

    def name_of(self, entry: Entry) -> str:
        """Name of the new node whose output this is."""
        return self._new[entry[0]]["name"]

    def is_variable(self, entry: Entry) -> bool:
        """Whether it is an input or a parameter of the new graph."""
        return self._new[entry[0]]["op"] == "null"

    def symbol(self, heads: list[Entry]) -> mx.sym.Symbol:
        """The new graph, with these outputs."""
        variables = [number for number, node in enumerate(self._new) if node["op"] == "null"]
        graph = {"nodes": self._new, "arg_nodes": variables, "heads": heads, "attrs": self._source["attrs"]}
        return mx.sym.load_json(json.dumps(graph))
