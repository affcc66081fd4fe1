"""Event files of TensorBoard have the metrics of run.json."""

from dataclasses import replace
import struct
import sys

from gluon_classics.errors import ClassicsError
from gluon_classics.report import report
from gluon_classics.runs.record import read_run
from gluon_classics.utils.history import METRICS
import numpy as np
from pages import changed, record_of
import pytest


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
        for metric in (*METRICS, "test_top_5_accuracy", "images_per_second")
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


def test_the_event_file_has_the_validation_accuracies_of_a_run_with_validation_images(at_home, trained_run, tmp_path):
    record = record_of(trained_run)
    epochs = tuple(replace(epoch, validation_accuracy=0.5 + epoch.epoch / 8) for epoch in record.epochs)
    settings = replace(record.settings, validation_share=0.2)
    run = changed(trained_run, tmp_path / "run", epochs=epochs, settings=settings)
    report.write_report([run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    found = [(step, value) for tag, step, value, _ in scalars(tmp_path / "logs" / "run") if "validation" in tag]
    assert found == [(1, 0.5), (2, 0.625)]


def test_the_event_file_has_the_top_5_accuracies(at_home, trained_run, tmp_path):
    report.write_report([trained_run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    events = scalars(tmp_path / "logs" / trained_run.name)
    found = [value for tag, _, value, _ in events if tag == "epoch/test_top_5_accuracy"]
    assert found == [np.float32(epoch.test_top_5_accuracy) for epoch in record_of(trained_run).epochs]


def test_existing_event_files_are_not_mixed_with_new_ones(at_home, trained_run, tmp_path):
    (tmp_path / "logs" / trained_run.name).mkdir(parents=True)
    with pytest.raises(ClassicsError, match="exists already"):
        report.write_report([trained_run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    assert not (tmp_path / "page.html").exists()


def test_without_tensorboardx_the_error_names_its_extra(monkeypatch, at_home, trained_run, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ClassicsError, match=r"pip install 'gluon-classics\[tensorboard\]'"):
        report.write_report([trained_run], tmp_path / "page.html", tensorboard=tmp_path / "logs")
    assert not list(tmp_path.iterdir())
