"""Compare what a training step of a port changes: running statistics, parameters and the optimizer's state."""

from __future__ import annotations

import zlib

import numpy as np

from ..mistakes.loss_variants import RUNNING_VARIANTS, RunningCase
from ..mistakes.optimizer_variants import OPTIMIZER_VARIANTS, Step, defined
from ..mistakes.variants import relative_error
from ..replay import replay
from .causes import MOST_LEFT, REPLAY_LIMIT, UNIT_ROUNDOFF, Best
from .findings import UNKNOWN, Finding
from .fingerprint import estimated_error, fingerprint
from .gradient_comparison import Backward, depends_on
from .port_values import PortValues

SPACING = 2.0**-23  # of float32, relative
UPDATE_LIMIT = 1e-5
UPDATE_REASON = "the change of a parameter in float32, or 1 float32 spacing of the parameter over the change"
CHAIN_LIMIT = 1e-4
LATER_REASON = "the gradients of this step are computed from the port's parameters, in float64"
FEW = 20  # parameters
MOST_SHOWN = 1e-2  # limit of a change whose error is shown; larger ones are of changes that are mostly rounding
NOISE = 16 * UNIT_ROUNDOFF  # relative, of parameters
# how often it is drawn: an input of a ReLU near 0 that changes its sign in a port does so in about half of the draws
NOISES = 12
FREE_LIMIT = 1e-4
MOST_ROUNDING = 0.1  # of a limit; above, the comparison says nothing
FREE_REASON = "correct ports stay within 1e-4 for three steps, or within 4 times the trace's rounding in float32"
RUNNING_LIMIT = 2e-5
RUNNING_REASON = "one moving average in float32, relative to its change"


