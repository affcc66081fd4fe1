"""Compare the loss and the gradients of a port with those of its own outputs in training mode."""

from __future__ import annotations

import numpy as np

from . import replay
from .causes import REPLAY_LIMIT, REPLAY_REASON, Best, search
from .findings import UNKNOWN, Finding
from .graph import Operation
from .loss_variants import LOSS_VARIANTS, LossCase
from .variants import relative_error, scaled_to
from .weight_variants import WEIGHT_VARIANTS, Copied

CHAIN_LIMIT = 1e-4
CHAIN_REASON = "several operations in float32 against float64, or the rounding of the trace in float32"
SUM_ROUNDING = 16 * 2.0**-24  # of float32, times the sum of the absolute values of the terms


def compare_loss(values, label, port, recipe, report):
    """Compare the loss, and return the variant result that explains a wrong one, or None.

    Returns:
        A function from outputs to the mean loss that the port computes, or None if the cause is unknown.
    """
    graph = values.graph
    weights = {row.name: values[row.name] for row in graph.parameters if row.trainable}
    decay = recipe.get("weight_decay", {})

    def defined(outputs):
        return replay.loss(graph, outputs, label).mean()

    if "loss" not in port:
        report.unchecked.append("loss: the port did not record it")
        return defined
    report.checked["loss"] += 1
    found = port["loss"]
    outputs = {name: values[name] for name in graph.outputs}
    expected = defined(outputs)
    if found.shape != ():
        found = found.reshape(-1).mean() if found.size else np.float64("nan")
        report.notices.append("the loss of the port is not a single number: its mean was taken")
    residual = abs(float(found) - expected) / (abs(expected) or 1.0)
    if residual <= REPLAY_LIMIT:
        report.note_error("loss", residual)
        return defined
    finding = Finding("loss", "loss", UNKNOWN, residual, REPLAY_LIMIT, REPLAY_REASON)
    best = Best(residual, REPLAY_LIMIT)
    case = LossCase(graph, outputs, label, weights, decay)
    search(LOSS_VARIANTS, case, "", lambda value: abs(float(found) - value) / (abs(value) or 1.0), best, "loss")
    best.fill(finding)
    report.add(finding)
    if not finding.named:
        return None
    (variant,) = [variant for variant in LOSS_VARIANTS if variant.name == finding.cause]
    return lambda outputs: variant.result(case._replace(outputs=outputs))


def output_gradients(loss, values) -> dict:
    """Return the gradients of a mean loss with respect to the outputs that it takes, by central differences."""
    outputs = {name: values[name].copy() for name in values.graph.outputs}
    result = {}
    for name, array in outputs.items():
        gradient = np.zeros_like(array)
        step = 1e-5 * max(1.0, float(np.abs(array).max()))
        flat, slopes = array.reshape(-1), gradient.reshape(-1)
        for position in range(flat.size):
            kept = flat[position]
            flat[position] = kept + step
            above = loss(outputs)
            flat[position] = kept - step
            slopes[position] = (above - loss(outputs)) / (2 * step)
            flat[position] = kept
        result[name] = gradient
    return result


