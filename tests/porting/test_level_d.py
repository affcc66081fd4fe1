"""Test level D: 100 steps in float64 agree with the trace, and float32 or another formula does not reach the level."""

from gluon_classics.porting.comparison.comparison import LONG_LIMIT, compare
from gluon_classics.porting.comparison.reference_trace import ReferenceTrace
from gluon_classics.porting.network.sources import from_block
from gluon_classics.porting.reference.trace import trace
from gluon_classics.porting.reference.values import TraceOptions
from mxnet.gluon import nn
import numpy as np
from numpy_port import forward_port, training_port
import pytest

STEPS = 100


def _lenet():
    """Return a small LeNet with batch normalization and dropout."""
    net = nn.HybridSequential()
    for channels in (4, 6):
        net.add(nn.Conv2D(channels, 3), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D())
    net.add(nn.Dense(12, activation="relu"), nn.Dropout(0.5), nn.Dense(5))
    return from_block(net, (1, 14, 14), "small_lenet")


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory):
    """Return the trace of 100 steps in float64, computed by MXNet."""
    folder = tmp_path_factory.mktemp("long") / "trace"
    trace(_lenet(), folder, options=TraceOptions(steps=STEPS, dtype="float64"))
    return ReferenceTrace.load(folder)


def _port(long_trace, dtype=np.float64, **changes):
    """Return a port in NumPy."""
    return {**forward_port(long_trace, modes=("eval",)), **training_port(long_trace, dtype=dtype, **changes)}


def test_a_port_in_float64_reaches_level_d(long_trace):
    report = compare(long_trace, _port(long_trace))
    assert report.conforms, report.text(everything=True)
    assert report.level == "FTGSD"
    assert report.differences["free run"] < LONG_LIMIT / 100


def test_a_port_in_float32_does_not(long_trace):
    report = compare(long_trace, _port(long_trace, np.float32))
    assert report.level == "FTGS"
    assert report.differences["free run"] > LONG_LIMIT


def test_99_steps_are_not_enough(long_trace):
    port = _port(long_trace)
    last = f"step/{STEPS}/"
    report = compare(long_trace, {key: array for key, array in port.items() if not key.startswith(last)})
    assert "D" not in report.level


def test_a_share_that_is_rounded_to_float32_does_not(long_trace):
    """MXNet rounds the momentum of batch normalization in its kernels; the trace in float64 has the exact one."""
    keep = float(np.float32(0.9))
    port = _port(long_trace, running=lambda name, old, batch, _keep, count: keep * old + (1 - keep) * batch)
    assert compare(long_trace, port).level == "FTGS"
