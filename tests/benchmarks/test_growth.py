"""The measurements and the pictures of `benchmarks/growth.py`. The measured values are not tested."""

import json
import os

from cases import Case
import growth
import pytest

SHORT = 0.01  # seconds


class ThreadCounter:
    """A contestant whose speed is the number of its threads."""

    def steps(self, _seconds):
        return float(os.environ["OMP_NUM_THREADS"])

    def memory(self):
        return 7


def thread_counter(_case):
    return ThreadCounter()


def test_a_point_is_measured_in_a_separate_process_with_the_given_threads(monkeypatch):
    case = Case("lenet", 28, 8, 1, 0.01)
    time, memory = growth.point(growth.GROWTHS["batch"], case, 1, SHORT)
    assert 0 < time < 1000
    assert 50 < memory < 2000
    monkeypatch.setattr(growth, "make", thread_counter)
    assert growth.point(growth.GROWTHS["batch"], case, 5, SHORT) == (200, 7)


def test_steps_are_in_milliseconds_per_image_and_epochs_in_seconds():
    assert growth.GROWTHS["batch"].time(rate=2000, images=100) == 0.5
    assert growth.GROWTHS["images"].time(rate=2000, images=100) == 0.05


def test_one_quantity_varies_and_the_others_are_constant(monkeypatch):
    seen = []
    monkeypatch.setattr(growth, "point", lambda growth, case, threads, seconds: seen.append((case, threads)) or (1, 2))
    for name, quantity in growth.GROWTHS.items():
        seen.clear()
        curves = growth.measure(name, SHORT, "images.npz")
        assert curves == {network: [(value, 1, 2) for value in quantity.values] for network in quantity.cases}
        for first in range(0, len(seen), len(quantity.values)):
            cases, threads = zip(*seen[first : first + len(quantity.values)])
            varied = {
                "batch": [case.batch_size for case in cases],
                "resolution": [case.size for case in cases],
                "images": [case.batch_size * case.epoch_batches for case in cases],
                "threads": list(threads),
            }
            assert varied.pop(name) == list(quantity.values)
            if name == "batch":
                varied.pop("images")  # a batch is the epoch
            assert all(len(set(others)) == 1 for others in varied.values())
            assert {case.images_file for case in cases} == {"images.npz"}
            assert {case.network for case in cases} == {[*quantity.cases][first // len(quantity.values)]}


def test_a_picture_has_a_time_and_a_memory_curve_for_each_network(tmp_path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is absent: pip install -e '.[cpu,plot]'")
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(growth, "ROOT", tmp_path)
    figures = []
    monkeypatch.setattr(pyplot, "close", figures.append)
    curves = {"lenet": [(1, 3.0, 300.0), (2, 2.0, 310.0)], "resnet": [(1, 30.0, 500.0), (2, 20.0, 600.0)]}
    growth.draw("batch", curves)
    monkeypatch.undo()
    pyplot.close(figures[0])
    drawn = [[line.get_xydata().tolist() for line in panel.lines] for panel in figures[0].axes]
    assert drawn == [
        [[[1, 3], [2, 2]], [[1, 30], [2, 20]]],
        [[[1, 300], [2, 310]], [[1, 500], [2, 600]]],
    ]
    assert (tmp_path / "docs/growth-batch.svg").read_text().rstrip().endswith("</svg>")


def test_the_published_curves_are_complete():
    published = json.loads(growth.PUBLISHED.read_text())
    assert set(published["curves"]) == set(growth.GROWTHS)
    for name, quantity in growth.GROWTHS.items():
        values = range(1, 2 * published["cores"] + 1) if name == "threads" else quantity.values
        curves = published["curves"][name]
        assert {network: [point[0] for point in curves[network]] for network in curves} == {
            network: list(values) for network in quantity.cases
        }


@pytest.mark.parametrize("name", growth.GROWTHS)
def test_the_notes_have_a_picture_of_each_published_curve(name):
    assert f"(../docs/growth-{name}.svg)" in growth.PUBLISHED.with_name("NOTES.md").read_text()
    assert (growth.ROOT / "docs" / f"growth-{name}.svg").exists()


def test_publishing_only_some_of_the_curves_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["growth.py", "--of", "batch", "--publish"])
    with pytest.raises(SystemExit):
        growth.main()
    assert "leave out --of" in capsys.readouterr().err
