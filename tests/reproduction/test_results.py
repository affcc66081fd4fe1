"""What enters results/, and the repository's own results."""

import collections
from dataclasses import replace
import errno
import json
from pathlib import Path
import re

import gluon_classics
from gluon_classics.errors import RunError
from gluon_classics.reproduction import results
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.verdict import incomparable, judge
from gluon_classics.runs.record import Resumption, RunRecord, read_run
import pytest

OURS = Path(__file__).parents[2] / "results"
LENET = "lenet_d2l-fashion-mnist-d2l-0.17"


@pytest.fixture
def folder(tmp_path):
    """An empty folder of results."""
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.fixture
def write_run(tmp_path):
    """A function that writes a record as a run folder and reads the run."""

    def write(record, name="run"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(record.to_json())
        return read_run(tmp_path / name)

    return write


def changed(record, part, changes):
    """The record with changes of a part of it, or of itself."""
    return replace(record, **({part: replace(getattr(record, part), **changes)} if part else changes))


def test_a_run_enters_as_one_small_file_without_paths(make_record, write_run, folder):
    record = changed(make_record(LENET, seed=3), "settings", {"data": "/home/somebody/images"})
    results.add([write_run(record)], folder)
    (file,) = folder.rglob("*.json")
    assert file == folder / LENET / "seed-3.json"
    text = file.read_text()
    assert len(text) < 10_000
    assert "somebody" not in text
    entered = RunRecord.from_json(text)
    assert entered.epochs == record.epochs
    assert entered.settings.data == "fashion-mnist"


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("settings", {"subset": 1000}, "1,000 training images only"),
        ("data", {"is_sample": True}, "the embedded sample"),
        ("provenance", {"dirty": True}, "files differ from the commit"),
        ("provenance", {"commit": None, "dirty": None}, "the code version is unknown"),
        ("provenance", {"commit": "zzz"}, "'zzz' is not a commit"),
        (None, {"status": "interrupted"}, "the run is interrupted"),
        (None, {"recipe": None}, "not the run of a recipe"),
        (None, {"resumed": (Resumption("", 1, 0, {"commit": ["a", "b"]}),)}, "resumed with other code"),
        (None, {"epochs": ()}, "it has 0 of its 10 epochs"),
    ],
)
def test_a_run_that_proves_nothing_is_refused(make_record, write_run, folder, part, changes, reason):
    good, bad = make_record(LENET, seed=0), changed(make_record(LENET, seed=1), part, changes)
    with pytest.raises(RunError, match=f"cannot be published: .*{reason}"):
        results.add([write_run(good, "good"), write_run(bad, "bad")], folder)
    assert not list(folder.iterdir()), "a refused call adds nothing"


def test_a_run_resumed_with_the_same_code_can_be_published(make_record, write_run, folder):
    record = replace(make_record(LENET), resumed=(Resumption("", 1, 0, {"threads": ["1", "2"]}),))
    results.add([write_run(record)], folder)
    assert list(folder.rglob("seed-0.json"))


def test_a_seed_counts_once(make_record, write_run, folder):
    results.add([write_run(make_record(LENET, loss=0.47), "first")], folder)
    results.add([write_run(make_record(LENET, loss=0.47), "same")], folder)
    with pytest.raises(RunError, match="is another run with this seed"):
        results.add([write_run(make_record(LENET, loss=0.48), "other")], folder)


def test_a_run_can_be_added_again_with_its_points_along_the_epochs(make_record, write_run, folder):
    run = write_run(make_record(LENET))
    (run.path / "points.json").write_text(json.dumps([[[100, 2.3, 0.1]]]))
    run = read_run(run.path)
    assert run.record.epochs[0].curve
    for _ in range(2):
        results.add([run], folder)
    assert len(list(folder.rglob("*.json"))) == 1


def test_a_run_that_is_recorded_in_format_1_is_not_another_run(write_run, folder):
    """Its file stays as it is."""
    file = next(OURS.glob("*/seed-0.json"))
    (folder / file.parent.name).mkdir()
    copy = folder / file.parent.name / file.name
    copy.write_bytes(file.read_bytes())
    assert json.loads(copy.read_text())["format"] == 1
    results.add([write_run(RunRecord.from_json(copy.read_text()))], folder)
    assert copy.read_bytes() == file.read_bytes()


