"""The record of a run is read as it was written, and a damaged or unknown record is an error."""

from dataclasses import replace
import json
from pathlib import Path

from gluon_classics.errors import RunError
from gluon_classics.runs.record import Resumption, RunRecord, read_run
import pytest

LENET = "lenet_d2l-fashion-mnist-d2l-0.17"
RESULTS = Path(__file__).parents[2] / "results"


def at(content, path):
    """Return the part of a JSON value that contains the last key of `path`."""
    for name in path[:-1]:
        content = content[name]
    return content


def test_a_record_is_read_as_it_was_written(make_record):
    record = make_record(LENET)
    resumed = (Resumption("2018-03-06T12:30:00Z", 3, 20, {"commit": ["a", "b"]}),)
    provenance = replace(record.provenance, processor=replace(record.provenance.processor, flags=("avx", "avx2")))
    record = replace(record, resumed=resumed, provenance=provenance, status="interrupted", trained_images=60_000)
    assert RunRecord.from_json(record.to_json()) == record


def test_the_points_along_an_epoch_are_not_in_the_record(make_record):
    record = make_record(LENET)
    with_curve = replace(record, epochs=(replace(record.epochs[0], curve=((64, 2.3, 0.1),)), *record.epochs[1:]))
    assert with_curve.to_json() == record.to_json()


@pytest.mark.parametrize(
    "path",
    [
        ("settings", "model"),
        ("data", "sha256"),
        ("data", "classes"),
        ("provenance", "commit"),
        ("provenance", "processor", "name"),
        ("epochs", 3, "train_loss"),
        ("status",),
        ("seconds",),
    ],
    ids=lambda path: "-".join(map(str, path)),
)
def test_a_field_that_is_missing_or_of_another_type_is_named_in_the_error(make_record, path):
    name = path[-1]
    content = json.loads(make_record(LENET).to_json())
    value = at(content, path).pop(name)
    with pytest.raises(ValueError, match=f"`{name}`"):
        RunRecord.from_json(json.dumps(content))
    at(content, path)[name] = 3 if isinstance(value, (str, list)) else "3"
    with pytest.raises(ValueError, match=rf"Expected .*{name}"):
        RunRecord.from_json(json.dumps(content))


def test_other_code_libraries_or_hardware_may_change_the_last_digits_and_another_python_does_not(make_record):
    before = make_record(LENET).provenance
    assert before.changes(before) == {}
    harmless = replace(before, python="3.13.0", platform="elsewhere")
    assert before.changes(harmless) == {}
    changes = {"commit": "f" * 40, "dirty": True, "opencv": "4.5.0", "threads": "64"}
    now = replace(harmless, processor=replace(before.processor, onednn_isa="AVX2"), **changes)
    assert set(before.changes(now)) == {*changes, "processor"}
    assert before.changes(now)["threads"] == ["2", "64"]


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_a_metric_that_is_not_finite_is_refused(make_record, number):
    text = make_record(LENET).to_json().replace('"train_loss": 0.5', f'"train_loss": {number}', 1)
    with pytest.raises(ValueError, match="JSON is malformed"):
        RunRecord.from_json(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content["epochs"].pop(4), "not numbered 0, 1, 2"),
        (lambda content: content.update(status="happy"), "unknown status 'happy'"),
        (lambda content: content["settings"].update(warmth=3), "unknown setting 'warmth'"),
        (lambda content: content["settings"].update(model="lenet7"), "lenet7"),
        (lambda content: content.update(format=99), "format 99, this version reads 3: update the package"),
        (lambda content: content.pop("format"), "no format number"),
        (lambda content: content.update(settings=[]), "Expected `object`, got `array`"),
        (lambda content: content.update(format=1), "not the record of a run"),
    ],
)
def test_an_impossible_record_is_refused_with_the_reason(make_record, change, words):
    content = json.loads(make_record(LENET).to_json())
    change(content)
    with pytest.raises(ValueError, match=words):
        RunRecord.from_json(json.dumps(content))


def test_records_of_format_1_get_the_current_names():
    """Files in results/ of renamed recipes still contain the old names."""
    name = "lenet_d2l_first-fashion-mnist-d2l-first-unseeded"
    text = (RESULTS / name / "seed-0.json").read_text()
    before, record = json.loads(text), RunRecord.from_json(text)
    assert (before["format"], before["recipe"]) == (1, name.replace("unseeded", "notebook"))
    assert record.recipe == name
    assert (before["settings"]["weights"], record.settings.weights) == ("notebook", "unseeded")
    assert (before["settings"]["last_batch"], record.settings.last_batch) == ("damp", "scale")
    assert record.provenance.processor.name == before["environment"]["processor"]
    assert [epoch.train_loss for epoch in record.epochs] == [epoch["train_loss"] for epoch in before["epochs"]]


@pytest.mark.parametrize("number", [1, 2])
def test_the_validation_share_of_older_records_is_the_test_share(make_record, number):
    content = {**json.loads(make_record(LENET).to_json()), "format": number}
    del content["settings"]["test_share"]
    content["settings"]["validation_share"] = 0.25
    if number == 1:
        content["environment"] = {**content.pop("provenance"), "processor": "a processor"}
    settings = RunRecord.from_json(json.dumps(content)).settings
    assert (settings.test_share, settings.validation_share) == (0.25, None)
    content["format"] = 3
    with pytest.raises(ValueError, match=r"validation_share is 0\.25|provenance"):
        RunRecord.from_json(json.dumps(content))


