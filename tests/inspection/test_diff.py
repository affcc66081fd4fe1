"""Differences between two networks."""

from gluon_classics import get_model
from gluon_classics.errors import InputSizeError
from gluon_classics.inspection.diff import compare, described, differences
from gluon_classics.inspection.layer_graph import layers
import mxnet as mx
from mxnet.gluon import nn
import pytest


def chain(*blocks):
    net = nn.HybridSequential()
    net.add(*blocks)
    return layers(net, (1, 16, 16))


def texts(changes):
    return [described(change) for change in changes]


def test_the_blogs_googlenet_differs_from_the_tutorials_only_in_the_kernels_of_two_paths():
    comparison = compare("googlenet", "googlenet_tutorial")
    assert [total.input_shape for total in comparison.totals] == [(1, 224, 224)] * 2
    assert {change.first.path.split(".")[-1] for change in comparison.changes} == {"p2_conv_3", "p3_conv_5"}
    assert len(comparison.changes) == 18
    assert {change.settings for change in comparison.changes} == {("Convolution kernel", "Convolution pad")}
    assert texts(comparison.changes)[:2] == [
        ("Conv2D 128 @1x1 relu", "Conv2D 128 @3x3 pad 1 relu"),
        ("Conv2D 32 @1x1 relu", "Conv2D 32 @5x5 pad 2 relu"),
    ]
    first, second = comparison.totals
    assert (first.params, second.params) == (2_829_754, 6_059_450)


def test_the_tutorials_resnet_equals_the_blogs():
    assert compare("resnet", "resnet18_tutorial").changes == []


def test_vgg_16_is_vgg_11_with_five_more_convolutions():
    changes = compare("vgg11", "vgg16").changes
    assert all(change.first is None for change in changes)
    assert [change.second.path for change in changes] == ["block1.1", "block2.1", "block3.2", "block4.2", "block5.2"]


def test_resnet_101_is_resnet_50_with_seventeen_more_blocks_in_the_fourth_stage():
    changes = compare("resnet50_v1", "resnet101_v1").changes
    assert all(change.first is None for change in changes)
    assert {change.second.path.partition(".")[0] for change in changes} == {"conv4_x"}
    assert sum(change.second.kind == "Add" for change in changes) == 17


def test_se_resnet_50_is_resnet_50_with_squeeze_and_excitation():
    changes = compare("resnet50_v1", "se_resnet50").changes
    assert all(change.first is None for change in changes)
    assert [change.second.kind for change in changes] == 16 * [
        *("GlobalAvgPool2D", "Conv2D", "Activation", "Conv2D", "Multiply"),
    ]


def test_settings_that_the_descriptions_do_not_show_are_added():
    changes = compare("resnet18_d2l", "resnet18_v1").changes
    assert texts(changes)[0] == (*("Conv2D 64 @7x7 /2 pad 3 no_bias=False", "Conv2D 64 @7x7 /2 pad 3 no_bias=True"),)
    grouped = next(pair for pair in texts(compare("alexnet", "alexnet_2012").changes) if pair[0].startswith("Conv2D"))
    assert grouped[0] != grouped[1]


def test_layers_that_differ_only_in_their_sizes_are_paired():
    changes = compare("resnet", "resnet18_d2l").changes
    resized = [change for change in changes if change.resized]
    assert len(resized) == 30
    assert all(change.first.text == change.second.text for change in resized)


def test_both_networks_are_compared_at_a_given_input_size():
    comparison = compare("lenet", "lenet_d2l", (1, 40, 40))
    assert [total.input_shape for total in comparison.totals] == [(1, 40, 40)] * 2
    assert comparison.changes[0].first.output_shape == (20, 36, 36)


def test_the_second_networks_input_size_is_used_if_the_firsts_is_too_small():
    assert [total.input_shape for total in compare("lenet", "alexnet").totals] == [(1, 224, 224)] * 2
    with pytest.raises(InputSizeError, match="smallest it takes is 67x67"):
        compare("lenet", "alexnet", (1, 28, 28))


def test_layers_of_different_kinds_are_not_paired():
    changes = differences(chain(nn.Conv2D(4, 3, activation="relu")), chain(nn.Dense(4, activation="relu")))
    assert [(bool(change.first), bool(change.second)) for change in changes] == [(True, False), (False, True)]


def test_pools_of_different_kinds_are_paired():
    (change,) = differences(chain(nn.MaxPool2D(2), nn.Dense(3)), chain(nn.AvgPool2D(2), nn.Dense(3)))
    assert described(change) == ("MaxPool2D 2x2 /2", "AvgPool2D 2x2 /2")
    assert "kind" in change.settings


class Shortcut(nn.HybridBlock):
    """A convolution, and a sum of its output with itself or with the input."""

    def __init__(self, of_input):
        super().__init__()
        self.of_input = of_input
        self.first, self.second = nn.Conv2D(1, 1), nn.Conv2D(1, 1)

    def hybrid_forward(self, F, x):
        middle = self.first(x)
        return self.second(middle) + (x if self.of_input else middle)


def test_equal_layers_with_different_inputs_differ():
    (change,) = differences(layers(Shortcut(True), (1, 4, 4)), layers(Shortcut(False), (1, 4, 4)))
    assert change.inputs_differ
    assert not change.resized
    assert change.first.kind == change.second.kind == "Add"


def test_comparing_allocates_no_weights(monkeypatch):
    monkeypatch.setattr(mx.gluon.Parameter, "initialize", lambda *_, **__: pytest.fail("a parameter was allocated"))
    assert compare("vgg", "vgg13").changes
    assert get_model("vgg")
