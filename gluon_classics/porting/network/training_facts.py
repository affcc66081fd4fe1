"""How a network is trained and what its input is, in neutral terms: loss, optimizer, initial values, preprocessing."""

from __future__ import annotations

import os
from typing import Any

import gluon_classics
from gluon_classics.data.augment_words import NONE, parse_augment
from gluon_classics.experiment.settings import (
    PUBLISHED,
    PYTORCH,
    WARM_UP_FROM,
    Settings,
    parse_channels,
    parse_initializer,
    parse_schedule,
)

from ..graph import Graph

REDUCTION = "mean over the batch of the per-example loss"
SGD = "state = momentum * state - learning_rate * (gradient + weight_decay * w); w = w + state"
_PLAIN_SGD = "w = w - learning_rate * (gradient + weight_decay * w)"
_ADADELTA = (  # MXNet's rho and epsilon
    "g = 0.9 * g + 0.1 * gradient^2; step = sqrt(d + 1e-5) / sqrt(g + 1e-5) * gradient; "
    "d = 0.9 * d + 0.1 * step^2; w = w - step - weight_decay * w; g and d start from 0"
)
_LOSSES = {
    "softmax_cross_entropy": "-log(softmax(x)[label])",
    "map": "x[label] + log(exp(-j) + sum over classes of exp(-x))",
    "squared_error": "mean over classes of (x - t)^2, where t is 1 for the label and -1 for all other classes",
}
_INITIALIZERS = {
    "xavier": (3.0, "uniform within +-sqrt({} / ((fan_in + fan_out) / 2))"),
    "normal": (0.01, "normal with mean 0 and standard deviation {}"),
    "uniform": (0.07, "uniform within +-{}"),
    "he": (2.0, "normal with mean 0 and standard deviation sqrt({} / fan_in)"),
    PYTORCH: (1.0, "uniform within +-{} / sqrt(fan_in)"),
}
_AUGMENTATIONS = {
    "flip": "mirrored left to right with probability 1/2",
    "crop": "a random part of the input's size, cut out with {} rows and columns of pixels 0 around the image",
    "resized-crop": "a random part with {} to 1 of the area and an aspect ratio of {} to its inverse, resized",
    "scale": "the shorter side resized to a random length of {} to {}, and a random part of the input's size cut out",
    "color": "brightness, contrast and saturation multiplied by random factors of 1 +- {}, {} and {}, in random order",
    "lighting": "random multiples of the principal components of ImageNet's colors added, of {} standard deviations",
    "affine": "moved, scaled, squeezed and sheared by random amounts of up to {} of the image",
}
PUBLISHED_INITIALIZER = "the network's own; each parameter names its initializer"


def training_facts(graph: Graph, settings: Settings | None) -> dict[str, Any]:
    """Return the facts of the training as a dictionary for JSON.

    Args:
        graph: The network, in training mode.
        settings: Settings of the training. Without them only the loss is known.
    """
    facts: dict[str, Any] = {
        "loss": {
            "terms": [
                {"of": row.output, "formula": _LOSSES[row.kind], "factor": row.factor, **row.settings}
                for row in graph.loss
            ],
            "reduction": REDUCTION,
        }
    }
    if settings is None:
        return facts
    formulas = {"sgd": SGD if settings.momentum else _PLAIN_SGD, "adadelta": _ADADELTA}
    rate = {"learning_rate": settings.learning_rate, "schedule": settings.schedule} if settings.has_rate else {}
    facts["optimizer"] = {
        "name": settings.optimizer,
        **rate,
        "momentum": settings.momentum,
        "weight_decay": settings.weight_decay,
        "weight_decay_applies_to": "all trainable parameters, biases, gamma and beta included",
        **({"formula": formulas[settings.optimizer]} if settings.optimizer in formulas else {}),
    }
    facts["batch_size"] = settings.batch_size
    facts["epochs"] = settings.epochs
    if settings.micro_batch_size:
        facts["micro_batch_size"] = settings.micro_batch_size
    if settings.freeze == "body":
        facts["frozen"] = "all parameters and running statistics except those of the layers that give the classes"
    facts["augmentation"] = augmentation_words(settings.augment)
    if settings.test_crops == "ten":
        facts["evaluation"] = (
            "mean probabilities of ten parts of the input's size: the corners and the middle, each also mirrored"
        )
    facts["initializer"] = _initializer(settings)
    facts["preprocessing"] = preprocessing(graph, settings)
    return facts


