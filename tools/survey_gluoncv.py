"""Measure how many classification models of GluonCV the porting kit describes, traces and exports to ONNX.

    pip install -e '.[cpu,gluoncv]'
    python tools/survey_gluoncv.py            every model that docs/gluoncv.json lacks
    python tools/survey_gluoncv.py NAME...    these models again
    python tools/survey_gluoncv.py --write    only write the tables in docs/porting.md

The models get random weights, and the smallest images that they take. "Described" means that every operator is known,
"traced" that MXNet computes a training step of the described network, and that its prediction equals that of GluonCV's
own network, up to rounding. "Exported" means that onnxruntime does too, with the ONNX file. Each model has its own
process, so that its memory is freed. Its result is written to docs/gluoncv.json at once.
"""

from __future__ import annotations

from importlib import import_module, metadata
import json
from pathlib import Path
import re
import subprocess
import sys
import tempfile

from markers import with_content

ROOT = Path(__file__).parents[1]
FILE, PAGE = ROOT / "docs" / "gluoncv.json", ROOT / "docs" / "porting.md"
START, END = "<!-- gluoncv -->\n", "<!-- /gluoncv -->"
STEPS = ("described", "traced", "exported")
# models that do not map an image, or a clip of images, to one score per class; quantized models, which are files
OTHER_TASKS = re.compile(
    r"ssd|yolo|rcnn|center_net|fcn|psp|deeplab|icnet|fastscnn|danet|pose|siamrpn|monodepth|hrnet.*_s$|_int8$"
)
# GluonCV builds these models by name only with downloaded weights: it ignores pretrained_base=False, or fails with it
DOWNLOADED = re.compile(r"(resnet|vgg|inceptionv)(\d+)(_v1b)?_(kinetics400|sthsthv2|ucf101|hmdb51|custom)")
CLASSES = {
    "resnet": ("actionrec_resnetv1b", "ActionRecResNetV1b"),
    "vgg16": ("actionrec_vgg16", "ActionRecVGG16"),
    "inceptionv1": ("actionrec_inceptionv1", "ActionRecInceptionV1"),
    "inceptionv3": ("actionrec_inceptionv3", "ActionRecInceptionV3"),
}
SIDES = (64, 96, 112, 128, 160, 224, 299, 331)  # of images, in pixels
FRAMES = {  # of a clip; SlowFast takes those of its fast path, then those of its slow path
    r"slowfast_4x16_": 32 + 4,
    r"slowfast_8x8_": 32 + 8,
    r"slowfast_16x8_": 64 + 16,
    r"(c3d|p3d|r2plus1d)_": 16,
    r"i3d_": 32,
}
SECONDS = 900  # for one model
ARRAYS_ALONE = "GluonCV's code for a layer runs with arrays alone, so that MXNet cannot hybridize the network"


def main(arguments):
    if arguments[:1] == ["--one"]:
        print(json.dumps(examine(arguments[1])), flush=True)
        return
    if arguments != ["--write"]:
        known = read()["models"] if FILE.is_file() else {}
        for name in arguments or [name for name in classification_models() if name not in known]:
            known[name] = in_own_process(name)
            print(json.dumps({name: known[name]}), flush=True)
            write(known)
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(table(read()))


