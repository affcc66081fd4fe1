"""The tables of the recorded results."""

from __future__ import annotations

from dataclasses import asdict
import statistics
from typing import Sequence

import gluon_classics
from gluon_classics.experiment.settings_words import settings_words
from gluon_classics.runs.record import RunRecord
from gluon_classics.utils.history import METRICS

from .formatting import (
    difference_words,
    digits,
    margin_words,
    mean_words,
    original_words,
    published_words,
    source_words,
    verdict_words,
)
from .recipes import name_of
from .verdict import Verdict

NUMBERS = ("n", "margin", "time per run")  # columns that align right
EMPTY = "No runs yet."


def table(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Return a row per verdict: texts by the title of their column. Networks are in the order of `list_models`.

    Settings and devices that are the same in all rows are left out, as is how images are resized if that follows from
    the last batch. `constants` returns the optimizer and the device.
    """
    ordered = _ordered(verdicts)
    without = _implied_settings([asdict(verdict.recipe.settings) for verdict in ordered])
    devices = {_device(record) for verdict in ordered for record in _runs(verdict)}
    return [_row(verdict, without, len(devices) > 1) for verdict in ordered]


def constants(verdicts: Sequence[Verdict]) -> str:
    """Return the optimizer and the device in words, as far as they are the same in all runs."""
    devices = {_device(record) for verdict in verdicts for record in _runs(verdict)}
    optimizers = {verdict.recipe.settings.optimizer for verdict in verdicts}
    return ", ".join([*(optimizers if len(optimizers) == 1 else ()), *(devices if len(devices) == 1 else ())])


def metrics(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Return a row per verdict and metric, in the same order as `table`.

    Metrics without a published value are only shown of recipes that have none.
    """
    return [
        {"recipe": verdict.recipe.name, "metric": name_of(metric), **_metric_cells(verdict, metric)}
        for verdict in _ordered(verdicts)
        for metric in verdict.comparisons or METRICS
    ]


def summary(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """Return a short row per verdict, in this order, with the first metric that is published, or the train loss."""
    return [_short_row(verdict) for verdict in verdicts]


def markdown_tables(verdicts: Sequence[Verdict]) -> str:
    """Return the table of the recipes and that of their metrics as Markdown."""
    return f"{markdown(table(verdicts))}\n\n{markdown(metrics(verdicts))}" if verdicts else EMPTY


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """Return rows as a Markdown table."""
    titles = list(rows[0])
    lines = [titles, ["--:" if title in NUMBERS else "---" for title in titles], *(row.values() for row in rows)]
    return "\n".join("| " + " | ".join(line).replace("+-", "±") + " |" for line in lines)


def _ordered(verdicts):
    models = gluon_classics.list_models()
    return sorted(verdicts, key=lambda verdict: models.index(verdict.recipe.settings.model))


def _row(verdict, without, with_device):
    recipe, runs = verdict.recipe, _runs(verdict)
    row = {"recipe": recipe.name, "settings": settings_words(recipe.settings, without), "n": _number(verdict)}
    row["verdict"] = verdict_words(verdict)
    row["time per run"] = _duration(statistics.median(record.seconds for record in runs))
    if with_device:
        row["device"] = "; ".join(dict.fromkeys(map(_device, runs)))
    row["source"] = source_words(recipe) if recipe.metrics else ""
    return row


def _short_row(verdict):
    metric = verdict.recipe.metrics[0] if verdict.recipe.metrics else "train_loss"
    cells = _metric_cells(verdict, metric)
    return {
        "recipe": verdict.recipe.name,
        "metric": name_of(metric),
        **{title: cells[title] or "none" for title in ("published", "original software")},
        **{title: cells[title] for title in ("ours", "margin")},
        "n": _number(verdict),
        "verdict": verdict_words(verdict),
    }


def _metric_cells(verdict, metric):
    recipe, comparison = verdict.recipe, verdict.comparisons.get(metric)
    return {
        "published": published_words(recipe, metric, recipe.settings.epochs, digits(recipe, metric)),
        "original software": original_words(recipe, metric),
        "ours": mean_words(verdict.values(metric), digits(recipe, metric)),
        "difference": difference_words(comparison) if comparison else "",
        "margin": margin_words(recipe, metric),
        "verdict": comparison.verdict if comparison else "",
    }


def _runs(verdict) -> tuple[RunRecord, ...]:
    return (*verdict.records, *verdict.stuck)


def _number(verdict):
    return f"{verdict.n}" + (f" ({len(verdict.stuck)} more stayed at chance)" if verdict.stuck else "")


def _implied_settings(settings):
    """Names of the settings that are the same in all recipes, or follow from another one."""
    if len(settings) < 2:
        return ()
    constant = {name for name in settings[0] if len({each[name] for each in settings}) == 1}
    pairs = {(each["last_batch"], each["resize_in"]) for each in settings}
    follows = len(pairs) == len({last_batch for last_batch, _ in pairs})
    return constant | {"resize_in"} if follows else constant


def _device(record):
    provenance = record.provenance
    if any(device.startswith("gpu") for device in provenance.devices):
        return ", ".join(provenance.devices)
    return f"{provenance.processor.name}, {provenance.threads} thread{'' if provenance.threads == '1' else 's'}"


def _duration(seconds):
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
