"""A run with patience ends early, whatever happens to it on the way."""

import json

from gluon_classics.reproduction.recipes import get_recipe
from gluon_classics.reproduction.reproduce import reproduce
from gluon_classics.runs.checkpoint import checkpoints
from gluon_classics.runs.record import read_run
import pytest

TEST = [0.3, 0.5, 0.4, 0.5, 0.45, 0.9]  # with a patience of 2, epoch 3 is the last one
PATIENT = {"epochs": 6, "patience": 2}
STOPPED = "after epoch 4: 2 epochs have not raised the test accuracy"


@pytest.fixture(autouse=True)
def accuracies(runs):
    runs.accuracies(TEST)


def test_a_run_stops_when_some_epochs_have_not_raised_the_accuracy(runs, outcome_of, capsys):
    run = runs.train("run", **PATIENT)
    said = capsys.readouterr().err
    assert f"Stopped {STOPPED}\n" in said
    record = read_run(run).record
    assert (record.status, len(record.epochs)) == ("done", 4)
    assert len(checkpoints(run)) == 1
    assert outcome_of(run) == outcome_of(runs.train("four", epochs=4))
    assert "Stopped" not in capsys.readouterr().err


def test_the_validation_accuracy_counts_if_there_is_one(runs, capsys):
    runs.accuracies(TEST, validation=[0.1, 0.2, 0.3, 0.4, 0.4, 0.5])
    run = runs.train("run", epochs=6, patience=1, validation_share=0.25)
    assert "Stopped after epoch 5: 1 epoch has not raised the validation accuracy" in capsys.readouterr().err
    assert len(read_run(run).record.epochs) == 5


@pytest.mark.parametrize("epochs", [None, 6, 9])
def test_nothing_is_left_to_do_in_a_run_that_stopped_early(epochs, runs, capsys):
    run = runs.train("run", **PATIENT)
    before = (run / "run.json").read_bytes()
    capsys.readouterr()
    runs.resume("run", epochs=epochs)
    assert capsys.readouterr().err == f"Nothing left to do: {run} stopped {STOPPED}.\n"
    assert (run / "run.json").read_bytes() == before


@pytest.mark.parametrize("interrupt", [(1, 2), (2, None), (3, 1), (3, 3)])
def test_an_interrupted_run_stops_at_the_same_epoch(interrupt, runs, outcome_of):
    whole = runs.train("whole", **PATIENT)
    run = runs.train("run", interrupt=interrupt, **PATIENT)
    assert read_run(run).record.status == "interrupted"
    runs.resume("run")
    assert outcome_of(run) == outcome_of(whole)


def test_a_run_that_is_interrupted_during_its_last_evaluation_is_done(runs, outcome_of):
    whole = runs.train("whole", **PATIENT)
    run = runs.train("run", interrupt=(3, None), **PATIENT)
    assert outcome_of(run) == outcome_of(whole)


def test_a_run_that_is_killed_before_its_last_checkpoint_trains_that_epoch_again(runs, outcome_of):
    whole = runs.train("whole", **PATIENT)
    runs.without_checkpoint_of(3, lambda: runs.train("run", **PATIENT))
    run = runs.folder / "run"
    assert len(read_run(run).record.epochs) == 4
    runs.resume("run")
    assert outcome_of(run) == outcome_of(whole)


@pytest.mark.parametrize("epochs", [None, 9])
def test_a_run_that_is_killed_after_its_last_checkpoint_trains_no_other_epoch(epochs, runs, outcome_of, capsys):
    run = runs.train("run", **PATIENT)
    expected = outcome_of(run)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "status": "running"}))
    capsys.readouterr()
    runs.resume("run", epochs=epochs)
    said = capsys.readouterr().err
    assert f"Stopped {STOPPED}\n" in said
    assert "loss" not in said
    assert outcome_of(run) == expected


def test_a_run_of_a_recipe_that_stopped_early_is_not_repeated(runs, tmp_path, capsys):
    recipe = get_recipe("lenet-fashion-mnist-blog")
    options = {"subset": 160, "epochs": 6, "patience": 2, "resize": 28, "batch_size": 80}
    for said in ("Stopped", "already done"):
        (run,) = reproduce(recipe, 1, 0, "cpu", tmp_path / "recipe", None, 10, **options)
        assert len(run.record.epochs) == 4
        assert said in capsys.readouterr().err
