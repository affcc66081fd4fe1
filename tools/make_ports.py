"""Measure our own ports with the conformance suite, and write docs/ports.json and docs/ports.md.

    PORT_PYTHON=/path/to/python python tools/make_ports.py --suite FOLDER [NAME ...]

PORT_PYTHON is a Python with the extra `ports` and without MXNet. Each network is exported to PyTorch, Flax and ONNX
with the weights of its trace; the files are run, recorded and compared with the trace. Without names: all networks
whose entry is missing or was measured with another export.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import math
import os
from pathlib import Path
import subprocess
import sys
import tempfile

ROOT = Path(__file__).parents[1]
DATA, PAGE = ROOT / "docs" / "ports.json", ROOT / "docs" / "ports.md"
TARGETS = {"pytorch": "PyTorch", "flax": "Flax", "onnx": "ONNX"}
COLUMNS = {  # of each target: phases whose errors are shown
    "pytorch": {"outputs": ("eval", "train", "loss"), "gradients": ("gradients",)},
    "flax": {"outputs": ("eval", "train", "loss"), "gradients": ("gradients",)},
    "onnx": {"outputs": ("eval",)},
}
COUNTED = (("pytorch", "G"), ("pytorch", "S"), ("flax", "G"), ("flax", "S"), ("onnx", "F"))
MOST_PARAMETERS = 40_000_000  # of a network that is recorded for all steps; larger ones take 10 GB and many minutes
HEAD = """# Our own ports

<!-- written by python tools/make_ports.py -->

`gluon-classics export` writes every network as PyTorch source, as Flax source and as ONNX. The files of COUNT
networks have been recorded and compared with the network's trace in the conformance suite, which MXNet computed:

- **level**: the last level that the port reaches. F is the prediction, T adds the outputs in training mode and the
  loss, G the gradients, and S three training steps with their running statistics. ONNX files only predict. See
  [porting.md](porting.md). Networks with more than 40 million parameters are recorded for one step, so that they reach
  at most level G. Where another network stays at G, rounding in float32 moves units of a ReLU past 0 within three
  steps, which changes the later steps by more than the limits.
- **outputs**: the largest relative L2 error of one operation's output, or of the loss, in float32. Each operation is
  computed again in float64 from the inputs that the port itself recorded. The limit is 2e-5.
- **gradients**: the same for the gradients with respect to parameters, from the port's own outputs. Their errors pass
  through all layers, so that the limit is 1e-4, or 4 times what rounding to float32 changes in the trace.

Levels that were reached:
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", type=Path, help="folder of the suite; missing traces are written into it")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.suite and {"pytorch", "flax"} & set(options.targets) and "PORT_PYTHON" not in os.environ:
        parser.error("PORT_PYTHON is not set: set it to a Python with the extra `ports`")
    if options.suite:
        measure(options.suite, options.names, options.targets)
    from gluon_classics._files import write_text

    write_text(PAGE, page(read()))


def read():
    """Return the content of docs/ports.json."""
    return json.loads(DATA.read_text(encoding="utf-8")) if DATA.is_file() else {}


def page(measured):
    """Return the content of docs/ports.md."""
    titles = [column for target, title in TARGETS.items() for column in (title, *COLUMNS[target])]
    rules = [rule for target in TARGETS for rule in ("---", *["--:"] * len(COLUMNS[target]))]
    rows = [f"| network | image | {' | '.join(titles)} |", f"|---|---|{'|'.join(rules)}|"]
    versions = set()
    for name, row in measured.items():
        cells = [f"`{name}`", "x".join(map(str, row["image"]))]
        for target, columns in COLUMNS.items():
            port = row["ports"].get(target, {"level": "", "errors": {}, "versions": {}})
            cells += [port["level"][-1:] or "none", *(largest(port["errors"], phases) for phases in columns.values())]
            versions.update(f"{key} {version}" for key, version in port["versions"].items())
        rows.append(f"| {' | '.join(cells)} |")
    counts = [
        f"- {TARGETS[target]}, level {level}: {reached(measured, target, level)} of {len(measured)} networks"
        for target, level in COUNTED
    ]
    missing = ", ".join(f"`{name}`" for name in not_measured(measured))
    notes = [f"Measured with {', '.join(sorted(versions))}.", *([f"Not measured yet: {missing}."] if missing else [])]
    head = HEAD.replace("COUNT", str(len(measured)))
    return "\n".join([head, *counts, "", *rows, "", *notes, ""])


def not_measured(measured):
    """Return the networks without measurements."""
    from gluon_classics import list_models

    return [name for name in list_models() if name not in measured]


def largest(errors, phases):
    """Return the largest error of some phases as text."""
    found = [errors[phase] for phase in phases if phase in errors]
    return f"{max(found):.0e}" if found else ""


def reached(measured, target, level):
    """Return how many networks reach a level."""
    return sum(level in row["ports"].get(target, {"level": ""})["level"] for row in measured.values())


def measure(suite, names, targets):
    from gluon_classics import list_models
    from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
    from gluon_classics.porting.reference.suite import write_suite

    for name in names or list_models():
        list(write_suite(suite, [name]))
        path = suite / "networks" / f"{name}.zip"
        trace = ReferenceTrace.load(path)
        known = read().get(name, {}).get("ports", {})
        ports = dict(known)
        for target in targets:
            export = digest(target, trace.graph)
            if not names and known.get(target, {}).get("export") == export:
                continue
            ports[target] = {"export": export, **measured_port(trace, path, target)}
            print(name, target, ports[target]["level"], ports[target]["errors"], flush=True)
        keep(name, {"image": trace.recipe["input_shape"], "ports": ports})


