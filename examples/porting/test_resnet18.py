"""Test in a port's own CI that it conforms: pytest test_resnet18.py

SUITE is the folder of a conformance suite with the trace of the network:
gluon-classics trace --suite resnet18_v1 -o suite
"""

import os

from gluon_classics.porting import Recorder, Suite, assert_conforms
import pytest
from resnet18 import ResNet18, load_weights, names
from torch.nn import functional as F


@pytest.mark.parametrize("level", ["F", "T", "G"])
def test_the_port_conforms(level):
    trace = Suite.load(os.environ.get("SUITE", "suite")).trace("resnet18_v1")
    model = ResNet18()
    load_weights(model, trace)
    recorder = Recorder(trace, names())
    recorder.torch(model)
    recorder.torch_step(model, F.cross_entropy)
    assert_conforms(trace, recorder.tensors, level)
