"""Compare the outputs of a port in prediction and training mode, each operation by itself."""

from __future__ import annotations

import numpy as np

from ..mistakes.variants import relative_error
from ..replay.replay import SHAPE_ERRORS
from .causes import REPLAY_LIMIT, REPLAY_REASON, explain_output, rounding_limit
from .findings import UNKNOWN, Finding
from .fingerprint import estimated_error, fingerprint
from .port_values import PortValues

WHOLE_LIMIT = 1e-4
WHOLE_REASON = "across frameworks correct ports differ by 5e-6, or by the rounding of the network in float32"


def compare_outputs(values: PortValues, phase: str, report) -> None:
    """Compare every recorded output with what the operation gives for the port's own inputs and parameters."""
    unknown: set = set()
    blamed = {finding.layer for finding in report.findings}
    recorded = [row for row in values.graph.operations if values.recorded(row.name)]
    for operation in recorded:
        found = values[operation.name]
        try:
            finding = _compare(values, operation, found, phase, report)
        except SHAPE_ERRORS:
            report.unchecked.append(f"{phase}: {operation.name}: the shapes that were recorded before it do not fit")
            continue
        report.checked[phase] += 1
        if finding is None:
            continue
        if not finding.named:
            suspects = {finding.layer, *finding.suspects}
            if suspects & unknown:  # another path from the same unknown mistake
                continue
            unknown |= suspects
        report.add(finding)
    if not recorded:
        report.unchecked.append(f"{phase}: the port recorded no outputs")
    elif not values.recorded(values.graph.outputs[0]):
        report.unchecked.append(f"{phase}: what follows {recorded[-1].name}: the port did not record the output")
    else:
        _compare_whole(values, phase, report, blamed)


def _compare(values, operation, found, phase, report):
    expected = values.output(operation)
    if not np.isfinite(found).all():
        if not np.isfinite(expected).all():
            return None
        return Finding(phase, operation.name, "the output is not finite", float("inf"), REPLAY_LIMIT, REPLAY_REASON)
    residual = relative_error(found, expected)
    limit = REPLAY_LIMIT
    if REPLAY_LIMIT < residual < float("inf"):
        rounding = rounding_limit(operation, values, values.training, values.mask(operation.name), expected)
        limit = max(limit, rounding)
        inner = len(values.suspects(operation.name))
        if inner > 1:  # several operations in float32: each one adds its rounding
            limit = max(limit, min(WHOLE_LIMIT, REPLAY_LIMIT * inner**0.5))
    if residual <= limit:
        report.note_error(phase, residual)
        return None
    finding = Finding(phase, operation.name, UNKNOWN, residual, limit, REPLAY_REASON)
    if found.shape != expected.shape:
        finding.notes.append(f"its shape is {found.shape}, and must be {expected.shape}")
    explain_output(values, operation.name, found, residual, limit, finding)
    return finding


def _compare_whole(values, phase, report, blamed):
    """Compare the prediction with the trace's, to see what the comparison of single operations cannot."""
    name = values.graph.outputs[0]
    key = f"{values.place}/{name}"
    reference = values.trace.fingerprints.get(key)
    explained = any(f.phase in ("weights", "input", "eval", "train") for f in report.findings)
    if reference is None or blamed or explained:
        return
    error = estimated_error(fingerprint(values[name]), reference)
    own = 4 * report.differences.get(phase, 0.0)  # what single operations differ by, amplified a little
    limit = max(WHOLE_LIMIT, 4 * values.trace.rounding(key), own)
    if not np.isfinite(reference.l2):
        report.unchecked.append(f"{phase}: {name}: the trace's own values are not finite")
    elif not error <= limit:
        finding = Finding(phase, name, UNKNOWN, error, limit, WHOLE_REASON)
        finding.notes.append("each operation conforms by itself; the outputs differ from the trace's nevertheless")
        report.add(finding)
