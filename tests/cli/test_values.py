"""Every option and argument of every command takes any value: it works, or it is one clear line."""

import dataclasses
import itertools
import os
import pwd

import click
import gluon_classics
from gluon_classics.cli.command import NO_HOME, main
from gluon_classics.cli.options import UserPath, with_options
from gluon_classics.data import datasets
from gluon_classics.data.datasets import SAMPLE_FOLDER
from gluon_classics.experiment import build
from gluon_classics.experiment.settings import Settings
import numpy as np
import pytest

# the arguments of each command that takes some; they end it before long work
CALLS = {
    "certify": ["nothing"],
    "compare": ["nothing", "nothing"],
    "describe": ["lenet"],
    "diff": ["lenet", "lenet5"],
    "draw": ["lenet", "--out", "nowhere/picture.svg"],
    "evaluate": ["nothing.params"],
    "export": ["lenet", "--to", "safetensors", "--out", "nowhere/weights"],
    "pack": ["nothing", "--out", "nothing.rec"],
    "predict": ["nothing", "nothing.png"],
    "report": ["nothing"],
    "reproduce": ["lenet_blog-fashion-mnist", "--data", "nothing"],
    "results": ["--results", "nothing"],
    "resume": ["nothing"],
    "statistics": ["nothing"],
    "summary": ["lenet"],
    "trace": ["nothing", "--out", "nowhere"],
    "train": ["lenet", "--data", "nothing"],
}
VALUES = [
    *("0", "2147483648", "9223372036854775808", "1" + 309 * "0", "5000" + 5000 * "0"),
    *("nan", "inf", "1e400", "1e39", "0x10", "²", "1,5", ""),
    *("a\0b", "\ud800", "\udcff", "~nosuchuser/x", 5000 * "x", "\x1b[31mred\n\u202e", "1x1x1000000000000"),
    *("3x2147483647x2147483647", "1x2x2147483647", "²x1x1", "1x28x-28"),
]


def given(command, parameter, value):
    """Return the arguments of a command in which one parameter has the given value."""
    arguments = list(CALLS[command.name])
    if isinstance(parameter, click.Option):
        return [command.name, *arguments, f"{max(parameter.opts, key=len)}={value}"]
    places = [other for other in command.params if isinstance(other, click.Argument)]
    arguments[places.index(parameter)] = value
    return [command.name, *arguments]


def parameters(command):
    return [parameter for parameter in command.params if not getattr(parameter, "is_flag", False)]


def test_all_commands_with_parameters_are_tried():
    assert set(CALLS) == {name for name, command in main.commands.items() if parameters(command)}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_any_value_of_any_parameter_ends_in_one_line(name, invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = main.commands[name]
    for parameter, value in itertools.product(parameters(command), VALUES):
        result = invoke(*given(command, parameter, value))
        what = f"{parameter.name} {value[:40]!r}: {result.output[-300:]!r} {result.exception!r}"
        assert result.exception is None or isinstance(result.exception, SystemExit), what
        assert not set("\x1b\u202e") & set(result.output), what
        if result.exit_code:
            *usage, error = filter(None, result.stderr.splitlines())
            assert all(line.startswith(("Usage:", "Try ")) for line in usage), what
            assert error.startswith("Error: "), what
            assert len(error) < 700 or name == "compare", what


@pytest.mark.parametrize("user", ["~nosuchuser", "~nosuchuser/images"])
def test_an_unknown_home_folder_is_an_error_of_every_path(user, invoke):
    tried = 0
    for name in CALLS:
        command = main.commands[name]
        for parameter in (other for other in parameters(command) if isinstance(other.type, UserPath)):
            result = invoke(*given(command, parameter, user))
            assert result.exit_code == 2, (name, parameter.name, result.output)
            assert f"{user}: the home folder of this user is not known" in result.stderr
            tried += 1
    assert tried > 20


def test_an_empty_path_is_an_error_of_every_path(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in CALLS:
        command = main.commands[name]
        for parameter in (other for other in parameters(command) if isinstance(other.type, UserPath)):
            result = invoke(*given(command, parameter, ""))
            assert result.exit_code == 2, (name, parameter.name, result.output)
            assert "the path is empty: name a file or a folder" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("option", ["mean", "std", "schedule"])
def test_empty_text_is_not_taken_for_the_default(option, value, invoke):
    result = invoke("train", "lenet", "--data", SAMPLE_FOLDER, f"--{option}", value, "--dry-run")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {option} is empty: write a value, or leave the option out\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--image-size", "20"], "--image-size is 20, less than the network's 28: use more"),
        (["--micro-batch-size", "17", "--batch-size", "16"], "--micro-batch-size is 17, more than the batch size 16"),
        (["--test-crops", "ten"], "larger than the network's 28: set --image-size"),
        (["--new-head"], "--new-head is for parameters from a file: name one with --init-from"),
        (["--freeze", "body"], "use it with --new-head"),
        (["--init", "image_size"], "unknown initializer 'image_size'"),
        (["--mean", "0.5,0.5"], "mean has 2 numbers, but the images have 1 channel: give one number"),
    ],
)
def test_errors_about_settings_name_options_and_keep_what_was_written(arguments, words, invoke):
    result = invoke("train", "lenet", "--data", SAMPLE_FOLDER, *arguments, "--dry-run")
    assert (result.exit_code, result.stdout) == (1, "")
    line = result.stderr.splitlines()[-1]
    assert words in line


