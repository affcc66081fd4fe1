"""Find the mistake that explains a divergence."""

from __future__ import annotations

import numpy as np

from ..graph import Operation
from ..mistakes.normalization_variants import COMBINED_VARIANTS, NORMALIZATION_VARIANTS
from ..mistakes.operation_variants import OPERATION_VARIANTS
from ..mistakes.variants import Case, Overlay, fitting, relative_error
from ..mistakes.wiring_variants import WIRING_VARIANTS
from ..replay import replay
from ..replay.normalization_formulas import batch_axes
from .findings import UNKNOWN, Finding

FORWARD_VARIANTS = [*OPERATION_VARIANTS, *NORMALIZATION_VARIANTS, *WIRING_VARIANTS, *COMBINED_VARIANTS]
COPY_LIMIT = 1e-6
COPY_REASON = "copies in float32 are exact; half precision gives 2e-4"
REPLAY_LIMIT = 2e-5
REPLAY_REASON = "one operation in float32 against float64; correct ports stay below"
TIMES_BETTER = 10  # a mistake must fit this many times better than the definition; 3 accepts weak fits
MOST_LEFT = 0.1  # relative error that a named cause may leave, however large the limit is
ROUNDING_FACTOR = 4
UNIT_ROUNDOFF = 2.0**-24  # of float32
MOST_SUSPECTS = 40  # operations that are searched for a mistake


class Best:
    """The mistakes that were tried, and how well they fit.

    Args:
        residual: Relative error measured against the definition.
        limit: Largest relative error of a fit.
    """

    def __init__(self, residual: float, limit: float):
        self.residual, self.limit = residual, limit
        self.tried: list = []  # (residual, cause, layer, replacement, is_fitted)

    def add(self, residual, cause, layer, replacement=None, is_fitted=False):
        """Take a mistake into account."""
        if residual == residual:
            self.tried.append((residual, cause, layer, replacement, is_fitted))

    def fits(self) -> list:
        """Return the mistakes that fit, in the order in which they were tried; fitted ones only if no other does."""
        bound = min(self.limit, self.residual / TIMES_BETTER, MOST_LEFT)
        rows = [row for row in self.tried if row[0] <= bound]
        rows = [row for row in rows if not row[4]] or rows
        nearest = min((row[0] for row in rows), default=0.0)
        # below a twentieth of the limit all is rounding; above, much worse fits are not as good
        return [row for row in rows if row[0] <= max(10 * nearest, self.limit / 20)]

    def fill(self, finding: Finding):
        """Give a finding its cause, and return the replacement that the cause implies, or None."""
        fits = self.fits()
        names = {row[1] for row in self.tried if row[0] <= self.limit / 20} | {row[1] for row in fits}
        others = [row for row in self.tried if row[1] not in names and row[0] < self.residual]
        others.sort(key=lambda row: row[0])
        nearest = {row[1]: row[0] for row in reversed(others)}  # the same cause may have been tried in several layers
        finding.runners_up = sorted(nearest.items(), key=lambda row: row[1])[:3]
        if not fits:
            finding.cause = UNKNOWN
            return None
        chosen = fits[0]
        finding.variant_residual, finding.cause = chosen[0], chosen[1]
        finding.alternatives = [
            row[1] if row[2] == chosen[2] else f"{row[2]}: {row[1]}" for row in fits[1:] if row[1:3] != chosen[1:3]
        ]
        finding.layer = chosen[2]
        return chosen[3]


def search(variants, case, kind, measure, best: Best, layer: str) -> None:
    """Try variants on a case.

    Args:
        variants: Variants to try.
        case: What they are given.
        kind: Kind or role by which they are chosen.
        measure: Function from the result of a variant to its relative error.
        best: Where the results are collected.
        layer: Name for the finding.
    """
    for variant in fitting(variants, kind):
        try:
            result = variant.result(case)
            detail = ""
            if isinstance(result, tuple):
                result, detail = result
            if result is not None:
                best.add(measure(result), f"{variant.name} {detail}".strip(), layer, result, variant.is_fitted)
        except (*replay.SHAPE_ERRORS, KeyError):  # the mistake is not possible with these shapes
            continue


