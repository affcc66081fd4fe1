"""The tables and the picture of the results, and whether those of the repository are current."""

from dataclasses import replace
from pathlib import Path
import re
import statistics

from gluon_classics.reproduction import formatting, recipes, results, table
from gluon_classics.reproduction.recipes import PublishedRun, get_recipe, list_recipes
from gluon_classics.reproduction.verdict import judge
from gluon_classics.runs.record import RunRecord
import make_results
import make_tables
import pytest

CHECKOUT = Path(__file__).parents[2]
LENET = "lenet_d2l-fashion-mnist-d2l-0.17"
SE_RESNET = "se_resnet18-fashion-mnist-blog"
NIN = "nin-fashion-mnist-d2l-0.17"


@pytest.fixture
def verdicts(make_record):
    """Verdicts on three recipes: one without published values, one with a stuck run, one that is not reproduced."""
    losses = {SE_RESNET: [0.4], NIN: [2.303, 0.41], LENET: [0.50, 0.502, 0.504]}
    return [
        judge(
            get_recipe(name),
            [
                make_record(name, seed, loss, *((0.1, 0.1) if loss > 2.3 else (0.8, 0.812)))
                for seed, loss in enumerate(values)
            ],
        )
        for name, values in losses.items()
    ]


def test_the_table_has_a_row_per_recipe_in_the_order_of_the_networks(verdicts):
    lenet, nin, se_resnet = table.table(verdicts)
    assert [row["recipe"] for row in (lenet, nin, se_resnet)] == [LENET, NIN, SE_RESNET]
    assert lenet["verdict"] == (
        "not reproduced (train loss and train accuracy not reproduced; test accuracy undecided)"
    )
    assert (lenet["n"], lenet["time per run"]) == ("3", "1.0 min")
    assert nin["n"] == "1 (1 more stayed at chance)"
    assert (se_resnet["source"], se_resnet["verdict"]) == ("", "no published value")


def test_only_rounded_values_keep_their_last_zeros():
    runs = (PublishedRun("a", 5, test_accuracy=0.899512), PublishedRun("b", 5, test_accuracy=0.9))
    recipe = replace(get_recipe("lenet_bn_tutorial-fashion-mnist-tutorial"), runs=runs)
    assert formatting.published_words(recipe, "test_accuracy", 5, 3) == "0.900, 0.9"
    assert formatting.published_words(recipe, "test_accuracy", 5) == "0.899512, 0.9"


def test_the_table_of_metrics_has_the_margin_next_to_each_verdict(verdicts):
    loss, *others = table.metrics(verdicts)
    assert loss == {
        "recipe": LENET,
        "metric": "train loss",
        "published": "0.472 +- 0.002 (n = 87)",
        "original software": "",
        "ours": "0.5020 +- 0.0020",
        "difference": "+0.0300 (+0.0262 to +0.0338)",
        "margin": "0.01",
        "verdict": "not reproduced",
    }
    assert [(row["recipe"], row["metric"]) for row in others] == [
        (name, metric)
        for name in (LENET, NIN, SE_RESNET)
        for metric in ("train loss", "train accuracy", "test accuracy")
    ][1:]
    assert [row["ours"] for row in others[-3:]] == ["0.4000", "0.800", "0.812"]
    assert {(row["published"], row["difference"], row["margin"], row["verdict"]) for row in others[-3:]} == {
        ("", "", "", "")
    }


def test_the_time_per_run_is_the_median(make_record):
    records = [replace(make_record(SE_RESNET, seed), seconds=60.0 * minutes) for seed, minutes in enumerate((3, 2, 90))]
    (row,) = table.table([judge(get_recipe(SE_RESNET), records)])
    assert row["time per run"] == "3.0 min"


def test_published_values_are_rounded_as_ours(make_record):
    name = "lenet-fashion-mnist-scratch"
    loss, _, accuracy = table.metrics([judge(get_recipe(name), [make_record(name)])])
    assert loss["published"] == "0.4632, 0.5205, 0.4619"
    assert accuracy["published"] == "0.841, 0.820, 0.843"


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


