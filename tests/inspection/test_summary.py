"""Summaries of networks that are not a plain chain of layers."""

from gluon_classics import utils
from gluon_classics.inspection.summary import smallest_input
from gluon_classics.models._blocks import LocalResponseNorm
from mxnet.gluon import nn
import pytest


class Branching(nn.HybridBlock):
    """Two outputs, the second in a list; `left_out` is never called."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(4, 3, groups=2)
        self.second = nn.Dense(5)
        self.left_out = nn.Dense(7, in_units=3)
        self.unknown = nn.Dense(7)

    def hybrid_forward(self, F, x):
        halves = F.split(self.first(x), num_outputs=2, axis=1)
        return halves[0], [self.second(x), halves[1]]


class Halves(nn.HybridBlock):
    """One operator with two outputs."""

    def hybrid_forward(self, F, x):
        return F.split(x, num_outputs=2, axis=1)


def rows(net, shape):
    return {row.path: row for row in utils.summarize(net, shape).rows}


def test_all_outputs_of_a_network_are_counted():
    summary = utils.summarize(Branching(), (2, 5, 6))
    assert summary.macs == 4 * 9 * 3 * 4 + 60 * 5
    assert summary.params == (4 * 9 + 4) + (60 * 5 + 5) + (3 * 7 + 7) + 7
    assert smallest_input(Branching(), 2) == 3


@pytest.mark.parametrize("axes", [1, 2])
def test_convolutions_of_one_and_two_dimensions_are_counted_also_transposed_ones(axes):
    net = nn.HybridSequential()
    net.add(getattr(nn, f"Conv{axes}D")(4, 3), getattr(nn, f"Conv{axes}DTranspose")(3, 2, strides=2))
    first, second = rows(net, (2, *[6] * axes)).values()
    assert first.macs == 4 * 2 * 3**axes * 4**axes  # each weight at each position of the output
    assert second.macs == 4 * 3 * 2**axes * 4**axes  # of the input


def test_a_dense_layer_that_keeps_axes_is_used_at_each_position():
    net = nn.HybridSequential()
    net.add(nn.Dense(5, flatten=False))
    assert utils.summarize(net, (2, 3, 4)).macs == 4 * 5 * 2 * 3


def test_a_block_that_is_never_called_has_no_shape_and_only_parameters_of_known_size():
    found = rows(Branching(), (2, 5, 6))
    assert [(found[path].output_shape, found[path].params) for path in ("left_out", "unknown")] == [((), 28), ((), 7)]
    assert found["left_out"].macs == 0


def test_the_shape_of_a_block_with_several_outputs_is_that_of_the_first():
    net = nn.HybridSequential()
    net.add(Halves())
    assert [row.output_shape for row in rows(net, (4, 5, 6)).values()] == [(2, 5, 6)]


def test_the_groups_of_a_convolution_are_shown():
    assert rows(Branching(), (2, 5, 6))["first"].layer == "Conv2D 4 @3x3 groups 2"


def test_an_image_too_small_for_one_of_the_outputs_is_rejected():
    with pytest.raises(utils.ClassicsError, match="Branching cannot take 2x5 images: the smallest it takes is 3x3"):
        utils.summarize(Branching(), (2, 2, 5))


def texts(net, shape=(3, 32, 32)):
    return [row.layer for row in utils.summarize(net, shape).rows]


def test_the_settings_that_a_porter_gets_wrong_are_shown():
    net = nn.Sequential()
    net.add(
        nn.MaxPool2D(3, 2, ceil_mode=True),
        nn.AvgPool2D(3, 1, 1, count_include_pad=False),
        LocalResponseNorm(5, 1e-4, 0.75, 2),
        nn.BatchNorm(epsilon=1e-3, momentum=0.99),
        nn.BatchNorm(),
        nn.Dropout(0.4),
        nn.Dropout(0.1 * 3, axes=(1, 2, 3)),
    )
    assert texts(net) == [
        "MaxPool2D 3x3 /2 ceil",
        "AvgPool2D 3x3 pad 1 padding not counted",
        "LocalResponseNorm size 5 alpha 0.0005/5 beta 0.75 k 2",
        "BatchNorm eps 0.001 momentum 0.99",
        "BatchNorm",
        "Dropout 0.4",
        "Dropout 0.3 per image",
    ]
