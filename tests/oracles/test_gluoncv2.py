"""Our Inception-BN compared with that of gluoncv2: without the stated differences both compute the same."""

import importlib.util

from comparison import Counterpart, agree, assert_differences_are_stated, filled
import gluon_layers
from gluon_layers import layers_of
from layer_lists import of_kind
import pytest

if importlib.util.find_spec("gluoncv2") is None:
    pytest.skip("needs gluoncv2: tox -e oracle-gluoncv", allow_module_level=True)

from gluoncv2.models.bninception import bninception


def with_our_pools_and_epsilon(net, our_layers):
    """Round down instead of up, pad the pools of 3c and 4e, and normalize with the epsilon of MXNet's example."""
    theirs = layers_of(net, COUNTERPART.input_shape)
    for its, mine in zip(of_kind(theirs, "max pool"), of_kind(our_layers, "max pool")):
        its.at._kwargs.update({name: mine.at._kwargs[name] for name in ("pad", "pooling_convention")})
    for its, mine in zip(of_kind(theirs, "norm"), of_kind(our_layers, "norm")):
        its.at._kwargs["eps"] = mine.at._kwargs["eps"]


COUNTERPART = Counterpart(
    "inception_bn",
    bninception,
    read=layers_of,
    adapt=with_our_pools_and_epsilon,
    differences={
        # also in 5b, where it changes nothing
        ("max pool", "rounds_up", False, True): 5,
        # of 3c and 4e
        ("max pool", "padding", 1, 0): 2,
        ("norm", "epsilon", 1e-10 + 1e-5, 1e-5): 69,
    },
)


def test_definitions_have_exactly_the_stated_differences():
    assert_differences_are_stated(gluon_layers, COUNTERPART)


def test_without_these_differences_the_logits_are_equal():
    pair = filled(gluon_layers, COUNTERPART)
    assert agree(gluon_layers.predict(pair.net, pair.images), gluon_layers.predict(pair.theirs, pair.images))
