"""The published settings of a network, for images and sizes that its source did not have."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any, Mapping

from gluon_classics import model_info
from gluon_classics._format import joined
from gluon_classics.data.augment_words import COLOR_CHANGES, NONE, parse_augment
from gluon_classics.errors import SettingsError
import numpy as np

from .settings import Settings, parse_channels

PIXEL_VALUES = ("mean", "std", "background", "foreground")  # what network inputs follow from
# beginnings of parts of `ModelInfo.not_done`, and the settings that settle them: one of the groups, all of its settings
SETTLED_BY = {
    "initial weights": (("init",), ("init_from",)),
    "weights of a network": (("init_from",),),
    "how long": (("schedule",),),
    "a rate": (("schedule",), ("optimizer",)),
    "the rate": (("schedule",),),
    "10,000 steps": (("epochs",),),
    "20,000 steps": (("epochs",),),
    "tests on": (("test_crops",), ("image_size",)),
    "batch size": (("batch_size", "learning_rate", "epochs"),),
    "momentum, weight decay": (("momentum", "weight_decay", "schedule"),),
}
_LEFT_OUT = {"mean": "mean", "std": "std", "augment": "changes of colors"}


def published_settings(model: str, **given: Any) -> Settings:
    """Return the settings that a network was published with, changed by what is `given` and not None.

    If the network's input gets another size, so do the images that it is cut from, in proportion. One of `mean`, `std`,
    `background` and `foreground` takes the place of all that are published.

    Args:
        model: Name of the network.
        given: Fields of `Settings`.

    Raises:
        SettingsError: A value is unknown, out of range, impossible together with another, or without effect.
    """
    given = {name: value for name, value in given.items() if value is not None}
    published = dict(model_info(model).training)
    if any(name in given for name in PIXEL_VALUES):
        published = {name: value for name, value in published.items() if name not in PIXEL_VALUES}
    resize = given.get("resize")
    if isinstance(resize, int) and resize > 0:
        factor = resize / model_info(model).input_shape[1]
        if "image_size" in published:
            published["image_size"] = _scaled(published["image_size"], factor)
        if "augment" in published:
            published["augment"] = _with_sizes(published["augment"], factor)
    settings = Settings(model, **{**published, **given})
    _check_effects(settings, given)
    return settings


def not_done(settings: Settings) -> tuple[str, ...]:
    """Return what of the published training no setting describes, without what these settings change."""
    published = published_settings(settings.model, resize=settings.resize)
    changed = {name for name in vars(settings) if getattr(settings, name) != getattr(published, name)}
    settled = tuple(words for words, groups in SETTLED_BY.items() if any(changed.issuperset(group) for group in groups))
    return tuple(part for part in model_info(settings.model).not_done if not part.startswith(settled))


def for_images(settings: Settings, channels: int, labels: np.ndarray, given: Mapping[str, Any]) -> tuple[Settings, str]:
    """Leave out of the published settings what these training images cannot have.

    A class with few images has none to hold out. For grayscale images, see `for_channels`.

    Args:
        settings: The settings.
        channels: Number of channels of the images.
        labels: Classes of the training images, (N,).
        given: Fields of `settings` that the user chose; None is not a choice. They are never changed.

    Returns:
        The settings, and what was left out as a sentence for users; empty if nothing was.
    """
    settings, said = for_channels(settings, channels, given)
    share = settings.validation_share
    if share is None or not {"validation_share", "reported"}.isdisjoint(_chosen(given)):
        return settings, said
    fewest = int(np.unique(labels, return_counts=True)[1].min())
    if fewest * share >= 1 and fewest * (1 - share) >= 1:
        return settings, said
    few = (
        f"A class has only {fewest:,} training images, so none are held out for validation (published: "
        f"{100 * share:g} %), and the last epoch is reported."
    )
    return replace(settings, validation_share=None, reported="last"), " ".join(filter(None, [said, few]))


def for_channels(settings: Settings, channels: int, given: Mapping[str, Any] = MappingProxyType({})):
    """Leave out of the published settings what grayscale images have not: colors to normalize or to change.

    The arguments and the result are those of `for_images`.
    """
    changes: dict[str, Any] = {}
    if channels == 1:
        if any(len(parse_channels(name, getattr(settings, name))) > 1 for name in ("mean", "std")):
            changes.update(mean="", std="")
        if any(name in COLOR_CHANGES for name, _ in parse_augment(settings.augment)):
            words = [word for word in settings.augment.split() if word.partition(":")[0] not in COLOR_CHANGES]
            changes["augment"] = " ".join(words) or NONE
    changes = {
        name: value
        for name, value in changes.items()
        if name not in _chosen(given) and value != getattr(settings, name)
    }
    if not changes:
        return settings, ""
    what = joined(words for name, words in _LEFT_OUT.items() if name in changes)
    return replace(settings, **changes), f"Grayscale images: the published {what} are left out."


def _check_effects(settings, given):
    """Raise SettingsError if a given setting would change nothing."""
    if not settings.has_rate and not {"learning_rate", "schedule"}.isdisjoint(given):
        raise SettingsError(
            f"the optimizer {settings.optimizer} has no learning rate: leave out the learning rate and the schedule, "
            "or choose another optimizer"
        )
    if settings.init_from and not settings.new_head and not {"init", "weights"}.isdisjoint(given):
        raise SettingsError(
            "init_from sets all weights: leave out the initializer and the kind of weights, or draw those of the last "
            "layer with new_head"
        )


def _chosen(given):
    return {name for name, value in given.items() if value is not None}


def _scaled(size, factor):
    return max(1, round(size * factor))


def _with_sizes(augment, factor):
    """Return augmentations with the sizes of "scale" in proportion."""
    words = []
    for word in augment.split():
        name, *numbers = word.split(":")
        if name == "scale":
            numbers = [str(_scaled(int(number), factor)) for number in numbers]
        words.append(":".join([name, *numbers]))
    return " ".join(words)
