"""What enters results/, the table made from it, and the repository's own results."""

import errno
import json
from pathlib import Path
import re
import statistics
import sys

import gluon_classics
from gluon_classics.errors import RunError
from gluon_classics.reproduction import results
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.verdict import incomparable
from gluon_classics.runs.record import read_run
import pytest

CHECKOUT = Path(__file__).parents[2]
OURS = CHECKOUT / "results"
LENET = "lenet_d2l-fashion-mnist-d2l-0.17"
RESNET = "resnet-fashion-mnist-blog"
NIN = "nin-fashion-mnist-d2l-0.17"
sys.path.insert(0, str(CHECKOUT / "tools"))
import make_tables  # noqa: E402  a tool, not a module of the package


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
        (tmp_path / name / "run.json").write_text(json.dumps(record))
        return read_run(tmp_path / name)

    return write


def test_a_run_enters_as_one_small_file_without_paths(make_record, write_run, folder):
    record = make_record(LENET, seed=3)
    record["settings"]["data"] = "/home/somebody/images"
    results.add([write_run(record)], folder)
    (file,) = folder.rglob("*.json")
    assert file == folder / LENET / "seed-3.json"
    text = file.read_text()
    assert len(text) < 10_000
    assert "somebody" not in text
    entered = json.loads(text)
    assert entered["epochs"] == record["epochs"]
    assert entered["settings"]["data"] == "fashion-mnist"


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("settings", {"subset": 1000}, "1,000 training images only"),
        ("data", {"is_sample": True}, "the embedded sample"),
        ("environment", {"dirty": True}, "files differ from the commit"),
        ("environment", {"commit": None, "dirty": None}, "of no checkout"),
        (None, {"status": "interrupted"}, "the run is interrupted"),
        (None, {"recipe": None}, "not the run of a recipe"),
        (None, {"resumed": [{"changed": {"commit": ["a", "b"]}}]}, "resumed with other code"),
        (None, {"epochs": []}, "it has 0 of its 10 epochs"),
        ("environment", {"commit": "zzz"}, "'zzz' is no commit"),
    ],
)
def test_a_run_that_proves_nothing_is_refused(make_record, write_run, folder, part, changes, reason):
    good, bad = make_record(LENET, seed=0), make_record(LENET, seed=1)
    (bad[part] if part else bad).update(changes)
    with pytest.raises(RunError, match=f"cannot be published: .*{reason}"):
        results.add([write_run(good, "good"), write_run(bad, "bad")], folder)
    assert not list(folder.iterdir()), "a refused call enters nothing"


def test_a_run_resumed_with_the_same_code_is_as_good(make_record, write_run, folder):
    results.add([write_run({**make_record(LENET), "resumed": [{"changed": {}}]})], folder)
    assert list(folder.rglob("seed-0.json"))


def test_a_seed_counts_once(make_record, write_run, folder):
    results.add([write_run(make_record(LENET, loss=0.47), "first")], folder)
    results.add([write_run(make_record(LENET, loss=0.47), "same")], folder)
    with pytest.raises(RunError, match="a seed counts once"):
        results.add([write_run(make_record(LENET, loss=0.48), "other")], folder)


def test_a_damaged_record_does_not_cost_a_run_its_verdict(make_record, write_run, folder, monkeypatch):
    """`reproduce` shows what is recorded beside its own verdict, after hours of training."""
    results.add([write_run(make_record(LENET))], folder)
    monkeypatch.setattr(results, "results_folder", lambda: folder)
    assert results.recorded(get_recipe(LENET)).n == 1
    (folder / LENET / "seed-0.json").write_text("{")
    assert results.recorded(get_recipe(LENET)) is None


def test_two_runs_of_a_seed_do_not_enter_at_once(make_record, write_run, folder):
    first, other = (write_run(make_record(LENET, loss=loss), f"{loss}") for loss in (0.47, 0.48))
    with pytest.raises(RunError, match="a seed counts once"):
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


def test_folders_without_records_are_none_of_the_results(folder):
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / LENET).mkdir()
    (folder / LENET / "note.txt").write_text("")
    assert results.read(folder) == []


