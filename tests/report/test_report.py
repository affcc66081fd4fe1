"""The page of `report` has the numbers of run.json, loads no other file, and fits on a phone."""

import base64
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
import re
import shutil
import struct
import sys

import browser
import cv2
from gluon_classics._files import write_text
from gluon_classics.data.images import Images
from gluon_classics.errors import ClassicsError
from gluon_classics.report import charts, predictions, report
from gluon_classics.report.page import Section, duration, render, words
from gluon_classics.reproduction import formatting
from gluon_classics.reproduction.recipes import list_recipes, name_of
from gluon_classics.reproduction.verdict import judge
from gluon_classics.runs import predictor, train
from gluon_classics.runs.record import Processor, RunRecord, read_run
from gluon_classics.utils.history import METRICS, EpochRecord
import mxnet as mx
import numpy as np
import pytest

VOID = {"meta", "img", "br", "col"}
NASTY = [
    '<script>alert("x")<',
    "a&b \"c\" 'd'",
    "{{ 7 * 7 }} $x^2$",
    "Donaudampfschifffahrtsgesellschaftskapitaensmuetze",
]


class Element:
    """An element of a page, with its text."""

    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent = tag, dict(attributes), parent
        self.text = ""

    def near(self, name):
        """Return an attribute of the element, or of the nearest enclosing element that has it."""
        element = self
        while element and name not in element.attributes:
            element = element.parent
        return element and element.attributes[name]


class Elements(HTMLParser):
    """All elements of a page, in order."""

    def __init__(self, page):
        super().__init__()
        self.all = []
        self._open = []
        self.feed(page)
        assert not self._open, "not closed"

    def handle_startendtag(self, tag, attrs):
        self.all.append(Element(tag, attrs, self._open[-1] if self._open else None))

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(self.all[-1])

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        for element in self._open:
            element.text += data

    def having(self, attribute):
        """Return the elements with an attribute."""
        return [element for element in self.all if attribute in element.attributes]


def changed(run, folder, **changes):
    """Copy a run folder, apply `changes` to its record, and return the copy."""
    shutil.copytree(run, folder)
    write_text(folder / "run.json", replace(record_of(run), **changes).to_json())
    return folder


def record_of(run):
    return RunRecord.from_json((run / "run.json").read_text())


@pytest.fixture(scope="module")
def recipe():
    """Return a recipe of LeNet with published values after several epochs."""
    return next(
        recipe
        for recipe in list_recipes()
        if recipe.settings.model == "lenet" and len({run.epoch for run in recipe.runs}) > 1 and recipe.metrics
    )


@pytest.fixture(scope="module")
def recipe_run(trained_run, recipe, tmp_path_factory):
    """Return the folder of a run with the settings of the recipe and the published results."""
    of_last_epoch = [run for run in recipe.runs if run.epoch == recipe.settings.epochs]
    metrics = {metric: float(np.mean([getattr(run, metric) for run in of_last_epoch])) for metric in METRICS}
    epochs = [
        EpochRecord(epoch, **metrics, seconds=61.5 + epoch, images_per_second=1000.0)
        for epoch in range(recipe.settings.epochs)
    ]
    epochs[0] = replace(epochs[0], train_loss=2.25)
    record = record_of(trained_run)
    processor = Processor("a processor", 6, 85, flags=("avx2", "avx512f"), onednn_isa="AVX512_CORE")
    return changed(
        trained_run,
        tmp_path_factory.mktemp("recipe") / "by recipe",
        recipe=recipe.name,
        settings=recipe.settings,
        data=replace(record.data, is_published=True),
        provenance=replace(record.provenance, processor=processor),
        epochs=tuple(epochs),
        seconds=7384.2,
    )


