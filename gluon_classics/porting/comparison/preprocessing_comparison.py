"""Compare what a port makes of a raw image with what the recipe makes of it."""

from __future__ import annotations

import numpy as np

from ..mistakes.image_variants import BORDER, IMAGE_VARIANTS, Image, resized
from ..mistakes.variants import relative_error
from .causes import Best, search
from .findings import UNKNOWN, Finding

LIMIT = 1e-5
REASON = "one image in float32; a resize that rounds to whole numbers is exact"
# of a pixel, from the exact bilinear value: 0.5 by rounding, and 0.3 because OpenCV's weights are multiples of 1/2048
# and its sums are cut to multiples of 1/4
WHOLE_PIXELS = 0.8


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
    raw = np.asarray(trace.tensors["raw"], np.float64)
    case = Image(raw, expected, found, trace.recipe.get("preprocessing") or {})
    if found.shape == expected.shape and _is_rounded_as_defined(case):
        report.notices.append(
            "preprocessing: some pixels are rounded to the other neighbor than by OpenCV, which is right"
        )
        return
    finding = Finding("preprocessing", "preprocessed", UNKNOWN, residual, LIMIT, REASON)
    if found.shape != expected.shape:
        finding.notes.append(f"its shape is {found.shape}, and must be {expected.shape}")
    best = Best(residual, LIMIT)
    search(IMAGE_VARIANTS, case, "", lambda result: relative_error(found, result), best, "preprocessed")
    best.fill(finding)
    report.add(finding)


def _is_rounded_as_defined(case):
    """Return whether the resize is right but for the direction in which pixels are rounded to whole values."""
    resize = case.recipe.get("resize")
    if not isinstance(resize, dict) or resize.get("rounding") != "to whole pixel values":
        return False
    if case.recipe.get("fit") not in ("resize", "crop") or case.found.shape[1:] == case.raw.shape[:2]:
        return False
    pixels = case.pixels(case.found)
    is_whole = np.abs(pixels - np.round(pixels)) < BORDER  # float32 inputs near 1 give pixels within 2e-5
    return bool(is_whole.all() and (np.abs(pixels - resized(case)) < WHOLE_PIXELS).all())
