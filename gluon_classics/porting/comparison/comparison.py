"""Compare a port of a network with its reference trace: where it first differs, and why."""

from __future__ import annotations

import numpy as np

from ..operators import MASKED
from ..replay.replay import SHAPE_ERRORS
from .copy_comparison import compare_inputs, compare_weights, remove_wrong_shapes
from .findings import LEVELS, Report
from .forward_comparison import compare_outputs
from .gradient_comparison import broken_operations, compare_gradients, compare_loss
from .port_tensors import PortTensors
from .port_values import PortValues
from .preprocessing_comparison import compare_preprocessing
from .reference_trace import ReferenceTrace
from .tensor_file import PortError
from .update_comparison import compare_free_run, compare_running, compare_updates, with_running_statistics

LONG_RUN = 100  # steps
LONG_LIMIT = 1e-9  # of the relative error after them, in float64


def compare(trace, port, names=None) -> Report:
    """Compare a port with a reference trace.

    Every operation is computed again, in float64, from the inputs and weights that the port recorded. So a divergence
    is the fault of the operation at which it is reported, and not inherited from an earlier one.

    Args:
        trace: A `ReferenceTrace`, or the path of its folder or .zip file.
        port: Arrays by key, or the path of a .npz or .safetensors file. The keys are those of the trace.
        names: The trace's name of each of the port's names that differ, as a dictionary.

    Returns:
        A `Report`. Its `text()` begins with the first divergence, or "conforms".

    Raises:
        PortError: The trace or the port cannot be used.
    """
    if not isinstance(trace, ReferenceTrace):
        trace = ReferenceTrace.load(trace)
    tensors = PortTensors(port, trace.graph, names, trace.tensors)
    report = Report()
    report.notices += tensors.notices
    with np.errstate(all="ignore"):  # infinite and huge numbers are findings
        _compare_all(trace, tensors, report)
    report.level = _levels(report, tensors, trace)
    return report


def _compare_all(trace, tensors, report):
    graph = trace.graph
    _check_images(tensors, trace)
    remove_wrong_shapes(graph, tensors, trace, report)
    compare_weights(graph, tensors, trace, report)
    compare_inputs(graph, tensors, trace, report)
    compare_outputs(PortValues(graph.for_prediction(), tensors, trace, "eval"), "eval", report)
    values = PortValues(graph, tensors, trace, "train")
    if _has_masks(values):
        compare_outputs(values, "train", report)
        _compare_training(values, tensors, trace, report)
    else:
        report.unchecked.append(
            "train, loss, gradients, optimizer: neither the port nor the trace has the dropout masks"
        )
    compare_preprocessing(tensors, trace, report)


def assert_conforms(trace, port, level: str = "F", names=None) -> Report:
    """Raise AssertionError with the report if a port does not reach a level, and print the level that it reaches.

    Args:
        trace: See `compare`.
        port: See `compare`.
        level: The level: "F" (forward), "T" (training outputs and loss), "G" (gradients), "S" (three steps and running
            statistics), "D" (float64, 100 steps) or "P" (preprocessing).
        names: See `compare`.

    Returns:
        The report.
    """
    if level not in LEVELS:
        raise PortError(f"{level!r} is not a level. Use one of {', '.join(LEVELS)}")
    report = compare(trace, port, names)
    print(f"level reached: {report.level_text()}")
    if level not in report.level:
        raise AssertionError(f"level {level} ({LEVELS[level]}) is not reached\n{report.text(everything=True)}")
    return report


def _check_images(port, trace):
    (shape,) = trace.graph.inputs.values()
    found = port["input"].shape
    if len(found) != len(shape) or found[1:] != tuple(shape[1:]):
        wanted = ", ".join(str(size) for size in shape[1:])
        raise PortError(f"the port's input has the shape {found}. Record images of the trace's shape (N, {wanted})")


def _has_masks(values):
    return all(values.mask(row.name) is not None for row in values.graph.operations if row.kind in MASKED)


def _compare_training(values, port, trace, report):
    recorded = any(key.startswith(("train/", "grad/", "grad_out/", "step/")) or key == "loss" for key in port.arrays)
    if not recorded:
        report.unchecked.append("loss, gradients, running statistics, optimizer: the port recorded no training")
        return
    if not all(_is_computable(values, name) for name in values.graph.outputs):
        report.unchecked.append("loss, gradients, running statistics, optimizer: the outputs cannot be used")
        return
    label = values.label()
    if label is None:
        report.unchecked.append("loss, gradients, running statistics, optimizer: the labels are not class numbers")
        return
    broken = broken_operations(values, report)
    candidates = compare_loss(values, label, port, trace.recipe, broken, report)
    gradients = compare_gradients(values, candidates, port, trace, broken, report)
    compare_running(values, port, broken, report)
    is_right = not broken and not report.in_phase("loss") and not report.in_phase("gradients")
    compare_updates(values, gradients, port, trace, is_right, report)
    compare_free_run(port, trace, report)


def _is_computable(values, name):
    """Return whether an output has its shape and is finite."""
    try:
        found = values[name]
    except SHAPE_ERRORS:
        return False
    wanted = values.graph.operation(name).output_shape
    batch = len(values[next(iter(values.graph.inputs))])
    return found.shape == (batch, *wanted[1:]) and bool(np.isfinite(found).all())


def _levels(report, port, trace):
    """Return the letters of the levels that the port reaches."""
    steps = len(trace.recipe.get("steps", ()))
    statistics = ("running statistics",) if with_running_statistics(trace.graph) else ()
    training = ("optimizer", "free run", *statistics)
    all_steps = min(3, steps) if steps else 1
    result = ""
    for letter, phases, needed in (
        ("F", ("weights", "input", "eval"), ("eval",)),
        ("T", ("train", "loss"), ("train", "loss")),
        ("G", ("gradients",), ("gradients",)),
        ("S", ("running statistics", "optimizer", "free run"), training),
    ):
        if report.of_phases(*phases) or not all(report.checked[phase] for phase in needed):
            break
        if letter == "F" and f"eval/{trace.graph.outputs[0]}" not in port:
            break
        if letter == "S" and port.steps()[-1:] < [all_steps]:
            break
        result += letter
    is_exact = report.differences.get("free run", 1.0) <= LONG_LIMIT
    if "S" in result and trace.recipe.get("dtype") == "float64" and len(port.steps()) >= LONG_RUN and is_exact:
        result += "D"
    if report.checked["preprocessing"] and not report.of_phases("preprocessing"):
        result += "P"
    return result
