"""The commands describe and trace."""

import json

from click.testing import CliRunner
from gluon_classics.cli.command import main
import pytest


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_describe_shows_operations_formulas_and_training():
    shown = run("describe", "lenet").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "1 max pool, kernel 2x2, stride 2, no padding, rounds down 20x12x12" in lines
    assert any(line.startswith("convolution: cross-correlation") for line in lines)
    assert any(
        line.startswith("initial weights: uniform within +-sqrt(3 / ((fan_in + fan_out) / 2))") for line in lines
    )


def test_describe_json_is_the_graph_with_the_facts_of_the_training():
    content = json.loads(run("describe", "lenet", "--input", "1x32x32", "--json").stdout)
    assert (content["schema"], content["version"]) == ("gluon-classics graph", 1)
    assert content["inputs"] == {"data": [None, 1, 32, 32]}
    assert content["training"]["optimizer"]["learning_rate"] == 0.01


@pytest.mark.parametrize("command", [["describe"], ["trace", "-o", "trace"]], ids=lambda words: words[0])
def test_an_unknown_network_is_an_error_in_one_line(command):
    result = run(*command, "lenett")
    assert result.exit_code == 1
    assert result.output == (
        "Error: 'lenett' is not a network, a run folder or an exported model (NAME-symbol.json): "
        "did you mean 'lenet'?\n"
    )


def test_an_image_too_small_for_the_network_is_an_error_in_one_line():
    result = run("describe", "lenet", "--input", "1x8x8")
    assert result.exit_code == 1
    assert "the smallest it takes is" in result.output
    assert len(result.output.splitlines()) == 1


def test_trace_says_what_it_wrote_and_how_to_compare(tmp_path):
    folder = tmp_path / "trace"
    result = run("trace", "lenet", "-o", folder, "--steps", "1", "--batch", "3", "--input", "1x20x20")
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first.startswith(f"Wrote {folder}: lenet at 1x20x20, ")
    assert first.endswith(" s")
    assert second == f"Compare a port with: python {folder}/compare_port.py PORT.npz"
    recipe = json.loads((folder / "recipe.json").read_text())
    assert (recipe["batch"], len(recipe["steps"]), recipe["input_shape"]) == (3, 1, [1, 20, 20])


def test_trace_refuses_a_folder_with_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = run("trace", "lenet", "-o", tmp_path)
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path} is not empty and not a trace: choose another folder\n"


@pytest.mark.parametrize("option", [["--batch", "1"], ["--steps", "0"], ["--level", "some"], ["--dtype", "int8"]])
def test_trace_rejects_impossible_options(option):
    assert run("trace", "lenet", "-o", "trace", *option).exit_code == 2
