"""Compare the loss and the gradients of a port with those that follow from the outputs it recorded in training mode."""

from __future__ import annotations

import numpy as np

from ..graph import Operation
from ..mistakes.loss_variants import LOSS_VARIANTS, LossCase
from ..mistakes.variants import relative_error, scaled_to
from ..mistakes.weight_variants import WEIGHT_VARIANTS, Copied
from ..replay import replay
from .causes import MOST_LEFT, REPLAY_LIMIT, REPLAY_REASON, ROUNDING_FACTOR, UNIT_ROUNDOFF, Best, search
from .findings import UNKNOWN, Finding

CHAIN_LIMIT = 1e-4
CHAIN_REASON = "several operations in float32 against float64, or the rounding of the trace in float32"
MOST_SLOPES = 1 << 14  # derivatives of a mistaken loss, each from two values of the loss
SUM_ROUNDING = 16 * UNIT_ROUNDOFF  # of float32, times the sum of the absolute values of the terms


def broken_operations(values, report) -> set:
    """Return the names of the operations whose result in training mode is unknown, because of earlier findings.

    Args:
        values: The `PortValues` in training mode.
        report: The report on the outputs in both modes.
    """
    in_training = report.in_phase("train")
    broken = set()
    for finding in report.of_phases("eval", "train"):
        if finding not in in_training and values.recorded(finding.layer):
            continue  # it conforms in training mode
        if finding.layer not in values.replaced:
            broken.add(finding.layer)
        if not finding.named:
            broken.update(finding.suspects)
    if broken:
        rows = values.graph.operations
        broken |= {row.name for row in rows if any(depends_on(values, source, broken) for source in row.inputs)}
    return broken


def depends_on(values, name: str, broken: set) -> bool:
    """Return whether a value was not recorded, and is computed from the result of broken operations."""
    if not broken or name not in values.operations or values.recorded(name):
        return False
    return any(row.name in broken for row in values.suspects(name))


def compare_loss(values, label, port, recipe, broken, report):
    """Compare the loss.

    Args:
        values: The `PortValues` in training mode.
        label: Class of each image.
        port: The port's tensors.
        recipe: The recipe of the trace.
        broken: Names of operations whose result is unknown.
        report: Report to extend.

    Returns:
        What the gradients of the port's mean loss with respect to each output may be, for `compare_gradients`.
    """
    graph = values.graph
    if any(depends_on(values, term.output, broken) for term in graph.loss):
        report.unchecked.append("loss: it depends on a mistake found before")
        return [None]
    weights = {row.name: values[row.name] for row in graph.parameters if row.trainable}
    case = LossCase(
        graph, {name: values[name] for name in graph.outputs}, label, weights, recipe.get("weight_decay", {})
    )
    defined = replay.loss_gradients(graph, values, label)
    if "loss" not in port:
        report.unchecked.append("loss: the port did not record it")
        return [defined]
    report.checked["loss"] += 1
    found = port["loss"]
    expected = case.right().mean()
    residual = abs(float(found) - expected) / (abs(expected) or 1.0)
    if residual <= REPLAY_LIMIT:
        report.note_error("loss", residual)
        return [defined]
    finding = Finding("loss", "loss", UNKNOWN, residual, REPLAY_LIMIT, REPLAY_REASON)
    best = Best(residual, REPLAY_LIMIT)
    search(LOSS_VARIANTS, case, "", lambda value: abs(float(found) - value) / (abs(value) or 1.0), best, "loss")
    best.fill(finding)
    report.add(finding)
    if not finding.named:
        return [defined, None]
    (variant,) = [variant for variant in LOSS_VARIANTS if variant.name == finding.cause]
    if sum(gradient.size for gradient in defined.values()) > MOST_SLOPES:
        report.unchecked.append(
            "gradients of the mistaken loss: with this number of images and classes they take too long"
        )
        return [defined, None]
    return [defined, _slopes(variant, case)]


def _slopes(variant, case):
    """Return the gradients of a mistaken loss with respect to the outputs that it takes, by central differences."""
    outputs = {term.output: case.outputs[term.output].copy() for term in case.graph.loss}
    case = case._replace(outputs={**case.outputs, **outputs})
    result = {}
    for name, array in outputs.items():
        step = 1e-5 * max(1.0, float(np.abs(array).max()))
        flat, slopes = array.reshape(-1), np.zeros(array.size)
        for position, kept in enumerate(flat.copy()):
            ends = []
            for end in (kept + step, kept - step):
                flat[position] = end
                ends.append(variant.result(case))
            flat[position] = kept
            slopes[position] = (ends[0] - ends[1]) / (2 * step)
        result[name] = slopes.reshape(array.shape)
    return result


