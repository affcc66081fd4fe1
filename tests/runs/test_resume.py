"""A run that was stopped at any moment resumes bit-identically, or an error says why it cannot."""

from dataclasses import asdict, replace
import fcntl
import functools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import forks
from gluon_classics.errors import RunError
from gluon_classics.experiment.settings import Settings
from gluon_classics.runs import checkpoint, resume
from gluon_classics.runs.checkpoint import checkpoints, read_checkpoint, write_checkpoint
from gluon_classics.runs.provenance import code
from gluon_classics.runs.record import read_run
import numpy as np
import pytest
import small_run

pytestmark = pytest.mark.short

KILLS = 20
OPTIONS = [
    "--batch-size",
    "16",
    "--momentum",
    "0.9",
    "--lr",
    "0.05",
    "--seed",
    "3",
    "--augment",
    "flip",
]  # 20 batches an epoch
LONG = 30  # epochs; long enough for a signal to arrive before the end
OFTEN = ["--checkpoint-minutes", "0"]


@pytest.fixture
def start(environment, tmp_path):
    """Return a function that starts `small_run.py` in an empty folder and returns the fork."""
    return functools.partial(started, environment, tmp_path)


@pytest.fixture
def finish(environment, tmp_path):
    """Return a function that runs `small_run.py` and returns its exit status and its messages."""
    return functools.partial(finished, environment, tmp_path)


@pytest.fixture
def train(environment, tmp_path):
    """Return a function that trains to the end, or sends a signal after a line that starts with `until`."""
    return functools.partial(trained, environment, tmp_path)


@pytest.fixture(scope="module")
def folders(environment, tmp_path_factory):
    """Return a folder with `stopped`, an interrupted run with two checkpoints, and `whole`, the uninterrupted run."""
    folder = tmp_path_factory.mktemp("resume")
    status, output = trained(environment, folder, "stopped", epochs=LONG, until=f"epoch 2/{LONG}")
    assert status == 130, output
    assert len(checkpoints(folder / "stopped")) == 2
    assert trained(environment, folder, "whole", epochs=LONG)[0] == 0
    return folder


@pytest.fixture
def whole(folders):
    """Return the folder of the uninterrupted run."""
    return folders / "whole"


@pytest.fixture
def stopped(folders, tmp_path):
    """Return a copy of the folder of the interrupted run."""
    shutil.copytree(folders / "stopped", tmp_path / "run")
    return tmp_path / "run"


def started(environment, folder, *arguments, cwd=None):
    return forks.Fork(arguments, environment, cwd or folder, small_run.main)


def finished(environment, folder, *arguments, **options):
    """Return the exit status and the messages. With options of subprocess.run, start a new process."""
    if options.keys() - {"cwd"}:
        command = [sys.executable, small_run.__file__, *map(str, arguments)]
        options = {"env": environment, "cwd": folder, "timeout": forks.TIMEOUT, **options}
        process = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **options)
        return process.returncode, process.stderr
    with started(environment, folder, *arguments, **options) as process:
        output = process.communicate()[1]
    return process.returncode, output


def trained(environment, folder, out, *arguments, epochs, until=None, number=signal.SIGINT):
    command = ["train", "lenet", "--epochs", epochs, *OPTIONS, *arguments, "--out", out]
    if until is None:
        return finished(environment, folder, *command)
    with started(environment, folder, *command) as process:
        assert any(line.startswith(until) for line in process.stderr)
        process.send_signal(number)
        output = process.communicate()[1]
    return process.returncode, output


def record(folder):
    return json.loads((folder / "run.json").read_text())


def outcome(folder):
    """Return everything that a run wrote, except times."""
    epochs = [
        {name: value for name, value in epoch.items() if name not in ("seconds", "images_per_second")}
        for epoch in record(folder)["epochs"]
    ]
    facts, arrays = read_checkpoint(checkpoints(folder)[0])
    state = {name: array.tobytes() for name, array in arrays.items()}
    curves = [epoch["curve"] for epoch in facts["epochs"]]
    return (folder / "net.params").read_bytes(), epochs, curves, facts["state"], state


def assert_same_outcome(folder, other):
    for one, another in zip(outcome(folder), outcome(other)):
        assert one == another


