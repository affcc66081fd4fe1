"""Write docs/graph.schema.json, the JSON schema of graph.json, from the operator table.

python tools/make_graph_schema.py
"""

import json
from pathlib import Path

from gluon_classics._files import write_text
from gluon_classics.porting.graph import SCHEMA, VERSION
from gluon_classics.porting.operators import KINDS

FILE = Path(__file__).resolve().parents[1] / "docs" / "graph.schema.json"

TEXT, NUMBER, INTEGER, BOOLEAN = ({"type": name} for name in ("string", "number", "integer", "boolean"))
SIZES = {"type": "array", "items": INTEGER}
PER_CHANNEL = {"type": ["number", "array"], "items": NUMBER, "description": "For all channels, or for each."}
SHAPE = {
    "type": "array",
    "items": {"type": ["integer", "null"]},
    "description": "Sizes of the axes; null is the number of images.",
}
SETTINGS = {
    **dict.fromkeys(("channels", "groups", "units", "axis", "begin", "end", "scale", "block_size"), INTEGER),
    **dict.fromkeys(("kernel", "stride", "padding", "output_padding", "dilation", "flattened", "order"), SIZES),
    **dict.fromkeys(("axes", "shared_axes", "begins", "ends"), SIZES),
    **dict.fromkeys(("eps", "momentum_keep", "alpha", "beta", "k", "drop", "slope", "low", "high", "value"), NUMBER),
    **dict.fromkeys(("scalar",), NUMBER),
    **dict.fromkeys(("flatten", "use_running", "fixed_gamma", "include_pad", "keepdims", "align_corners"), BOOLEAN),
    "alpha_divided_by_size": {"const": True},
    "variance": {"const": "biased"},
    "rounding": {"enum": ["floor", "ceil"]},
    "mode": {"enum": ["constant", "edge", "reflect"]},
    "widths": {"type": "array", "items": SIZES},
    "shape": SHAPE,
    "transposed": {"type": "array", "items": BOOLEAN},
}
PAIR = {"adaptive_average_pool": {"size": SIZES}, "resize_bilinear": {"size": SIZES}}


def record(properties, required=None, more=False, **words):
    """Return the schema of an object; all of its properties are required unless `required` names them."""
    names = list(properties) if required is None else list(required)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": more, **words}


def by_name(value, **words):
    """Return the schema of an object whose keys are names."""
    return {"type": "object", "additionalProperties": value, **words}


def settings_of(kind, entry):
    types = {**SETTINGS, "size": INTEGER, **PAIR.get(kind, {})}
    properties = {name: types[name] for name in (*entry.settings, *entry.sometimes)}
    return {
        "if": {"properties": {"kind": {"const": kind}}},
        "then": {"properties": {"settings": record(properties, entry.settings)}, "description": entry.formula},
    }


def training():
    term = record({"of": TEXT, "formula": TEXT, "factor": NUMBER}, more=True)
    optimizer = {
        **{"name": TEXT, "learning_rate": NUMBER, "schedule": TEXT, "momentum": NUMBER, "weight_decay": NUMBER},
        **{"weight_decay_applies_to": TEXT, "formula": TEXT},
    }
    known = [name for name in optimizer if name not in ("learning_rate", "schedule", "formula")]  # adadelta has no rate
    resize = record({"method": TEXT, "type": {"enum": ["uint8", "float32"]}, "rounding": TEXT})
    image = {
        **{"size": SIZES, "fit": {"enum": ["resize", "pad", "crop"]}, "resize": resize},
        **{"pixel_0_becomes": PER_CHANNEL, "pixel_255_becomes": PER_CHANNEL, "channels": TEXT, "layout": TEXT},
    }
    sometimes = {"image_size": SIZES, "crop": TEXT, "mean": PER_CHANNEL, "standard_deviation": PER_CHANNEL}
    parts = {
        "loss": record({"terms": {"type": "array", "items": term}, "reduction": TEXT}),
        "optimizer": record(optimizer, known),
        "batch_size": INTEGER,
        "epochs": INTEGER,
        "augmentation": TEXT,
        **{"micro_batch_size": INTEGER, "frozen": TEXT, "evaluation": TEXT},
        "initializer": record({"name": TEXT, "weights": TEXT, "biases": TEXT}),
        "preprocessing": record({**image, **sometimes}, list(image)),
    }
    return record(parts, ["loss"], description="How the network is trained. Only the loss is always known.")


def schema():
    operation = {
        **record(
            {
                **{"name": TEXT, "kind": TEXT, "inputs": {"type": "array", "items": TEXT}},
                "parameters": by_name(TEXT, description="Names of its parameters by role."),
                **{"settings": {"type": "object"}, "output_shape": SHAPE, "block": TEXT},
            }
        ),
        "allOf": [settings_of(kind, entry) for kind, entry in KINDS.items()],
    }
    parameter = {
        **{"name": TEXT, "role": TEXT, "shape": SIZES, "axes": {"type": "array", "items": TEXT}},
        **{"trainable": BOOLEAN, "initializer": TEXT},
    }
    loss = {"kind": {"enum": ["softmax_cross_entropy", "map", "squared_error"]}, "output": TEXT, "factor": NUMBER}
    properties = {
        "schema": {"const": SCHEMA},
        "version": {"const": VERSION},
        "network": TEXT,
        "inputs": by_name(SHAPE),
        "operations": {"type": "array", "items": operation},
        "parameters": {"type": "array", "items": record(parameter)},
        "outputs": {"type": "array", "items": TEXT, "description": "The first one is the prediction."},
        "loss": {"type": "array", "items": record({**loss, "settings": {"type": "object"}})},
        "blocks": by_name(TEXT, description="Operation that is the output of each block, by the block's path."),
        "block_kinds": by_name(TEXT, description="Class name of each block by its path."),
        "training": training(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A network as a list of operations (gluon-classics describe --json)",
        **record(properties, [name for name in properties if name not in ("block_kinds", "training")]),
    }


def text():
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    write_text(FILE, text())
