"""The tables and the picture of the results, and whether those of the repository are current."""

from dataclasses import replace
from pathlib import Path
import re
import statistics
import sys

from gluon_classics.reproduction import results, table
from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.verdict import judge
from gluon_classics.runs.record import RunRecord
import pytest

CHECKOUT = Path(__file__).parents[2]
LENET = "lenet_d2l-fashion-mnist-d2l-0.17"
RESNET = "resnet-fashion-mnist-blog"
NIN = "nin-fashion-mnist-d2l-0.17"
sys.path.insert(0, str(CHECKOUT / "tools"))
import make_results  # noqa: E402  tools, not modules of the package
import make_tables  # noqa: E402


@pytest.fixture
def verdicts(make_record):
    """Verdicts on three recipes: one that is not reproduced, one without published values, one with a stuck run."""
    losses = {RESNET: [0.4], NIN: [2.303, 0.41], LENET: [0.50, 0.502, 0.504]}
    return [
        judge(get_recipe(name), [make_record(name, seed, loss) for seed, loss in enumerate(values)])
        for name, values in losses.items()
    ]


def test_the_table_has_a_row_per_recipe_in_the_order_of_the_networks(verdicts):
    lenet, nin, resnet = table.table(verdicts)
    assert [row["recipe"] for row in (lenet, nin, resnet)] == [LENET, NIN, RESNET]
    assert lenet["verdict"] == "not reproduced"
    assert (lenet["published train loss"], lenet["our train loss"]) == ("0.472 +- 0.002 (n = 87)", "0.5020 +- 0.0020")
    assert lenet["our test accuracy"] == "0.800 +- 0.000"
    assert (lenet["n"], lenet["time per run"]) == ("3", "1.0 min")
    assert nin["n"] == "1 (1 more stayed at chance)"
    assert (resnet["published train loss"], resnet["source"], resnet["verdict"]) == ("", "", "no published value")


def test_published_values_are_rounded_as_ours(make_record):
    name = "lenet-fashion-mnist-scratch"
    (row,) = table.table([judge(get_recipe(name), [make_record(name)])])
    assert row["published train loss"] == "0.4632, 0.5205, 0.4619"
    assert row["published test accuracy"] == "0.841, 0.82, 0.843"


def test_what_is_the_same_in_all_rows_is_left_out(verdicts, make_record):
    lenet, _, resnet = table.table(verdicts)
    assert lenet["settings"] == "28x28, batch 256, lr 0.9, 10 epochs"
    assert resnet["settings"] == "224x224, batch 64, lr 0.01, last batch discard, 1 epoch"
    assert "device" not in lenet
    assert table.constants(verdicts) == "sgd, a processor, 2 threads"
    record = make_record(LENET)
    on_gpu = replace(record, provenance=replace(record.provenance, devices=("gpu(0)",)))
    other = [judge(get_recipe(LENET), [on_gpu]), *verdicts]
    assert [row["device"] for row in table.table(other)][:2] == ["gpu(0)", "a processor, 2 threads"]
    assert table.constants(other) == "sgd"


def test_the_summary_has_the_deciding_metric(verdicts):
    resnet, _, lenet = table.summary(verdicts)
    assert (lenet["published"], lenet["ours"]) == ("train loss 0.472 +- 0.002 (n = 87)", "0.5020 +- 0.0020")
    assert (resnet["published"], resnet["ours"]) == ("none", "train loss 0.4000")


def test_without_results_the_table_says_so():
    assert table.markdown(table.table([])) == "No runs yet."


def test_the_page_of_results_is_current():
    page = make_results.PAGE.read_text(encoding="utf-8")
    assert make_results.page() == page, "run python tools/make_results.py"


def texts(picture):
    return re.findall(r"<text [^>]*>([^<]*)</text>", picture.read_text(encoding="utf-8"))


def test_the_picture_of_results_is_current(tmp_path):
    """Its words contain every mean. The bytes depend on the version of Matplotlib too."""
    for name in ("a.svg", "b.svg"):
        make_results.draw(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert texts(tmp_path / "a.svg") == texts(make_results.PICTURE), "run python tools/make_results.py"
    verdicts = [verdict for verdict in results.read(CHECKOUT / "results") if verdict.comparisons]
    assert {verdict.recipe.name for verdict in verdicts} < set(texts(make_results.PICTURE))


def test_the_page_has_the_number_and_the_mean_of_the_records():
    """Counted from the files here, independent of the code that writes the table."""
    lines = make_results.PAGE.read_text(encoding="utf-8").splitlines()
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in lines if line.startswith("| ")}
    folders = [folder for folder in (CHECKOUT / "results").iterdir() if folder.is_dir()]
    assert len(rows) == len(folders) + 2  # with the head and the line below it
    for folder in folders:
        records = [RunRecord.from_json(file.read_text()) for file in folder.glob("*.json")]
        if get_recipe(folder.name).may_be_stuck:
            records = [record for record in records if record.last.train_loss < 2.27]
        cells = rows[folder.name]
        assert cells[5].split()[0] == f"{statistics.mean(record.last.test_accuracy for record in records):.3f}"
        assert cells[6].split()[0] == str(len(records))


def test_the_readme_shows_each_verdict():
    rows = [line.strip("| ").split(" | ") for line in make_tables.results_table().splitlines()[2:]]
    assert [row[0] for row in rows] == list(make_tables.SHOWN_RESULTS)
    assert {row[-1] for row in rows} == {"reproduced", "not reproduced", "undecided"}
