"""Try every classification model of GluonCV with the porting kit, and print how many can be described and traced.

    pip install -e '.[cpu,gluoncv]'
    python tools/survey_gluoncv.py [NAME...]

The models get random weights, and the smallest images that they take. "Described" means that every operator is known.
"Traced" means that MXNet computes one training step of the described network, and that its prediction equals that of
GluonCV's own network. "Not built" means that GluonCV itself cannot build the model without downloading weights. Each
model has its own process, so that its memory is freed.
"""

from __future__ import annotations

from collections import Counter
import json
import re
import subprocess
import sys

# models that do not map an image, or a clip of images, to one score per class; quantized models need downloaded files
OTHER_TASKS = re.compile(
    r"ssd|yolo|rcnn|center_net|fcn|psp|deeplab|icnet|fastscnn|danet|pose|siamrpn|monodepth|hrnet.*_s$|_int8$|_custom$"
)
CLIPS = re.compile(r"^(i3d|slowfast|c3d|p3d|r2plus1d)_")
SIDES = (64, 96, 128, 224, 299, 331)  # of images, in pixels
FRAMES = 32
SECONDS = 400  # for one model
LIMIT = 2e-4  # largest relative L2 distance of two float32 predictions: 20 times a clean port's, for up to 450 layers
RESULTS = ("traced", "differs", "unsupported", "failed", "not built")


def main(names):
    if names[:1] == ["--one"]:
        print(json.dumps(examine(names[1])), flush=True)
        return
    results: dict[str, list] = {kind: [] for kind in RESULTS}
    lacking: Counter[str] = Counter()
    for name in names or classification_models():
        row = in_own_process(name)
        results[row["result"]].append(name)
        lacking.update(set(row.get("operators", ())))
        print(json.dumps({"model": name, **row}), flush=True)
    total = sum(map(len, results.values()))
    described = sum(len(results[kind]) for kind in RESULTS[:2])
    print(f"{total} models: {described} described, {len(results['traced'])} traced")
    for kind in RESULTS[1:]:
        if results[kind]:
            print(f"{kind}: {', '.join(results[kind])}")
    if lacking:
        print("operators that models lack: " + ", ".join(f"{name} ({count})" for name, count in lacking.most_common()))


def classification_models():
    import gluon_classics  # noqa: F401  prepares the import of MXNet
    from gluoncv import model_zoo

    return [name for name in model_zoo.get_model_list() if not OTHER_TASKS.search(name)]


def in_own_process(name):
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"result": "failed", "reason": f"took more than {SECONDS} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"result": "failed", "reason": (done.stderr.strip().splitlines() or ["no output"])[-1][:300]}
    return json.loads(lines[-1])


def examine(name):
    """Return what the porting kit can do with a model, as a dictionary for JSON."""
    from gluon_classics.errors import ClassicsError, InputSizeError
    from gluon_classics.porting.network.capture import UnsupportedOperators
    from gluon_classics.porting.network.sources import GLUONCV, source
    from mxnet.base import MXNetError

    for side in SIDES:
        shape = (3, FRAMES, side, side) if CLIPS.match(name) else (3, side, side)
        try:
            return {"input": shape, **examine_at(source(GLUONCV + name, shape))}
        except UnsupportedOperators as error:
            return {"result": "unsupported", "input": shape, "operators": sorted(set(error.found.values()))}
        except (InputSizeError, MXNetError, ZeroDivisionError) as error:
            reason = str(error).strip().splitlines()[-1]
        except ClassicsError as error:
            result = "not built" if str(error).startswith("GluonCV cannot build") else "failed"
            return {"result": result, "reason": str(error)[:300]}
    return {"result": "failed", "reason": reason[:300]}


def examine_at(network):
    from gluon_classics.porting.reference import execution
    from gluon_classics.porting.reference.values import TraceOptions, compute, prepared
    import numpy as np

    start = prepared(network, "probe", TraceOptions(steps=1))
    loss = float(dict(compute(network.graph, start, "float32"))["loss"])
    own = network.parameters()
    (name,) = network.graph.inputs
    images = start.batches[0].images
    found = execution.predict(network.graph.for_prediction(), {name: images, **own})[network.graph.outputs[0]]
    expected = network.predict(images)
    distance = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    result = "traced" if distance < LIMIT and np.isfinite(loss) else "differs"
    return {"result": result, "operations": len(network.graph.operations), "distance": distance, "loss": loss}


if __name__ == "__main__":
    main(sys.argv[1:])
