"""A model of GluonCV has the name gluoncv:NAME in all commands and functions that take a network."""

import json

import gluon_classics
from gluon_classics.errors import ClassicsError
from gluon_classics.experiment.settings import Settings
from gluon_classics.inspection.diff import compare
from gluoncv_or_skip import with_old_names
import mxnet as mx
import pytest

pytestmark = with_old_names

SMALL = "gluoncv:cifar_resnet20_v1"


def test_a_model_is_found_by_its_name():
    info = gluon_classics.model_info("gluoncv:ResNet50_v1")
    assert (info.name, info.input_shape, info.classes) == ("gluoncv:resnet50_v1", (3, 224, 224), 1000)
    assert info.params is info.macs is info.gmac is None
    assert gluon_classics.model_info(SMALL).input_shape == (3, 32, 32)
    assert gluon_classics.model_info("gluoncv:inceptionv3").input_shape == (3, 299, 299)


def test_an_unknown_model_is_refused_with_a_similar_one():
    for name in ("gluoncv:resnet50_v9", "gluoncv:"):
        with pytest.raises(ValueError, match=r"GluonCV has no model .*(did you mean|shows all)"):
            gluon_classics.model_info(name)


def test_the_number_of_classes_can_be_chosen():
    for classes in (None, 7):
        net = gluon_classics.get_model(SMALL, classes)
        net.initialize()
        assert net(mx.nd.zeros((2, 3, 32, 32))).shape == (2, classes or 10)


def test_a_detector_is_no_classifier():
    with pytest.raises(ClassicsError, match="ssd_300_vgg16_atrous_voc does not take a number of classes") as caught:
        gluon_classics.get_model("gluoncv:ssd_300_vgg16_atrous_voc", 7)
    assert "\n" not in str(caught.value)


def test_the_layers_of_a_resnet_differ_only_in_biases():
    changes = compare("resnet50_v1", "gluoncv:resnet50_v1").changes
    settings = {name for change in changes for name in change.settings}
    assert settings == {"Convolution no_bias"}


def test_settings_accept_the_name():
    assert Settings(SMALL).size == 32
    with pytest.raises(ClassicsError):
        Settings("gluoncv:nothing")


@pytest.mark.parametrize("name", ["gluoncv:resnet50_v1", "gluoncv:mobilenet1.0", "gluoncv:squeezenet1.0", SMALL])
def test_every_command_about_networks_takes_the_name(invoke, tmp_path, name):
    for arguments in (
        ("summary", name),
        ("diff", "resnet18_v1", name),
        ("draw", name, "-o", tmp_path / "picture.svg"),
        ("describe", name),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "picture.svg").stat().st_size > 1000


@pytest.mark.parametrize("name", ["gluoncv:ssd_300_vgg16_atrous_voc", "gluoncv:fcn_resnet50_voc"])
def test_models_that_do_not_classify_are_refused_in_one_line(command, name):
    result = command("train", name, "--resize", "64", "--batch-size", "2", "--epochs", "1")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")


def test_a_model_is_trained_resumed_evaluated_and_exported(command, tmp_path):
    options = ["--resize", "32", "--batch-size", "64", "--lr", "0.05"]
    first = command("train", SMALL, *options, "--epochs", "1", "--out", "run")
    assert first.returncode == 0, first.stderr
    resumed = command("resume", "run", "--epochs", "2")
    assert resumed.returncode == 0, resumed.stderr
    whole = command("train", SMALL, *options, "--epochs", "2", "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    assert (tmp_path / "run" / "net.params").read_bytes() == (tmp_path / "whole" / "net.params").read_bytes()
    evaluated = command("evaluate", "run", "--json")
    assert json.loads(evaluated.stdout)["images"] == 100
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"]["model"] == SMALL
    assert command("train", SMALL, *options, "--epochs", "1").returncode == 0
    assert [path.name.partition("-")[0] for path in (tmp_path / "runs").iterdir()] == ["gluoncv"]