def read():
    """Return the content of docs/gluoncv.json."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def write(models):
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(models[name])}" for name in sorted(models))
    version = json.dumps(metadata.version("gluoncv"))
    FILE.write_text(f'{{"gluoncv": {version}, "models": {{\n{rows}\n}}}}\n', encoding="utf-8")


def table(content):
    """Return the results of all models as a Markdown table of counts, and one of the models that fail."""
    models = content["models"]
    passed = {step: [row for row in models.values() if row[step]] for step in STEPS}
    traced, exported = (
        max((row[f"{step}_distance"] for row in passed[done]), default=0.0)
        for step, done in (("trace", "traced"), ("onnx", "exported"))
    )
    by_class = sum(row.get("built") == "by class" for row in models.values())
    lines = [
        f"| the {len(models)} classifiers of GluonCV {content['gluoncv']} | models | largest error |",
        "|---|--:|--:|",
        f"| described, every operator | {len(passed['described'])} | |",
        f"| traced | {len(passed['traced'])} | {traced:.1e} |",
        f"| exported to ONNX, verified by onnxruntime | {len(passed['exported'])} | {exported:.1e} |",
        "",
        f"{by_class} of them are built from their classes in Python, because GluonCV builds them by name only with "
        "downloaded weights.",
    ]
    reasons: dict[str, list[str]] = {}
    for name, row in sorted(models.items()):
        if not all(row[step] for step in STEPS):
            reasons.setdefault(reason(row), []).append(name)
    if reasons:
        lines += ["", "| what fails | why |", "|---|---|"]
        lines += [f"| {', '.join(f'`{name}`' for name in names)} | {why} |" for why, names in reasons.items()]
    return "\n".join(lines)


def reason(row):
    """Return why a model failed in one of the steps."""
    if "missing" in row:
        return f"lacks the operators {', '.join(row['missing'])}"
    if "reason" in row:
        return row["reason"]
    error = max(row["trace_distance"], row["onnx_distance"])
    return (
        f"the error {error:.1e} exceeds the limit {row['limit']:.1e}; with these random weights MXNet's own prediction "
        f"in float32 differs by {row['rounding']:.1e} from that in float64"
    )


def with_table(text):
    """Return `text` with the current tables between the markers."""
    return with_content(text, START, END, table(read()))


def classification_models():
    import gluon_classics  # noqa: F401  prepares the import of MXNet
    from gluoncv import model_zoo

    return [name for name in model_zoo.get_model_list() if not OTHER_TASKS.search(name)]


def in_own_process(name):
    command = [sys.executable, __file__, "--one", name]
    failed = dict.fromkeys(STEPS, False)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {**failed, "reason": f"takes more than {SECONDS} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {**failed, "reason": f"the process ended with exit status {done.returncode}"}
    return json.loads(lines[-1])


def examine(name):
    """Return what the porting kit can do with a model, as a dictionary for JSON."""
    from gluon_classics.errors import ClassicsError, InputSizeError
    from gluon_classics.porting.network.capture import UnsupportedOperators
    from mxnet.base import MXNetError

    result = dict.fromkeys(STEPS, False)
    for side in (32,) if name.startswith("cifar_") else SIDES:
        frames = next((count for pattern, count in FRAMES.items() if re.match(pattern, name)), None)
        result["input"] = [3, side, side] if frames is None else [3, frames, side, side]
        try:
            network, result["built"] = built(name, result["input"])
            break
        except UnsupportedOperators as error:
            return {**result, "missing": sorted(set(error.found.values()))}
        except (InputSizeError, MXNetError, ZeroDivisionError) as error:  # layers raise the last two at a wrong size
            result["reason"] = short(error)
        except ClassicsError as error:
            return {**result, "reason": ARRAYS_ALONE if "cannot be read as a graph" in str(error) else short(error)}
    else:
        return result
    result.update(described=True, operations=len(network.graph.operations), reason="")
    for step in (examine_trace, examine_export):
        try:
            result.update(step(network))
        except (ClassicsError, MXNetError) as error:
            result["reason"] = short(error)
    if not ((result["traced"] and result["exported"]) or result["reason"]):
        result["rounding"] = rounding(network)
    return {key: value for key, value in result.items() if value != ""}


def short(error):
    """Return the last line of an error without addresses and paths."""
    return re.sub(r"\(?\S*/\S+", "", (str(error).strip().splitlines() or [type(error).__name__])[-1])[:200].strip()


def built(name, shape):
    """Return a model as a source, and how it was built."""
    from gluon_classics.porting.network.sources import GLUONCV, from_block, source
    import mxnet as mx

    match = DOWNLOADED.fullmatch(name)
    if not match:
        return source(GLUONCV + name, shape), "by name"
    module, class_name = next(row for start, row in CLASSES.items() if name.startswith(start))
    made = getattr(import_module(f"gluoncv.model_zoo.action_recognition.{module}"), class_name)
    depth = {"depth": int(match[2])} if match[1] == "resnet" else {}
    net = made(nclass=10, pretrained_base=False, **depth)
    net.initialize(mx.init.Xavier())
    return from_block(net, shape, name, weights="random weights"), "by class"


def examine_trace(network):
    from gluon_classics.porting.export.export import rounding_limit
    from gluon_classics.porting.reference import execution
    from gluon_classics.porting.reference.values import OWN, TraceOptions, compute, prepared
    import numpy as np

    start = prepared(network, OWN, TraceOptions(steps=1))
    loss = float(dict(compute(network.graph, start, "float32"))["loss"])
    (name,) = network.graph.inputs
    images = start.batches[0].images
    graph = network.graph.for_prediction()
    found = execution.predict(graph, {name: images, **network.parameters()})[graph.outputs[0]]
    expected = network.predict(images)
    distance = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    limit = rounding_limit(network.graph)
    if not np.isfinite(loss):
        return {"reason": "the loss is not finite", "trace_distance": distance, "limit": limit}
    return {"traced": distance <= limit, "trace_distance": distance, "limit": limit}


def rounding(network):
    """Return the relative L2 distance of the predictions that MXNet computes in float32 and in float64."""
    from gluon_classics.porting.reference import execution
    import numpy as np

    (name,) = network.graph.inputs
    graph = network.graph.for_prediction()
    values = {name: np.random.RandomState(0).normal(size=(1, *network.input_shape)), **network.parameters()}
    single, double = (
        execution.predict(graph, {key: array.astype(dtype) for key, array in values.items()})[graph.outputs[0]]
        for dtype in ("float32", "float64")
    )
    return float(np.linalg.norm(single - double) / np.linalg.norm(double))


def examine_export(network):
    from gluon_classics.porting.export import export

    parameters = network.parameters()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        export.write(network.graph, parameters, "onnx", path)
        check = export.verify("onnx", path, network.graph, network.predict)
    return {"exported": check.passed, "onnx_distance": check.error, "limit": check.limit}


if __name__ == "__main__":
    main(sys.argv[1:])