def test_the_summary_has_one_metric_of_each_recipe_and_the_verdicts_on_all(verdicts):
    resnet, _, lenet = table.summary(verdicts)
    assert list(lenet) == ["recipe", "metric", "published", "original software", "ours", "margin", "n", "verdict"]
    assert list(lenet.values())[1:6] == [
        "train loss", "0.472 +- 0.002 (n = 87)", "none", "0.5020 +- 0.0020", "0.01",
    ]  # fmt: skip
    assert lenet["verdict"].startswith("not reproduced (train loss")
    assert list(resnet.values())[1:6] == ["train loss", "none", "none", "0.4000", ""]


def test_runs_of_the_original_software_are_shown_and_compared_if_nothing_is_published(make_record, monkeypatch):
    run = {"source": "MXNet 1.1.0", "epoch": 1, "train_accuracy": 0.8, "test_accuracy": 0.82}
    runs = tuple(PublishedRun(train_loss=loss, **run) for loss in (0.41, 0.42, 0.43))
    monkeypatch.setattr(recipes, "_original_runs", lambda: {SE_RESNET: runs, LENET: runs})
    se_resnet, lenet = (
        judge(get_recipe(name), [make_record(name, seed) for seed in range(3)]) for name in (SE_RESNET, LENET)
    )
    rows = {row["recipe"]: row for row in table.metrics([se_resnet, lenet]) if row["metric"] == "train loss"}
    assert rows[SE_RESNET]["original software"] == rows[LENET]["original software"] == "0.4200 +- 0.0100 (n = 3)"
    assert rows[SE_RESNET]["published"] == ""
    assert se_resnet.recipe.target("train_loss").mean == pytest.approx(0.42)
    assert lenet.recipe.target("train_loss").mean == 0.472
    assert se_resnet.recipe.published_failures() == (0, 3)
    assert table.table([se_resnet])[0]["source"] == "MXNet 1.1.0"


def test_without_results_the_table_says_so():
    assert table.markdown_tables([]) == "No runs yet."


def test_the_page_of_results_is_current():
    page = make_results.PAGE.read_text(encoding="utf-8")
    assert make_results.page() == page, "run python tools/make_results.py"


def texts(picture):
    return re.findall(r"<text [^>]*>([^<]*)</text>", picture.read_text(encoding="utf-8"))


def test_the_picture_of_results_is_current(tmp_path):
    """Its words contain every difference. The bytes depend on the version of Matplotlib too."""
    for name in ("a.svg", "b.svg"):
        make_results.draw(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    words = texts(tmp_path / "a.svg")
    assert words == texts(make_results.PICTURE), "run python tools/make_results.py"
    for verdict in results.read(CHECKOUT / "results"):
        assert (verdict.recipe.name in words) == bool(verdict.comparisons)
        assert {f"{comparison.difference:+.4f}" for comparison in verdict.comparisons.values()} <= set(words)


def test_the_page_has_the_number_and_the_mean_of_the_records():
    """Counted from the files here, independent of the code that writes the tables."""
    lines = make_results.PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    means = {row[0]: row[4] for row in cells if row[1] == "test accuracy"}
    numbers = {
        row[0]: row[2]
        for row in cells
        if row[0] in means and row[1] not in ("train loss", "train accuracy", "test accuracy")
    }
    folders = [folder for folder in (CHECKOUT / "results").iterdir() if folder.is_dir() and folder.name != "original"]
    assert set(means) == set(numbers) == {folder.name for folder in folders}
    without = {line[3:-1] for line in lines if line.startswith("- `")}
    recipes = {recipe.name for recipe in list_recipes() if recipe.settings.data != "imagenet"}
    assert without == recipes - set(means)
    for folder in folders:
        records = [RunRecord.from_json(file.read_text()) for file in folder.glob("*.json")]
        learned = [record.last.test_accuracy for record in records if record.last.test_accuracy > 0.12]
        digits = 4 if "-mnist-" in folder.name and "fashion" not in folder.name else 3
        assert means[folder.name].split()[0] == f"{statistics.mean(learned):.{digits}f}"
        assert numbers[folder.name].split()[0] == str(len(learned))


def test_the_readme_shows_each_verdict_and_a_margin():
    rows = [line.strip("| ").split(" | ") for line in make_tables.results_table().splitlines()[2:]]
    assert [row[0] for row in rows] == list(make_tables.SHOWN_RESULTS)
    assert {row[-1].partition(" (")[0] for row in rows} == {"reproduced", "not reproduced", "undecided"}
    assert "0.01" in {row[5] for row in rows}