class Backward:
    """The gradients of a port, each from its own gradients of the operations after it.

    Args:
        values: The `PortValues` in training mode.
        port: The port's tensors; None leaves out its recorded gradients.
        at_outputs: Gradient with respect to each output of the network that the loss takes, or None if unknown.
        broken: Names of operations whose backward pass is unknown.

    Attributes:
        of_outputs: Gradient with respect to each operation's output, as the definition gives it.
        of_parameters: Gradient with respect to each parameter.
        sizes: For each of them, the sum of the absolute values of its terms, if it is a sum of many.
        local: Names whose gradient follows from recorded gradients of the operations after it.
    """

    def __init__(self, values, port, at_outputs, broken=()):
        self.of_outputs: dict = dict(at_outputs or {})
        self.of_parameters: dict = {}
        self.sizes: dict = {}
        self.local: set = set(self.of_outputs)
        unknown = set() if at_outputs is not None else {term.output for term in values.graph.loss}
        self.unknown = unknown
        trainable = {row.name for row in values.graph.parameters if row.trainable}
        names = {row.name for row in values.graph.operations}
        for row in reversed(values.graph.operations):
            key = f"grad_out/{row.name}"
            given = port[key] if port is not None and key in port else self.of_outputs.get(row.name)
            is_known = row.name not in unknown or (port is not None and key in port)
            if given is None and is_known:
                continue
            sources = {*row.inputs, *row.parameters.values()}
            if not is_known or row.name in broken or given.shape != values[row.name].shape:
                unknown |= sources
                continue
            operation = values.replaced.get(row.name, row)
            if not isinstance(operation, Operation):
                unknown |= sources
                continue
            found = replay.gradients(operation, values, given, True, values.mask(row.name))
            is_local = port is not None and key in port
            for name, gradient in found.items():
                into = self.of_parameters if name in trainable else self.of_outputs
                if name in trainable or name in names:
                    self.local = self.local | {name} if is_local or name not in into else self.local
                    if not is_local:
                        self.local.discard(name)
                    into[name] = into[name] + gradient if name in into else gradient
            self._size_of_sums(row, given)

    def _size_of_sums(self, row, given):
        for role in ("bias", "beta"):
            name = row.parameters.get(role)
            if name:
                axis = row.settings.get("axis", 1) % given.ndim if row.kind != "dense" else given.ndim - 1
                others = tuple(other for other in range(given.ndim) if other != axis)
                self.sizes[name] = np.abs(given).sum(axis=others)


def compare_gradients(values, loss, port, trace, report):
    """Compare the gradients, and return those of the definition by parameter, or None if they are unknown.

    Args:
        values: The `PortValues` in training mode.
        loss: Function from outputs to the mean loss, or None if it is unknown.
        port: The port's tensors.
        trace: The reference trace.
        report: Report to extend.
    """
    broken = {f.layer for f in report.of_phases("train", "eval") if f.layer not in values.replaced}
    broken |= {name for f in report.of_phases("train", "eval") for name in f.suspects}
    at_outputs = None if loss is None else output_gradients(loss, values)
    backward = Backward(values, port, at_outputs, broken)
    keys = [f"grad_out/{row.name}" for row in reversed(values.graph.operations)]
    keys += [f"grad/{name}" for row in reversed(values.graph.operations) for name in row.parameters.values()]
    keys += [f"grad/{row.name}" for row in values.graph.parameters]
    wrong, skipped, total = [], [], 0
    expectations = {}
    for key in dict.fromkeys(key for key in keys if key in port):
        name = key.partition("/")[2]
        expected = (backward.of_outputs if key.startswith("grad_out/") else backward.of_parameters).get(name)
        if expected is None and name not in backward.unknown:
            expected = np.zeros(port[key].shape)
        if name in backward.unknown or expected is None:
            skipped.append(key)
            continue
        total += 1
        found = port[key]
        expectations[key] = (found, expected)
        residual = relative_error(found, expected)
        limit, reason = _limit(key, name, backward, trace, expected)
        if residual <= limit:
            report.note_error("gradients", residual)
        else:
            wrong.append((key, residual, limit, reason))
    report.checked["gradients"] += total
    if skipped:
        report.unchecked.append(f"gradients: {len(skipped)} of them, which depend on a mistake found before")
    if not total and not skipped:
        report.unchecked.append("gradients: the port recorded none")
    if wrong and not _explain_all(wrong, expectations, values, trace, report):
        for key, residual, limit, reason in wrong:
            _explain_one(key, residual, limit, reason, expectations[key], values, report)
    trainable = {row.name for row in values.graph.parameters if row.trainable}
    return None if backward.unknown & trainable else backward.of_parameters


def _limit(key, name, backward, trace, expected):
    norm = float(np.linalg.norm(expected))
    limit, reason = REPLAY_LIMIT, REPLAY_REASON
    if name not in backward.local:
        limit, reason = max(CHAIN_LIMIT, 4 * trace.rounding(key)), CHAIN_REASON
    if name in backward.sizes and norm:
        rounding = SUM_ROUNDING * float(np.linalg.norm(backward.sizes[name])) / norm
        if rounding > limit:
            return rounding, "its terms nearly cancel: the rounding of float32 times their absolute sum"
    return limit, reason


