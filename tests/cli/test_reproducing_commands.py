"""The commands recipes, reproduce and results, on a few images of Fashion-MNIST."""

from dataclasses import replace
import json
from pathlib import Path
import re
import signal
import subprocess
import sys

import forks
from gluon_classics.reproduction.recipes import get_recipe, list_recipes
from gluon_classics.runs.record import read_run
import pytest

pytestmark = pytest.mark.short

CHECKOUT = Path(__file__).parents[2]
RECIPE = "lenet_d2l-fashion-mnist-d2l-0.17"
SCRATCH = "lenet-fashion-mnist-scratch"


@pytest.fixture
def finished(make_record, tmp_path):
    """Return a function that writes the folders of finished, comparable runs of a recipe with these train losses."""

    def write(name, *losses, train=0.822, test=0.812):
        for seed, loss in enumerate(losses):
            path = tmp_path / "done" / f"seed-{seed}"
            path.mkdir(parents=True, exist_ok=True)
            (path / "run.json").write_text(make_record(name, seed, loss, train, test).to_json())
        return "done"

    return write


def test_recipes_are_listed_with_settings_targets_and_sources(command):
    shown = command("recipes").stdout
    for recipe in list_recipes():
        assert recipe.name in shown
    assert re.search(rf"{RECIPE} +28x28, batch 256, sgd 0.9, xavier, 10 epochs +train loss 0.472", shown)
    assert "87 official builds" in shown


def test_recipes_are_listed_as_json(command):
    output = {recipe["name"]: recipe for recipe in json.loads(command("recipes", "--json").stdout)}
    assert list(output) == [recipe.name for recipe in list_recipes()]
    assert output[SCRATCH]["runs"][1]["source"] == "the authors, d2l-ai/d2l-zh at 32cc8b39"
    assert output[SCRATCH]["targets"]["train_loss"]["n"] == 3
    assert output["se_resnet18-fashion-mnist-blog"]["targets"] == {}


@pytest.mark.parametrize("arguments", [["recipes"], ["results"]])
def test_recipes_and_results_are_shown_without_mxnet_and_opencv(environment, arguments):
    hide = "import sys; sys.modules.update(mxnet=None, cv2=None)"
    code = f"{hide}; from gluon_classics.cli import main; main({arguments})"
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert RECIPE in shown.stdout


def test_a_shortened_recipe_runs_and_is_not_comparable(command, tmp_path):
    result = command("reproduce", RECIPE, "--epochs", "1", "--subset", "300", "--runs", "2")
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "runs" / f"{RECIPE}-300-images-1-epochs"
    records = [read_run(folder / f"seed-{seed}").record for seed in (0, 1)]
    losses = [record.last.train_loss for record in records]
    assert losses[0] != losses[1]
    assert re.search(rf"1 +train loss +{sum(losses) / 2:.4f} \+- ", result.stdout)
    assert re.search(r"10 +train loss +0.472 \+- 0.002 \(n = 87\) +0.01", result.stdout)
    assert "Verdict: not comparable\n- 300 training images only\n- epochs is 1, not 10\n" in result.stdout
    for seed, record in enumerate(records):
        assert record.recipe == RECIPE
        assert record.settings == replace(get_recipe(RECIPE).settings, subset=300, epochs=1, seed=seed)
        assert (record.trained_images, record.tested_images, record.parameters) == (300, 100, 61_706)


