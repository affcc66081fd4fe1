"""A run that reports its best epoch keeps the parameters of that epoch, however often it is interrupted."""

from dataclasses import replace
import hashlib
import json

from gluon_classics.runs.record import read_run
import pytest

TEST = [0.3, 0.5, 0.4, 0.5]  # epoch 1 is the first of the best ones
BEST = {"epochs": 4, "reported": "best"}


def params(run):
    return (run / "net.params").read_bytes()


@pytest.fixture
def after_epoch_1(runs):
    """Return the parameter file of the same run after its second epoch."""
    return params(runs.train("two", epochs=2))


def test_the_result_has_the_number_of_images_that_were_tested(runs, capsys):
    runs.train("run", epochs=1, last_batch="discard")
    assert "of 80 test images (20 left out) classified correctly; " in capsys.readouterr().err


def test_the_parameters_and_the_result_are_those_of_the_first_of_the_best_epochs(runs, after_epoch_1, capsys):
    runs.accuracies(TEST)
    run = read_run(runs.train("run", **BEST))
    assert params(run.path) == after_epoch_1
    assert run.record.parameters_sha256 == (hashlib.sha256(after_epoch_1).hexdigest(),)
    assert run.record.parameters_epoch == 1
    assert run.record.result == replace(run.record.last, test_accuracy=0.5)
    said = capsys.readouterr().err
    assert "lenet: 50.00% of 100 test images classified correctly in the best epoch, 2;" in said
    assert "does not have the parameters" not in said


def test_the_validation_accuracy_decides_and_the_test_accuracy_of_that_epoch_is_the_result(runs):
    after = params(runs.train("two", epochs=2, validation_share=0.25))
    runs.accuracies([0.9, 0.4, 0.8], validation=[0.2, 0.6, 0.3])
    run = read_run(runs.train("run", reported="best", validation_share=0.25))
    assert params(run.path) == after
    assert run.record.result.test_accuracy == 0.4
    assert [epoch.validation_accuracy for epoch in run.record.epochs] == [0.2, 0.6, 0.3]


def test_without_it_the_parameters_are_those_of_the_last_epoch(runs):
    runs.accuracies(TEST)
    run = read_run(runs.train("run", epochs=4))
    assert (run.record.parameters_epoch, run.record.result.test_accuracy) == (3, TEST[3])
    assert params(run.path) != params(runs.train("best", **BEST))


@pytest.mark.parametrize("interrupt", [(0, 1), (0, None), (1, 1), (1, 4), (1, None), (2, 1), (3, 3)])
def test_an_interrupted_run_keeps_the_best_parameters_and_ends_as_an_uninterrupted_one(
    interrupt, runs, after_epoch_1, outcome_of
):
    runs.accuracies(TEST)
    expected = outcome_of(runs.train("whole", **BEST))
    run = runs.train("run", interrupt=interrupt, **BEST)
    assert read_run(run).record.status == "interrupted"
    done = len(read_run(run).record.epochs)
    assert (params(run) == after_epoch_1) == (done >= 2)
    assert read_run(run).record.parameters_epoch == (None, 0, 1, 1)[done]
    runs.resume("run")
    assert outcome_of(run) == expected


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_run_that_is_killed_before_the_checkpoint_of_an_epoch_ends_as_an_uninterrupted_one(epoch, runs, outcome_of):
    runs.accuracies(TEST)
    expected = outcome_of(runs.train("whole", **BEST))
    runs.without_checkpoint_of(epoch, lambda: runs.train("run", **BEST))
    run = runs.folder / "run"
    assert len(read_run(run).record.epochs) == epoch + 1
    runs.resume("run", interrupt=(epoch, 2))
    runs.resume("run")
    assert outcome_of(run) == expected


def test_more_epochs_replace_the_parameters_only_if_they_are_better(runs, after_epoch_1):
    runs.accuracies([*TEST, 0.45, 0.6])
    run = runs.train("run", **BEST)
    runs.resume("run", epochs=5)
    assert params(run) == after_epoch_1
    runs.resume("run", epochs=6)
    assert params(run) != after_epoch_1
    assert read_run(run).record.parameters_epoch == 5


def test_parameters_of_another_epoch_by_an_older_version_are_reported(runs, capsys):
    """Until format 2, net.params always had the parameters of the last epoch."""
    runs.accuracies(TEST)
    run = runs.train("run", interrupt=(3, 2), **BEST)
    record = json.loads((run / "run.json").read_text())
    del record["parameters_epoch"]
    (run / "run.json").write_text(json.dumps(record))
    runs.resume("run")
    assert "net.params does not have the parameters of the best epoch, 2: " in capsys.readouterr().err


def test_the_parameters_of_an_interrupted_run_that_reports_its_last_epoch_are_the_newest(runs):
    run = runs.train("run", interrupt=(1, 2))
    assert read_run(run).record.parameters_epoch is None
    assert params(run) != params(runs.train("one", epochs=1))
