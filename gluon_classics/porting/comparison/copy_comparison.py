"""Compare what a port must copy: parameters, inputs, labels and masks."""

from __future__ import annotations

import numpy as np

from ..mistakes.variants import relative_error
from ..mistakes.weight_variants import INPUT_VARIANTS, LABEL_VARIANTS, MASK_VARIANTS, WEIGHT_VARIANTS, Copied
from ..operators import MASKED
from .causes import COPY_LIMIT, COPY_REASON, Best, search
from .findings import UNKNOWN, Finding
from .port_tensors import split_key

_PHASES = {"param": "weights", "mask": "input", "grad": "gradients", "optim": "optimizer"}


def remove_wrong_shapes(graph, port, trace, report) -> None:
    """Report parameters, gradients and masks whose shape is wrong, and leave them out of what follows."""
    shapes = {row.name: tuple(row.shape) for row in graph.parameters}
    for key in list(port.arrays):
        place, name = split_key(key)
        phase = _PHASES.get(place.rpartition("/")[2])
        wanted = shapes.get(name)
        if place.endswith("mask") and key in trace.tensors:
            wanted = np.shape(trace.tensors[key])
        found = np.shape(port.arrays[key])
        if phase is None or wanted is None or found == tuple(wanted):
            continue
        cause = f"its shape is {found}, and must be {tuple(wanted)}"
        if sorted(found) == sorted(wanted):
            cause += ": transpose it"
        phase = "optimizer" if place.startswith("step/") and phase == "weights" else phase
        report.checked[phase] += 1
        report.add(Finding(phase, name, cause, float("inf"), COPY_LIMIT, COPY_REASON))
        del port.arrays[key]


def compare_weights(graph, port, trace, report) -> None:
    """Compare the parameters before the first step."""
    others = {row.name: np.asarray(trace.tensors[f"param/{row.name}"], np.float64) for row in graph.parameters}
    missing = []
    for row in graph.parameters:
        key = f"param/{row.name}"
        if key not in port:
            missing.append(row.name)
            continue
        found = port[key]
        case = Copied(row, others[row.name], found, others, graph)
        _compare("weights", row.name, case, WEIGHT_VARIANTS, row.role, report)
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        report.unchecked.append(f"weights: {shown}: the port did not record them, so the trace's were taken")


def compare_inputs(graph, port, trace, report) -> None:
    """Compare the images, labels and masks of every step that the port recorded."""
    for prefix in ("", *(f"step/{number}/" for number in port.steps() if number > 1)):
        rows = [(f"{prefix}input", INPUT_VARIANTS), (f"{prefix}label", LABEL_VARIANTS)]
        rows += [(f"{prefix}mask/{row.name}", MASK_VARIANTS) for row in graph.operations if row.kind in MASKED]
        for key, variants in rows:
            if key not in trace.tensors:
                continue
            if key not in port:
                if key == "label":
                    report.unchecked.append("input: label: the port did not record it, so the trace's was taken")
                continue
            reference = np.asarray(trace.tensors[key], np.float64)
            case = Copied(None, reference, port[key], {}, graph)
            _compare("input", key, case, variants, "", report)


def _compare(phase, layer, case, variants, kind, report):
    report.checked[phase] += 1
    if not np.isfinite(case.found).all():
        report.add(Finding(phase, layer, "it has values that are not finite", float("inf"), COPY_LIMIT, COPY_REASON))
        return
    (found, *rest), (wanted, *wanted_rest) = (array.shape or (None,) for array in (case.found, case.reference))
    if phase == "input" and found is not None and found != wanted and rest == wanted_rest:
        cause = f"it is for {found} images, and the trace's for {wanted}: record the port with this trace"
        report.add(Finding(phase, layer, cause, float("inf"), COPY_LIMIT, COPY_REASON))
        return
    residual = relative_error(case.found, case.reference)
    if residual <= COPY_LIMIT:
        report.note_error(phase, residual)
        return
    finding = Finding(phase, layer, UNKNOWN, residual, COPY_LIMIT, COPY_REASON)
    if case.found.shape != case.reference.shape:
        finding.notes.append(f"its shape is {case.found.shape}, and must be {case.reference.shape}")
    best = Best(residual, COPY_LIMIT)
    search(variants, case, kind, lambda result: relative_error(case.found, result), best, layer)
    best.fill(finding)
    if layer == "input" and not finding.named:
        finding.notes.append("perhaps the port was recorded with another trace")
    report.add(finding)
