"""Batch normalisation of predictions, taken into the convolution in front of it.

With fixed statistics it is a factor and a summand for each map, which the convolution's weight and bias can hold.
"""

from __future__ import annotations

from collections import Counter

import mxnet as mx

from .graph_builder import GraphCopy


def folded(graph: mx.sym.Symbol, arrays: dict[str, mx.nd.NDArray]) -> tuple[mx.sym.Symbol, dict[str, mx.nd.NDArray]]:
    """`graph` for predictions, without the batch normalisations that directly follow a convolution.

    `arrays` are the values of the parameters by name. Returns the graph and the arrays of the parameters that it has
    in their place, by new names. Outputs are those of prediction but for the order of sums.
    """
    copy = GraphCopy(graph)
    normalisations = _after_a_convolution(copy.nodes, copy.heads)
    made = {}
    for number, node in enumerate(copy.nodes):
        inputs = [copy.moved(entry) for entry in node["inputs"]]
        if number in normalisations.values():
            copy.copies.append(inputs[0])
        elif number in normalisations:
            parameters = _folded_parameters(copy.nodes, node, copy.nodes[normalisations[number]], arrays)
            made.update(parameters)
            variables = [copy.add({"op": "null", "name": name}, []) for name in parameters]
            convolution = {**node, "attrs": {**node["attrs"], "no_bias": "False"}}
            copy.copies.append(copy.add(convolution, [inputs[0], *variables]))
        else:
            copy.copies.append(copy.add(node, inputs))
    return copy.symbol([copy.moved(entry) for entry in copy.heads]), made


def _after_a_convolution(nodes, heads):
    """Number of the batch normalisation by that of the convolution in front of it.

    It alone uses the convolution's output, nobody uses its statistics, and the parameters of both are plain variables.
    """
    entries = [entry for node in nodes for entry in node["inputs"]] + heads
    uses = Counter(number for number, _, _ in entries)
    statistics = {number for number, output, _ in entries if output > 0}
    found = {}
    for number, node in enumerate(nodes):
        if node["op"] == "BatchNorm" and int(node.get("attrs", {}).get("axis", 1)) == 1 and number not in statistics:
            before = node["inputs"][0][0]
            parameters = nodes[before]["inputs"][1:] + node["inputs"][1:]
            plain = all(nodes[entry[0]]["op"] == "null" for entry in parameters)
            if nodes[before]["op"] == "Convolution" and uses[before] == 1 and plain:
                found[before] = number
    return found


def _folded_parameters(nodes, convolution, normalisation, arrays):
    def array(entry):
        return arrays[nodes[entry[0]]["name"]]

    weight, *bias = (array(entry) for entry in convolution["inputs"][1:])
    gamma, beta, mean, variance = (array(entry) for entry in normalisation["inputs"][1:])
    attributes = normalisation.get("attrs", {})
    factor = 1 / mx.nd.sqrt(variance + float(attributes.get("eps", 1e-3)))
    if attributes.get("fix_gamma", "True") not in ("False", "0"):
        gamma = mx.nd.ones_like(gamma)
    factor = factor * gamma
    summand = beta - mean * factor
    return {
        f"{convolution['name']}_folded_weight": weight * factor.reshape((-1, *[1] * (weight.ndim - 1))),
        f"{convolution['name']}_folded_bias": summand + factor * bias[0] if bias else summand,
    }