@pytest.fixture(scope="module")
def page_file(trained_run, recipe_run, small_home, tmp_path_factory):
    """Return the path of the report on both runs."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MXNET_HOME", str(small_home))
        report.write_report([trained_run, recipe_run], path)
    return path


@pytest.fixture(scope="module")
def page(page_file):
    return Elements(page_file.read_text(encoding="utf-8"))


@pytest.fixture
def at_home(monkeypatch, small_home):
    """Make the package find the small Fashion-MNIST."""
    monkeypatch.setenv("MXNET_HOME", str(small_home))


def numbers_of(page):
    """Return run, epoch (None: the last), metric, value and displayed text of every labeled number."""
    return [
        (*map(element.near, ("data-run", "data-epoch", "data-metric")), element.attributes["value"], element.text)
        for element in page.having("data-metric")
    ]


def assert_numbers_are(numbers, runs):
    """Check that each epoch's metrics occur once, and the last ones again, as in run.json and correctly rounded."""
    of_epochs = []
    shown = set()
    for run, epoch, metric, value, text in numbers:
        record = record_of(runs[int(run)])
        if epoch is not None:
            of_epochs.append((int(run), int(epoch), metric))
            expected = getattr(record.epochs[int(epoch)], metric)
        elif metric in METRICS:
            expected = getattr(record.last, metric)
        elif metric == "seconds":
            expected = record.seconds
        elif metric == "epochs":
            expected = len(record.epochs)
        else:
            continue
        shown.add((int(run), metric))
        assert float(value) == expected
        if metric == "train_loss":
            assert text == f"{expected:.4f}"
        elif metric in METRICS:
            assert text in (f"{100 * expected:.2f}%", f"{expected:.4f}")
        elif metric == "epochs":
            assert text == str(expected)
        else:
            assert text == duration(expected)
    assert sorted(of_epochs) == [
        (number, epoch, metric)
        for number, run in enumerate(runs)
        for epoch in range(len(record_of(run).epochs))
        for metric in sorted((*METRICS, "seconds"))
    ]
    assert shown == {(number, metric) for number in range(len(runs)) for metric in (*METRICS, "seconds", "epochs")}


def test_the_numbers_of_the_page_are_those_of_the_records(page, trained_run, recipe_run):
    assert_numbers_are(numbers_of(page), [trained_run, recipe_run])


def test_settings_data_and_provenance_are_those_of_the_records(page, trained_run, recipe_run):
    facts = {(e.near("data-run"), e.attributes["data-fact"]): e.text for e in page.having("data-fact")}
    for number, run in enumerate((trained_run, recipe_run)):
        record = record_of(run)
        for part in ("settings", "data", "provenance"):
            for name, value in asdict(getattr(record, part)).items():
                if name != "processor":
                    assert facts[str(number), f"{part}.{name}"] == words(value)
        assert facts[str(number), "run.folder"] == str(run)
        assert facts[str(number), "run.parameters"] == "170988"
    of_processor = {name: text for (number, name), text in facts.items() if number == "1" and "processor" in name}
    assert of_processor == {
        "provenance.processor": "a processor",
        "provenance.processor_family": "6",
        "provenance.processor_model": "85",
        "provenance.processor_stepping": "none",
        "provenance.processor_flags": "avx2, avx512f",
    }
    assert facts["1", "provenance.onednn_isa"] == "AVX512_CORE"


def test_the_confusion_matrix_has_the_counts_of_evaluate(page, at_home, trained_run):
    network, data = predictor.with_test_data(trained_run)
    counted = network.evaluate(data)
    rows = [
        row
        for row in page.all
        if row.tag == "tr" and row.near("data-run") == "0" and row.parent.parent.near("class") == "matrix"
    ]
    cells = {id(row): [] for row in rows}
    for element in page.all:
        if element.tag == "td" and id(element.parent) in cells:
            cells[id(element.parent)].append(element.text)
    headers = [
        element.text
        for element in page.all
        if element.tag == "th" and element.near("data-run") == "0" and element.near("class") == "matrix"
    ]
    assert headers == 2 * list(data.classes)  # of the columns, then of the rows
    matrix = np.array([list(map(int, row)) for row in cells.values() if "" not in row])
    assert matrix.sum() == counted["images"]
    assert list(matrix.diagonal()) == [row["right"] for row in counted["classes"]]
    assert list(matrix.sum(axis=1)) == [row["images"] for row in counted["classes"]]
    (accuracy,) = [float(value) for run, _, metric, value, _ in numbers_of(page) if (run, metric) == ("0", "accuracy")]
    assert accuracy == counted["accuracy"]


def test_the_accuracies_of_the_classes_are_those_of_evaluate(page, at_home, trained_run):
    network, data = predictor.with_test_data(trained_run)
    shown = [float(value) for run, _, metric, value, _ in numbers_of(page) if (run, metric) == ("0", "class_accuracy")]
    assert shown == [row["right"] / row["images"] for row in network.evaluate(data)["classes"]]


