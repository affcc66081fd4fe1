"""docs/ports.md is current: what our exports reach in the conformance suite was measured with today's exports."""

from pathlib import Path

import gluon_classics
from gluon_classics.porting.reference import suite
import make_ports
import pytest

CHECKOUT = Path(__file__).parents[2]

MEASURED = make_ports.read()
COMMAND = "run tools/make_ports.py"
FEW = ("lenet", "googlenet_v1", "resnet18_v1", "efficientnet_b0")


def test_the_page_is_made_from_the_measurements():
    assert make_ports.PAGE.read_text(encoding="utf-8") == make_ports.page(MEASURED)


def test_every_network_was_measured_with_every_target_or_is_named():
    missing = make_ports.not_measured(MEASURED)
    assert [name for name in gluon_classics.list_models() if name not in missing] == list(MEASURED)
    assert all(set(row["ports"]) == set(make_ports.TARGETS) for row in MEASURED.values())
    note = make_ports.PAGE.read_text(encoding="utf-8").partition("Not measured yet: ")[2]
    assert note == (", ".join(f"`{name}`" for name in missing) + ".\n" if missing else "")


def test_the_blogs_networks_were_measured():
    assert {"lenet", "alexnet", "vgg", "nin", "googlenet", "resnet"} <= set(MEASURED)


@pytest.mark.parametrize("target", make_ports.TARGETS)
def test_every_port_reaches_its_level(target):
    needed = "F" if target == "onnx" else "G"
    assert [name for name, row in MEASURED.items() if needed not in row["ports"][target]["level"]] == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in MEASURED],
)
def test_the_export_that_was_measured_is_todays(name):
    network = suite.cases()[name].network()
    assert list(network.input_shape) == MEASURED[name]["image"], COMMAND
    for target in make_ports.TARGETS:
        assert make_ports.digest(target, network.graph) == MEASURED[name]["ports"][target]["export"], COMMAND


def test_the_largest_error_and_the_last_level_are_shown():
    port = {"level": "FTG", "errors": {"eval": 1e-7, "train": 3e-6, "gradients": 2e-5}, "versions": {"X": "1"}}
    text = make_ports.page({"lenet": {"image": [1, 28, 28], "ports": {"flax": port}}})
    assert "| `lenet` | 1x28x28 | none |  |  | G | 3e-06 | 2e-05 | none |  |" in text
    assert "- Flax, level G: 1 of 1 networks\n- Flax, level S: 0 of 1 networks\n" in text
    assert "\nMeasured with X 1.\nNot measured yet: `lenet_bn_scratch_tutorial`, " in text
