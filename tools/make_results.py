"""Write docs/results.md and its picture docs/results.svg from results/: python tools/make_results.py"""

from __future__ import annotations

from pathlib import Path

from gluon_classics._files import write_text
from gluon_classics.models.registry import list_models
from gluon_classics.reproduction import equivalence, results, table
from gluon_classics.reproduction.recipes import list_recipes, name_of
from gluon_classics.reproduction.recipes_imagenet import DATA
from gluon_classics.utils.history import METRICS
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "results.md", ROOT / "docs" / "results.svg"
HEAD = """# Results

<!-- written by python tools/make_results.py -->

![Differences from the published results](results.svg)

Each row of the picture is one recipe. A dot is the difference of the means, ours minus published, and the line through
it is its 90 % interval, both in units of the margin. The band is the margin. A dot without a line has no interval,
because no spread is known. An arrow is a difference outside the picture. The [findings](findings.md) explain results
that differ.

## How a verdict is made

Every published metric has its own verdict. Our mean is compared with the published one. The rule is the same for a
distribution of builds, for a few runs and for one run:

- The **margin** is the largest difference that counts as equal. It is .01 for the loss and for accuracies, but at most
  a fifth of the distance to a perfect result (a loss of 0, an accuracy of 1).
- **Reproduced**: the 90 % confidence interval for the difference is inside the margin (TOST, two one-sided tests).
- **Not reproduced**: the difference is larger than the margin, and its 95 % interval does not contain 0.
- **Undecided**: neither. The data allow every difference in the interval. `gluon-classics reproduce` says how many runs
  would settle it.

A recipe has the worst verdict of its metrics: "not reproduced" if one of them is, and "reproduced" only if all are.

Most verdicts are "undecided". This does not mean that a result differs. It means that there are too few runs, ours or
published ones, to show that the means are within .01 of each other. If only one run is published, more runs of ours
hardly help: the mean that it comes from may be two standard deviations away.

The interval is Welch's, which does not assume that both sides spread equally. A side with one run is assumed to spread
as the other side does. With two to four runs on a side, the interval is not shorter than the one that assumes one
common spread. The rounding of published values makes it longer: by .005 if they have two decimals, by .0005 if they
have three. One run of ours decides nothing, because it does not show how our runs spread.

Runs at chance, with accuracies below 1.2 times that of guessing, are counted, not averaged. Fisher's exact test asks
whether more of ours failed than of the published ones. If so at the 5 % level, the recipe is not reproduced.

### How often the rule is wrong

Simulated by `tests/reproduction/test_error_rates.py`, for runs from normal distributions:

ERROR_RATES

- "Wrongly equal" is "reproduced" although the true difference is the margin. The margin is chosen for the most errors.
- "Wrongly different" is "not reproduced" although there is no difference, for the smallest margin. Larger margins give
  fewer errors.
- "2.5 times" is the larger of the error rates if one of the sides spreads 2.5 times as much as the other.
- The last columns are how often equal means are called "reproduced", if the margin is 2, 3 or 5 standard deviations of
  a run.

So a wrong verdict on a metric has a probability of about 5 %, or less. The exception is a single published run, whose
spread cannot be checked. A recipe with three metrics is called "not reproduced" more often than one metric, at most
three times as often. The rates hold if the number of runs is fixed before the first one.

## The recipes

- A ± is a standard deviation. n is the number of our runs, or, after a published value, of published ones. Square
  brackets are the lowest and the highest published value.
- "Last batch" is what is done with a last partial batch. Discard: leave it out. Scale: train on it, but divide its
  gradients by the full batch size. If neither is named: train on it. See `gluon-classics train --help`.
- Recipes that discard the last batch resize training images in float32 and test images in uint8, all others in uint8.
- "Unseeded weights" are the same for every seed, as if MXNet were not seeded. "Unseeded-numpy weights" are those of
  MXNet's NumPy arrays, for which it draws different numbers.
- The official builds are executions of D2L's notebooks by their authors. We do not know a repository with the three of
  the first edition (builds A, B and C). Later ones for MXNet are in the history of github.com/d2l-ai/d2l-en-colab.
- The time per run is the median. It is an upper bound, because the machine did other work at the same time.
- The second table has the metrics: the difference of the means with its 90 % interval, and the margin. "Original
  software" means our runs of the source's program on MXNet of its time (`original/run.py`;
  [commands](../results/README.md#runs-of-the-original-software)). Where nothing is published, we compare with them.
"""
NOT_RUN = """## Recipes without results

These have not been run. Most need hours on two cores: `gluon-classics reproduce RECIPE --dry-run` prints how many.
Recipes on ImageNet are in [imagenet.md](imagenet.md).
"""
UNEQUAL = 2.5  # times: how much more one side spreads than the other, in some columns
POWER_MARGINS = (2, 3, 5)  # standard deviations
ERROR_RATES = {  # percent, by the numbers of our and of published runs
    (3, 87): (2, 2, 5, 5, 56, 88, 100),
    (5, 1): (5, 5, 20, 30, 15, 50, 96),
    (5, 2): (3, 3, 6, 7, 23, 56, 82),
    (5, 3): (4, 3, 5, 6, 45, 87, 100),
    (5, 5): (5, 4, 5, 5, 77, 99, 100),
    (5, 11): (5, 5, 5, 6, 90, 100, 100),
    (5, 87): (5, 6, 5, 6, 94, 100, 100),
    (10, 1): (5, 5, 23, 37, 18, 68, 99),
    (10, 3): (3, 3, 5, 6, 54, 89, 100),
    (10, 87): (5, 5, 5, 5, 100, 100, 100),
}
# keep text as text; derive the identifiers in an SVG from its content and a constant salt
STYLE = {"font.family": "DejaVu Sans", "font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "gluon-classics"}
COLORS = {equivalence.REPRODUCED: "#0a6b3d", equivalence.NOT_REPRODUCED: "#a4281b", equivalence.UNDECIDED: "#6b5200"}
BAND = "#e3e8ef"
FARTHEST = 5.0  # limit of the picture, in margins
ROW = 0.26  # inches


def page() -> str:
    """Return the content of docs/results.md."""
    verdicts = results.read(ROOT / "results")
    constants = f"The same in all runs: {table.constants(verdicts)}.\n"
    head = HEAD.replace("ERROR_RATES", error_rates())
    return "\n".join([head, table.markdown_tables(verdicts), "", constants, NOT_RUN, *not_run(verdicts), ""])


def not_run(verdicts) -> list[str]:
    """Return the names of recipes without results as a Markdown list, without those on ImageNet."""
    have = {verdict.recipe.name for verdict in verdicts}
    names = [recipe.name for recipe in list_recipes() if recipe.settings.data != DATA and recipe.name not in have]
    return [f"- `{name}`" for name in names]


def error_rates() -> str:
    """Return the error rates of the rule as a Markdown table."""
    sides = ("our runs", "published runs")
    wrong = ("wrongly equal", "wrongly different")
    powers = (f"right, margin {margin} sd" for margin in POWER_MARGINS)
    titles = (*sides, *wrong, *(f"{words}, {UNEQUAL:g} times" for words in wrong), *powers)
    rows = [(*sizes, *(f"{rate} %" for rate in rates)) for sizes, rates in ERROR_RATES.items()]
    lines = [titles, ["--:"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def draw(path) -> None:
    """Draw the differences of all metrics of recipes with a published value. Equal results give equal files."""
    models = list_models()
    verdicts = [verdict for verdict in results.read(ROOT / "results") if verdict.comparisons]
    verdicts.sort(key=lambda verdict: models.index(verdict.recipe.settings.model))
    with rc_context(STYLE):
        height = ROW * (len(verdicts) + 4)
        figure = Figure(figsize=(10, height))
        for column, metric in enumerate(METRICS):
            axes = figure.add_axes((0.34 + 0.22 * column, 2 * ROW / height, 0.15, 1 - 4.5 * ROW / height))
            _draw_panel(axes, metric, verdicts)
            axes.set_yticks(range(len(verdicts)), [verdict.recipe.name for verdict in verdicts] if not column else [])
        handles = [Patch(color=BAND, label="margin")] + [
            Line2D([], [], color=color, marker="o", markersize=4, label=verdict) for verdict, color in COLORS.items()
        ]
        figure.legend(handles=handles, loc="upper center", ncol=len(handles), frameon=False)
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})


def _draw_panel(axes, metric, verdicts):
    axes.set_title(f"{name_of(metric)}, ours - published", fontsize=STYLE["font.size"])
    axes.axvspan(-1, 1, color=BAND)
    axes.axvline(0, color="white", linewidth=1)
    for row, verdict in enumerate(verdicts):
        comparison = verdict.comparisons.get(metric)
        if comparison:
            _draw_comparison(axes, row, comparison)
    axes.set_xlim(-FARTHEST - 0.15, FARTHEST + 0.15)
    axes.set_ylim(len(verdicts) - 0.4, -0.6)
    axes.set_xticks([-FARTHEST, -1, 1, FARTHEST], [f"{-FARTHEST:g}", "-1", "1", f"{FARTHEST:g}"])
    axes.set_xlabel("margins")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _draw_comparison(axes, row, comparison):
    color = COLORS[comparison.verdict]

    def place(difference):
        return max(-FARTHEST, min(FARTHEST, difference / comparison.margin))

    if comparison.interval:
        axes.plot(list(map(place, comparison.interval)), [row] * 2, color=color, linewidth=1.5, solid_capstyle="butt")
    is_outside = abs(comparison.difference) > FARTHEST * comparison.margin
    marker = (">" if comparison.difference > 0 else "<") if is_outside else "o"
    axes.plot([place(comparison.difference)], [row], marker, color=color, markersize=4)
    axes.text(FARTHEST + 0.4, row, f"{comparison.difference:+.4f}", color=color, va="center")


def main():
    write_text(PAGE, page())
    draw(PICTURE)


if __name__ == "__main__":
    main()