def test_mistakes_are_wrong_test_images_with_the_most_confident_first(page, at_home, trained_run):
    network, data = predictor.with_test_data(trained_run)
    probabilities = network.test_probabilities(data)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != data.test.labels)
    found = [element for element in page.having("data-image") if element.near("data-run") == "0"]
    assert len(found) == min(len(wrong), predictions.MISTAKES)
    indices = [int(element.attributes["data-image"]) for element in found]
    assert (
        list(probabilities[indices].max(axis=1)) == sorted(probabilities[wrong].max(axis=1), reverse=True)[: len(found)]
    )
    for index, shown in zip(indices, found):
        (picture,) = [element for element in page.all if element.tag == "img" and element.parent is shown]
        assert np.array_equal(decoded(picture), data.test.images[index][..., 0])
        true, predicted = data.classes[data.test.labels[index]], data.classes[probabilities[index].argmax()]
        assert picture.attributes["alt"] == f"Test image {index}: {true}, predicted {predicted}"
        assert re.sub(r"\s+", " ", shown.text).strip() == f"{true} as {predicted} {probabilities[index].max():.2%}"


def decoded(picture):
    """Return the pixels of a picture in the page."""
    content = base64.b64decode(picture.attributes["src"].partition("base64,")[2])
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def test_filters_are_the_weights_of_the_first_convolution(page, trained_run):
    weights = mx.nd.load(str(trained_run / "net.params"))["0.weight"].asnumpy()[:, 0]
    pictures = [
        e for e in page.all if e.tag == "img" and e.parent.near("class") == "filters" and e.near("data-run") == "0"
    ]
    assert len(pictures) == len(weights) == 20
    for picture, weight in zip(pictures, weights):
        assert np.abs(decoded(picture) - 127.5 * (1 + weight / np.abs(weight).max())).max() <= 0.5 + 1e-4


def test_a_network_that_does_not_start_with_a_convolution_of_the_image_has_no_filters():
    net = mx.gluon.nn.Dense(3, in_units=4)
    net.initialize()
    assert predictions.first_filters(net, 1) is None
    convolution = mx.gluon.nn.Conv2D(3, 2, in_channels=3)
    convolution.initialize()
    assert predictions.first_filters(convolution, 1) is None
    assert predictions.first_filters(convolution, 3).shape == (3, 3, 2, 2)


def test_confusions_and_mistakes_of_a_small_example():
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0], [0.1, 0.3, 0.6], [0, 0.9, 0.1]])
    images = Images(np.zeros((5, 2, 2, 3), np.uint8), np.array([0, 0, 0, 2, 2], np.uint8))
    found = predictions.find(mx.gluon.nn.Dense(1), images, probabilities)
    assert found.confusion.tolist() == [[1, 2, 0], [0, 0, 0], [0, 1, 1]]
    assert (found.right, found.images) == (2, 5)
    assert found.confusions() == [(0, 1, 2), (2, 1, 1)]
    assert [(m.index, m.true, m.predicted, m.probability) for m in found.mistakes] == [
        (4, 2, 1, 0.9),
        (1, 0, 1, 0.8),
        (2, 0, 1, 0.7),
    ]


def test_the_channels_of_pictures_are_red_green_blue():
    image = np.zeros((1, 2, 3), np.uint8)
    image[0, 0] = (255, 128, 0)
    content = base64.b64decode(predictions.png(image).partition("base64,")[2])
    assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[0, 0].tolist() == [0, 128, 255]


def test_only_a_run_with_a_recipe_has_a_verdict(page, recipe, recipe_run):
    verdict = judge(recipe, [record_of(recipe_run)])
    assert verdict.verdict == "undecided"
    shown = {(element.near("data-run"), element.text) for element in page.having("data-verdict")}
    assert shown == {("1", "undecided")}
    text = page.all[0].text
    for metric, comparison in verdict.comparisons.items():
        assert f"{name_of(metric).capitalize()}: {comparison.statement}." in text
        assert formatting.difference_words(comparison) in text
    assert text.count("no recipe") == 1
    assert f"Recipe {recipe.name}" in text


def test_several_runs_of_a_recipe_are_judged_together(at_home, recipe, recipe_run, tmp_path):
    other = changed(recipe_run, tmp_path / "other", settings=replace(recipe.settings, seed=1))
    report.write_report([recipe_run, other], tmp_path / "page.html")
    page = Elements((tmp_path / "page.html").read_text())
    (together,) = page.having("data-recipe")
    assert together.attributes["data-recipe"] == recipe.name
    assert judge(recipe, [record_of(recipe_run), record_of(other)]).statement in together.text
    assert "seed 1" in page.all[0].text


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


