"""The page has the numbers of run.json, loads no other file, and is readable."""

from dataclasses import asdict, replace
from pathlib import Path
import re

from gluon_classics.report import report
from gluon_classics.report.page import words
from gluon_classics.reproduction import formatting
from gluon_classics.reproduction.recipes import name_of
from gluon_classics.reproduction.verdict import judge
from pages import NASTY, Elements, assert_numbers_are, changed, numbers_of, record_of
import pytest


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


def test_epochs_without_a_top_5_accuracy_are_named_next_to_those_that_have_one(at_home, trained_run, tmp_path):
    first, second = record_of(trained_run).epochs
    assert second.test_top_5_accuracy >= second.test_accuracy
    run = changed(trained_run, tmp_path / "run", epochs=(replace(first, test_top_5_accuracy=None), second))
    report.write_report([run], tmp_path / "page.html")
    page = Elements((tmp_path / "page.html").read_text())
    found = [(epoch, value) for _, epoch, metric, value, _ in numbers_of(page) if metric == "test_top_5_accuracy"]
    assert [(epoch, float(value)) for epoch, value in found] == [("1", second.test_top_5_accuracy)]
    assert "not recorded" in page.all[0].text


def test_the_page_of_a_run_with_validation_images_has_their_accuracies_and_the_best_epoch(
    at_home, trained_run, tmp_path
):
    record = record_of(trained_run)
    held_out = (0.75, 0.5)
    epochs = [replace(epoch, validation_accuracy=value) for epoch, value in zip(record.epochs, held_out)]
    settings = replace(record.settings, validation_share=0.2, reported="best", patience=1, epochs=7)
    run = changed(trained_run, tmp_path / "run", epochs=tuple(epochs), settings=settings)
    report.write_report([run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    page = Elements((tmp_path / "page.html").read_text())
    numbers = {(epoch, metric): value for _, epoch, metric, value, _ in numbers_of(page)}
    assert [float(numbers[number, "validation_accuracy"]) for number in ("0", "1")] == list(held_out)
    assert float(numbers[None, "test_accuracy"]) == epochs[0].test_accuracy
    text = page.all[0].text
    assert "test accuracy of epoch 1" in text
    assert "The training stopped early, after 2 of 7 epochs." in text
    assert "after its best epoch" in text


def test_the_page_says_that_parameters_are_not_those_of_the_last_epoch(at_home, trained_run, tmp_path):
    *others, last = record_of(trained_run).epochs
    run = changed(trained_run, tmp_path / "run", epochs=(*others, replace(last, test_accuracy=0.125)))
    report.write_report([run], tmp_path / "page.html")
    assert "the parameters were saved at another time" in (tmp_path / "page.html").read_text()
