"""The inverted residual of MobileNet v2 and the fire module of SqueezeNet, in NumPy."""

from arrays import assert_close, terms_of
from gluon_blocks import computed, filled, formula, in_both_modes, trained_parameters
from gluon_classics.models import mobilenet, squeezenet
from numpy_blocks import PlainBlocks
import pytest

pytestmark = pytest.mark.numeric


@in_both_modes
@pytest.mark.parametrize(("channels", "expansion", "stride"), [(8, 6, 1), (8, 1, 1), (12, 6, 1), (8, 6, 2)])
def test_an_inverted_residual_expands_convolves_and_projects(channels, expansion, stride, training):
    x = 4 * formula(3, 8, 7, 6)
    block = filled(mobilenet.InvertedResidual(8, channels, expansion, stride), x)
    for parameter in trained_parameters(block):
        if parameter.name.endswith("gamma"):
            parameter.set_data(4 * parameter.data())  # so that 6 is exceeded
    plain = PlainBlocks(block, training)
    expected = plain.inverted_residual(x, expansion, stride, added=stride == 1 and channels == 8)
    assert plain.is_done()
    assert_close(computed(block, x, training), expected, terms_of(block))


def test_a_fire_module_squeezes_then_expands_with_two_kernels():
    x = formula(2, 6, 5, 4)
    block = filled(squeezenet.Fire(3, 8), x)
    plain = PlainBlocks(block)
    expected = plain.fire(x)
    assert plain.is_done()
    assert expected.shape == (2, 16, 5, 4)
    assert_close(computed(block, x, training=False), expected, terms_of(block))
