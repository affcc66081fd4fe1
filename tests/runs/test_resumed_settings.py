"""What depends on the epochs so far, or on parts of batches, is resumed bit-identically."""

from dataclasses import asdict

from gluon_classics.errors import RunError
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import resume
import pytest

SETTINGS = {
    "micro batches": {"micro_batch_size": 33},
    "micro batches on two devices": {"micro_batch_size": 33, "contexts": 2},
    "a scaled last batch in parts": {"batch_size": 72, "micro_batch_size": 30, "last_batch": "scale"},
    "a plateau": {"schedule": "plateau:0.1:1"},
    "validation": {"validation_share": 0.2, "schedule": "plateau:0.1:1", "reported": "best", "augment": "flip"},
}


@pytest.mark.parametrize("interrupt", [(0, 2), (1, 1), (2, 3)])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(name, interrupt, runs, outcome_of):
    runs.accuracies([0.3, 0.2, 0.1], validation=[0.3, 0.2, 0.25])
    whole = runs.train("whole", **SETTINGS[name])
    run = runs.train("run", interrupt=interrupt, **SETTINGS[name])
    runs.resume("run")
    assert outcome_of(run) == outcome_of(whole)


def test_the_rate_after_a_plateau_is_that_of_the_whole_history(runs, outcome_of):
    """Without the epochs before the interruption, the rate would not have fallen."""
    runs.accuracies([0.3, 0.2, 0.1])
    falling = outcome_of(runs.train("falling", schedule="plateau:0.1:1"))
    assert falling["net.params"] != outcome_of(runs.train("constant"))["net.params"]


@pytest.mark.parametrize("interrupt", [(0, 2), (2, 1)])
def test_a_run_with_a_frozen_body_is_resumed_without_the_file_that_it_started_from(interrupt, runs, outcome_of):
    start = runs.train("start", epochs=1) / "net.params"
    options = {"init_from": str(start), "new_head": True, "freeze": "body"}
    whole = runs.train("whole", **options)
    run = runs.train("run", interrupt=interrupt, **options)
    start.unlink()
    runs.resume("run")
    assert outcome_of(run) == outcome_of(whole)


def test_the_validation_share_of_an_older_checkpoint_is_the_test_share():
    settings = Settings("lenet", test_share=0.25)
    saved = {name: value for name, value in asdict(settings).items() if name != "test_share"}
    resume._check_settings({**saved, "validation_share": 0.25}, settings, "run")
    with pytest.raises(RunError, match=r"test_share 0\.5 -> 0\.25"):
        resume._check_settings({**saved, "validation_share": 0.5}, settings, "run")
