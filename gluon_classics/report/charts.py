"""Curves of several runs as SVG text, with the colours and the font of the page."""

from __future__ import annotations

from dataclasses import dataclass
import functools
import io
import re

from gluon_classics import _console
from gluon_classics._format import first_line

# each colour is replaced by the page's variable, which is lighter in the dark scheme
INK, GRID = "#1b1d22", "#d9d9d4"
RUNS = ("#0b62b4", "#c2410c", "#047857", "#8b3fb0", "#8a5a00", "#0e7490", "#b4237a", "#4b5563")
VARIABLES = {INK: "--ink", GRID: "--line", **{colour: f"--run-{number}" for number, colour in enumerate(RUNS)}}
MARKERS = "os^DvPX"  # one fewer than colours: together they distinguish 56 runs, the markers alone seven
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
    """One run in one chart.

    Attributes:
        number: Number of the run, which gives it its colour and marker.
        along: Pairs of epochs done, in fractions, and value.
        after: Pairs of epochs done and value after them.
    """

    number: int
    along: list[tuple[float, float]]
    after: list[tuple[float, float]]


@dataclass(frozen=True)
class Target:
    """A published value.

    Attributes:
        epochs: Number of epochs after which it was measured.
        value: The value, or the mean of several.
        sd: Their standard deviation; 0 for one value.
        number: Number of the run whose colour it has; None for the colour of the text.
    """

    epochs: int
    value: float
    sd: float = 0.0
    number: int | None = None


def chart(name: str, lines: list[Line], targets: list[Target], percent: bool, label: str) -> str:
    """Return a chart as an SVG element, or nothing with a warning if matplotlib cannot draw it.

    Args:
        name: Prefix of its ids, which makes them unique in the page.
        lines: The runs.
        targets: The published values.
        percent: Whether the values are fractions, shown in percent.
        label: Text for readers who do not see the chart.

    Raises:
        ImportError: markupsafe is not installed.
    """

    def draw(figure):
        from matplotlib.ticker import MaxNLocator, PercentFormatter

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
    """Return the line and marker of a run for a legend. `place` makes its ids unique in the page."""

    def draw(figure):
        axes = figure.add_axes((0, 0, 1, 1))
        axes.plot([0, 2], [0, 0], color=_colour(number))
        axes.plot([1], [0], MARKERS[number % len(MARKERS)], color=_colour(number))
        axes.set_axis_off()

    return _svg(f"swatch-{place}-{number}", draw, (0.35, 0.14))


def target_swatch(number: int | None) -> str:
    """Return the mark of a published value for a legend."""

    def draw(figure):
        axes = figure.add_axes((0, 0, 1, 1))
        _draw_target(axes, Target(0, 0, number=number), "published")
        axes.set_axis_off()

    return _svg(f"target-{number}", draw, (0.35, 0.14))


def _draw_line(axes, line):
    colour = _colour(line.number)
    if line.along:
        axes.plot(*zip(*line.along), color=colour, linewidth=1, alpha=0.55)
    every = -(-len(line.after) // 12)
    marks = ((len(line.after) - 1) % every, every)  # the last epoch has one
    marker = MARKERS[line.number % len(MARKERS)]
    style = "none" if line.along else "-"
    axes.plot(*zip(*line.after), linestyle=style, marker=marker, markevery=marks, color=colour)


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


@functools.lru_cache(maxsize=None)
def _warn_once(reason):
    _console.warn(f"The report has no curves, since matplotlib cannot draw them ({reason}).")


def _drawn(draw, size):
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()


def _svg(name, draw, size, label=None):
    from markupsafe import Markup

    try:
        text = _drawn(draw, size)
    except Exception as error:  # of any kind: matplotlib reads the user's settings, fonts and cache
        _warn_once(first_line(error))
        return Markup("")
    element = text.partition("<svg")[2]
    element = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>", "", element, flags=re.DOTALL)
    element = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", element)
    for colour, variable in VARIABLES.items():
        element = element.replace(colour, f"var({variable})")
    opening = Markup('<svg role="img" aria-label="{}"').format(label) if label else Markup('<svg aria-hidden="true"')
    return opening + Markup(element)