class Backward:
    """The gradients of a port, each from its own gradients of the operations after it.

    Args:
        values: The `PortValues` in training mode.
        port: The port's tensors; None leaves out its recorded gradients.
        at_outputs: Gradient with respect to each output of the network that the loss takes, or None if unknown.
        broken: Names of operations whose backward pass is unknown.

    Attributes:
        known: Gradient with respect to each operation's output and each parameter, as the definition gives it.
        unknown: Names whose gradient depends on what is unknown.
        trainable: Names of the trainable parameters.
        chained: Names whose gradient went through several operations.
        sizes: Of gradients that are a sum over a whole map, the sum of the absolute values of the terms.
        origins: The operations, with the gradients of their outputs, from which each gradient comes.
    """

    def __init__(self, values, port, at_outputs, broken=()):
        self.known: dict = dict(at_outputs or {})
        self.unknown: set = set() if at_outputs is not None else {term.output for term in values.graph.loss}
        self.chained: set = set()
        self.sizes: dict = {}
        self.origins: dict = {}
        self.trainable = {row.name for row in values.graph.parameters if row.trainable}
        wanted = self.trainable | {row.name for row in values.graph.operations}
        for row in reversed(values.graph.operations):
            sources = wanted.intersection((*row.inputs, *row.parameters.values()))
            key = f"grad_out/{row.name}"
            is_recorded = port is not None and key in port and port[key].shape == values[row.name].shape
            if not is_recorded and row.name not in self.unknown and row.name not in self.known:
                continue  # the loss does not depend on it
            operation = values.replaced.get(row.name, row)
            is_known = is_recorded or row.name not in self.unknown
            if not is_known or row.name in broken or not isinstance(operation, Operation):
                self.unknown |= sources
                continue
            given = port[key] if is_recorded else self.known[row.name]
            try:
                found = replay.gradients(operation, values, given, True, values.mask(row.name))
            except replay.SHAPE_ERRORS:  # the recorded shapes do not fit
                self.unknown |= sources
                continue
            for name in sources.intersection(found):
                self.origins.setdefault(name, []).append((operation, given))
                self.known[name] = self.known[name] + found[name] if name in self.known else found[name]
            if not is_recorded:
                self.chained |= sources
            self._size_of_sums(row, given)

    def of_parameters(self) -> dict | None:
        """Return the gradient of each trainable parameter, or None if some are unknown."""
        if self.unknown & self.trainable:
            return None
        return {name: gradient for name, gradient in self.known.items() if name in self.trainable}

    def sum_rounding(self, name, is_recorded: bool = True) -> float:
        """Return the rounding of a gradient that is a sum over a whole map; 0 for other gradients.

        Args:
            name: The parameter.
            is_recorded: Whether the port recorded the gradient of the operation's output, so that only the sum itself
                adds rounding. Otherwise the terms have the error of the operations after it, and where they nearly
                cancel, that is much more than the sum's own.
        """
        size = float(np.linalg.norm(self.sizes.get(name, 0.0)))
        if is_recorded or SUM_ROUNDING * size <= CHAIN_LIMIT * float(np.linalg.norm(self.known[name])):
            return SUM_ROUNDING * size
        return CHAIN_LIMIT * size

    def rounding(self, values, name) -> float:
        """Return the relative error that one operation in float32 makes in a gradient."""
        result = np.zeros(())
        for operation, given in self.origins.get(name, ()):
            names = (*operation.inputs, *operation.parameters.values())
            single = {source: np.asarray(values[source], np.float32) for source in names}
            mask = values.mask(operation.name)
            mask = mask if mask is None else np.asarray(mask, np.float32)
            found = replay.gradients(operation, single, np.asarray(given, np.float32), True, mask)[name]
            result = result + np.asarray(found, np.float64)
        return relative_error(result, self.known[name]) if name in self.origins else 0.0

    def _size_of_sums(self, row, given):
        for role in ("bias", "beta", "gamma"):
            name = row.parameters.get(role)
            if name:
                axis = row.settings.get("axis", 1) % given.ndim if row.kind != "dense" else given.ndim - 1
                others = tuple(other for other in range(given.ndim) if other != axis)
                # normalized values have the mean square 1, so that this bounds the sum for gamma as well
                self.sizes[name] = np.sqrt((given**2).sum(axis=others) * (given.size / given.shape[axis]))


