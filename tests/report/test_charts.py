"""Charts have the points along each epoch, and the published values where equal values of a run are."""

import re

from gluon_classics.report import charts, report
from gluon_classics.report.page import Section
from gluon_classics.reproduction.recipes import list_recipes
from gluon_classics.runs.record import read_run
from gluon_classics.utils.history import METRICS
from pages import changed


def test_published_values_are_shown_after_their_epochs(page, recipe):
    points = {(point.metric, point.epochs, point.value) for point in recipe.published()}
    assert points == {
        (metric, run.epoch, getattr(run, metric))
        for run in recipe.runs
        for metric in METRICS
        if getattr(run, metric) is not None
    }
    labels = [e.attributes["aria-label"] for e in page.all if e.tag == "svg" and "aria-label" in e.attributes]
    for (title, metric), label in zip(
        (("Training loss", "train_loss"), ("Training accuracy", "train_accuracy"), ("Test accuracy", "test_accuracy")),
        labels,
    ):
        assert label.startswith(title)
        for run in recipe.runs:
            value = getattr(run, metric)
            shown = f"{value:.4f}" if metric == "train_loss" else f"{value:.2%}"
            assert f"published after epoch {run.epoch}: {shown}" in label


def test_the_published_value_of_builds_is_a_mean_with_a_standard_deviation():
    recipe = next(recipe for recipe in list_recipes() if recipe.builds and recipe.builds.test_accuracy)
    (point,) = [p for p in recipe.published() if p.metric == "test_accuracy" and p.sd]
    assert (point.value, point.sd) == recipe.builds.test_accuracy
    assert point.epochs == recipe.settings.epochs


def marks(svg):
    """Return the positions of the marks of a chart, in drawing order."""
    found = re.findall(r'<use [^>]*x="([\d.-]+)" y="([\d.-]+)"', svg)
    return [(float(x), float(y)) for x, y in found]


def test_a_published_value_is_drawn_where_an_equal_value_of_a_run_is_drawn():
    line = charts.Line(0, [], [(1, 0.5), (2, 0.25), (4, 0.125)])

    def where(value):
        svg = charts.chart("a", [line], [charts.Target(2, value)], False, "label")
        (published,) = marks(svg.partition('id="a-published-0"')[2].partition("</g>")[0])
        return published, marks(svg.partition('id="a-published-0"')[0])

    equal, others = where(0.25)
    assert equal in others
    (x, y), others = where(0.375)
    assert x == equal[0]
    assert y < equal[1]  # y grows downward in SVG
    assert (x, y) not in others


def test_a_published_mean_is_drawn_with_one_standard_deviation_on_both_sides():
    line = charts.Line(0, [], [(1, 0.0), (2, 1.0)])
    svg = charts.chart("a", [line], [charts.Target(1, 0.5, sd=0.5)], False, "label")
    heights = sorted({y for _, y in marks(svg)})
    low, high = min(heights), max(y for y in heights if y < 150)  # larger values belong to the axis
    caps = [y for _, y in marks(svg) if y in (low, high)]
    assert len(caps) == 4  # both ends of the line and of the range


def test_charts_have_thin_lines_along_epochs_and_colors_of_the_scheme_only():
    along, after = [(0.5, 2.0), (1.0, 1.5)], [(1, 1.75)]
    without = charts.chart("a", [charts.Line(0, [], after)], [], False, "label")
    svg = charts.chart("a", [charts.Line(0, along, after)], [], False, "label")
    assert "stroke-opacity" in svg
    assert "stroke-opacity" not in without
    assert not re.search(r"(fill|stroke): #(?!ffffff)", svg)
    assert "var(--run-0)" in svg
    assert 'aria-label="label"' in svg


def test_points_along_an_epoch_are_drawn_in_fractions_of_it(trained_run):
    record = read_run(trained_run).record
    first, second = (epoch.curve for epoch in record.epochs)
    section = Section(0, "run", "folder", record, None, None)
    points = section.along_epochs("train_loss")
    assert len(points) == len(first) + len(second)
    assert points[0] == (first[0][0] / 320, first[0][1])
    assert points[-1] == (2, second[-1][1])
    assert section.along_epochs("train_accuracy")[-1] == (2, second[-1][2])
    assert section.along_epochs("test_accuracy") == []


def test_the_charts_of_the_page_show_points_and_published_values(page, page_file, recipe):
    assert page_file.read_text().count("stroke-opacity: 0.55") == 4  # loss and training accuracy of one run
    ids = {element.attributes["id"] for element in page.having("id")}
    for metric in METRICS:
        assert sum(name.startswith(f"{metric}-published-") for name in ids) == len(recipe.runs)


def test_a_run_without_points_is_reported_without_thin_lines(at_home, trained_run, tmp_path):
    run = changed(trained_run, tmp_path / "run")
    (run / "points.json").unlink()
    report.write_report([run], tmp_path / "page.html")
    assert "stroke-opacity: 0.55" not in (tmp_path / "page.html").read_text()


def test_runs_have_different_markers():
    swatches = [str(charts.swatch(number, "here")) for number in range(len(charts.MARKERS))]
    shapes = {re.sub(r"var\(--\w+-?\d*\)|swatch-here-\d+|m[0-9a-f]{10}", "", swatch) for swatch in swatches}
    assert len(shapes) == len(charts.MARKERS)