def keep(name, row):
    """Write docs/ports.json with the measurements of a network, in the order of the registry."""
    from gluon_classics import list_models
    from gluon_classics._files import write_text

    measured = {**read(), name: row}
    write_text(DATA, json.dumps({name: measured[name] for name in list_models() if name in measured}, indent=1) + "\n")


def measured_port(trace, path, target):
    """Return the level that a port reaches, its errors by phase, and the versions of what ran it."""
    from gluon_classics.porting.comparison.comparison import compare
    from gluon_classics.porting.export import export

    weights = {row.name: trace.tensors[f"param/{row.name}"] for row in trace.graph.parameters}
    with tempfile.TemporaryDirectory() as folder:
        port, record = Path(folder, "port.onnx" if target == "onnx" else "port.py"), Path(folder, "port.npz")
        export.write(trace.graph, weights, target, port)
        python = sys.executable if target == "onnx" else os.environ["PORT_PYTHON"]
        command = [python, __file__, "--record", str(path), str(port), str(record)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        report = compare(trace, record)
    if not report.conforms:
        print(report.text(True), flush=True)
    errors = {phase: float(f"{error:.2g}") for phase, error in report.differences.items()}
    return {"level": report.level.rstrip("P"), "errors": errors, "versions": json.loads(done.stdout.splitlines()[-1])}


def digest(target, graph):
    """Return a digest of what an export to this target says, apart from the weights."""
    from gluon_classics.porting.export import flax_export, onnx_export, pytorch_export

    if target == "onnx":
        text = repr(onnx_export.content(graph))
    else:
        text = {"pytorch": pytorch_export, "flax": flax_export}[target].source_code(graph)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- in the Python that runs the port. Each function returns the versions of its framework


def record(trace_path, port, result):
    from gluon_classics.porting import Recorder, ReferenceTrace

    trace = ReferenceTrace.load(trace_path)
    recorder = Recorder(trace)
    if port.endswith(".onnx"):
        versions = record_onnx(recorder, port)
    else:
        specification = importlib.util.spec_from_file_location("port", port)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        versions = (record_flax if hasattr(module, "nnx") else record_pytorch)(recorder, module.load())
    recorder.save(result)
    print(json.dumps(versions))


def steps(trace):
    """Return the number of steps to record."""
    size = sum(math.prod(row.shape) for row in trace.graph.parameters)
    return 1 if size > MOST_PARAMETERS else len(trace.recipe["steps"])


def loss_terms(graph, outputs):
    """Return each term of the loss with the output that it takes."""
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return [(row, outputs[graph.outputs.index(row.output)]) for row in graph.loss]


def record_onnx(recorder, port):
    import onnx
    import onnxruntime

    recorder.onnx(port)
    return {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}


def record_pytorch(recorder, model):
    import torch
    import torch.nn.functional as F

    def loss(outputs, label):
        terms = []
        for row, output in loss_terms(recorder.trace.graph, outputs):
            if row.kind == "squared_error":
                targets = 2 * F.one_hot(label, output.shape[1]).to(output.dtype) - 1
                terms.append(row.factor * F.mse_loss(output, targets))
                continue
            if row.kind == "map":
                output = -torch.cat([output, torch.full_like(output[:, :1], row.settings["j"])], dim=1)
            terms.append(row.factor * F.cross_entropy(output, label))
        return sum(terms)

    recorder.torch(model)
    optimizer = TorchSgd(model, recorder.trace.recipe)
    for _ in range(steps(recorder.trace)):
        recorder.torch_step(model, loss, optimizer)
    return {"PyTorch": torch.__version__.partition("+")[0]}


class TorchSgd:
    """MXNet's SGD: the learning rate is inside the momentum."""

    def __init__(self, model, recipe):
        self.rows = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.states = [0] * len(self.rows)
        self.momentum, self.decay = recipe["optimizer"]["momentum"], max(recipe["weight_decay"].values())
        self.param_groups = [{"lr": 0.0}]

    def step(self):
        import torch

        with torch.no_grad():
            for number, row in enumerate(self.rows):
                change = self.param_groups[0]["lr"] * (row.grad + self.decay * row)
                self.states[number] = self.momentum * self.states[number] - change
                row += self.states[number]


def record_flax(recorder, model):
    import flax
    from flax import nnx
    import jax
    import jax.numpy as jnp

    recipe = recorder.trace.recipe
    momentum, decay = recipe["optimizer"]["momentum"], max(recipe["weight_decay"].values())
    states = jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param))

    def loss(outputs, label):
        terms = []
        for row, output in loss_terms(recorder.trace.graph, outputs):
            if row.kind == "squared_error":
                targets = 2 * jax.nn.one_hot(label, output.shape[1], dtype=output.dtype) - 1
                terms.append(row.factor * jnp.square(output - targets).mean())
                continue
            if row.kind == "map":
                output = -jnp.concatenate([output, jnp.full_like(output[:, :1], row.settings["j"])], axis=1)
            chosen = jnp.take_along_axis(jax.nn.log_softmax(output), label[:, None], axis=1)
            terms.append(-row.factor * chosen.mean())
        return sum(terms)

    def update(model, gradients, rate):
        nonlocal states
        weights = nnx.state(model, nnx.Param)
        states = jax.tree.map(lambda v, g, w: momentum * v - rate * (g + decay * w), states, gradients, weights)
        nnx.update(model, jax.tree.map(jnp.add, weights, states))

    recorder.nnx(model)
    for _ in range(steps(recorder.trace)):
        recorder.nnx_step(model, loss, update)
    return {"Flax": flax.__version__, "JAX": jax.__version__}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(*sys.argv[2:])
    else:
        main()
