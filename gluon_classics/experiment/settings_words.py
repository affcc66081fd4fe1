"""The settings of a run in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Callable

from gluon_classics.data.augment_words import parse_augment

from .settings import WEIGHTS, Settings, parse_schedule

AUGMENTATIONS: dict[str, Callable[..., str]] = {  # an augmentation with its numbers, in words
    "flip": lambda: "random flips",
    "crop": lambda border: f"random crops{f' of images padded by {border}' if border else ''}",
    "resized-crop": lambda area, ratio: (
        f"random crops of {100 * area:g} to 100 % of the area with aspect ratios of {ratio:g} to {1 / ratio:.2f}"
    ),
    "scale": lambda low, high: (
        f"random crops of images whose shorter side has {low}{f' to {high}' if high > low else ''} pixels"
    ),
    "color": lambda *shares: f"random brightness, contrast and saturation (up to {_percents(shares)})",
    "lighting": lambda sd: f"random lighting (standard deviation {sd:g})",
    "affine": lambda share: f"random shifts, scales and shears (up to {100 * share:g} %)",
}
CUT_FROM = {  # by how images are brought to the size from which crops are cut
    "resize": "cut from images of {0}x{0}",
    "pad": "cut from images padded to {0}x{0}",
    "crop": "cut from images whose shorter side has {} pixels",
}
UNUSUAL: dict[str, Callable[[Settings], str]] = {  # settings that are shown where they are not the default, in words
    "validation_share": lambda settings: f"{100 * (settings.validation_share or 0):g} % held out for validation",
    "micro_batch_size": lambda settings: f"{settings.micro_batch_size} images computed at a time",
    "patience": lambda settings: f"stop after {settings.patience} epochs without a higher accuracy",
    "momentum": lambda settings: f"momentum {settings.momentum}",
    "weight_decay": lambda settings: f"weight decay {settings.weight_decay}",
    "image_size": lambda settings: CUT_FROM[settings.fit].format(settings.image_size),
    "fit": lambda settings: "" if settings.image_size else f"fit {settings.fit}",
    "resize_in": lambda settings: f"resizing {settings.resize_in}",
    "mean": lambda settings: f"pixels minus {settings.mean}",
    "std": lambda settings: f"{'' if settings.mean else 'pixels '}divided by {settings.std}",
    "augment": lambda settings: ", ".join(
        AUGMENTATIONS[name](*numbers) for name, numbers in parse_augment(settings.augment)
    ),
    "test_crops": lambda settings: f"{settings.test_crops} crops in tests",
    "last_batch": lambda settings: f"last batch {settings.last_batch}",
    "new_head": lambda settings: "new last layer",
    "freeze": lambda settings: "only the last layer trained",
    "reported": lambda settings: f"{settings.reported} {settings.metric.replace('_', ' ')}",
}


def _percents(shares):
    """Return shares in words: one if they are equal."""
    shown = shares[:1] if len(set(shares)) == 1 else shares
    return ", ".join(f"{100 * share:g} %" for share in shown)


def settings_words(settings: Settings, without: Collection[str] = ()) -> str:
    """Return what decides a run, in one line. `without` names fields to leave out."""
    schedule = f" ({schedule_words(settings.schedule)})" if settings.schedule else ""
    rate = f"{settings.learning_rate:g}{schedule}" if settings.has_rate else ""
    optimizer = settings.optimizer if "optimizer" not in without else "lr" if rate else ""
    weights = f" ({settings.weights} weights)" if settings.weights != WEIGHTS[0] else ""
    parts = {
        "resize": f"{settings.size}x{settings.size}",
        "batch_size": f"batch {settings.batch_size}",
        "learning_rate": f"{optimizer} {rate}".strip(),
        "init": f"{settings.init}{weights}",
        **{
            field.name: UNUSUAL[field.name](settings)
            for field in fields(Settings)
            if field.name in UNUSUAL and getattr(settings, field.name) != field.default
        },
        "epochs": f"{settings.epochs} epochs" if settings.epochs > 1 else "1 epoch",
    }
    return ", ".join(words for name, words in parts.items() if words and name not in without)


def schedule_words(schedule: str) -> str:
    """Return a learning-rate schedule with the part "plateau" in words."""
    plateau = parse_schedule(schedule).plateau
    if plateau is None:
        return schedule
    factor, epochs, most = plateau
    times = "" if most is None else f", {most} times at most"
    words = f"{factor:g} times the rate after {epochs} epochs without a higher accuracy{times}"
    others = [word for word in schedule.split() if not word.startswith("plateau:")]
    return "; ".join([*([" ".join(others)] if others else []), words])
