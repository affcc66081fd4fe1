"""Compare what a port makes of a raw image with what the recipe makes of it."""

from __future__ import annotations

import numpy as np

from ..mistakes.image_variants import IMAGE_VARIANTS, Image
from ..mistakes.variants import relative_error
from .causes import Best, search
from .findings import UNKNOWN, Finding

LIMIT = 1e-5
REASON = "one image in float32; a resize that rounds to whole numbers is exact"


def compare_preprocessing(port, trace, report) -> None:
    """Compare the preprocessed image, if both the trace and the port have it."""
    if "preprocessed" not in port:
        if "raw" in trace.tensors:
            report.unchecked.append(
                "preprocessing: the port did not record 'preprocessed', made from 'raw' of the trace"
            )
        return
    if "preprocessed" not in trace.tensors or "raw" not in trace.tensors:
        report.unchecked.append("preprocessing: the trace has no raw image")
        return
    report.checked["preprocessing"] += 1
    found = port["preprocessed"]
    expected = np.asarray(trace.tensors["preprocessed"], np.float64)
    residual = relative_error(found, expected)
    if residual <= LIMIT:
        report.note_error("preprocessing", residual)
        return
    finding = Finding("preprocessing", "preprocessed", UNKNOWN, residual, LIMIT, REASON)
    if found.shape != expected.shape:
        finding.notes.append(f"its shape is {found.shape}, and must be {expected.shape}")
    raw = np.asarray(trace.tensors["raw"], np.float64)
    case = Image(raw, expected, found, trace.recipe.get("preprocessing") or {})
    best = Best(residual, LIMIT)
    search(IMAGE_VARIANTS, case, "", lambda result: relative_error(found, result), best, "preprocessed")
    best.fill(finding)
    report.add(finding)