def compare_gradients(values, candidates, port, trace, broken, report):
    """Compare the gradients, and return those of the definition by parameter, or None if they are unknown.

    Args:
        values: The `PortValues` in training mode.
        candidates: What the gradient with respect to each output may be: that of the defined loss, and that of the
            mistaken one. None in their place means that the loss is unknown.
        port: The port's tensors.
        trace: The reference trace.
        broken: Names of operations whose result is unknown.
        report: Report to extend.
    """
    tried = [_Gradients(values, candidate, port, trace, broken) for candidate in candidates]
    chosen = min(tried, key=lambda gradients: len(gradients.wrong))
    if len(tried) > 1 and chosen is tried[0] and chosen.expectations:
        report.of_phases("loss")[0].notes.append("the gradients are those of the right loss")
    report.checked["gradients"] += len(chosen.expectations)
    for error in chosen.errors:
        report.note_error("gradients", error)
    if chosen.skipped:
        report.unchecked.append(f"gradients: {len(chosen.skipped)} of them, which depend on a mistake found before")
    elif not chosen.expectations:
        report.unchecked.append("gradients: the port recorded none")
    if chosen.wrong and not _explain_all(chosen.wrong, chosen.expectations, values, trace, report):
        for key, residual, limit, reason in chosen.wrong:
            _explain_one(key, residual, limit, reason, chosen.expectations[key], values, report)
    return chosen.backward.of_parameters()


class _Gradients:
    """The recorded gradients next to the right ones."""

    def __init__(self, values, at_outputs, port, trace, broken):
        self.backward = backward = Backward(values, port, at_outputs, broken)
        self.wrong: list = []
        self.skipped: list = []
        self.errors: list = []
        self.expectations: dict = {}
        operations = list(reversed(values.graph.operations))
        keys = [f"grad_out/{row.name}" for row in operations]
        keys += [f"grad/{name}" for row in operations for name in row.parameters.values()]
        keys += [f"grad/{row.name}" for row in values.graph.parameters]
        for key in dict.fromkeys(key for key in keys if key in port):
            name = key.partition("/")[2]
            if name in backward.unknown:
                self.skipped.append(key)
                continue
            found = port[key]
            expected = backward.known.get(name, np.zeros(found.shape))
            self.expectations[key] = (found, expected)
            residual = relative_error(found, expected)
            limit, reason = _limit(key, name, backward, trace, expected)
            if limit < residual < float("inf"):
                limit = max(limit, ROUNDING_FACTOR * backward.rounding(values, name))
            if residual <= limit:
                self.errors += [residual] if residual <= CHAIN_LIMIT else []
            else:
                self.wrong.append((key, residual, limit, reason))


def _limit(key, name, backward, trace, expected):
    norm = float(np.linalg.norm(expected))
    limit, reason = REPLAY_LIMIT, REPLAY_REASON
    if name in backward.chained:
        limit, reason = max(CHAIN_LIMIT, 4 * trace.rounding(key)), CHAIN_REASON
    if name in backward.sizes and norm:
        rounding = backward.sum_rounding(name, name not in backward.chained) / norm
        if rounding > limit:
            return rounding, "its terms nearly cancel: the rounding of a term times their absolute sum"
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
    limits = [row[2] for row in parameters]
    # the others are mostly rounding: a cause must fit them, but they do not tell how well it fits
    telling = [number for number, limit in enumerate(limits) if limit <= MOST_LEFT]
    if not telling:
        return False
    best = Best(max(parameters[number][1] for number in telling), max(limits[number] for number in telling))
    for name, results in _common_mistakes(parameters, pairs, expectations, values, trace):
        errors = [relative_error(found, result) for (found, _), result in zip(pairs, results)]
        if all(number in telling or error <= limits[number] for number, error in enumerate(errors)):
            worst = max(errors[number] for number in telling)
            best.add(worst, name, finding.layer, is_fitted="multiplied by" in name)
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
        best.add(
            relative_error(found, factor * expected), f"the gradient is multiplied by {factor:.6g}", name, None, True
        )
    best.fill(finding)
    report.add(finding)