def test_results_on_other_images_are_not_comparable(command):
    result = command("reproduce", RECIPE, "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert (said["verdict"], said["statement"]) == ("not comparable", "the data is not the published fashion-mnist")
    assert (said["n"], said["seeds"]) == (1, [0])
    assert len(said["metrics"]["train_loss"]["values"]) == 1


def test_finished_runs_are_kept_when_more_runs_are_requested(command, tmp_path):
    short = ["reproduce", RECIPE, "--epochs", "1", "--out", "here", "--seed", "5"]
    assert command(*short).returncode == 0
    before = (tmp_path / "here" / "seed-5" / "run.json").read_bytes()
    again = command(*short, "--runs", "2")
    assert again.returncode == 0, again.stderr
    assert "seed 5: already done" in again.stderr
    assert (tmp_path / "here" / "seed-5" / "run.json").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["seed-5", "seed-6"]
    assert "ours, n = 2" in again.stdout


def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(command, environment, tmp_path):
    arguments = ["reproduce", RECIPE, "--epochs", "40", "--out", "here"]
    with forks.Fork(arguments, environment, tmp_path) as process:
        assert any(line.startswith("epoch 3/40") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, output = process.communicate()
        assert process.returncode == 130
    resume = f"gluon-classics resume {tmp_path / 'here' / 'seed-0'}"
    also = "(or repeat the 'reproduce' command, which also compares the results)"
    assert output.splitlines()[-1] == f"Interrupted. To resume: {resume} {also}"
    assert read_run(tmp_path / "here" / "seed-0").record.status == "interrupted"
    assert command(*arguments).returncode == 0
    assert command(*arguments[:-1], "there").returncode == 0
    here, there = (tmp_path / name / "seed-0" / "net.params" for name in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()
    assert read_run(here.parent).record.resumed


@pytest.mark.parametrize(
    ("name", "losses", "verdict", "reason"),
    [
        (
            RECIPE,
            [0.470, 0.471, 0.472, 0.473, 0.474],
            "reproduced",
            "train loss: the difference of the means is +0.0000",
        ),
        (
            RECIPE,
            [0.500, 0.501, 0.502, 0.503, 0.504],
            "not reproduced (train loss not reproduced; train accuracy and test accuracy reproduced)",
            "train loss: the difference of the means is +0.0300 (95% interval",
        ),
        (RECIPE, [0.472], "undecided", "train loss: one run differs by +0.0000 (90% interval"),
        (SCRATCH, [0.45], "undecided", "train loss: one run differs by -0.0319 (90% interval"),
        ("se_resnet18-fashion-mnist-blog", [0.4], "no published value", "no result was found"),
    ],
)
def test_each_kind_of_verdict_is_printed_with_its_reasons(command, finished, name, losses, verdict, reason):
    result = command("reproduce", name, "--runs", len(losses), "--out", finished(name, *losses))
    assert result.returncode == 0, result.stderr
    assert f"Verdict: {verdict}\n- {reason}" in result.stdout


def test_with_fewer_runs_than_recorded_the_recorded_verdict_is_printed(command, finished):
    said = command("reproduce", RECIPE, "--out", finished(RECIPE, 0.5)).stdout
    assert "Verdict: undecided\n" in said
    assert "The 5 recorded runs together: not reproduced (train loss not" in said
    assert (
        "recorded runs" not in command("reproduce", RECIPE, "--runs", "5", "--out", finished(RECIPE, *[0.5] * 5)).stdout
    )


def test_published_and_own_values_of_earlier_epochs_are_side_by_side(command, finished):
    shown = command("reproduce", SCRATCH, "--out", finished(SCRATCH, 0.45)).stdout
    assert re.search(r"1 +train loss +2.302478 +0.4500", shown)
    row = r"5 +train loss +0.463232, 0.520524, 0.461873 +0.4500 +-0.0319 \(-[0-9.]+ to \+[0-9.]+\) +0.01 +undecided"
    assert re.search(row, shown)
    sources = (
        "the authors, d2l-ai/d2l-zh at 32cc8b39",
        "chrisluu, d2l-ai/d2l-zh at c0a66f2e",
        "huijintian/mxnet_learn",
    )
    assert f"published by: {'; '.join(sources)} at 9555016" in shown
    assert "Note: the tutorial's version from scratch" in shown


def test_added_runs_are_in_the_table_of_results(command, finished, tmp_path):
    folder = finished(RECIPE, 0.471, 0.472, 0.473, 0.4735, 0.4725)
    (tmp_path / "table").mkdir()
    added = [word for seed in range(5) for word in ("--add", f"{folder}/seed-{seed}")]
    result = command("results", *added, "--results", "table")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "table" / RECIPE).iterdir()) == [
        f"seed-{seed}.json" for seed in range(5)
    ]
    assert command("results", "--results", "table", "--markdown").stdout.startswith("| recipe | settings | ")
    said = json.loads(command("results", "--results", "table", "--json").stdout)
    assert [(row["recipe"], row["n"], row["verdict"]) for row in said] == [(RECIPE, 5, "reproduced")]
    assert said[0]["metrics"]["train_loss"]["mean"] == pytest.approx(0.4724)


def test_a_shortened_run_does_not_enter_the_results(command, tmp_path):
    assert command("reproduce", RECIPE, "--epochs", "1", "--out", "here").returncode == 0
    (tmp_path / "table").mkdir()
    result = command("results", "--add", "here/seed-0", "--results", "table")
    assert result.returncode == 1
    assert "here/seed-0 cannot be published: epochs is 1" in result.stderr
    assert not list((tmp_path / "table").iterdir())


def test_a_run_that_is_shortened_or_has_uncommitted_code_is_not_published(command):
    result = command("reproduce", RECIPE, "--epochs", "1", "--publish")
    assert result.returncode == 1
    assert "cannot be published" in result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["reproduce", "lenet_d2l-fashion-mnist"], 2, ["unknown recipe 'lenet_d2l-fashion-mnist'", "did you mean"]),
        (["reproduce", RECIPE, "--runs", "0"], 2, ["--runs"]),
        (["reproduce", RECIPE, "--subset", "100000"], 1, ["has 320 training images, not 100,000"]),
        (["reproduce", RECIPE, "--data", "nowhere"], 1, ["there is no folder", "nowhere"]),
        (["results", "--add", "nowhere", "--results", "."], 1, ["nowhere is not a run folder"]),
        (["results", "--results", "nowhere"], 1, ["there is no folder nowhere"]),
        (["train", "lenet", "--init", "zero"], 1, ["unknown initializer 'zero'", "normal(0.01)"]),
        (["train", "lenet", "--init", "normal(-1)"], 1, ["unknown initializer 'normal(-1)'"]),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(command, arguments, status, words):
    result = command(*arguments)
    assert result.returncode == status
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr.strip().splitlines()[-1]


def test_a_folder_with_runs_of_other_settings_is_not_changed(command, tmp_path):
    assert command("reproduce", RECIPE, "--epochs", "1", "--out", "here").returncode == 0
    before = (tmp_path / "here" / "seed-0" / "run.json").read_bytes()
    result = command("reproduce", RECIPE, "--epochs", "2", "--out", "here")
    assert result.returncode == 1
    assert "holds a run with other settings (epochs 1, not 2)" in result.stderr
    assert (tmp_path / "here" / "seed-0" / "run.json").read_bytes() == before
