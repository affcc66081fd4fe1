"""The measurements of `benchmarks/disk.py`, with few images. The measured values are not tested."""

import disk
import pytest


@pytest.mark.filterwarnings("ignore")  # of Gluon's reader
def test_every_reader_returns_all_images_of_its_data(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "BATCH_SIZE", 8)
    disk.write_jpegs(tmp_path, 40)
    disk.pack(tmp_path / "jpeg", tmp_path / "packed.rec")
    for name in disk.READERS:
        batches = list(disk.Reader(name, tmp_path).batches())
        expected = 40 if name == "gluon" else 32  # the others leave the test images out
        assert sum(len(batch) for batch in batches) == expected, name
        assert {batch.shape[1:] for batch in batches} == {(3, disk.SIDE, disk.SIDE)}


def test_our_readers_read_the_same_images(tmp_path):
    disk.write_jpegs(tmp_path, 40)
    disk.pack(tmp_path / "jpeg", tmp_path / "packed.rec")
    sums = [
        sorted(float(image.sum()) for batch in disk.Reader(name, tmp_path).batches() for image in batch.asnumpy())
        for name in ("files", "records", "memory")
    ]
    assert sums[0] == pytest.approx(sums[1])
    assert sums[1] == pytest.approx(sums[2])


def test_folders_of_links_have_as_many_files_as_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "TINY_CLASSES", 3)
    disk.write_links(tmp_path, 31)
    assert len(list(tmp_path.glob("*/*.png"))) == 31
    seconds, memory = disk.FirstBatch().measured(tmp_path)
    assert 0 < seconds < 60
    assert 0 < memory < 10_000


def test_ratios_are_of_processor_time_within_a_turn():
    measured = {name: [(100.0, 1.0), (50.0, 1.0)] for name in disk.READERS}
    measured["files"] = [(200.0, 9.0), (150.0, 9.0)]
    ratios = disk.ratios(measured)
    assert ratios["files / iterator"] == {"median": 2.5, "low": 2, "high": 3, "turns": 2}
    assert ratios["records / gluon"]["median"] == 1


def test_the_result_is_shown_and_drawn(tmp_path, monkeypatch, capsys):
    measured = {name: [(100.0, 1.0)] for name in disk.READERS}
    points = [(10, 0.5, 100.0), (1000, 1.5, 200.0)]
    disk.show({"images_per_second": measured, "ratios": disk.ratios(measured), "growth": points})
    shown = capsys.readouterr().out
    for words in ("iterator", "files / gluon", "1,000"):
        assert words in shown
    monkeypatch.setattr(disk, "PLOT", tmp_path / "plot.svg")
    disk.draw(points)
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