def compare_running(values: PortValues, port, broken, report) -> None:
    """Compare the running statistics after the first step, each with the port's own input of its operation.

    Args:
        values: The `PortValues` in training mode.
        port: The port's tensors.
        broken: Names of operations whose result is unknown.
        report: Report to extend.
    """
    compared, moving = 0, with_running_statistics(values.graph)
    skipped = []
    for row in moving:
        names = [row.parameters[role] for role in ("running_mean", "running_var")]
        if not all(f"step/1/param/{name}" in port for name in names):
            continue
        if depends_on(values, row.inputs[0], broken):
            skipped.append(row.name)
            continue
        compared += 1
        found = np.stack([port[f"step/1/param/{name}"] for name in names])
        old = np.stack([values[name] for name in names])
        x = values[row.inputs[0]]
        if x.ndim != len(row.output_shape) or x.shape[1:] != tuple(row.output_shape[1:]):
            report.unchecked.append(f"running statistics: {row.name}: the recorded shapes do not fit")
            continue
        batch = np.stack(replay.batch_statistics(row, values))
        case = RunningCase(old, batch, row.settings["momentum_keep"], x.size // batch.shape[1])
        _compare_statistics(row.name, case, found, report)
    report.checked["running statistics"] += compared
    if skipped:
        report.unchecked.append(
            f"running statistics: {len(skipped)} of them, such as {skipped[0]}, which depend on a mistake found before"
        )
    elif moving and not compared:
        report.unchecked.append("running statistics: the port recorded none after step 1")


def with_running_statistics(graph) -> list:
    """Return the operations whose running statistics a training step changes."""
    return [row for row in graph.operations if row.kind == "batch_norm" and not row.settings["use_running"]]


def _compare_statistics(name, case, found, report):
    def measure(expected):
        changes = [np.linalg.norm(e - old) or 1.0 for e, old in zip(expected, case.old)]
        return max(float(np.linalg.norm(f - e) / change) for f, e, change in zip(found, expected, changes))

    expected = case.moved(case.keep)
    # rounding of float32: of the statistic itself, and of the variance of values whose mean is not 0
    sizes = [np.linalg.norm(case.old[0]), np.linalg.norm(case.old[1]) + 0.1 * np.linalg.norm(case.batch.sum(axis=0))]
    changes = [np.linalg.norm(e - old) or 1.0 for e, old in zip(expected, case.old)]
    limit = max(RUNNING_LIMIT, *(4 * SPACING * float(size / change) for size, change in zip(sizes, changes)))
    residual = measure(expected)
    if residual <= limit:
        report.note_error("running statistics", residual)
        if measure(case.moved(case.keep, True)) <= limit and case.size > 1:
            text = "running statistics: the biased and the unbiased variance are too near to distinguish"
            if not any(notice.startswith(text) for notice in report.notices):
                report.notices.append(f"{text} in {name}, with {case.size} values per channel")
        return
    finding = Finding("running statistics", name, UNKNOWN, residual, limit, RUNNING_REASON)
    best = Best(residual, limit)
    for variant in RUNNING_VARIANTS:
        result = variant.result(case)
        if result is not None:
            best.add(measure(result), variant.name, name)
    best.fill(finding)
    report.add(finding)


class _Update:
    """The change of a parameter in a step, and what it follows from.

    Args:
        name: The parameter.
        number: Number of the step.
        values: Function that returns the parameter before and after the step, as float64.
        facts: What a `Step` has besides the parameter.
    """

    def __init__(self, name, number, values, **facts):
        self.name, self.number, self.values, self.facts = name, number, values, facts
        self.limit = UPDATE_LIMIT

    def load(self):
        """Return the `Step` and the change."""
        before, after = self.values()
        return Step(before, **self.facts), after - before


def compare_updates(values, gradients, port, trace, is_right, report) -> None:
    """Compare the change of every parameter in every recorded step with what its gradient gives.

    Args:
        values: The `PortValues` of the first step, in training mode.
        gradients: Gradients of the first step as defined, by parameter, or None if they are unknown.
        port: The port's tensors.
        trace: The reference trace.
        is_right: Whether the loss is right, and the forward pass of later steps can be computed.
        report: Report to extend.
    """
    updates = _updates(values, gradients, port, trace, is_right, report)
    report.checked["optimizer"] += len(updates)
    if not updates:
        report.unchecked.append("optimizer: no step with its gradients was recorded")
        return
    if not any(update.number > 1 for update in updates):
        report.notices.append("the first step does not tell whether the learning rate is inside the momentum")
    residuals = _residuals(updates, defined)
    finding = _explain_updates(updates, residuals, values.graph)
    if finding is not None and not finding.named and updates[-1].number > 1:
        _allow_for_rounding(updates, values, port, trace)
        finding = _explain_updates(updates, residuals, values.graph)
    if finding is not None:
        report.add(finding)
    exact = [(residual, update.limit) for residual, update in zip(residuals, updates) if update.limit <= MOST_SHOWN]
    right = [residual for residual, limit in exact if residual <= limit]
    if right:
        report.note_error("optimizer", max(right))


def _updates(values, gradients, port, trace, is_right, report):
    recipe = trace.recipe
    rates = [row["learning_rate"] for row in recipe.get("steps", ())]
    trainable = [row.name for row in values.graph.parameters if row.trainable]
    result = []
    backward = None
    for number, rate in enumerate(rates, start=1):
        names = [name for name in trainable if f"step/{number}/param/{name}" in port]
        before = "param" if number == 1 else f"step/{number - 1}/param"
        if number > 1:
            names = [name for name in names if f"{before}/{name}" in port]
            backward = _later_backward(values, number, before, port, trace) if names and is_right else None
            gradients = backward.of_parameters() if backward else None
        if not names or (gradients is None and number > 1):
            break
        known = dict(gradients or {})
        known.update({name: port[f"grad/{name}"] for name in names if number == 1 and f"grad/{name}" in port})
        if any(name not in known for name in names):
            break
        norm = float(np.sqrt(sum((gradient**2).sum() for gradient in (known[name] for name in names))))
        batch = len(trace.tensors["input"])
        for name in names:
            update = _Update(
                name,
                number,
                _loader(values, port, name, number),
                gradient=known[name],
                rate=rate,
                first_rate=rates[0],
                momentum=recipe["optimizer"]["momentum"],
                decay=recipe.get("weight_decay", {}).get(name, 0.0),
                batch=batch,
                norm=norm,
            )
            update.limit = _update_limit(update, port, trace, backward)
            result.append(update)
    if result and result[-1].number < len(port.steps()):
        report.unchecked.append(f"optimizer: steps after {result[-1].number}, which depend on what is unknown")
    return result


def _allow_for_rounding(updates, values, port, trace):
    """Raise the limits of later steps by what rounding changes, above all in units that are within rounding of 0.

    The gradients are computed a few times more from parameters with a noise of some spacings of float32. What that
    changes, an implementation in float32 may change too; momentum carries it to later steps.
    """
    carried: dict = {}
    for number in sorted({update.number for update in updates if update.number > 1}):
        before = f"step/{number - 1}/param"
        noisy = [
            _later_backward(values, number, before, _Noisy(port, seed), trace).of_parameters() for seed in range(NOISES)
        ]
        for update in (update for update in updates if update.number == number):
            step, found = update.load()
            most = max(float(np.linalg.norm(gradients[update.name] - step.gradient)) for gradients in noisy)
            change = step.rate * most
            carried[update.name] = step.momentum * carried.get(update.name, 0.0) + change
            norm = float(np.linalg.norm(found)) or 1.0
            update.limit = max(update.limit, 2 * carried[update.name] / norm)


class _Noisy:
    """Tensors by key with a relative noise in the parameters."""

    def __init__(self, tensors, seed):
        self.tensors, self.seed = tensors, seed

    def __contains__(self, key):
        return key in self.tensors

    def __getitem__(self, key):
        array = self.tensors[key]
        if "param/" not in key:
            return array
        generator = np.random.RandomState([self.seed, zlib.crc32(key.encode())])
        return array * (1 + NOISE * generator.uniform(-1, 1, array.shape))


def _later_backward(values, number, before, port, trace):
    """Return the `Backward` of a later step, computed from the port's parameters, or None if that is impossible."""
    if any(key not in trace.tensors for key in (f"step/{number}/input", f"step/{number}/label")):
        return None
    keys = [f"{before}/{row.name}" for row in values.graph.parameters if row.trainable]
    if any(key not in port and key not in trace.tensors for key in keys):
        return None
    later = PortValues(values.graph, port, trace, "", f"step/{number}/", before)
    later.training = True
    later.replaced = values.replaced
    if any(isinstance(row, np.ndarray) for row in values.replaced.values()):
        return None
    try:
        label = later.label()
        if label is None:
            return None
        return Backward(later, None, replay.loss_gradients(values.graph, later, label))
    except replay.SHAPE_ERRORS:  # the recorded images or masks do not fit
        return None


def _loader(values, port, name, number):
    before = f"step/{number - 1}/param/{name}"
    return lambda: (values[name] if number == 1 else port[before], port[f"step/{number}/param/{name}"])


def _update_limit(update, port, trace, backward):
    step, change = update.load()
    norm = float(np.linalg.norm(change)) or 1.0
    weight = float(np.linalg.norm(step.weight))
    limit = max(UPDATE_LIMIT, SPACING * weight / norm)
    is_recorded = update.number == 1 and f"grad/{update.name}" in port
    if not is_recorded:
        rounding = 4 * _rounding_after(update.number, update.name, trace) * weight / norm
        limit = max(limit, CHAIN_LIMIT, rounding, 4 * trace.rounding(f"grad/{update.name}"))
    if backward and update.name in backward.sizes:  # the terms of a bias before batch normalization cancel
        limit = max(limit, 2 * step.rate * backward.sum_rounding(update.name, is_recorded) / norm)
    return limit


def _rounding_after(number, name, trace):
    """Return the rounding of a parameter after a step. A compact trace has only that of the last step."""
    key, last = (f"step/{step}/param/{name}" for step in (number, len(trace.recipe["steps"])))
    return trace.rounding(key if key in trace.fingerprints else last)


def _residuals(updates, rule):
    """Return the relative error of each change, measured against a rule; 0 for less than the parameter's rounding."""
    states: dict = {}
    result = []
    for update in updates:
        step, change = update.load()
        step.state = states.setdefault(update.name, {})
        expected = np.asarray(rule(step))
        is_rounding = np.linalg.norm(change - expected) <= SPACING * np.linalg.norm(step.weight)
        result.append(0.0 if is_rounding else relative_error(change, expected))
    return result


def _smallest(updates):
    """Return the updates of the smallest parameters, which rule out most variants in little time."""
    names = list(dict.fromkeys(update.name for update in updates))
    sizes = {update.name: update.facts["gradient"].size for update in updates}
    chosen = set(sorted(names, key=lambda name: sizes[name])[:FEW])
    return [update for update in updates if update.name in chosen]


def _worst_ratio(updates, rule):
    return max(residual / update.limit for residual, update in zip(_residuals(updates, rule), updates))


def _explain_updates(updates, residuals, graph):
    """Return the finding about wrong changes, with the rule that explains them, or None if none is wrong."""
    wrong = [number for number, residual in enumerate(residuals) if not residual <= updates[number].limit]
    if not wrong:
        return None
    names = list(dict.fromkeys(updates[number].name for number in wrong))
    chosen = [update for update in updates if update.name in set(names)]
    first = updates[wrong[0]]
    reason = UPDATE_REASON if first.number == 1 else LATER_REASON
    # a change that is mostly rounding does not tell how well a rule fits
    telling = [number for number in wrong if updates[number].limit <= MOST_LEFT] or wrong
    worst = max(telling, key=lambda number: residuals[number] / updates[number].limit)
    finding = Finding("optimizer", first.name, UNKNOWN, residuals[worst], updates[worst].limit, reason)
    best = Best(residuals[worst], updates[worst].limit)
    few = _smallest(chosen)
    for variant in OPTIMIZER_VARIANTS:
        # every change must fit its own limit; the worst one counts
        ratio = _worst_ratio(few, variant.result)
        if ratio <= 1 and len(few) < len(chosen):
            ratio = max(ratio, _worst_ratio(chosen, variant.result))
        best.add(ratio * updates[worst].limit, variant.name, first.name)
    best.fill(finding)
    if finding.named:
        roles = {row.name: row.role for row in graph.parameters}
        wrong_roles = {roles[name] for name in names}
        right_roles = {roles[update.name] for update in updates if update.name not in set(names)}
        if wrong_roles.isdisjoint(right_roles) and right_roles:
            finding.cause += f" (only for {', '.join(sorted(wrong_roles))})"
    finding.also = [f"optimizer: {name}" for name in names[1:]]
    if first.number > 1:
        finding.notes.append(f"the first {first.number - 1} step(s) conform")
    return finding


def compare_free_run(port, trace, report) -> None:
    """Compare the loss of each step, and the parameters after it, with the trace's."""
    skipped = []
    # the limits follow from the trace's rounding, which says little about a port whose operations round much more
    is_rough = report.differences.get("train", 0.0) > REPLAY_LIMIT
    for number in port.steps():
        keys = [f"step/{number}/loss", *(f"step/{number}/param/{row.name}" for row in trace.graph.parameters)]
        for key in keys:
            if key not in port or (key not in trace.fingerprints and key not in trace.tensors):
                continue
            report.checked["free run"] += 1
            if key in trace.tensors:
                reference = np.asarray(trace.tensors[key], np.float64)
                error, norm = relative_error(port[key], reference), np.linalg.norm(reference)
            else:
                row = trace.fingerprints[key]
                error, norm = estimated_error(fingerprint(port[key]), row), row.l2
            limit = max(FREE_LIMIT, 4 * trace.rounding(key))
            if not limit <= MOST_ROUNDING or not np.isfinite(norm):
                skipped.append(key)
            elif error <= limit:
                report.note_error("free run", error)
            elif is_rough and error <= MOST_ROUNDING:
                skipped.append(key)
            elif not report.findings:
                report.add(Finding("free run", key, UNKNOWN, error, limit, FREE_REASON))
    if skipped:
        text = f"{len(skipped)} values, such as {skipped[0]}, depend on rounding, or are not finite in the trace"
        report.unchecked.append(f"free run: {text}")