def test_runs_have_different_markers():
    swatches = [str(charts.swatch(number, "here")) for number in range(len(charts.MARKERS))]
    shapes = {re.sub(r"var\(--\w+-?\d*\)|swatch-here-\d+|m[0-9a-f]{10}", "", swatch) for swatch in swatches}
    assert len(shapes) == len(charts.MARKERS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_have_enough_contrast_with_the_background(scheme):
    css = Path(report.__file__).with_name("templates").joinpath("report.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    colors = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    texts = [name for name in colors if name not in ("--paper", "--panel", "--line")]
    assert len(texts) == 14
    for name in texts:
        for ground in ("--paper", "--panel"):
            assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)


def contrast(first, second):
    """Return the contrast ratio of WCAG 2, 1 to 21."""

    def luminance(color):
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_refers_to_no_other_file(page_file, page):
    for element in page.all:
        assert element.tag not in ("script", "link", "iframe", "object", "base")
        for name in ("src", "href", "xlink:href"):
            assert element.attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", page_file.read_text())
    assert "@import" not in page_file.read_text()
    (policy,) = [e.attributes["content"] for e in page.having("http-equiv")]
    assert policy.startswith("default-src 'none';")  # a browser must not load or run anything either


def test_ids_are_unique_and_every_reference_has_its_target(page):
    ids = [element.attributes["id"] for element in page.having("id")]
    assert len(ids) == len(set(ids))
    for element in page.all:
        for name in ("href", "xlink:href"):
            if name in element.attributes:
                assert element.attributes[name][1:] in ids


def test_pictures_have_alternative_text_and_tables_have_headers(page):
    assert all("alt" in element.attributes for element in page.all if element.tag == "img")
    tables = [element for element in page.all if element.tag == "table"]
    assert tables
    for table in tables:
        assert any(e.tag == "th" and "scope" in e.attributes and table in ancestors(e) for e in page.all)


def ancestors(element):
    while element.parent:
        element = element.parent
        yield element


@pytest.fixture(scope="module")
def nasty_page(tmp_path_factory, rng_of_module):
    """Return the path of a report whose classes and folder have names with special characters."""
    home = tmp_path_factory.mktemp("nasty")
    for number, name in enumerate(NASTY):
        folder = home / "images" / name
        folder.mkdir(parents=True)
        for image in range(10):
            pixels = rng_of_module.randint(0, 60, (28, 28)) + 40 * number
            cv2.imwrite(str(folder / f"{image}.png"), pixels.astype(np.uint8))
    run = home / '"><img src=x onerror=alert(1)>'
    train.train("lenet", "cpu", run, str(home / "images"), checkpoint_minutes=10, batch_size=16)
    report.write_report([run], home / "page.html")
    return home / "page.html"


@pytest.fixture(scope="module")
def rng_of_module():
    return np.random.RandomState(20180306)


def test_names_of_classes_and_folders_are_escaped(nasty_page):
    page = Elements(nasty_page.read_text(encoding="utf-8"))
    assert not [element for element in page.all if element.tag == "script"]
    assert all(e.attributes["src"].startswith("data:image/png") for e in page.all if e.tag == "img")
    headers = {element.text.strip() for element in page.all if element.tag == "th"}
    assert headers.issuperset(NASTY)
    assert '"><img src=x onerror=alert(1)>' in page.all[0].text


def test_a_report_on_one_run_has_no_comparison(at_home, trained_run, tmp_path):
    report.write_report([trained_run, trained_run / "." / ".." / trained_run.name], tmp_path / "page.html")
    page = Elements((tmp_path / "page.html").read_text())
    assert "Compared" not in page.all[0].text
    assert {element.near("data-run") for element in page.having("data-metric")} == {"0"}
    assert_numbers_are(numbers_of(page), [trained_run])


def test_the_confusion_matrix_of_many_classes_is_a_picture(at_home, trained_run):
    confusion = np.diag(np.arange(1, 21))
    confusion[3, 5] = 2
    found = predictions.Findings(confusion, [], [], None)
    record = read_run(trained_run).record
    record = replace(record, data=replace(record.data, classes=tuple(f"class {number}" for number in range(20))))
    section = Section(0, "run", "folder", record, found, None)
    page = Elements(render([section]))
    (picture,) = [e for e in page.all if e.attributes.get("class") == "map"]
    shares = confusion / confusion.sum(axis=1, keepdims=True)
    assert np.array_equal(decoded(picture), np.round(255 * np.sqrt(shares)).astype(np.uint8))
    assert "class 3" in page.all[0].text
    assert not [e for e in page.all if e.attributes.get("class") == "matrix"]


def test_runs_are_labeled_with_the_shortest_distinct_ends_of_their_paths(at_home, trained_run, tmp_path):
    runs = [changed(trained_run, tmp_path / name / "run") for name in ("a", "b")]
    report.write_report(runs, tmp_path / "page.html")
    page = Elements((tmp_path / "page.html").read_text())
    labels = [e.text.strip() for e in page.all if e.tag == "h2"]
    assert labels[-2:] == ["a/run", "b/run"]


def test_the_page_says_that_a_run_was_interrupted(at_home, trained_run, tmp_path):
    settings = replace(record_of(trained_run).settings, epochs=7)
    run = changed(trained_run, tmp_path / "run", status="interrupted", settings=settings)
    report.write_report([run], tmp_path / "page.html")
    assert "This run is interrupted: 2 of 7 epochs are done." in (tmp_path / "page.html").read_text()


def test_the_page_says_that_parameters_are_not_those_of_the_last_epoch(at_home, trained_run, tmp_path):
    *others, last = record_of(trained_run).epochs
    run = changed(trained_run, tmp_path / "run", epochs=(*others, replace(last, test_accuracy=0.125)))
    report.write_report([run], tmp_path / "page.html")
    assert "the parameters were saved at another time" in (tmp_path / "page.html").read_text()


def test_the_command_writes_the_page_and_prints_its_path(command, trained_run, tmp_path):
    result = command("report", trained_run, "-o", "page.html")
    assert (result.returncode, result.stdout) == (0, "page.html\n")
    assert "src/" not in result.stderr
    assert_numbers_are(numbers_of(Elements((tmp_path / "page.html").read_text())), [trained_run])


def test_the_same_runs_give_the_same_page(at_home, trained_run, tmp_path):
    for name in ("a", "b"):
        report.write_report([trained_run], tmp_path / f"{name}.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def damaged(part, trained_run, folder):
    """Return a copy of a run folder that lacks a part or has a wrong one."""
    record = record_of(trained_run)
    if part == "no parameters":
        (changed(trained_run, folder) / "net.params").unlink()
    elif part == "no epoch":
        changed(trained_run, folder, epochs=())
    elif part == "other data":
        changed(trained_run, folder, data=replace(record.data, sha256="0"))
    elif part == "no data":
        changed(trained_run, folder, settings=replace(record.settings, data="/nowhere"))
    elif part == "no record":
        (changed(trained_run, folder) / "run.json").write_text("{")
    return folder


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("no folder", "is not a run folder"),
        ("no record", "run.json cannot be used"),
        ("no parameters", "there is no parameter file"),
        ("no epoch", "has not finished an epoch"),
        ("other data", "was trained on other images"),
        ("no data", "there is no folder .*nowhere"),
    ],
)
def test_a_run_that_cannot_be_reported_is_an_error_and_the_old_page_stays(at_home, trained_run, tmp_path, part, words):
    run = damaged(part, trained_run, tmp_path / "run")
    page = tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    page.write_text("old")
    with pytest.raises(ClassicsError, match=words) as error:
        report.write_report([trained_run, run], page)
    assert "\n" not in str(error.value)
    assert page.read_text() == "old"
    assert list(page.parent.iterdir()) == [page]