def test_recorded_results_are_read():
    """No record of results/ reports its best epoch, which has another meaning since format 3."""
    files = sorted(RESULTS.glob("*/seed-*.json"))
    assert len(files) > 100
    for file in files:
        record = RunRecord.from_json(file.read_text())
        assert record.settings.reported == "last"
        assert record.result == record.last


@pytest.mark.parametrize(
    ("share", "accuracy", "words"),
    [
        (0.1, 1.5, "validation_accuracy of epoch 0 is 1.5: it must be between 0 and 1"),
        (0.1, None, "validation_accuracy of epoch 0 is None, but validation_share is 0.1"),
        (None, 0.5, "validation_accuracy of epoch 0 is 0.5, but validation_share is None"),
    ],
)
def test_epochs_have_a_possible_validation_accuracy_if_there_are_validation_images(make_record, share, accuracy, words):
    content = json.loads(make_record(LENET).to_json())
    content["settings"]["validation_share"] = share
    for epoch in content["epochs"]:
        epoch["validation_accuracy"] = accuracy
    with pytest.raises(ValueError, match=words):
        RunRecord.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (1.5, "test_top_5_accuracy of epoch 0 is 1.5: it must be between 0 and 1"),
        (0.7, "test_top_5_accuracy of epoch 0 is 0.7: it must not be below test_accuracy, 0.8"),
    ],
)
def test_epochs_have_a_possible_top_5_accuracy(make_record, accuracy, words):
    content = json.loads(make_record(LENET, test=0.8).to_json())
    content["epochs"][0]["test_top_5_accuracy"] = accuracy
    with pytest.raises(ValueError, match=words):
        RunRecord.from_json(json.dumps(content))


def test_epochs_of_older_records_have_no_top_5_accuracy(make_record):
    content = json.loads(make_record(LENET).to_json())
    for epoch in content["epochs"]:
        del epoch["test_top_5_accuracy"]
    assert {epoch.test_top_5_accuracy for epoch in RunRecord.from_json(json.dumps(content)).epochs} == {None}


def test_the_best_epoch_by_the_validation_accuracy_gives_the_result(make_record):
    record = make_record(LENET)
    held_out = [0.2, 0.7, 0.7, *[0.6] * 7]
    epochs = [
        replace(
            epoch,
            test_accuracy=0.9 - 0.1 * epoch.epoch / 10,
            validation_accuracy=accuracy,
            test_top_5_accuracy=0.95 - 0.1 * epoch.epoch / 10,
        )
        for epoch, accuracy in zip(record.epochs, held_out)
    ]
    settings = replace(record.settings, validation_share=0.1, reported="best", patience=8)
    record = replace(record, settings=settings, epochs=tuple(epochs))
    assert record.reported_epoch == 1
    tested = {name: getattr(epochs[1], name) for name in ("test_accuracy", "test_top_5_accuracy")}
    assert record.result == replace(record.last, **tested)
    assert record.has_stopped
    assert not replace(record, settings=replace(settings, patience=9)).has_stopped


def test_a_setting_that_an_older_record_lacks_gets_its_default(make_record):
    content = json.loads(make_record(LENET).to_json())
    del content["settings"]["subset"]
    assert RunRecord.from_json(json.dumps(content)).settings.subset is None


def test_the_result_is_the_last_epoch_or_has_the_best_test_accuracy_of_all(make_record):
    record = make_record(LENET)
    epochs = (*record.epochs[:3], replace(record.epochs[3], test_accuracy=0.99), *record.epochs[4:])
    record = replace(record, epochs=epochs)
    assert record.result == record.last
    best = replace(record, settings=replace(record.settings, reported="best"))
    assert best.result == replace(record.last, test_accuracy=0.99)


def test_a_damaged_file_is_a_one_line_error(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"^[^\n]*run\.json cannot be used \(.*\): train again$"):
        read_run(tmp_path)


def test_the_error_for_a_folder_of_runs_names_one_of_them(make_record, tmp_path):
    for seed in (0, 1):
        (tmp_path / f"seed-{seed}").mkdir()
        (tmp_path / f"seed-{seed}" / "run.json").write_text(make_record(LENET, seed).to_json())
    with pytest.raises(RunError, match=r"name one of the runs in it, such as .*seed-0$"):
        read_run(tmp_path)


POINTS = [[[100, 2.3, 0.1], [200, 2.2, 0.2]], [[100, 2.1, 0.3]]]


def test_the_epochs_get_their_points_from_the_points_file(make_record, tmp_path):
    (tmp_path / "run.json").write_text(make_record(LENET).to_json())
    (tmp_path / "points.json").write_text(json.dumps(POINTS))
    curves = [epoch.curve for epoch in read_run(tmp_path).record.epochs]
    assert curves == [((100, 2.3, 0.1), (200, 2.2, 0.2)), ((100, 2.1, 0.3),), *[()] * 8]


@pytest.mark.parametrize("points", [None, "{", "[3]", "[[[0, 2.3, 0.1]]]"])
def test_a_run_without_usable_points_is_still_read(make_record, tmp_path, points):
    record = make_record(LENET)
    (tmp_path / "run.json").write_text(record.to_json())
    if points:
        (tmp_path / "points.json").write_text(points)
    assert read_run(tmp_path).record == record
