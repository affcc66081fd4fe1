"""Editions from ResNet on have the stages, counts and biases of the tables."""

from gluon_classics import get_model, utils
from gluon_classics.models import (
    densenet,
    efficientnet,
    inception,
    mobilenet,
    registry,
    regnet,
    resnet,
    resnet_v2,
    resnext,
    senet,
    squeezenet,
)
import pytest
from stage_tables import BIASES, GMAC, PARAMS, PRINTED, STAGES

FAMILIES = (inception, resnet, squeezenet, resnet_v2, densenet, resnext, mobilenet, senet, regnet, efficientnet)

# those that repeat the claim of another edition with more layers
LARGER = {
    *(f"resnet{layers}_cifar10" for layers in (32, 44, 56)),
    *(f"resnet{layers}_v2" for layers in (34, 101, 152)),
    *("resnext101_32x4d", "se_resnet101", "regnety_400mf", "regnety_600mf"),
    *(f"efficientnet_b{number}" for number in (2, 3, 4, 5, 6)),
}
every_edition = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGER else ()) for name in STAGES]
)


def test_every_edition_of_these_families_is_tested_here():
    families = {family.__name__.rpartition(".")[2] for family in FAMILIES}
    registered = {name for name, info in registry._infos.items() if info.family in families}
    assert registered == {"resnet", *STAGES}
    assert set(PARAMS) == set(STAGES)


@every_edition
def test_the_stages_have_the_names_and_shapes_and_the_network_the_counts_of_the_tables(name):
    input_shape, expected = STAGES[name]
    summary = utils.summarize(get_model(name), input_shape)
    assert [(row.path, row.output_shape) for row in summary.rows if row.depth == 0] == list(expected.items())
    assert summary.params == PARAMS[name]
    if name in GMAC:
        assert round(summary.macs / 1e9, 3) == GMAC[name]
    info = registry._infos[name]
    assert (info.input_shape, info.classes) == (input_shape, *list(expected.values())[-1])
    assert (info.params, info.macs) == (summary.params, summary.macs)
    assert info.source
    assert info.departures


def test_the_numbers_of_parameters_are_those_that_papers_print():
    decimals = {name: len(str(number).partition(".")[2]) for name, number in PRINTED.items()}
    assert {name: round(PARAMS[name] / 1e6, decimals[name]) for name in PRINTED} == PRINTED


@every_edition
def test_biases_are_where_the_counts_say(name):
    biases = [parameter for parameter in get_model(name).collect_params() if parameter.endswith("bias")]
    assert len(biases) == BIASES.get(name, 1)


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18_v1", "densenet121", "se_resnet18", "regnetx_200mf", "efficientnet_b0"),
        *("resnet20_cifar10", "resnet18_v2", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2"),
    ],
)
def test_paper_editions_take_other_channels_and_classes(name):
    summary = utils.summarize(get_model(name, classes=7), (1, 64, 64))
    assert summary.rows[-1].output_shape == (7,)