def assert_error(result, *words):
    status, output = result
    assert status == 1
    assert "Traceback" not in output
    errors = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert output.rstrip().endswith(errors[0])
    for word in words:
        assert word in errors[0]


def test_a_run_killed_at_random_moments_ends_bit_identical_to_an_uninterrupted_one(start, finish, train, tmp_path):
    seed = int(os.environ.get("KILL_SEED") or time.time_ns() % 2**32)
    print(f"to replay: KILL_SEED={seed}")
    chance = random.Random(seed)
    epochs, small = 8, ["--batch-size", "4"]  # 80 batches an epoch, 27 checkpoints
    finish("--version")  # starts the server of the forks
    began = time.perf_counter()
    status, output = train("whole", *small, *OFTEN, epochs=epochs)
    assert status == 0, output
    training = sum(epoch["seconds"] for epoch in record(tmp_path / "whole")["epochs"])
    starting_up = time.perf_counter() - began - training
    run, kills = tmp_path / "run", 0
    while kills < KILLS or not (run / "run.json").exists():
        if (run / "run.json").exists() and record(run)["status"] == "done":
            assert_same_outcome(run, tmp_path / "whole")
            shutil.rmtree(run)
        command = ["resume", run, *OFTEN]
        if not (run / "run.json").exists():
            shutil.rmtree(run, ignore_errors=True)
            command = ["train", "lenet", "--epochs", epochs, *OPTIONS, *OFTEN, *small, "--out", run]
        with start(*command) as process:
            try:
                # kill during startup or training; each process is short enough that the run needs several
                process.wait(chance.uniform(0.5 * starting_up, starting_up + training / 8))
            except subprocess.TimeoutExpired:
                process.kill()
            _, output = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), output
        kills += process.returncode != 0
    status, output = finish("resume", run, *OFTEN)
    assert status == 0, output
    assert kills >= KILLS
    within = [resumed["batches"] for resumed in record(run).get("resumed", []) if resumed["batches"]]
    print(f"{kills} kills, the last run resumed within an epoch after batches {within}")
    assert_same_outcome(run, tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_writes_a_checkpoint_and_prints_how_to_resume(number, whole, train, finish, tmp_path):
    status, output = train("run", *OFTEN, epochs=LONG, until=f"epoch 2/{LONG}", number=number)
    assert status == 128 + number
    assert "Traceback" not in output
    assert record(tmp_path / "run")["status"] == "interrupted"
    assert output.splitlines()[-1] == f"Interrupted. To resume: gluon-classics resume {tmp_path / 'run'}"
    assert finish("resume", tmp_path / "run", cwd="/")[0] == 0
    assert record(tmp_path / "run")["status"] == "done"
    assert_same_outcome(tmp_path / "run", whole)


def test_a_run_on_several_devices_resumes_bit_identically(train, finish, tmp_path):
    devices = ["--ctx", "cpu:0,cpu:1", "--optimizer", "adam", "--momentum", "0"]
    assert train("whole", *devices, epochs=LONG)[0] == 0
    assert train("run", *devices, epochs=LONG, until=f"epoch 1/{LONG}")[0] == 130
    assert finish("resume", "run")[0] == 0
    assert record(tmp_path / "run")["provenance"]["devices"] == ["cpu(0)", "cpu(1)"]
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_is_used(damage, stopped, whole, finish):
    newest, before = checkpoints(stopped)
    content = newest.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    newest.write_bytes({"cut": content[:middle], "empty": b"", "flipped": flipped}[damage])
    status, output = finish("resume", stopped)
    assert status == 0, output
    lines = [line for line in output.splitlines() if newest.name in line]
    assert len(lines) == 1
    assert "trying the previous one" in lines[0]
    facts, _ = read_checkpoint(checkpoints(stopped)[0])
    assert len(facts["epochs"]) == LONG
    resumed = record(stopped)["resumed"][0]
    assert checkpoint.checkpoint_path(stopped, resumed["epoch"], resumed["batches"]) == before
    assert_same_outcome(stopped, whole)


def test_a_run_without_an_intact_checkpoint_is_not_resumed(stopped, finish):
    for path in checkpoints(stopped):
        path.write_bytes(b"")
    result = finish("resume", stopped)
    assert_error(result, "no checkpoint that can be used", "train again")
    assert result[1].count("is damaged") == 2
    for path in checkpoints(stopped):
        path.unlink()
    assert_error(finish("resume", stopped), "no checkpoint that can be used")
    assert record(stopped)["status"] == "interrupted"


@pytest.mark.parametrize("done", [0, 1], ids=["in its first epoch", "between its first epoch and the checkpoint"])
def test_a_run_stopped_before_its_first_checkpoint_starts_over(train, finish, tmp_path, done):
    assert train("run", epochs=2)[0] == 0
    for path in (tmp_path / "run").iterdir():
        if path.name != "run.json":
            path.unlink()
    whole = record(tmp_path / "run")
    begun = {**whole, "status": "running", "epochs": whole["epochs"][:done]}
    (tmp_path / "run" / "run.json").write_text(json.dumps(begun))
    status, output = finish("resume", "run", *OFTEN)
    assert status == 0
    assert "in epoch 1, after 0 batches" in output
    train("whole", epochs=2)
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")


def test_a_run_with_a_checkpoint_is_resumed_without_the_parameters_that_it_started_from(train, finish, tmp_path):
    assert train("first", epochs=1)[0] == 0
    assert train("run", "--init-from", "first", epochs=1)[0] == 0
    shutil.rmtree(tmp_path / "first")
    status, said = finish("resume", "run", "--epochs", "2")
    assert status == 0, said
    assert len(record(tmp_path / "run")["epochs"]) == 2


def test_a_damaged_checkpoint_is_passed_over(stopped):
    newest, before = checkpoints(stopped)
    newest.write_bytes(b"")
    damaged = []
    assert resume._newest_checkpoint(read_run(stopped), damaged).path == before
    assert damaged == [newest]


def rewrite(folder, change):
    """Change the facts and arrays of a run's newest checkpoint."""
    path = checkpoints(folder)[0]
    facts, arrays = read_checkpoint(path)
    change(facts, arrays)
    write_checkpoint(path, facts, arrays)


def test_a_checkpoint_that_does_not_fit_its_run_is_refused(stopped, finish, small_home, tmp_path):
    shutil.copytree(stopped, tmp_path / "intact")

    def refused(*words, **options):
        folders = sorted(path.name for path in stopped.iterdir())
        assert_error(finish("resume", stopped, **options), *words)
        assert sorted(path.name for path in stopped.iterdir()) == folders
        shutil.rmtree(stopped)
        shutil.copytree(tmp_path / "intact", stopped)

    changed = record(stopped)
    changed["settings"].update(learning_rate=0.5, seed=4)
    (stopped / "run.json").write_text(json.dumps(changed))
    refused("other settings", "learning_rate 0.05 -> 0.5", "seed 3 -> 4")

    rewrite(stopped, lambda facts, _: facts.update(network="another"))
    refused("does not fit lenet", "other layers")

    rewrite(stopped, lambda _, arrays: arrays.update({"0.weight@0": np.zeros((5, 1, 5, 5), np.float32)}))
    refused("does not fit lenet", "the parameters of another network")

    changed = record(stopped)
    changed["provenance"]["devices"].append("cpu(1)")
    (stopped / "run.json").write_text(json.dumps(changed))
    refused("does not fit lenet", "another number of devices")

    changed = record(stopped)
    changed["data"]["sha256"] = "0" * 64
    (stopped / "run.json").write_text(json.dumps(changed))
    refused("was trained on other images", str(stopped))

    (stopped / "run.json").write_text("{")
    refused("run.json cannot be used")

    assert_error(finish("resume", tmp_path / "nothing"), "is not a run folder")
    assert_error(finish("resume", tmp_path / "home"), "is not a run folder")


def test_a_checkpoint_without_a_newer_setting_has_its_default():
    settings = Settings("lenet", epochs=2)
    saved = {name: value for name, value in asdict(settings).items() if name != "augment"}
    resume._check_settings(saved, settings, "run")
    with pytest.raises(RunError, match=r"other settings than its run\.json \(augment none -> flip\)"):
        resume._check_settings(saved, replace(settings, augment="flip"), "run")


def test_changed_threads_or_versions_are_reported_and_recorded(stopped, finish, environment):
    changed = record(stopped)
    changed["provenance"].update(mxnet="1.9.0", threads="64")
    (stopped / "run.json").write_text(json.dumps(changed))
    status, output = finish("resume", stopped, env={**environment, "OMP_NUM_THREADS": "1"})
    assert status == 0
    (line,) = [line for line in output.splitlines() if "last digits" in line]
    assert "mxnet 1.9.0 -> 1.9.1" in line
    assert "threads 64 -> 1" in line
    assert record(stopped)["resumed"][0]["changed"]["threads"] == ["64", "1"]


def test_a_run_with_unchanged_provenance_is_resumed_without_a_warning(stopped, finish):
    unchanged = record(stopped)
    unchanged["provenance"]["commit"], unchanged["provenance"]["dirty"] = code()  # in case of a commit meanwhile
    (stopped / "run.json").write_text(json.dumps(unchanged))
    assert "last digits" not in finish("resume", stopped)[1]


def test_a_finished_run_is_left_alone_unless_more_epochs_are_asked_for(train, finish, tmp_path):
    train("whole", epochs=5)
    train("run", epochs=3)
    before = (tmp_path / "run" / "run.json").read_bytes()
    status, output = finish("resume", "run")
    assert status == 0
    assert output.startswith("Nothing left to do: all 3 epochs of run are done")
    assert_error(finish("resume", "run", "--epochs", "2"), "has 3 epochs already")
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert finish("resume", "run", "--epochs", "5")[0] == 0
    assert_same_outcome(tmp_path / "run", tmp_path / "whole")
    assert len(checkpoints(tmp_path / "run")) == 1


def test_a_run_with_a_cosine_schedule_keeps_its_number_of_epochs(train, finish):
    train("run", "--schedule", "cosine", epochs=2)
    assert_error(finish("resume", "run", "--epochs", "3"), "the cosine schedule of run is for 2 epochs")


def test_a_full_disk_ends_the_run_and_keeps_its_checkpoints(stopped, whole, finish):
    kept = {path: path.read_bytes() for path in checkpoints(stopped)}
    limit = len((stopped / "net.params").read_bytes()) + 2000  # bytes per file: too few for a checkpoint only
    result = finish(
        "resume", stopped, *OFTEN, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    assert_error(result, f"cannot write to {stopped}", "the last checkpoint is intact", f"resume {stopped}")
    assert {path: path.read_bytes() for path in checkpoints(stopped)} == kept
    assert not list(stopped.glob(".*"))
    assert record(stopped)["status"] == "failed"
    assert finish("resume", stopped)[0] == 0
    assert_same_outcome(stopped, whole)


def test_a_locked_run_is_not_resumed(stopped, finish):
    handle = os.open(stopped, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert_error(finish("resume", stopped), "another process is using")
    os.close(handle)
    assert finish("resume", stopped)[0] == 0


def test_a_running_training_locks_its_folder(start, finish, tmp_path):
    with start("train", "lenet", "--epochs", "1000", *OPTIONS, "--out", "run") as process:
        assert any(line.startswith("epoch 1/1000") for line in process.stderr)
        assert_error(finish("resume", "run"), "another process is using")
        process.kill()


def test_other_files_of_a_folder_are_not_deleted(stopped, finish, tmp_path):
    own, like_ours = tmp_path / ".notes-20240101.txt", tmp_path / ".run-20240101.json"
    for path in (own, like_ours):
        path.write_text("mine")
    assert_error(finish("resume", "."), "is not a run folder")
    for path in (own, like_ours):
        assert path.read_text() == "mine"
    shutil.copy(own, stopped)
    assert finish("resume", stopped)[0] == 0
    assert (stopped / own.name).exists()


def test_a_folder_with_only_the_temporary_file_of_a_killed_process_can_be_used(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".run-a1b2c3d_.json").write_text("half of")
    assert train("run", epochs=1)[0] == 0
    assert not list((tmp_path / "run").glob(".*"))


def test_temporary_files_of_killed_processes_are_removed(stopped, finish):
    for name in (".checkpoint-00001-00000003-a1b2c3d4.ckpt", ".run-a1b2c3d_.json"):
        (stopped / name).write_text("half of")
    assert finish("resume", stopped)[0] == 0
    assert not list(stopped.glob(".*"))
