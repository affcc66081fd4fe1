"""`startup.py` and `waiting.py` run their measurements correctly. The measured values are not tested."""

import importlib
import os
import subprocess

import pytest
import speed
import startup
import turns
import waiting


def test_commands_take_turns_and_the_first_turn_does_not_count(monkeypatch):
    seen = []
    monkeypatch.setattr(startup, "measure", lambda arguments: seen.append(arguments) or len(seen))
    assert startup.run(2) == {"--help": [4, 7], "list": [5, 8], "summary vgg": [6, 9]}
    assert seen == [*startup.LIMITS] * 3


def test_a_command_that_fails_is_not_timed():
    assert startup.measure("--version") > 0
    with pytest.raises(subprocess.CalledProcessError):
        startup.measure("no-such-command")


def test_waiting_measures_a_positive_speed():
    assert waiting.speed("passive", 0.05) > 0


def test_each_process_has_its_waiting_policy(monkeypatch):
    tell = "import os; import gluon_classics, mxnet; print(1 + (os.environ['OMP_WAIT_POLICY'] == 'passive'))"
    monkeypatch.setattr(waiting, "TRAIN", tell)
    assert [waiting.speed(policy, 0) for policy in waiting.POLICIES] == [1, 2]


def os_after_importing(module):
    importlib.import_module(module)
    return os


def test_the_blogs_threads_use_openmps_default_waiting():
    with turns.Worker(os_after_importing, ("mxnet_contestants",), speed.environment_of("blog", None)) as worker:
        assert worker.ask("getenv", "OMP_WAIT_POLICY") == ""
