"""A run folder is claimed and locked in one step, and other processes do not change it."""

import contextlib
from dataclasses import replace
import hashlib
import os
import shutil

import forks
from gluon_classics.errors import RunError
from gluon_classics.experiment.build import prepare
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import train
from gluon_classics.runs.folder import RunFolder
from gluon_classics.runs.predictor import from_run
from gluon_classics.runs.record import RunRecord, read_run
from gluon_classics.runs.resume import resume
import mxnet as mx
import pytest

PROCESSES = 5


def test_a_claimed_folder_is_locked_until_the_end_of_the_block(tmp_path):
    with RunFolder.claim(tmp_path / "run"), pytest.raises(RunError, match="another process is using"):
        RunFolder.claim(tmp_path / "run")
    with RunFolder.claim(tmp_path / "run") as folder:
        assert folder.path == tmp_path / "run"


@pytest.mark.parametrize("name", ["notes.txt", ".notes-20240101.txt"])
def test_a_folder_with_other_files_is_refused_and_not_touched(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match="is not empty: choose another"):
        RunFolder.claim(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with RunFolder(tmp_path):
        pass  # the refusal released the lock


def test_the_temporary_file_of_a_running_process_is_not_deleted(tmp_path):
    """For a second `train --out` in a folder that another process is writing to."""
    path = tmp_path / "run"
    with RunFolder.claim(path):
        (path / ".run-a1b2c3d_.json").write_text("half of a record")
        with pytest.raises(RunError, match="another process is using"):
            RunFolder.claim(path)
        assert (path / ".run-a1b2c3d_.json").exists()


def test_new_folders_of_the_same_name_are_numbered(tmp_path):
    folders = [RunFolder.claim_new(tmp_path / "runs" / "lenet") for _ in range(3)]
    assert [folder.path.name for folder in folders] == ["lenet", "lenet-2", "lenet-3"]


def test_a_folder_that_cannot_be_created_is_a_one_line_error(tmp_path):
    (tmp_path / "file").write_text("")
    for claim in (RunFolder.claim, RunFolder.claim_new):
        with pytest.raises(RunError, match=r"cannot write the run folder .*choose another with --out"):
            claim(tmp_path / "file" / "run")


def test_trainings_that_start_at_the_same_time_get_separate_folders(environment, tmp_path):
    command = ["train", "lenet", "--epochs", "1", "--batch-size", "160"]
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(forks.Fork(command, environment, tmp_path)) for _ in range(PROCESSES)]
        outputs = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES, outputs
    runs = [read_run(path) for path in (tmp_path / "runs").iterdir()]
    assert [run.record.status for run in runs] == ["done"] * PROCESSES


def test_a_second_training_in_the_same_folder_fails_and_changes_nothing(command, environment, tmp_path):
    arguments = ["train", "lenet", "--batch-size", "16", "--out", "run"]
    with forks.Fork([*arguments, "--epochs", "1000"], environment, tmp_path) as first:
        assert any(line.startswith("epoch 1/1000") for line in first.stderr)
        second = command(*arguments, "--epochs", "1")
        assert first.returncode is None
        first.kill()
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("Error: another process is using run")
    assert read_run(tmp_path / "run").record.settings.epochs == 1000


@pytest.fixture
def experiment(small_home, monkeypatch):
    """Return an experiment that trains on 320 images, and tests on 80: the last 20 do not fill a batch."""
    monkeypatch.setenv("MXNET_HOME", str(small_home))
    return prepare(Settings("lenet", batch_size=80, last_batch="discard"), [mx.cpu()])


def test_the_time_of_a_resumed_run_includes_that_before_the_pause(experiment, tmp_path):
    with RunFolder.claim(tmp_path / "run") as folder:
        folder.start(experiment)
        assert folder.record.seconds < 1000
        folder.resume(replace(folder.record, seconds=1000.0), experiment, [], 0, 0, {})
    assert 1000 <= read_run(tmp_path / "run").record.seconds < 2000


def test_a_record_has_the_settings_the_data_and_the_devices_of_the_run(experiment, tmp_path):
    with RunFolder.claim(tmp_path / "run") as folder:
        folder.start(experiment, "a recipe")
    record = read_run(tmp_path / "run").record
    assert (record.recipe, record.status, record.epochs) == ("a recipe", "running", ())
    assert record.settings == experiment.settings
    assert (record.data.train_images, record.data.test_images, record.data.image_shape) == (320, 100, (28, 28, 1))
    assert (record.trained_images, record.tested_images, record.parameters) == (320, 80, 170_988)
    assert record.provenance.devices == ("cpu(0)",)
    assert record.provenance.threads == os.environ["OMP_NUM_THREADS"]