def test_every_setting_with_an_underscore_has_its_option():
    train = {parameter.name: max(parameter.opts, key=len) for parameter in main.commands["train"].params}
    named = {field.name for field in dataclasses.fields(Settings) if "_" in field.name}
    for name in named:
        assert with_options(f"{name} is 3: use more") == f"{train[name]} is 3: use more"
    assert {"image_size", "learning_rate", "init_from"} <= named


def test_a_tilde_is_the_home_folder_where_shells_leave_it(invoke, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    result = invoke("train", "lenet", "--data=~/images")
    assert f"there is no folder {tmp_path}/images" in result.stderr


def test_a_user_without_a_home_folder_can_use_the_commands(invoke, monkeypatch):
    """As in a container that was started for a user without an entry in /etc/passwd."""

    def unknown(_user):
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("MXNET_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(build.DataError, match="home folder"):
        datasets.cache_folder("mnist")
    assert invoke("list").exit_code == 0
    assert os.path.expanduser("~") == NO_HOME
    assert str(datasets.cache_folder("mnist")).startswith(NO_HOME)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lenet5", "--classes", "11"], "codes for 10 classes, not for 11"),
        (["lenet", "--input", "1x40000x40000"], "an array of 89,988,211,712 values"),
        (["lenet", "--classes", "2147483647"], "fewer classes"),
        (["lenet", "--input", "1x5x5"], "LeNet cannot take 5x5 images"),
    ],
)
def test_summary_of_what_mxnet_cannot_hold_is_one_line(arguments, words, invoke):
    result = invoke("summary", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert words in line


@pytest.mark.parametrize("batch", ["200000", "2147483647"])
def test_a_trace_that_cannot_fit_into_memory_is_one_line(batch, invoke, tmp_path):
    result = invoke("trace", "lenet", "--out", tmp_path / "trace", "--batch", batch)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "values, which MXNet cannot have: use a smaller batch size" in result.stderr
    assert not (tmp_path / "trace").exists()


def test_missing_memory_ends_any_command_in_one_line_with_the_size(invoke, monkeypatch):
    monkeypatch.setattr(gluon_classics, "list_models", lambda: np.zeros((10**6, 10**8)))
    result = invoke("list")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: not enough memory (Unable to allocate 728. TiB for an array with shape")
    assert result.stderr.count("\n") == 1


def test_the_help_without_arguments_is_complete(invoke):
    assert invoke("--help").output in (invoke().output, invoke().output + "\n")
