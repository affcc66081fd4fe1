"""EfficientNet: the scaled channels, and MBConv in NumPy. For stochastic depth see `test_stochastic_depth`."""

from arrays import assert_close, terms_of
from gluon_blocks import computed, filled, formula, in_both_modes, of_kind
from gluon_classics import get_model
from gluon_classics.models import efficientnet, senet
from numpy_blocks import PlainBlocks
import pytest

pytestmark = pytest.mark.numeric


def test_channels_of_efficientnet_are_multiples_of_8_and_lose_at_most_a_tenth():
    for width in (1.1, 1.2, 1.4, 1.6, 1.8, 2.0):
        for channels in (16, 24, 32, 40, 80, 112, 192, 320, 1280):
            scaled = efficientnet.scaled_channels(channels, width)
            assert scaled % 8 == 0
            assert 0.9 * width * channels <= scaled < width * channels + 8
    assert efficientnet.scaled_channels(8, 1.45) == 16  # 11.6 would become 8, which is less than nine tenths


@in_both_modes
@pytest.mark.parametrize(
    ("channels", "expansion", "kernel", "stride"), [(8, 6, 5, 1), (8, 1, 3, 1), (12, 6, 3, 1), (8, 6, 5, 2)]
)
def test_an_mbconv_expands_convolves_excites_and_projects(channels, expansion, kernel, stride, training):
    x = formula(3, 8, 7, 6)
    block = filled(efficientnet.MBConv(8, channels, expansion, kernel, stride), x)
    plain = PlainBlocks(block, training)
    added = stride == 1 and channels == 8
    expected = plain.inverted(x, expansion, stride, added)
    assert plain.is_done()
    assert expected.shape == ((3, channels, 4, 3) if stride == 2 else (3, channels, 7, 6))
    assert_close(computed(block, x, training), expected, terms_of(block))


def test_mbconv_squeezes_to_a_quarter_of_its_input():
    blocks = of_kind(get_model("efficientnet_b0"), efficientnet.MBConv)
    hidden = [of_kind(block, senet.SqueezeExcitation)[0].reduce._channels for block in blocks]
    assert hidden == [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48]
