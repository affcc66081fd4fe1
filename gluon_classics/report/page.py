"""The page of a report, filled in from what is known of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gluon_classics.reproduction import formatting
from gluon_classics.reproduction.verdict import Verdict, judge

from . import charts
from .predictions import Findings

TEMPLATE = "report.html"
CHARTS = {"train_loss": "Training loss", "train_accuracy": "Training accuracy", "test_accuracy": "Test accuracy"}
ALONG_THE_WAY = ("images", "train_loss", "train_accuracy")  # the columns of a run's points


@dataclass(frozen=True)
class Section:
    """One run of a report: `number` counts from 0, `label` tells it from the others."""

    number: int
    label: str
    folder: str
    record: dict
    points: list
    findings: Findings
    verdict: Verdict | None

    @property
    def epochs(self) -> list[dict]:
        """The metrics of each epoch."""
        return self.record["epochs"]

    @property
    def last(self) -> dict:
        """The metrics of the last epoch."""
        return self.epochs[-1]

    @property
    def facts(self) -> dict:
        """What the record says of the run as a whole."""
        of_all = {name: value for name, value in self.record.items() if not isinstance(value, (dict, list))}
        del of_all["format"]
        return {"folder": self.folder, **of_all}

    def ends(self, metric: str) -> list[tuple[float, float]]:
        """Epochs done and the metric after each of them."""
        return [(epoch["epoch"] + 1, epoch[metric]) for epoch in self.epochs]

    def way(self, metric: str) -> list[tuple[float, float]]:
        """Epochs done, in fractions, and the metric along the way, where it is known."""
        if metric not in ALONG_THE_WAY:
            return []
        column = ALONG_THE_WAY.index(metric)
        return [
            (epoch + point[0] / way[-1][0], point[column]) for epoch, way in enumerate(self.points) for point in way
        ]


def render(sections: list[Section]) -> str:
    """The page about the runs, at least one. Raises ImportError without jinja2 or matplotlib."""
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
    """Seconds as a person would say them: 8.4 s, 3 min 20 s, 2 h 5 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def capitalize_first(text: str) -> str:
    """A sentence's first letter made large, the rest as it is."""
    return text[:1].upper() + text[1:]


def words(value) -> str:
    """A value of a record as text."""
    if value in (None, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _content(sections):
    """What the template shows."""
    of_recipe: dict = {}
    for section in sections:
        if section.verdict:
            of_recipe.setdefault(section.verdict.recipe, []).append(section)
    # one recipe's marks have the colour of the text, several have those of their first runs
    marks = {recipe: group[0].number if len(of_recipe) > 1 else None for recipe, group in of_recipe.items()}
    return {
        "sections": sections,
        "differing": _differing(sections),
        "swatch": charts.swatch,
        "charts": [(title, _chart(metric, title, sections, marks)) for metric, title in CHARTS.items()],
        "recipes": [(recipe.name, charts.target_swatch(mark), recipe.published()) for recipe, mark in marks.items()],
        "together": [
            (judge(recipe, [section.record for section in group]), len(group))
            for recipe, group in of_recipe.items()
            if len(group) > 1
        ],
        "figures": list(CHARTS),
        "say": formatting,
    }


def _chart(metric, title, sections, marks):
    percent = metric != "train_loss"
    lines = [charts.Line(section.number, section.way(metric), section.ends(metric)) for section in sections]
    targets = [
        charts.Target(point.epochs, point.value, point.sd, mark)
        for recipe, mark in marks.items()
        for point in recipe.published()
        if point.figure == metric
    ]
    last = "{:.2%}" if percent else "{:.4f}"
    said = [f"{section.label} ends at {last.format(section.last[metric])}" for section in sections]
    said += [f"published after epoch {target.epochs}: {last.format(target.value)}" for target in targets]
    return charts.chart(metric, lines, targets, percent, f"{title} after each epoch. {'; '.join(said)}")


def _differing(sections):
    """The settings that are not the same in all runs."""
    first, *others = (section.record["settings"] for section in sections)
    return [name for name in first if any(other[name] != first[name] for other in others)]
