"""The later editions of LeNet, AlexNet, VGG, NiN and GoogLeNet have the layers and counts of the tables."""

from gluon_classics import get_model, model_info, utils
from layer_tables import GMAC, PUBLISHED, RUNNING, TABLES, layers, summary_of
import pytest

every_edition = pytest.mark.parametrize("name", PUBLISHED)


@every_edition
def test_every_layer_is_that_of_the_table(name):
    rows = layers(summary_of(name))
    expected = TABLES[name]
    assert [row.output_shape for row in rows] == [layer.shape for layer in expected]
    assert [(row.params, row.running) for row in rows] == [(layer.params, layer.running) for layer in expected]
    assert [row.macs for row in rows] == [layer.macs for layer in expected]


@every_edition
def test_an_edition_has_the_published_number_of_parameters(name):
    summary = summary_of(name)
    assert summary.params == PUBLISHED[name][2]
    assert summary.running == RUNNING.get(name, 0)


@pytest.mark.parametrize("name", GMAC)
def test_an_edition_has_the_published_multiply_accumulates(name):
    digits = len(GMAC[name].partition(".")[2])
    assert f"{summary_of(name).macs / 1e9:.{digits}f}" == GMAC[name]


@every_edition
def test_the_registry_states_the_facts_of_the_edition(name):
    info, summary = model_info(name), summary_of(name)
    assert (info.input_shape, info.classes, info.params) == PUBLISHED[name]
    assert (info.params, info.macs) == (summary.params, summary.macs)
    assert summary.rows[-1].output_shape == (info.classes,)
    assert info.family == name.partition("_")[0].rstrip("0123456789")
    assert info.source
    assert bool(info.departures) == (name != "nin_cifar10")  # which is the paper's, whole


@every_edition
def test_the_number_of_classes_can_be_changed(name):
    assert utils.summarize(get_model(name, classes=7), PUBLISHED[name][0]).rows[-1].output_shape == (7,)


@every_edition
def test_an_edition_takes_images_of_any_number_of_channels(name):
    _, *sides = PUBLISHED[name][0]
    assert utils.summarize(get_model(name), (5, *sides)).rows[-1].output_shape == (PUBLISHED[name][1],)


def test_vggs_configurations_have_the_papers_millions_of_parameters():
    """Table 2 of the paper."""
    names = ("vgg11", "vgg11_lrn", "vgg13", "vgg16_c", "vgg16", "vgg19")
    assert [round(model_info(name).params / 1e6) for name in names] == [133, 133, 133, 134, 138, 144]


def test_the_paper_alexnets_layers_have_the_published_numbers_of_parameters():
    counts = [row.params for row in summary_of("alexnet_2012").rows if row.params]
    assert counts[:5] == [34_944, 307_456, 885_120, 663_936, 442_624]
    assert counts[5:] == [37_752_832, 16_781_312, 4_097_000]
