"""Curves of several runs as SVG text that takes its colours and its font from the page around it."""

from __future__ import annotations

from dataclasses import dataclass
import io
import re

# each colour stands for the page's variable of that name, which is lighter in the dark scheme
INK, GRID = "#1b1d22", "#d9d9d4"
RUNS = ("#0b62b4", "#c2410c", "#047857", "#8b3fb0", "#8a5a00", "#0e7490", "#b4237a", "#4b5563")
VARIABLES = {INK: "--ink", GRID: "--line", **{colour: f"--run-{number}" for number, colour in enumerate(RUNS)}}
MARKERS = "os^DvPX"  # one fewer than colours: both together tell 56 runs apart, and the markers alone seven
FONT_SIZE = 8.5  # points: with WIDTH inches shown on 330 pixels, 11 pixels
WIDTH, HEIGHT = 3.5, 2.5  # inches
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "report",  # the same curves give the same page
    "font.size": FONT_SIZE,
    "lines.markersize": 4.5,
    "lines.linewidth": 1.5,
    "axes.linewidth": 0.8,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
}


@dataclass(frozen=True)
class Line:
    """One run in one chart: `way` and `ends` are pairs of epochs done and value, along the way and after epochs."""

    number: int
    way: list[tuple[float, float]]
    ends: list[tuple[float, float]]


@dataclass(frozen=True)
class Target:
    """What is published for a number of epochs: one value, or a mean with its standard deviation.

    `number` is that of the run whose colour it takes, None for the colour of the text.
    """

    epochs: int
    value: float
    sd: float = 0.0
    number: int | None = None


def chart(name: str, lines: list[Line], targets: list[Target], percent: bool, label: str) -> str:
    """The lines and targets as an SVG element; `name` keeps its ids apart from other charts', `label` is its text
    for those who cannot see it. Raises ImportError without matplotlib.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    def draw(figure):
        axes = figure.add_subplot()
        figure.set_layout_engine("constrained")
        for line in lines:
            _draw_line(axes, line)
        for number, target in enumerate(targets):
            _draw_target(axes, target, f"published-{number}")
        axes.set_xlim(left=0)
        axes.set_xlabel("epochs")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="y")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0)

    return _svg(name, draw, (WIDTH, HEIGHT), label)


def swatch(number: int, place: str) -> str:
    """The line and marker of run `number`, for a legend; `place` keeps its ids apart from those of others."""

    def draw(figure):
        axes = figure.add_axes((0, 0, 1, 1))
        axes.plot([0, 2], [0, 0], color=_colour(number))
        axes.plot([1], [0], MARKERS[number % len(MARKERS)], color=_colour(number))
        axes.set_axis_off()

    return _svg(f"swatch-{place}-{number}", draw, (0.35, 0.14))


def target_swatch(number: int | None) -> str:
    """The mark of a published value, for a legend."""

    def draw(figure):
        axes = figure.add_axes((0, 0, 1, 1))
        _draw_target(axes, Target(0, 0, number=number), "published")
        axes.set_axis_off()

    return _svg(f"target-{number}", draw, (0.35, 0.14))


def _draw_line(axes, line):
    colour = _colour(line.number)
    if line.way:
        axes.plot(*zip(*line.way), color=colour, linewidth=1, alpha=0.55)
    every = -(-len(line.ends) // 12)
    marks = ((len(line.ends) - 1) % every, every)  # the last epoch has one
    marker = MARKERS[line.number % len(MARKERS)]
    style = "none" if line.way else "-"
    axes.plot(*zip(*line.ends), linestyle=style, marker=marker, markevery=marks, color=colour)


def _draw_target(axes, target, name):
    mark, _, _ = axes.errorbar(
        [target.epochs],
        [target.value],
        yerr=target.sd or None,
        fmt="d",
        color=INK if target.number is None else _colour(target.number),
        markerfacecolor="none",
        markersize=9,
        capsize=4,
        zorder=3,
        clip_on=False,
    )
    mark.set_gid(name)


def _colour(number):
    return RUNS[number % len(RUNS)]


def _svg(name, draw, size, label=None):
    from markupsafe import Markup
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    element = text.getvalue().partition("<svg")[2]
    element = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", element)
    for colour, variable in VARIABLES.items():
        element = element.replace(colour, f"var({variable})")
    opening = Markup('<svg role="img" aria-label="{}"').format(label) if label else Markup('<svg aria-hidden="true"')
    return opening + Markup(element)
