"""Describe a network for a porter: each operation in words, with every setting, and how the network is trained."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from gluon_classics._format import format_shape

from ..graph import Graph, Operation
from ..operators import KINDS
from .training_facts import schedule_words

_FITS = {
    "resize": "resized",
    "pad": "padded with pixels 0",
    "crop": "the shorter side resized and the longer one cut",
}
_STATISTICS = {"mean": "mean", "standard_deviation": "standard deviation"}


class Row(NamedTuple):
    """A row of the table of operations.

    Attributes:
        name: Name of the operation.
        what: Its kind and settings.
        inputs: Where its inputs come from; empty if from the row above.
        output: Shape of its output, without the number of images.
        parameters: Its parameters with their shapes.
    """

    name: str
    what: str
    inputs: str
    output: str
    parameters: str


def description(graph: Graph, training: dict[str, Any]) -> str:
    """Return the content of graph.json: the graph and the facts of the training, as JSON text."""
    return json.dumps({**json.loads(graph.to_json()), "training": training}, indent=1) + "\n"


def table_rows(graph: Graph) -> list[Row]:
    """Return a row for each operation. Operations that only arrange one layer's parameters share a row."""
    rows: list[Row] = []
    arranging: list[Operation] = []
    shapes = {row.name: row.shape for row in graph.parameters}
    above = next(iter(graph.inputs))
    constant = set(shapes)
    for operation in graph.operations:
        if operation.inputs and constant.issuperset(operation.inputs) and not operation.parameters:
            constant.add(operation.name)
            arranging.append(operation)
            continue
        inputs = [name for name in operation.inputs if name not in constant]
        if arranging:
            rows.append(_arrangement(arranging, shapes))
            arranging = []
        given = ", ".join(operation.inputs)
        parameters = ", ".join(_parameter(role, name, shapes) for role, name in operation.parameters.items())
        rows.append(
            Row(
                operation.name,
                in_words(operation),
                "" if operation.inputs == (above,) and inputs else given,
                format_shape(operation.output_shape[1:]) or "1",
                parameters,
            )
        )
        above = operation.name
    return rows


def _arrangement(operations, shapes):
    used = dict.fromkeys(name for row in operations for name in row.inputs if name in shapes)
    parameters = ", ".join(f"{name} {format_shape(shapes[name])}" for name in used)
    count = len(operations)
    what = "1 operation on a parameter" if count == 1 else f"{count} operations on parameters"
    kinds = ", ".join(dict.fromkeys(_title(row.kind) for row in operations))
    last = operations[-1]
    return Row(last.name, f"{what}: {kinds}", ", ".join(used), format_shape(last.output_shape), parameters)


def _parameter(role, name, shapes):
    return f"{role} {format_shape(shapes[name])}" if name in shapes else f"{role} = {name}"


def in_words(operation: Operation) -> str:
    """Return the kind of an operation and its settings in words."""
    words = _WORDS.get(operation.kind, _plain_words)(operation.settings)
    if operation.kind in ("convolution", "transposed_convolution", "dense") and "bias" not in operation.parameters:
        words = [*words, "no bias"]
    return ", ".join([_title(operation.kind), *words])


def _title(kind):
    return kind.replace("_", " ")


def _plain_words(settings):
    return [f"{name.replace('_', ' ')} {_text(value)}" for name, value in settings.items()]


