"""What the bits of a training depend on, found out by training."""

import json

from gluon_classics.diagnostics import determinism
import numpy as np
import pytest

ONE = np.ones(4, np.float32)
NEXT = np.nextafter(ONE, 2)


def test_a_case_names_the_worst_array_and_its_distance_in_ulp():
    expected = {"a": ONE, "b": np.array([1.0, 1e-6], np.float32), "loss": np.array([2.5])}
    assert determinism.compare(expected, dict(expected))["verdict"] == "bitwise equal"
    near = {**expected, "a": NEXT, "b": np.array([1.0, 2e-6], np.float32)}
    # 1e-6 is 9 spacings of float32 numbers at 1, which is the largest of b
    assert determinism.compare(expected, near) == {"verdict": "equal within 9 ulp", "ulp": 9, "worst": "b"}
    far = determinism.compare(expected, {**expected, "b": np.array([1.1, 0], np.float32)})
    assert (far["verdict"], far["worst"]) == ("different", "b")


def test_minus_zero_is_not_bitwise_zero():
    zero = {"a": np.zeros(2, np.float32)}
    assert determinism.compare(zero, {"a": -zero["a"]})["verdict"] == "equal within 0 ulp"


def test_the_matrix_is_complete():
    ways = {(case.threads, case.compiled, case.devices) for case in [determinism.REFERENCE, *determinism.CASES]}
    assert len(ways) == 8
    assert {determinism.AGAIN, determinism.RESUMED} <= set(determinism.CASES)


@pytest.fixture
def few_cases(monkeypatch):
    cases = [determinism.AGAIN, determinism.RESUMED, determinism.Case(2, False, 1), determinism.Case(1, True, 2)]
    monkeypatch.setattr(determinism, "CASES", cases)


def test_a_network_with_dropout_is_the_same_again_and_resumed_and_nearly_so_eager(few_cases):
    _, again, resumed, eager, two_devices = determinism.certify("nin_cifar10", 2)
    assert (again["verdict"], resumed["verdict"]) == ("bitwise equal", "bitwise equal")
    assert resumed["note"] == "checkpointed and resumed"
    assert eager["verdict"].endswith("ulp")  # the very same dropout masks
    assert two_devices["verdict"] == "different"  # masks of their own


def test_the_command_prints_a_row_for_each_case(command):
    result = command("certify", "lenet", "--steps", "2", "--json")
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert len(rows) == 1 + len(determinism.CASES)
    assert [row["verdict"] for row in rows[:3]] == ["bitwise equal"] * 3
    assert all(row["verdict"] != "different" for row in rows)


def test_a_network_that_cannot_be_trained_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "mxnet.py").write_text("raise ImportError('no mxnet here')\n")
    monkeypatch.setattr(determinism, "child_environment", lambda: {"PYTHONPATH": str(tmp_path)})
    with pytest.raises(determinism.ClassicsError, match=r"^lenet could not be trained: .*no mxnet here$"):
        determinism.certify("lenet", 2)
