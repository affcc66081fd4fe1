"""A parameter file is complete, or an error; what it holds for training alone is left out, and nothing else."""

import resource

from gluon_classics.errors import RunError
from gluon_classics.experiment.parameter_files import load_parameters, save_parameters
import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn
import numpy as np
import pytest

CPU = [mx.cpu()]


def network():
    net = nn.Sequential()
    net.add(nn.Dense(40))
    net.only_in_training = ("auxiliary",)
    return net


@pytest.fixture
def saved(tmp_path):
    """Return a network for images of 4 x 4 pixels and its parameter file."""
    net = network()
    net.initialize(mx.init.Normal(1))
    net(nd.zeros((1, 1, 4, 4))).wait_to_read()  # a convolution reorders its weights in the background
    save_parameters(net, tmp_path / "net.params")
    return net, tmp_path / "net.params"


@pytest.mark.parametrize("missing", [1, 100, 2000])
def test_a_file_that_lacks_its_last_bytes_is_an_error_and_the_old_file_stays(missing, saved):
    """MXNet does not report bytes that cannot be written while it closes the file."""
    net, path = saved
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) - missing, hard))
    try:
        with pytest.raises(RunError, match="is the disk full"):
            save_parameters(net, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_parameters_for_training_alone_are_left_out(saved):
    net, path = saved
    nd.save(str(path), {**nd.load(str(path)), "auxiliary.weight": nd.ones(3)})
    other = network()
    load_parameters(other, path, CPU, (1, 4, 4))
    np.testing.assert_array_equal(other[0].weight.data().asnumpy(), net[0].weight.data().asnumpy())


def test_other_parameters_that_the_network_lacks_are_refused(saved):
    _, path = saved
    nd.save(str(path), {**nd.load(str(path)), "auxiliary.weight": nd.ones(3), "1.weight": nd.ones(3)})
    with pytest.raises(RunError, match=r"it also has 1\.weight and 1 more"):
        load_parameters(network(), path, CPU, (1, 4, 4))