def test_the_table_has_a_row_a_recipe_and_keeps_failures(make_record, write_run, folder):
    losses = {LENET: [0.50, 0.502, 0.504], RESNET: [0.4], NIN: [2.303, 0.41]}
    for name, values in losses.items():
        for seed, loss in enumerate(values):
            results.add([write_run(make_record(name, seed, loss), f"{name}-{seed}")], folder)
    table = results.markdown(results.read(folder))
    head, _, *rows = table.splitlines()
    assert len(rows) == 3
    cells = {row.split(" | ")[0].strip("| "): row.strip("| ").split(" | ") for row in rows}
    titles = head.strip("| ").split(" | ")
    lenet = dict(zip(titles, cells[LENET]))
    assert lenet["verdict"] == "not reproduced"
    assert lenet["ours"].startswith("train loss 0.5020 +- 0.0020; test accuracy 0.8000")
    assert lenet["published"].startswith("train loss 0.472 +- 0.002 (n = 87)")
    assert (lenet["n"], lenet["parameters"], lenet["time a run"]) == ("3", "61,706", "1.0 min")
    assert lenet["device"] == "a processor, 2 threads"
    resnet = dict(zip(titles, cells[RESNET]))
    assert (resnet["published"], resnet["source"], resnet["verdict"]) == ("none", "", "no published value")
    assert dict(zip(titles, cells[NIN]))["n"] == "1 (1 more stayed at chance)"


def test_without_results_the_table_says_so(folder):
    assert results.markdown(results.read(folder)) == "No runs yet."


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (f"{LENET}/seed-0.json", "{", "is no record of a run"),
        (f"{LENET}/seed-0.json", '{"epochs": []}', "is no record of a run"),
        ("elsewhere/seed-0.json", "{}", "of a recipe that this version does not know"),
    ],
)
def test_results_that_cannot_be_read_are_named(folder, file, content, words):
    (folder / file).parent.mkdir()
    (folder / file).write_text(content)
    with pytest.raises(RunError, match=words):
        results.read(folder)


def test_away_from_a_checkout_the_folder_must_be_named(monkeypatch, folder, tmp_path):
    monkeypatch.setattr(gluon_classics, "__file__", str(tmp_path / "gluon_classics" / "__init__.py"))
    with pytest.raises(RunError, match=r"installed away from its repository.*--results"):
        results.read()
    assert results.read(folder) == []
    with pytest.raises(RunError, match="there is no folder"):
        results.read(tmp_path / "nowhere")


def records():
    return [(file.parent.name, json.loads(file.read_text())) for file in sorted(OURS.rglob("*.json"))]


def test_every_record_of_the_repository_is_of_a_whole_run_of_a_known_commit():
    for name, record in records():
        assert record["recipe"] == name
        assert incomparable(get_recipe(name), record) == []
        assert record["environment"]["dirty"] is False
        assert re.fullmatch("[0-9a-f]{40}", record["environment"]["commit"])


def test_no_run_of_the_repository_counts_twice():
    seeds = [(name, record["settings"]["seed"]) for name, record in records()]
    assert len(seeds) == len(set(seeds))
    outcomes = [json.dumps([name, record["epochs"][-1]["train_loss"]]) for name, record in records()]
    assert len(outcomes) == len(set(outcomes))


@pytest.mark.parametrize("readme", make_tables.READMES)
def test_the_readmes_table_has_the_number_and_the_mean_of_the_records(readme):
    """Recounted from the files here, apart from the code that writes the table."""
    table = (CHECKOUT / readme).read_text(encoding="utf-8").partition("<!-- results -->")[2].partition("<!-- /")[0]
    found = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    by_recipe = {}
    for name, record in records():
        by_recipe.setdefault(name, []).append(record)
    assert len(found) == len(by_recipe)
    for name, group in by_recipe.items():
        recipe = get_recipe(name)
        chance = [record["epochs"][-1]["train_loss"] > 2.27 for record in group]
        kept = [record for record, aside in zip(group, chance) if not (aside and recipe.may_be_stuck)]
        mean = statistics.mean(record["epochs"][-1]["test_accuracy"] for record in kept)
        (row,) = [row for row in found if row[0] == name]
        assert f"test accuracy {mean:.4f}" in row[6]
        assert row[7].split()[0] == str(len(kept))
        assert recipe.edition == row[1]
