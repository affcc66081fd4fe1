"""Several workers train as one process does, and a resumed training is bit-identical."""

import json
import os
import signal
import time

from kill_workers import children
import numpy as np
import pytest

# In 10 steps with a sum of 32 + 32 instead of 64 gradients, each of which is a sum itself: parameters of at most 1
ROUNDING = 1e-5


def test_two_workers_of_32_images_train_as_one_of_64(trainings):
    trainings.train("lenet", "one")
    assert trainings.train("lenet", "two", "--workers", "2", "--quiet") == ""
    ours, theirs = trainings.parameters("two"), trainings.parameters("one")
    assert max(np.abs(ours[name] - theirs[name]).max() for name in theirs) < ROUNDING
    (mine,), (other,) = trainings.epochs("two"), trainings.epochs("one")
    assert mine["train_loss"] == pytest.approx(other["train_loss"], rel=ROUNDING)
    assert mine["train_accuracy"] == pytest.approx(other["train_accuracy"], abs=2 / 640)
    record = json.loads((trainings.folder / "two" / "run.json").read_text())
    assert (record["provenance"]["workers"], record["trained_images"], record["tested_images"]) == (2, 640, 33)
    assert record["status"] == "done"
    assert "Nothing left to do" in trainings.finish(trainings.start("resume", "two"))


# with batches of 213 images, the last batch has one: two of the three workers have nothing to do
THREE = ("--workers", "3", "--batch-size", "213", "--epochs", "40")


def test_runs_are_bit_identical_also_when_resumed(trainings):
    """Adam keeps states on the server, and each worker draws its own dropout masks."""
    options = (*THREE, "--optimizer", "adam", "--momentum", "0", "--lr", "0.001")
    trainings.train("lenet_pytorch_2017", "first", *options)
    process = trainings.start(
        *trainings.arguments("lenet_pytorch_2017", "second", *options, "--checkpoint-minutes", "0")
    )
    trainings.wait_for_checkpoint("second", process)
    process.send_signal(signal.SIGTERM)
    printed = trainings.finish(process, 128 + signal.SIGTERM)
    assert "To resume: gluon-classics resume" in printed
    assert json.loads((trainings.folder / "second" / "run.json").read_text())["status"] == "interrupted"
    trainings.finish(trainings.start("resume", "second"))
    assert trainings.outcome("second") == trainings.outcome("first")


@pytest.fixture(scope="module")
def uninterrupted(trainings):
    trainings.train("lenet_bn", "uninterrupted", *THREE)
    return trainings.outcome("uninterrupted")


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["scheduler", "server", "first worker", "last worker"])
def test_a_killed_process_does_not_change_the_result(killed, trainings, uninterrupted):
    out = f"killed-{killed.replace(' ', '-')}"
    process = trainings.start(*trainings.arguments("lenet_bn", out, *THREE, "--checkpoint-minutes", "0"))
    trainings.wait_for_checkpoint(out, process)
    number = {"scheduler": 0, "server": 1, "first worker": 2, "last worker": 4}[killed]
    os.kill(children(process.pid)[number], signal.SIGKILL)
    printed = trainings.finish(process)
    assert "was ended by SIGKILL. Restarting from the last checkpoint (1 of 3)" in printed
    assert trainings.outcome(out) == uninterrupted


@pytest.mark.slow
def test_nothing_is_left_when_the_launcher_is_killed(trainings):
    process = trainings.start(*trainings.arguments("lenet", "orphaned", "--workers", "2", "--epochs", "500"))
    end = time.monotonic() + 120
    while not (trainings.folder / "orphaned" / "run.json").exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    started = children(process.pid)
    assert len(started) == 4
    process.kill()
    process.communicate()
    while any(os.path.exists(f"/proc/{number}") for number in started):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_hosts_have_a_server_each(trainings):
    """Large arrays are divided between the servers, and the result is bit-identical."""
    shell = trainings.folder / "shell"
    shell.write_text('#!/bin/sh\necho "$1" >> hosts-used\nshift\nexec sh -c "$*"\n')
    shell.chmod(0o755)
    (trainings.folder / "hosts").write_text("localhost 1\n127.0.0.2 1\n")
    options = ("--workers", "2", "--epochs", "2", "--optimizer", "adam", "--momentum", "0", "--lr", "0.001")
    trainings.train("lenet", "one-host", *options)
    place = ("--hosts", "hosts", "--remote-shell", f"{shell} {{host}}")
    process = trainings.start(*trainings.arguments("lenet", "two-hosts", *options, *place))
    trainings.finish(process)
    assert (trainings.folder / "hosts-used").read_text() == "127.0.0.2\n" * 2, "a server and a worker"
    assert trainings.outcome("two-hosts") == trainings.outcome("one-host")
