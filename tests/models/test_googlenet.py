"""The editions of GoogLeNet: its convolutions and counts."""

from gluon_classics import get_model, utils
from layer_tables import summary_of
import pytest

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("name", ["googlenet_tutorial", "googlenet_d2l", "googlenet_v1"])
def test_inception_blocks_have_true_3x3_and_5x5_convolutions(name):
    rows = summary_of(name).rows
    threes = [row.layer.split()[2:] for row in rows if row.path.endswith("p2_conv_3")]
    fives = [row.layer.split()[2:] for row in rows if row.path.endswith("p3_conv_5")]
    assert threes == [["@3x3", "pad", "1", "relu"]] * 9
    assert fives == [["@5x5", "pad", "2", "relu"]] * 9


def test_the_tutorials_googlenet_is_counted_at_224_too():
    assert utils.summarize(get_model("googlenet_tutorial"), (1, 224, 224)).params == 6_059_450