def _text(value):
    if isinstance(value, list):
        return "x".join("N" if item is None else _text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _window(settings):
    stride, padding = settings["stride"], settings["padding"]
    words = [f"stride {_equal(stride)}"]
    half = len(padding) // 2
    names = ("top", "left", "bottom", "right") if half == 2 else ("before", "after")
    if len(set(padding)) == 1:
        words.append(f"padding {padding[0]}" if padding[0] else "no padding")
    elif padding[:half] == padding[half:]:
        words.append(f"padding {_text(padding[:half])}")
    else:
        words.append("padding " + " ".join(f"{name} {size}" for name, size in zip(names, padding)))
    if set(settings.get("dilation", [1])) != {1}:
        words.append(f"dilation {_equal(settings['dilation'])}")
    if settings.get("groups", 1) > 1:
        words.append(f"{settings['groups']} groups")
    return words


def _equal(sizes):
    return str(sizes[0]) if len(set(sizes)) == 1 else _text(sizes)


def _convolution(settings):
    added = settings.get("output_padding", [0])
    return [
        f"{settings['channels']} channels, kernel {_text(settings['kernel'])}",
        *_window(settings),
        *([f"output padding {_equal(added)}"] if any(added) else []),
    ]


def _dense(settings):
    if "flattened" in settings:
        order = f"flattens {_text(settings['flattened'])} in C, H, W order"
    else:
        order = "" if settings["flatten"] else "on the last axis"
    return [f"{settings['units']} units", *([order] if order else [])]


def _pool(settings):
    included = {True: ["padding counts as zeros"], False: ["padding does not count"], None: []}
    padded = any(settings["padding"])
    return [
        f"kernel {_text(settings['kernel'])}",
        *_window(settings),
        f"rounds {'up' if settings['rounding'] == 'ceil' else 'down'}",
        *(included[settings.get("include_pad")] if padded else []),
    ]


def _batch_norm(settings):
    words = [f"eps {settings['eps']:g}", f"running statistics keep {settings['momentum_keep']:g}"]
    words += ["uses running statistics in training too"] * settings["use_running"]
    words += ["gamma fixed at 1"] * settings["fixed_gamma"]
    return words + [f"axis {settings['axis']}"] * (settings["axis"] != 1)


def _local_response_norm(settings):
    return [
        f"size {settings['size']}, alpha {settings['alpha']:g} / size, beta {settings['beta']:g}, k {settings['k']:g}"
    ]


def _dropout(settings):
    axes = settings["shared_axes"]
    if axes == [1, 2, 3]:
        return [f"drops whole images (drop path) with probability {settings['drop']:g}"]
    shared = [f"one draw for axes {_text(axes).replace('x', ', ')}"] if axes else []
    return [f"drops with probability {settings['drop']:g}", *shared]


def _drop_block(settings):
    size = settings["block_size"]
    return [f"drops squares of {size}x{size} with probability {settings['drop']:g}, the same ones in all images"]


_WORDS = {
    "convolution": _convolution,
    "transposed_convolution": _convolution,
    "dense": _dense,
    "max_pool": _pool,
    "average_pool": _pool,
    "batch_norm": _batch_norm,
    "local_response_norm": _local_response_norm,
    "dropout": _dropout,
    "drop_block": _drop_block,
}


def conventions(graph: Graph) -> list[str]:
    """Return what a porter has to know of the kinds of operations in a network, one line each."""
    kinds = {operation.kind for operation in graph.operations}
    lines = [f"{_title(kind)}: {KINDS[kind].formula}." for kind in KINDS if kind in kinds and kind in _EXPLAINED]
    kept = {row.settings["momentum_keep"] for row in graph.operations if row.kind == "batch_norm"}
    for keep in sorted(kept):
        lines.append(
            f"batch norm in other frameworks: a share of {keep:g} kept is momentum {1 - keep:.4g} in PyTorch and "
            f"{keep:g} in Keras and Flax. PyTorch's running variance is unbiased, n / (n - 1) times as large."
        )
    return lines


_EXPLAINED = {
    *("convolution", "transposed_convolution", "dense", "batch_norm", "layer_norm", "instance_norm", "group_norm"),
    *("prelu", "max_pool", "average_pool", "local_response_norm", "dropout", "drop_block", "relu"),
    *("leaky_relu", "elu", "gelu", "resize_bilinear"),
}


def initial_values(graph: Graph) -> str:
    """Return the parameters that set their initial values themselves, grouped, or an empty string."""
    groups: dict[tuple[str, str], int] = {}
    for row in graph.parameters:
        if row.initializer:
            key = (row.role, "fixed values" if row.initializer.startswith("_") else row.initializer)
            groups[key] = groups.get(key, 0) + 1
    return ", ".join(f"{role} {initializer} ({count}x)" for (role, initializer), count in groups.items())


def training_lines(graph: Graph, facts: dict[str, Any]) -> list[str]:
    """Return the facts of the training in words, one line each."""
    lines = []
    for term in facts["loss"]["terms"]:
        factor = "" if term["factor"] == 1 else f"{term['factor']:g} times "
        constants = "".join(f", {name} = {term[name]:g}" for name in term if name not in ("of", "formula", "factor"))
        lines.append(f"loss: {factor}{term['formula']} of x = {term['of']}{constants}")
    lines.append(f"loss of a batch: {facts['loss']['reduction']}")
    own = initial_values(graph)
    if "optimizer" not in facts:
        return lines + ([f"initial values: {own}"] if own else [])
    optimizer = facts["optimizer"]
    rate = "without a learning rate"
    if "learning_rate" in optimizer:
        schedule = f", times {schedule_words(optimizer['schedule'])}" if optimizer["schedule"] else ""
        rate = f"learning rate {optimizer['learning_rate']:g}{schedule}"
    lines.append(
        f"optimizer: {optimizer['name']}, {rate}, "
        f"momentum {optimizer['momentum']:g}, weight decay {optimizer['weight_decay']:g} "
        f"({optimizer['weight_decay_applies_to']})"
    )
    if "formula" in optimizer:
        lines.append(f"update: {optimizer['formula']}")
    parts = f", computed in parts of {facts['micro_batch_size']}" if "micro_batch_size" in facts else ""
    lines.append(f"batch size {facts['batch_size']}{parts}, {facts['epochs']} epoch{'s' * (facts['epochs'] > 1)}")
    if "frozen" in facts:
        lines.append(f"not trained: {facts['frozen']}")
    lines.append(f"initial weights: {facts['initializer']['weights']}; biases {facts['initializer']['biases']}")
    if facts["augmentation"] != "none":
        lines.append(f"augmentation of each training image: {facts['augmentation']}")
    if own:
        lines.append(f"initial values that the network sets: {own}")
    image = facts["preprocessing"]
    fit = _FITS[image["fit"]]
    method = f", {image['resize']['method']}, in {image['resize']['type']}" if image["fit"] != "pad" else ""
    crop = f"; its middle of {format_shape(image['size'])} is cut out" if "image_size" in image else ""
    lines.append(f"image: {fit} to {format_shape(image.get('image_size', image['size']))}{method}{crop}")
    if "evaluation" in facts:
        lines.append(f"tests: {facts['evaluation']}")
    low, high = (_numbers(image[f"pixel_{value}_becomes"]) for value in (0, 255))
    lines.append(f"pixels: 0..255 become {low}..{high}; channels {image['channels']}; layout {image['layout']}")
    statistics = [f"{words} {_numbers(image[key])}" for key, words in _STATISTICS.items() if key in image]
    if statistics:
        lines.append(f"these are pixels / 255, less the mean, over the standard deviation: {', '.join(statistics)}")
    return lines


def _numbers(value):
    return " ".join(f"{number:g}" for number in (value if isinstance(value, list) else [value]))


def unsupported(graph: Graph) -> str:
    """Return the operations without a neutral kind, with MXNet's operators, or an empty string."""
    return ", ".join(f"{row.name} ({row.kind})" for row in graph.operations if row.kind not in KINDS)
