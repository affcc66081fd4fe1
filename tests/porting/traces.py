"""Reference traces and clean ports in memory, without files."""

import functools

from gluon_classics.porting.fingerprint import fingerprint
from gluon_classics.porting.probe import probe_batch, probe_weights
from gluon_classics.porting.reference_trace import ReferenceTrace
from gluon_classics.porting.sources import source
from gluon_classics.porting.trace import RATES, compute
import numpy as np

# smaller inputs than the networks' own, where they allow them
SHAPES = {
    **{"resnet18_v1": (3, 64, 64), "efficientnet_b0": (3, 64, 64), "se_resnet50_v1": (3, 64, 64)},
    **{"googlenet_v1": (3, 64, 64), "vgg11": (3, 32, 32), "densenet_d2l": (1, 64, 64)},
}
_KEPT = ("input", "label", "mask", "loss", "param")


def _kept(key):
    parts = key.split("/")
    return parts[2] in ("input", "label", "mask") if parts[0] == "step" else parts[0] in _KEPT


@functools.lru_cache(maxsize=None)
def trace_and_port(name, steps=3):
    """Return the trace of a network, and a clean port: the same in float32, computed by MXNet one operation at a time."""
    network = source(name, SHAPES.get(name))
    graph = network.graph
    batches = [probe_batch(graph, 0, step, 2) for step in range(1, steps + 1)]
    constants = network.parameters() if any(row.role == "constant" for row in graph.parameters) else {}
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
    port, exact = (compute(graph, weights, batches, recipe, dtype) for dtype in ("float32", "float64"))
    fingerprints = {}
    for key, array in exact.items():
        norm = float(np.linalg.norm(array))
        error = float(np.linalg.norm(port[key] - array))
        fingerprints[key] = fingerprint(array, error / norm if norm else error)
    return ReferenceTrace(graph, recipe, {k: a for k, a in port.items() if _kept(k)}, fingerprints), port