def test_a_damaged_record_does_not_cost_a_run_its_verdict(make_record, write_run, folder, monkeypatch):
    """`reproduce` shows the recorded verdict next to its own, after hours of training."""
    results.add([write_run(make_record(LENET))], folder)
    monkeypatch.setattr(results, "results_folder", lambda: folder)
    assert results.recorded(get_recipe(LENET)).n == 1
    (folder / LENET / "seed-0.json").write_text("{")
    assert results.recorded(get_recipe(LENET)) is None


def test_two_runs_with_one_seed_cannot_be_added_together(make_record, write_run, folder):
    first, other = (write_run(make_record(LENET, loss=loss), f"{loss}") for loss in (0.47, 0.48))
    with pytest.raises(RunError, match="have the same recipe and seed"):
        results.add([first, other], folder)
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_is_named(make_record, write_run, folder, monkeypatch):
    run = write_run(make_record(LENET))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(results, "write_text", full)
    with pytest.raises(RunError, match=r"cannot write .*seed-0\.json \(No space left on device\)"):
        results.add([run], folder)
    assert results.read(folder) == [], "the recipe's empty folder does no harm"


def test_runs_are_read_in_the_order_of_their_seeds(make_record, write_run, folder):
    seeds = [0, 2, 10, 100]
    results.add([write_run(make_record(LENET, seed), f"{seed}") for seed in reversed(seeds)], folder)
    (verdict,) = results.read(folder)
    assert verdict.as_dict()["seeds"] == seeds


def test_folders_without_records_are_ignored(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / LENET).mkdir()
    (folder / LENET / "note.txt").write_text("")
    assert results.read(folder) == []


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (f"{LENET}/seed-0.json", "{", "is not the record of a run"),
        (f"{LENET}/seed-0.json", '{"epochs": []}', "is not the record of a run"),
        ("elsewhere/seed-0.json", "{}", "belongs to an unknown recipe"),
    ],
)
def test_results_that_cannot_be_read_are_named(folder, file, content, words):
    (folder / file).parent.mkdir()
    (folder / file).write_text(content)
    with pytest.raises(RunError, match=words):
        results.read(folder)


def test_outside_a_checkout_the_folder_must_be_named(monkeypatch, folder, tmp_path):
    monkeypatch.setattr(gluon_classics, "__file__", str(tmp_path / "gluon_classics" / "__init__.py"))
    with pytest.raises(RunError, match=r"installed outside its repository.*--results"):
        results.read()
    assert results.read(folder) == []
    with pytest.raises(RunError, match="there is no folder"):
        results.read(tmp_path / "nowhere")


def records():
    return [(file.parent.name, RunRecord.from_json(file.read_text())) for file in sorted(OURS.glob("*/seed-*.json"))]


def test_every_record_of_the_repository_is_a_complete_run_of_a_known_commit():
    for name, record in records():
        assert record.recipe == name
        assert incomparable(get_recipe(name), record) == []
        assert record.provenance.dirty is False
        assert re.fullmatch("[0-9a-f]{40}", record.provenance.commit)


def test_no_run_of_the_repository_counts_twice():
    seeds = [(name, record.settings.seed) for name, record in records()]
    assert len(seeds) == len(set(seeds))
    outcomes = [(name, record.last.train_loss) for name, record in records()]
    assert len(outcomes) == len(set(outcomes))


def test_the_page_on_records_has_the_verdicts_before_and_after_runs_were_added():
    lines = (OURS / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if re.match(r"  \| \w+-", line)]
    runs = collections.defaultdict(list)
    for name, record in records():
        runs[name].append(record)
    verdicts = {name: [judge(get_recipe(name), of[:n]).verdict for n in (5, None)] for name, of in runs.items()}
    assert {name: [first, now] for name, first, now in rows} == {
        name: verdicts[name] for name, of in runs.items() if len(of) > 5
    }
