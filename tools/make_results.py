"""Write docs/results.md and its picture docs/results.svg from results/: python tools/make_results.py"""

from pathlib import Path
import statistics

from gluon_classics.models.registry import list_models
from gluon_classics.reproduction import equivalence, results, table
from gluon_classics.reproduction.equivalence import Spread
from gluon_classics.reproduction.formatting import DIGITS
from gluon_classics.reproduction.recipes import name_of
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "results.md", ROOT / "docs" / "results.svg"
HEAD = """# Results

<!-- written by python tools/make_results.py -->

![Published and own results](results.svg)

Each row of the picture is one recipe, scaled so that the band is what is accepted: the published mean with its margin,
or the range of the published runs, widened. An arrow is a run outside the picture. The train loss decides if it is
published, otherwise the test accuracy. The [findings](findings.md) explain results that differ.

- A ± is a standard deviation. n is the number of our runs, or, after a published value, of published ones. Square
  brackets are the lowest and the highest published value.
- "Last batch" is what is done with a last partial batch. Discard: leave it out. Scale: train on it, but divide its
  gradients by the full batch size. Without either: train on it. See `gluon-classics train --help`.
- Recipes that discard the last batch resize training images in float32 and test images in uint8, all others in uint8.
- "Unseeded weights" are the same for every seed, as if MXNet were not seeded.
- The official builds are executions of D2L's notebooks by their authors, three of the first edition (A, B, C).
- The time per run is an upper bound, because the machine did other work at the same time.
"""
# keep text as text; derive the identifiers in an SVG from its content and a constant salt
STYLE = {"font.family": "DejaVu Sans", "font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "gluon-classics"}
COLORS = {equivalence.REPRODUCED: "#0a6b3d", equivalence.NOT_REPRODUCED: "#a4281b", equivalence.UNDECIDED: "#6b5200"}
PUBLISHED, BAND = "#1b1d22", "#e3e8ef"
FARTHEST = 3.0  # limit of the picture, in half widths of the band
ROW = 0.26  # inches


def page() -> str:
    """Return the content of docs/results.md."""
    verdicts = results.read(ROOT / "results")
    constants = f"The same in all runs: {table.constants(verdicts)}.\n"
    return "\n".join([HEAD, table.markdown(table.table(verdicts)), "", constants])


def draw(path) -> None:
    """Draw published and own values of all recipes with a published value. Equal results give equal files."""
    models = list_models()
    verdicts = [verdict for verdict in results.read(ROOT / "results") if verdict.comparisons]
    verdicts.sort(key=lambda verdict: models.index(verdict.recipe.settings.model))
    with rc_context(STYLE):
        height = ROW * (len(verdicts) + 3)
        figure = Figure(figsize=(10, height))
        axes = figure.add_axes((0.34, 1.4 * ROW / height, 0.3, 1 - 3 * ROW / height))
        axes.axvspan(-1, 1, color=BAND)
        for row, verdict in enumerate(verdicts):
            _draw_row(axes, row, verdict)
        axes.set_xlim(-FARTHEST - 0.15, FARTHEST + 0.15)
        axes.set_ylim(len(verdicts) - 0.4, -0.6)
        axes.set_xticks([-1, 0, 1], ["lowest\naccepted", "", "highest\naccepted"])
        axes.set_yticks(range(len(verdicts)), [verdict.recipe.name for verdict in verdicts])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        handles = [
            Patch(color=BAND, label="accepted"),
            Line2D([], [], color=PUBLISHED, marker="d", linestyle="-", label="published: runs, or mean ± sd"),
            Line2D([], [], color="#4b5563", marker="o", linestyle="-", label="ours: runs, and mean ± sd"),
        ]
        figure.legend(handles=handles, loc="upper center", ncol=3, frameon=False)
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})


def _draw_row(axes, row, verdict):
    recipe, metric = verdict.recipe, verdict.recipe.deciding
    target = recipe.target(metric)
    if isinstance(target, Spread):
        center, half = target.mean, target.margin
        published, spread = [target.mean], target.sd
    else:
        center, half = (target.low + target.high) / 2, (target.high - target.low) / 2
        found = [point for point in recipe.published() if point.metric == metric]
        published, spread = [point.value for point in found if point.epochs == recipe.settings.epochs], 0.0
    ours, color = verdict.values(metric), COLORS[verdict.verdict]

    def place(value):
        return max(-FARTHEST, min(FARTHEST, (value - center) / half))

    def line(middle, sd, height, line_color):
        ends = [place(middle - sd), place(middle + sd)]
        axes.plot(ends, [height] * 2, color=line_color, linewidth=1.5, solid_capstyle="butt")

    line(published[0], spread, row - 0.17, PUBLISHED)
    axes.plot([place(value) for value in published], [row - 0.17] * len(published), "d", color=PUBLISHED, markersize=4)
    if len(ours) > 1:
        mean, sd = statistics.mean(ours), statistics.stdev(ours)
        line(mean, sd, row + 0.2, color)
        axes.plot([place(mean)], [row + 0.2], "|", color=color, markersize=8, markeredgewidth=1.5)
    for value in ours:
        outside = abs(value - center) > FARTHEST * half
        marker = (">" if value > center else "<") if outside else "o"
        axes.plot([place(value)], [row + 0.2], marker, color=color, markersize=5 if outside else 3.5, alpha=0.6)
    digits = DIGITS[metric]
    average = statistics.mean(ours)
    words = (
        f"{name_of(metric)} {average:.{digits}f}, published {statistics.mean(published):.{digits}f}, n = {verdict.n}: "
    )
    axes.text(FARTHEST + 0.25, row, f"{words}{verdict.verdict}", color=color, va="center")


def main():
    PAGE.write_text(page(), encoding="utf-8")
    draw(PICTURE)


if __name__ == "__main__":
    main()
