"""Fold batch normalisation into the convolution before it, for predictions.

With fixed statistics, batch normalisation multiplies each channel by a constant and adds another one. The weight and
the bias of the convolution can include both.
"""

from __future__ import annotations

from collections import Counter

import mxnet as mx

from .graph_copy import GraphCopy


def folded(graph: mx.sym.Symbol, arrays: dict[str, mx.nd.NDArray]) -> tuple[mx.sym.Symbol, dict[str, mx.nd.NDArray]]:
    """Fold the batch normalisations that directly follow a convolution.

    Args:
        graph: The graph of a network, for prediction mode.
        arrays: The values of all parameters, by name.

    Returns:
        The new graph, and the arrays of its new parameters by name. Its outputs equal those of `graph` in prediction
        mode, except for the order of sums.
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
    """Map the number of each convolution to that of the batch normalisation to fold into it.

    Nothing else may use the output of the convolution, nothing may use the statistics of the batch normalisation, and
    the parameters of both must be variables.
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
