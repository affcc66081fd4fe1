"""The knobs of `benchmarks/knobs.py` turn something that is there. What they are worth is not a test."""

import importlib

from gluon_classics import utils
from gluon_classics.utils import hybrid
import knobs
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import pytest


@pytest.fixture
def knob(monkeypatch):
    """Turns a knob, which is turned back after the test."""

    def turn(name):
        module, attribute, _ = knobs.REPLACED[name]
        module = importlib.import_module(f"gluon_classics.utils.{module}")
        monkeypatch.setattr(module, attribute, getattr(module, attribute))
        knobs.CODE[name]()

    return turn


@pytest.mark.parametrize("name", knobs.REPLACED)
def test_a_knob_replaces_something_that_is_called_the_same_way(name, knob):
    """A network with all that is done to graphs trains and predicts with it turned."""
    net = nn.Sequential()
    net.add(nn.Conv2D(20, 3, activation="relu"), nn.MaxPool2D(), nn.Conv2D(4, 3), nn.BatchNorm(), nn.Dense(3))
    net.initialize(mx.init.Xavier())
    x = nd.random.normal(shape=(16, 1, 10, 10))
    expected = net(x).asnumpy()
    knob(name)
    for forward in (utils.hybridized(net), hybrid.frozen(net)):
        assert abs(forward(x).asnumpy() - expected).max() < 1e-4


def test_a_knob_that_nothing_answers_to_is_an_error(monkeypatch):
    monkeypatch.setitem(knobs.REPLACED, "gone", ("hybrid", "gone", None))
    with pytest.raises(AttributeError, match="gone"):
        knobs.replace("gone")