def explain_output(values, name: str, found, residual: float, limit: float, finding: Finding) -> None:
    """Find the cause of a wrong output, and make it known to `values`.

    Args:
        values: The `PortValues`.
        name: The operation whose recorded output is wrong.
        found: The recorded output.
        residual: Its relative error.
        limit: Largest relative error of a fit.
        finding: The finding to fill.
    """
    best = Best(residual, limit)
    suspects = values.suspects(name)
    for suspect in suspects[:MOST_SUSPECTS]:
        inner = [row for row in reversed(suspects) if row.name != suspect.name]
        case = Case(
            suspect,
            values,
            values.training,
            values.mask(suspect.name),
            values.graph,
            found if suspect.name == name else None,
        )
        after = _downstream(suspect, inner)

        def measure(result, suspect=suspect, after=after, case=case):
            if isinstance(result, Operation):
                result = replay.forward(result, values, values.training, case.mask)
            if suspect.name != name:
                changed = {suspect.name: result}
                for row in after:
                    mask = values.mask(row.name)
                    changed[row.name] = replay.forward(row, Overlay(values, changed), values.training, mask)
                result = changed[name]
            return relative_error(found, result)

        search(FORWARD_VARIANTS, case, suspect.kind, measure, best, suspect.name)
    replacement = best.fill(finding)
    if not finding.named:
        finding.suspects = [row.name for row in suspects[1:]]
        if len(suspects) > MOST_SUSPECTS:
            finding.notes.append(f"only {MOST_SUSPECTS} of them were searched: record more outputs")
    if replacement is not None:
        values.replaced[finding.layer] = replacement
        for row in suspects[1:]:
            values.computed.pop(row.name, None)


def _downstream(suspect, rows):
    """Return those of the operations that depend on the suspect."""
    names, result = {suspect.name}, []
    for row in rows:
        if names & set(row.inputs):
            names.add(row.name)
            result.append(row)
    return result


def rounding_limit(operation, values, training, mask, expected) -> float:
    """Return the relative error that float32 may have in this operation with these inputs."""
    names = (*operation.inputs, *operation.parameters.values())
    single = {name: np.asarray(values[name], np.float32) for name in names}
    if mask is not None:
        mask = np.asarray(mask, np.float32)
    found = replay.forward(operation, single, training, mask)
    error = relative_error(np.asarray(found, np.float64), expected)
    if operation.kind == "batch_norm" and training and not operation.settings["use_running"]:
        error = max(
            error, _rounding_of_means(operation, values, expected), _one_pass_error(operation, values, expected)
        )
    return ROUNDING_FACTOR * error if error < float("inf") else 0.0


def _rounding_of_means(operation, values, expected):
    """Return the relative error of normalized values if the sums of the means are added one term after another.

    A sum of n terms then has the relative error u * sqrt(n / 6), where u is the unit roundoff of float32.
    """
    mean, variance = replay.batch_statistics(operation, values)
    gamma = np.ones(()) if operation.settings["fixed_gamma"] else values[operation.parameters["gamma"]]
    terms = expected.size / mean.size
    errors = UNIT_ROUNDOFF * np.sqrt(terms / 6) * gamma * mean / np.sqrt(variance + operation.settings["eps"])
    return float(np.linalg.norm(errors) * np.sqrt(terms) / np.linalg.norm(expected))


def _one_pass_error(operation, values, expected):
    """Return the relative error of normalized values if the variance is E[x^2] - E[x]^2 in float32, as Flax has it."""
    x = np.asarray(values[operation.inputs[0]], np.float32)
    axes = batch_axes(x, operation.settings["axis"])
    mean = x.mean(axis=axes, keepdims=True)
    variance = np.maximum((x * x).mean(axis=axes, keepdims=True) - mean * mean, 0)
    shape = mean.shape
    gamma = 1.0 if operation.settings["fixed_gamma"] else values[operation.parameters["gamma"]].reshape(shape)
    beta = values[operation.parameters["beta"]].reshape(shape)
    found = (x - mean) / np.sqrt(variance + np.float32(operation.settings["eps"])) * gamma + beta
    return relative_error(np.asarray(found, np.float64), expected)
