"""Generate source files and compare what they compute with NumPy.

`python tests/porting/generated.py` writes the files in `expected/` again.
"""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

from gluon_classics import get_model, model_info
from gluon_classics.errors import ClassicsError
from gluon_classics.porting.comparison.comparison import compare
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.comparison.tensor_file import read_tensors
from gluon_classics.porting.export import flax_export, pytorch_export
from gluon_classics.porting.export.codegen import file as generated_file
from gluon_classics.porting.network.capture import capture
from gluon_classics.porting.network.sources import source as network_source
from gluon_classics.porting.reference.trace import TraceOptions, trace
from gluon_classics.porting.replay import replay
import numpy as np
import probe
import pytest
from traces import SHAPES

TARGETS = {"pytorch": pytorch_export, "flax": flax_export}
EXPECTED = Path(__file__).with_name("expected")
SNAPSHOTS = ("lenet_d2l", "resnet18_v1", "googlenet")

# both sides compute in float64, with a unit roundoff of 1e-16; sums of up to 1e5 terms, and batch normalization of
# values that differ by 1e-3 of their size, amplify it
FLOAT64 = 1e-9


def source(target, name):
    """Return the source file of a network."""
    info = model_info(name)
    graph = capture(get_model(name, **info.trained_as), info.input_shape, name)
    return TARGETS[target].source_code(graph)


def needs(target):
    """Skip the test if the framework is missing. If PORT_PYTHON is set, a missing framework is an error."""
    try:
        generated_file.require_modules(TARGETS[target].MODULES)
    except ClassicsError as error:
        if "PORT_PYTHON" in os.environ:
            raise
        pytest.skip(str(error))


def relative_error(ours, theirs):
    assert ours.shape == theirs.shape
    return np.linalg.norm(ours - theirs) / (np.linalg.norm(theirs) or 1)


def check_results(target, graph, path, rng, parameters=None):
    """Compare outputs, gradients and running statistics of a generated file with NumPy's, all in float64."""
    images, label, masks = probe.data(graph, rng, batch=4)
    parameters = parameters or probe.parameters(graph, images, masks, rng)
    TARGETS[target].write(graph, parameters, path)
    (name,) = graph.inputs
    values = replay.run(graph, parameters, {name: images}, True, masks)
    upstream = replay.loss_gradients(graph, values, label)
    data = {
        "input": images,
        **{f"mask/{number}": mask for number, mask in enumerate(masks.values())},
        **{f"output_gradient/{number}": upstream[output] for number, output in enumerate(graph.outputs)},
    }
    found = generated_file.run_file(path, TARGETS[target].MODULES, data)
    wanted = {"eval": replay.run(graph.for_prediction(), parameters, {name: images})[graph.outputs[0]]}
    wanted.update({f"train/{number}": values[output] for number, output in enumerate(graph.outputs)})
    gradients, _ = replay.run_backward(graph, values, label, masks)
    zeros = {row.name: np.zeros(row.shape) for row in graph.parameters if not row.trainable}
    named = generated_file.framework_tensors(graph, {**zeros, **gradients}, target, np.float64)
    wanted.update({key: named[key[len("grad/") :]] for key in found if key.startswith("grad/")})
    assert sum(key.startswith("grad/") for key in found) == len(gradients)
    moved = generated_file.framework_tensors(graph, {**parameters, **running(graph, values)}, target, np.float64)
    wanted.update({key: moved[key[len("running/") :]] for key in found if key.startswith("running/")})
    assert set(found) == set(wanted)
    largest = max(np.linalg.norm(gradient) for gradient in gradients.values())
    for key, array in wanted.items():
        # the gradient of a bias before batch normalization is 0, up to the rounding of the others
        if key.startswith("grad/") and np.linalg.norm(array) < FLOAT64 * largest:
            assert np.linalg.norm(found[key]) < FLOAT64 * largest, key
        else:
            assert relative_error(found[key], array) < FLOAT64, key


def check_recording(target, name, folder):
    """Record a generated file with the weights of a trace, and compare it with the trace. Return the report.

    Every layer with a built-in activation must be recorded under its own name and under that of the activation.
    """
    trace(network_source(name, SHAPES.get(name)), folder / "trace", options=TraceOptions(steps=1))
    reference = ReferenceTrace.load(folder / "trace")
    weights = {row.name: reference.tensors[f"param/{row.name}"] for row in reference.graph.parameters}
    TARGETS[target].write(reference.graph, weights, folder / "port.py")
    files = [str(folder / file) for file in ("trace", "port.py", "port.npz")]
    script = str(Path(__file__).with_name("record_generated.py"))
    python = generated_file.require_modules(TARGETS[target].MODULES)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([python, script, *files], check=True, env=environment)
    recorded = read_tensors(folder / "port.npz")
    layers = [
        row.name for row in reference.graph.operations if reference.graph.blocks.get(row.name) == f"{row.name}.act"
    ]
    assert layers
    assert {f"train/{layer}{end}" for layer in layers for end in ("", ".act")} <= set(recorded)
    return compare(reference, recorded)


def running(graph, values):
    """Return the running statistics after a training step in which the values were computed."""
    found = {}
    for row in graph.operations:
        if row.kind == "batch_norm":
            keep = row.settings["momentum_keep"]
            for role, batch in zip(("running_mean", "running_var"), replay.batch_statistics(row, values)):
                name = row.parameters[role]
                found[name] = keep * values[name] + (1 - keep) * batch
    return found


if __name__ == "__main__":
    for target in TARGETS:
        for name in SNAPSHOTS:
            (EXPECTED / target / f"{name}.py").write_text(source(target, name), encoding="utf-8")
            sys.stdout.write(f"{target}/{name}.py\n")