def _explain_all(wrong, expectations, values, trace, report):
    """Find one cause of all wrong gradients of parameters: a common factor, weight decay, clipping."""
    parameters = [row for row in wrong if row[0].startswith("grad/")]
    if len(parameters) < 2 or any(not row[0].startswith("grad/") for row in wrong):
        return False
    pairs = [expectations[row[0]] for row in parameters]
    if any(found.shape != expected.shape for found, expected in pairs):
        return False
    key, residual, limit, reason = parameters[0]
    finding = Finding("gradients", key.partition("/")[2], UNKNOWN, residual, limit, reason)
    best = Best(max(row[1] for row in parameters), max(row[2] for row in parameters))
    for name, results in _common_mistakes(parameters, pairs, expectations, values, trace):
        worst = max(relative_error(found, result) for (found, _), result in zip(pairs, results))
        best.add(worst, name, finding.layer)
    best.fill(finding)
    if not finding.named:
        return False
    finding.also = [f"gradients: {row[0].partition('/')[2]}" for row in parameters[1:]]
    report.add(finding)
    return True


def _common_mistakes(parameters, pairs, expectations, values, trace):
    expected = [pair[1] for pair in pairs]
    batch = len(values[next(iter(values.graph.inputs))])
    whole = [pair for key, pair in expectations.items() if key.startswith("grad/")]
    found_norm, norm = (np.sqrt(sum(float((pair[side] ** 2).sum()) for pair in whole)) for side in (0, 1))
    clipped = any(abs(found_norm / bound - 1) < 1e-4 for bound in (0.1, 0.25, 0.5, 1, 2, 5, 10)) and found_norm < norm
    if clipped:
        yield f"the gradients are clipped to the norm {found_norm:.4g}", [g * found_norm / norm for g in expected]
    largest = max(float(np.abs(pair[0]).max()) for pair in whole)
    yield f"the gradients are clipped to +-{largest:.4g}", [np.clip(g, -largest, largest) for g in expected]
    decay = trace.recipe.get("weight_decay", {})
    names = [row[0].partition("/")[2] for row in parameters]
    yield (
        "the weight decay is included",
        [gradient + decay.get(name, 0.0) * values[name] for name, gradient in zip(names, expected)],
    )
    for factor, name in (
        (batch, "the gradients are summed over the batch"),
        (1 / batch, "the gradients are divided by the batch size twice"),
        (-1.0, "the gradients have the opposite sign"),
        (2.0, "the gradients are accumulated twice"),
    ):
        yield name, [factor * gradient for gradient in expected]
    factor = scaled_to(
        np.concatenate([pair[0].ravel() for pair in pairs]), np.concatenate([g.ravel() for g in expected])
    )
    yield f"the gradients are multiplied by {factor:.6g}", [factor * gradient for gradient in expected]


def _explain_one(key, residual, limit, reason, pair, values, report):
    found, expected = pair
    name = key.partition("/")[2]
    finding = Finding("gradients", name, UNKNOWN, residual, limit, reason)
    best = Best(residual, limit)
    if not found.any():
        best.add(0.0, "the gradient is zero: it is detached or frozen", name)
    rows = {row.name: row for row in values.graph.parameters}
    if name in rows:
        others = {row: np.zeros(shape.shape) for row, shape in rows.items()}
        case = Copied(rows[name], expected, found, others, values.graph)
        search(
            [variant for variant in WEIGHT_VARIANTS if variant.name.startswith(("the kernel", "height", "input and"))],
            case,
            rows[name].role,
            lambda result: relative_error(found, result),
            best,
            name,
        )
    if found.shape == expected.shape and found.size > 1:
        factor = scaled_to(found, expected)
        best.add(relative_error(found, factor * expected), f"the gradient is multiplied by {factor:.6g}", name)
    best.fill(finding)
    report.add(finding)