def _initializer(settings):
    words = {
        "weights": _initial_values(settings.init),
        "biases": f"{_initial_values(PYTORCH)}, of their layer" if settings.init == PYTORCH else "0",
    }
    if settings.init_from:
        start = f"those of {os.path.basename(settings.init_from)}"
        words = {role: f"{start}; of the new last layer: {text}" for role, text in words.items()}
        if not settings.new_head:
            return {"name": "init_from", **dict.fromkeys(words, start)}
    return {"name": settings.init, **words}


def augmentation_words(augment: str) -> str:
    """Return what happens to each training image each time that it is used, in words."""
    operations = parse_augment(augment)
    words = [_AUGMENTATIONS[name].format(*(f"{number:g}" for number in numbers)) for name, numbers in operations]
    return "; ".join(words) or NONE


def preprocessing(graph: Graph, settings: Settings) -> dict[str, Any]:
    """Return what happens to an image before it enters the network."""
    (shape,) = graph.inputs.values()
    channels, height, width = shape[1:]
    is_cut = settings.image_size and (height, width) == (settings.size, settings.size)
    crop = {"image_size": [settings.image_size] * 2, "crop": "the middle"} if is_cut else {}
    statistics = {
        words: list(parse_channels(name, getattr(settings, name)))
        for words, name in (("mean", "mean"), ("standard_deviation", "std"))
        if getattr(settings, name)
    }
    black, white = settings.pixels
    return {
        "size": [height, width],
        **crop,
        "fit": settings.fit,
        "resize": {
            "method": "bilinear, centers of pixels at half-integers, no antialiasing (OpenCV's INTER_LINEAR)",
            "type": _resize_type(settings),
            "rounding": "to whole pixel values" if _resize_type(settings) == "uint8" else "none",
        },
        **statistics,
        "pixel_0_becomes": black[0] if len(black) == 1 else list(black),
        "pixel_255_becomes": white[0] if len(white) == 1 else list(white),
        "channels": "grayscale" if channels == 1 else "red, green, blue" if channels == 3 else str(channels),
        "layout": "(N, C, H, W)",
    }


def schedule_words(schedule: str) -> str:
    """Return what a schedule multiplies the learning rate by, in words."""
    parsed = parse_schedule(schedule)
    parts = []
    if parsed.steps:
        steps = " ".join(f"{start}:{factor:g}" for start, factor in parsed.steps)
        parts.append(f"the factors {steps} (epoch:factor)")
    if parsed.cosine:
        parts.append("(1 + cos(pi * epoch / epochs)) / 2")
    if parsed.decay:
        parts.append("{:g} ** floor(epoch / {:g})".format(*parsed.decay))
    if parsed.plateau:
        fall, waited, most = parsed.plateau
        limit = f", {most} times at most" if most else ""
        parts.append(f"{fall:g} each time that {waited} epochs have not raised the accuracy{limit}")
    if parsed.warm_up:
        rest = 1 - WARM_UP_FROM
        parts.append(f"{WARM_UP_FROM:g} + {rest:g} * epoch / {parsed.warm_up} in the first {parsed.warm_up} epochs")
    return ", times ".join(parts)


def _resize_type(settings):
    """Return the number type in which test images are resized."""
    return "float32" if settings.resize_in == "float32" else "uint8"


def _initial_values(init):
    name, number = parse_initializer(init)
    if name == PUBLISHED:
        return PUBLISHED_INITIALIZER
    default, words = _INITIALIZERS[name]
    return words.format(f"{default if number is None else number:g}")


def recipe_settings(settings: Settings | None) -> dict[str, float]:
    """Return the momentum and weight decay of a trace: those of the published training, else values that matter."""
    published = gluon_classics.model_info(settings.model).training if settings else {}
    return {
        "momentum": published.get("momentum") or 0.9,
        "weight_decay": published.get("weight_decay") or 1e-4,
    }
