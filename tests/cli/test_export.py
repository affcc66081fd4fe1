"""The command export."""

import json
import os

import pytest


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


def one_line(result, *texts):
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    for text in texts:
        assert text in result.stderr


def cells(result):
    """Return the output, the error and the limit in the last row of the table."""
    name, error, limit = result.stdout.rstrip().splitlines()[-1].split()
    return name, float(error), float(limit)


def test_a_network_is_written_and_verified(command, tmp_path, onnx):
    result = command(
        "export", "lenet", "--to", "onnx", "-o", "net.onnx", "--verify", "--seed", "5", "--input", "1x32x40"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("lenet (initial weights, seed 5, 1x32x40 input) written to net.onnx\n")
    name, error, limit = cells(result)
    assert name == "6"
    assert 0 < error <= limit < 1e-5
    (x,) = onnx.load(str(tmp_path / "net.onnx")).graph.input
    assert [size.dim_value for size in x.type.tensor_type.shape.dim] == [0, 1, 32, 40]


def test_the_weights_of_a_run_are_written(command, tmp_path, trained_run):
    result = command("export", trained_run, "--to", "safetensors", "-o", "weights", "--verify")
    assert result.returncode == 0, result.stderr
    assert "trained weights of the run" in result.stdout
    assert cells(result)[0] == "6"
    described = json.loads((tmp_path / "weights" / "layout.json").read_text())
    assert described["network"] == "lenet"
    assert described["parameters"][0]["flax"]["name"] == "0.kernel"


def test_mistakes_are_reported_in_one_line(command, tmp_path, trained_run):
    one_line(command("export", "lenett", "--to", "safetensors", "-o", "x"), "'lenett'", "did you mean 'lenet'?")
    one_line(command("export", trained_run, "--to", "safetensors", "-o", "x", "--seed", "1"), "leave it out")
    unknown = command("export", "lenet", "--to", "caffe", "-o", "x")
    assert unknown.returncode == 2
    assert "'caffe' is not one of 'safetensors', 'onnx'" in unknown.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(command, environment, tmp_path, onnx):
    (tmp_path / "stand-in").mkdir()
    (tmp_path / "stand-in" / "onnxruntime.py").write_text("raise ImportError('no onnxruntime')")
    path = os.pathsep.join(filter(None, (str(tmp_path / "stand-in"), environment.get("PYTHONPATH"))))
    arguments = ("export", "lenet", "--to", "onnx", "-o", "net.onnx", "--verify")
    result = command(*arguments, env={**environment, "PYTHONPATH": path})
    one_line(result, "needs the extra onnx: pip install 'gluon-classics[onnx]' (no onnxruntime)")
    assert (tmp_path / "net.onnx").exists()
