"""Writing the report: the command, repeatable pages, and errors that leave an old page as it is."""

from dataclasses import replace
import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.report import charts, report
from pages import Elements, assert_numbers_are, changed, numbers_of, record_of
import pytest


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


def test_an_error_of_the_command_is_one_line(command, tmp_path):
    result = command("report", "nothing", "-o", "page.html")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: nothing is not a run folder")
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_report_has_no_curves_if_matplotlib_cannot_draw_them(at_home, monkeypatch, trained_run, tmp_path, capsys):
    def broken(*_arguments, **_options):
        raise ValueError("'nonsense' is not a valid value for backend")

    charts._warn_once.cache_clear()
    monkeypatch.setattr(charts, "_drawn", broken)
    report.write_report([trained_run], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Test accuracy" in text
    assert "<svg" not in text.partition("<main")[2]
    assert capsys.readouterr().err.count("The report has no curves") == 1


def test_the_page_is_kept_if_the_event_files_cannot_be_written(at_home, monkeypatch, trained_run, tmp_path):
    def full(*_arguments):
        raise ClassicsError("cannot write the event files")

    monkeypatch.setattr(report, "write_events", full)
    with pytest.raises(ClassicsError, match="event files"):
        report.write_report([trained_run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    assert (tmp_path / "page.html").exists()
