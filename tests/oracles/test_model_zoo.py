"""Our editions compared with MXNet's model zoo: without the stated differences both compute the same."""

from functools import partial

from comparison import Counterpart, agree, assert_differences_are_stated, filled
from gluon_classics import model_info
import gluon_layers
from gluon_layers import layers_of
from layer_values import last_as_dense
from mxnet.gluon import nn
from mxnet.gluon.model_zoo import vision
import pytest

FAST = ("inception_v3", "resnet18_v2", "mobilenet_v2", "squeezenet1_1")


def counterpart(edition, build, rewire=None, **stated):
    classes = model_info(edition).classes
    adapt = {} if rewire is None else {"adapt": lambda net, _our_layers: rewire(net)}
    return Counterpart(edition, partial(build, classes=classes), read=layers_of, **adapt, **stated)


def without(block, *children):
    """Remove layers of an `nn.HybridSequential` by their numbers."""
    for number in children:
        del block._children[str(number)]


def with_the_papers_first_unit(net):
    """Remove the normalization of the image and, from the first unit, that of maps which are normalized already.

    The ReLU of the first unit, which stays, does not change maps that come out of a ReLU and a pool.
    """
    without(net.features, 0)
    first = net.features[4][0]
    del first._children["bn1"]
    object.__setattr__(first, "bn1", lambda x: x)


def without_first_expansion(net):
    """Remove the convolution of the first block, whose expansion is 1."""
    without(net.features[3].out, 0, 1, 2)


def with_global_pool(net):
    """Pool all maps, where the zoo pools 13x13: the maps of 224x224 images."""
    without(net.output, 2, 3)
    net.output.add(nn.GlobalAvgPool2D(), nn.Flatten())


def without_padding_in_averages(net):
    """Average the pixels inside the maps, as TensorFlow does, for which the network was written."""
    for block in net.features:
        block.apply(lambda layer: layer._kwargs.update(count_include_pad=False) if is_average_pool(layer) else None)


def is_average_pool(layer):
    return isinstance(layer, nn.AvgPool2D)


def resnet_v2(layers, norms):
    return counterpart(
        f"resnet{layers}_v2",
        getattr(vision, f"resnet{layers}_v2"),
        rewire=with_the_papers_first_unit,
        differences={"norm": (norms, norms + 2)},
        more_parameters=2 * 64,
    )


COUNTERPARTS = [
    resnet_v2(18, 17),
    resnet_v2(34, 33),
    resnet_v2(50, 49),
    resnet_v2(101, 100),
    resnet_v2(152, 151),
    counterpart("mobilenet_v1", vision.mobilenet1_0),
    counterpart(
        "mobilenet_v2",
        vision.mobilenet_v2_1_0,
        rewire=without_first_expansion,
        # the first block has a convolution from 32 to 32 channels; the classifier is a convolution without bias
        differences={"convolution": (52, 54), "dense": (1, 0), "norm": (52, 53)},
        more_parameters=32 * 32 + 2 * 32 - 1000,
        rules=(last_as_dense,),
    ),
    counterpart("inception_v3", vision.inception_v3, rewire=without_padding_in_averages),
    counterpart("squeezenet1_0", vision.squeezenet1_0, rewire=with_global_pool),
    counterpart("squeezenet1_1", vision.squeezenet1_1, rewire=with_global_pool),
]


@pytest.mark.parametrize("counterpart", COUNTERPARTS, ids=str)
def test_definitions_have_exactly_the_stated_differences(counterpart):
    assert_differences_are_stated(gluon_layers, counterpart)


@pytest.mark.parametrize(
    "counterpart",
    [pytest.param(row, marks=() if row.edition in FAST else pytest.mark.slow) for row in COUNTERPARTS],
    ids=str,
)
def test_without_these_differences_the_logits_are_equal(counterpart):
    pair = filled(gluon_layers, counterpart)
    assert agree(gluon_layers.predict(pair.net, pair.images), gluon_layers.predict(pair.theirs, pair.images))
