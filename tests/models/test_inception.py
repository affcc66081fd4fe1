"""Inception v3: its average pools, and the compiled network."""

from arrays import assert_close, terms_of
from gluon_blocks import filled, formula
from gluon_classics import get_model, utils
from gluon_classics.compiler import compiled
from gluon_classics.models import inception
from mxnet import nd
import numpy as np
import pytest

pytestmark = pytest.mark.numeric


def test_average_pools_of_inception_v3_do_not_count_the_padding():
    ones = nd.ones((1, 1, 3, 3))
    np.testing.assert_array_equal(inception.average_pool()(ones).asnumpy(), ones.asnumpy())


@pytest.mark.slow
def test_compiled_inception_v3_predicts_the_same():
    x = formula(1, 3, 75, 75)  # the smallest: one pixel after mixed_7c
    net = filled(get_model("inception_v3", classes=2), x)
    expected = net(nd.array(x)).asnumpy()
    for compiled_net in (utils.hybridized(net), compiled.for_inference(net)):
        assert_close(compiled_net(nd.array(x)).asnumpy(), expected, terms_of(net))
