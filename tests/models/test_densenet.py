"""A dense block of DenseNet concatenates the maps of its layers."""

from arrays import assert_close, terms_of
from gluon_blocks import computed, filled, formula, in_both_modes
from gluon_classics.models import densenet
import numpy as np
from numpy_blocks import PlainBlocks
import pytest

pytestmark = pytest.mark.numeric


@in_both_modes
@pytest.mark.parametrize("bottleneck", [False, True], ids=["plain", "bottleneck"])
def test_each_layer_of_a_dense_block_sees_all_maps_before_it(bottleneck, training):
    x = formula(3, 6, 5, 4)
    layer = densenet.bottleneck_layer if bottleneck else densenet.plain_layer
    block = filled(densenet.DenseBlock(layer, 3, 8), x)
    expected = PlainBlocks(block, training).dense_block(x, 3, bottleneck)
    actual = computed(block, x, training)
    assert actual.shape == (3, 6 + 3 * 8, 5, 4)
    np.testing.assert_array_equal(actual[:, :6], x)
    assert_close(actual, expected, terms_of(block))
