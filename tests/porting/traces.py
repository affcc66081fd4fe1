"""Reference traces and clean ports in memory, without files."""

from dataclasses import replace
import functools
import hashlib

from gluon_classics.porting.comparison.fingerprint import fingerprint
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.network.sources import source
from gluon_classics.porting.probe import batch_statistics, drawn_weights, probe_batch
from gluon_classics.porting.reference.values import RATES, Start, compute
from gluon_classics.porting.replay import replay
import numpy as np

# smaller inputs than the networks' own, where they allow them
SHAPES = {
    **{"resnet18_v1": (3, 40, 40), "efficientnet_b0": (3, 64, 64), "se_resnet18": (3, 64, 64)},
    **{"googlenet_v1": (3, 80, 80), "vgg11": (3, 32, 32), "densenet_d2l": (1, 64, 64)},
}


def probe_weights(graph, seed, images, constants, forward=replay.forward):
    """Return probe weights whose running statistics are near those of the images."""
    return drawn_weights(graph, seed, constants, batch_statistics(graph, seed, images, constants, forward))


def _start(name, steps):
    """Return a trace without outputs, and its batches and weights."""
    network = source(name, SHAPES.get(name))
    graph = network.graph
    batches = [probe_batch(graph, 0, step, 2) for step in range(1, steps + 1)]
    running = ("running_mean", "running_var")
    is_constant = [not row.trainable and row.role not in running for row in graph.parameters]
    constants = network.parameters() if any(is_constant) else {}
    weights = probe_weights(graph, 0, batches[0].images, constants)
    trainable = [row.name for row in graph.parameters if row.trainable]
    recipe = {
        "schema": "gluon-classics recipe",
        "version": 1,
        "optimizer": {"name": "sgd", "momentum": float(np.float32(0.9))},
        "steps": [{"learning_rate": float(np.float32(RATES[step]))} for step in range(steps)],
        "weight_decay": dict.fromkeys(trainable, float(np.float32(1e-2))),
        "preprocessing": {},
    }
    tensors = {f"param/{name}": array for name, array in weights.items()}
    for step, batch in enumerate(batches, start=1):
        prefix = "" if step == 1 else f"step/{step}/"
        tensors.update({f"{prefix}input": batch.images, f"{prefix}label": batch.label})
        tensors.update({f"{prefix}mask/{name}": mask for name, mask in batch.masks.items()})
    return ReferenceTrace(graph, recipe, tensors), batches, weights


@functools.lru_cache(maxsize=4)
def small_trace(name, steps=3):
    """Return the trace of a network without fingerprints: its parameters, and inputs, labels and masks of its steps."""
    return _start(name, steps)[0]


def digest(port):
    """Return a checksum of a port's arrays."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(port[key]).tobytes() for key in sorted(port))).hexdigest()


@functools.lru_cache(maxsize=1)  # large networks have gigabytes
def trace_and_port(name, steps=3):
    """Return the trace of a network, and a clean port: MXNet in float32, one operation at a time."""
    trace, batches, weights = _start(name, steps)
    start = Start(weights, batches, trace.recipe, {})
    port, exact = (dict(compute(trace.graph, start, dtype)) for dtype in ("float32", "float64"))
    fingerprints = {}
    for key, array in exact.items():
        norm = float(np.linalg.norm(array))
        error = float(np.linalg.norm(port[key] - array))
        fingerprints[key] = fingerprint(array, error / norm if norm else error)
    return replace(trace, fingerprints=fingerprints), port