def test_a_parameter_file_of_another_run_is_refused(trained_run, tmp_path):
    shutil.copytree(trained_run, tmp_path / "run")
    path = tmp_path / "run" / "net.params"
    assert read_run(tmp_path / "run").record.parameters_sha256 == (hashlib.sha256(path.read_bytes()).hexdigest(),)
    arrays = mx.nd.load(str(path))
    arrays["0.bias"] += 1
    mx.nd.save(str(path), arrays)
    for use in (lambda: from_run(tmp_path / "run", "cpu"), lambda: train.parameter_file(tmp_path / "run")):
        with pytest.raises(RunError, match=r"net\.params is damaged, or of another run"):
            use()
    text = (tmp_path / "run" / "run.json").read_text()
    record = replace(RunRecord.from_json(text), parameters_sha256=())
    (tmp_path / "run" / "run.json").write_text(record.to_json())
    assert train.parameter_file(tmp_path / "run") == str(path), "older records have no checksum"


@pytest.mark.parametrize("older", [False, True])
def test_a_process_that_is_killed_while_it_replaces_the_parameters_leaves_a_run_that_can_be_read(
    older, experiment, tmp_path, monkeypatch
):
    """Every state of the folder between two writes is tried: os.replace is the only one that changes a file."""
    with RunFolder.claim(tmp_path / "run") as folder:
        folder.start(experiment)
        folder.save_parameters(None)
        folder.set_status("running")
        if older:
            folder.record = replace(folder.record, parameters_sha256=())
            folder.set_status("running")
        for parameter in experiment.net.collect_params().values():
            parameter.set_data(parameter.data() + 1)
        states, move = [], os.replace

        def replacing(*arguments):
            states.append(read_run(folder.path).parameters.read_bytes())
            move(*arguments)
            states.append(read_run(folder.path).parameters.read_bytes())

        monkeypatch.setattr(os, "replace", replacing)
        folder.save_parameters(None)
        folder.set_status("running")
    assert len(states) == 6
    assert states[2] != states[3] == states[5]
    assert len(read_run(folder.path).record.parameters_sha256) == 1


@pytest.mark.parametrize("make", [RunFolder.claim, RunFolder.claim_new])
def test_a_folder_whose_name_is_not_utf8_is_refused_before_training(make, tmp_path):
    """MXNet cannot write to it, which a run would only find out after its first epoch."""
    with pytest.raises(RunError, match=r"is not UTF-8: choose another with --out"):
        make(tmp_path / "t\udce9" / "run")
    assert list(tmp_path.iterdir()) == []
    os.mkdir(os.fsencode(tmp_path) + b"/t\xe9")
    (tmp_path / "link").symlink_to(os.fsdecode(b"t\xe9"))
    with pytest.raises(RunError, match="is not UTF-8"):
        RunFolder(tmp_path / "link")


def test_data_with_names_that_are_not_utf8_is_refused_before_training(experiment, tmp_path):
    data = experiment.data
    for other in (
        replace(data, classes=("t\udce9", *data.classes[1:])),
        replace(data, name="t\udce9"),
        replace(data, origin="/home/t\udce9"),
    ):
        with RunFolder.claim(tmp_path / "run") as folder:
            with pytest.raises(RunError, match=r"'.*t\\udce9' of the data is not UTF-8: rename it"):
                folder.start(replace(experiment, data=other))
        assert list((tmp_path / "run").iterdir()) == []


def test_only_the_process_that_holds_the_lock_removes_temporary_files(tmp_path, make_record):
    record = make_record("lenet_d2l-fashion-mnist-d2l-0.17")
    path = tmp_path / "run"
    with RunFolder.claim(path):
        (path / "run.json").write_text(record.to_json())
        half = path / ".checkpoint-00001-00000003-a1b2c3d4.ckpt"
        half.write_text("half of a checkpoint")
        for use in (lambda: resume(path, None, 10), lambda: RunFolder.claim(path), lambda: RunFolder(path)):
            with pytest.raises(RunError, match="another process is using"):
                use()
        read_run(path)
        assert half.exists()