@pytest.mark.parametrize("output", [".", "nowhere/page.html", "/proc/page.html", "run.json", "page"])
def test_an_output_that_cannot_be_written_is_found_before_any_computation(monkeypatch, trained_run, tmp_path, output):
    monkeypatch.setattr(report, "from_run", pytest.fail)
    with pytest.raises(ClassicsError, match="-o") as error:
        report.write_report([trained_run], tmp_path / output)
    assert str(tmp_path / output) in str(error.value)


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_without_the_extra_plot_the_error_names_it(monkeypatch, trained_run, tmp_path, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ClassicsError, match=r"pip install 'gluon-classics\[plot\]'"):
        report.write_report([trained_run], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_without_tensorboardx_the_error_names_its_extra(monkeypatch, at_home, trained_run, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ClassicsError, match=r"pip install 'gluon-classics\[tensorboard\]'"):
        report.write_report([trained_run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_command_is_one_line(command, tmp_path):
    result = command("report", "nothing", "-o", "page.html")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: nothing is not a run folder")
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def scalars(folder):
    """Return tag, step, value and time of all scalars in the only event file of a folder."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    content = path.read_bytes()
    found = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])  # then 4 bytes of checksum, the event, 4 bytes of checksum
        event = Event.FromString(content[12 : 12 + length])
        found += [(value.tag, event.step, value.simple_value, event.wall_time) for value in event.summary.value]
        content = content[16 + length :]
    return found


def test_the_event_file_has_the_metrics_of_the_record_and_the_points_along_each_epoch(
    at_home, trained_run, recipe_run, tmp_path
):
    report.write_report([trained_run, recipe_run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == [recipe_run.name, trained_run.name]
    found = {(tag, step): value for tag, step, value, _ in scalars(tmp_path / "logs" / trained_run.name)}
    epochs = read_run(trained_run).record.epochs
    assert len(epochs[0].curve) > 1
    expected = {
        (f"epoch/{metric}", epoch.epoch + 1): getattr(epoch, metric)
        for epoch in epochs
        for metric in (*METRICS, "images_per_second")
    }
    for epoch in epochs:
        for images, loss, accuracy in epoch.curve:
            expected["images/loss", 320 * epoch.epoch + images] = loss
            expected["images/accuracy", 320 * epoch.epoch + images] = accuracy
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key] == np.float32(value)
    times = [time for *_, time in scalars(tmp_path / "logs" / trained_run.name)]
    assert times == sorted(times)


def test_existing_event_files_are_not_mixed_with_new_ones(at_home, trained_run, tmp_path):
    (tmp_path / "logs" / trained_run.name).mkdir(parents=True)
    with pytest.raises(ClassicsError, match="exists already"):
        report.write_report([trained_run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    assert not (tmp_path / "page.html").exists()


def test_a_run_without_points_is_reported_without_thin_lines(at_home, trained_run, tmp_path):
    run = changed(trained_run, tmp_path / "run")
    (run / "points.json").unlink()
    report.write_report([run], tmp_path / "page.html")
    assert "stroke-opacity: 0.55" not in (tmp_path / "page.html").read_text()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Return a page in headless Chromium."""
    if browser.COMMAND is None:
        pytest.skip(f"Chromium is not installed; to run this test: {browser.INSTALL}")
    with browser.Page(tmp_path_factory.mktemp("profile")) as page:
        yield page


OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 360])
@pytest.mark.parametrize("which", ["page_file", "nasty_page"])
def test_chromium_renders_the_page_without_problems_and_within_its_width(request, chromium, which, width, dark):
    path = request.getfixturevalue(which)
    chromium.open(path.as_uri(), width, dark=dark)
    chromium.evaluate(OPEN_ALL)
    assert chromium.problems() == []
    assert chromium.requests()[0] == path.as_uri()
    assert all(address.startswith("data:image/png") for address in chromium.requests()[1:])
    assert chromium.evaluate("innerWidth") == width
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    outside = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert chromium.evaluate(f"{outside}.map(e => e.outerHTML.slice(0, 99))") == []
    assert chromium.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    background = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background))) < 200) == dark


def test_the_numbers_that_chromium_shows_are_those_of_the_records(chromium, page_file, trained_run, recipe_run):
    chromium.open(page_file.as_uri(), 360)
    chromium.evaluate(OPEN_ALL)
    numbers = chromium.evaluate(
        "[...document.querySelectorAll('data')].map(e => [e.closest('[data-run]').dataset.run,"
        " e.closest('[data-epoch]')?.dataset.epoch ?? null, e.dataset.metric, e.value, e.innerText])"
    )
    assert_numbers_are(numbers, [trained_run, recipe_run])


def test_charts_are_drawn_with_readable_text_on_a_phone(chromium, page_file):
    chromium.open(page_file.as_uri(), 360)
    sizes = chromium.evaluate(
        "[...document.querySelectorAll('.chart svg')].map(svg => [svg.getBoundingClientRect().width,"
        " Math.min(...[...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect().height)),"
        " svg.querySelectorAll('path').length])"
    )
    assert len(sizes) == 3
    for width, height_of_text, paths in sizes:
        assert width > 260
        assert height_of_text >= 10
        assert paths > 5
