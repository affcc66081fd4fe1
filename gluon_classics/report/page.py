"""The page of a report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from gluon_classics.reproduction import formatting
from gluon_classics.reproduction.recipes import name_of
from gluon_classics.reproduction.verdict import Verdict, judge
from gluon_classics.runs.record import RunRecord
from gluon_classics.utils.history import METRICS

from . import charts
from .predictions import Findings

TEMPLATE = "report.html"
CHARTS = {"train_loss": "Training loss", "train_accuracy": "Training accuracy", "test_accuracy": "Test accuracy"}
CURVE_COLUMNS = ("images", "train_loss", "train_accuracy")  # of the points along an epoch
_CLEAR = ("onednn_isa",)  # facts of a processor whose name says enough


@dataclass(frozen=True)
class Section:
    """One run of a report.

    Attributes:
        number: Number of the run, counted from 0.
        label: What distinguishes the run from the others.
        folder: Run folder.
        record: Record of the run, with the points along the epochs.
        findings: What its network says of the test images.
        verdict: Verdict on its recipe by this run alone; None without a recipe.
    """

    number: int
    label: str
    folder: str
    record: RunRecord
    findings: Findings
    verdict: Verdict | None

    @property
    def has_top_5(self) -> bool:
        """Whether the top-5 accuracy of an epoch is recorded."""
        return any(epoch.test_top_5_accuracy is not None for epoch in self.record.epochs)

    def facts(self, part: str) -> dict[str, object]:
        """Return a part of the record by name: run, settings, data or provenance."""
        record = self.record
        if part == "run":
            parts = ("settings", "data", "provenance", "epochs", "resumed")
            whole = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in parts}
            return {"folder": self.folder, **whole}
        if part == "provenance":
            provenance = asdict(record.provenance)
            processor = provenance.pop("processor")
            return {
                **provenance,
                "processor": processor.pop("name"),
                **{name if name in _CLEAR else f"processor_{name}": value for name, value in processor.items()},
            }
        return asdict(getattr(record, part))

    def setting(self, name: str) -> object:
        """Return the setting of this name."""
        return getattr(self.record.settings, name)

    def value(self, metric: str) -> float:
        """Return a metric after the last epoch."""
        return getattr(self.record.result, metric)

    def after_epochs(self, metric: str) -> list[tuple[float, float]]:
        """Return pairs of the number of epochs done and the metric after them."""
        return [(epoch.epoch + 1, getattr(epoch, metric)) for epoch in self.record.epochs]

    def along_epochs(self, metric: str) -> list[tuple[float, float]]:
        """Return pairs of the epochs done, in fractions, and the metric since the previous point, if known."""
        if metric not in CURVE_COLUMNS:
            return []
        column = CURVE_COLUMNS.index(metric)
        return [
            (epoch.epoch + point[0] / epoch.curve[-1][0], point[column])
            for epoch in self.record.epochs
            for point in epoch.curve
        ]


def render(sections: list[Section]) -> str:
    """Return the page about the runs, at least one. Raises ImportError without jinja2 or matplotlib."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=duration, words=words, capitalize_first=capitalize_first)
    return environment.get_template(TEMPLATE).render(**_content(sections))


def duration(seconds: float) -> str:
    """Return a time in words: 8.4 s, 3 min 20 s, 2 h 5 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def capitalize_first(text: str) -> str:
    """Return a text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def words(value) -> str:
    """Return a value of a record as text."""
    if value in (None, "", ()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _content(sections):
    """The variables of the template."""
    by_recipe: dict = {}
    for section in sections:
        if section.verdict:
            by_recipe.setdefault(section.verdict.recipe, []).append(section)
    # the marks of one recipe have the colour of the text, those of several the colours of their first runs
    marks = {recipe: group[0].number if len(by_recipe) > 1 else None for recipe, group in by_recipe.items()}
    return {
        "sections": sections,
        "differing": _differing(sections),
        "swatch": charts.swatch,
        "charts": [(title, _chart(metric, title, sections, marks)) for metric, title in CHARTS.items()],
        "recipes": [(recipe.name, charts.target_swatch(mark), recipe.published()) for recipe, mark in marks.items()],
        "together": [
            (judge(recipe, [section.record for section in group]), len(group))
            for recipe, group in by_recipe.items()
            if len(group) > 1
        ],
        "metrics": METRICS,
        "name_of": name_of,
        "formatting": formatting,
    }


def _chart(metric, title, sections, marks):
    percent = metric != "train_loss"
    lines = [
        charts.Line(section.number, section.along_epochs(metric), section.after_epochs(metric)) for section in sections
    ]
    targets = [
        charts.Target(point.epochs, point.value, point.sd, mark)
        for recipe, mark in marks.items()
        for point in recipe.published()
        if point.metric == metric
    ]
    number = "{:.2%}" if percent else "{:.4f}"
    said = [f"{section.label} ends at {number.format(section.value(metric))}" for section in sections]
    said += [f"published after epoch {target.epochs}: {number.format(target.value)}" for target in targets]
    return charts.chart(metric, lines, targets, percent, f"{title} after each epoch. {'; '.join(said)}")


def _differing(sections):
    """Names of the settings that are not the same in all runs."""
    first, *others = (asdict(section.record.settings) for section in sections)
    return [name for name in first if any(other[name] != first[name] for other in others)]
