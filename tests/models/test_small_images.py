"""Editions up to GoogLeNet on small images: finite logits, eager and compiled, and the smallest allowed image."""

from arrays import assert_close, terms_of
from gluon_classics import get_model, utils
from gluon_classics.compiler.compiled import for_inference
from gluon_classics.inspection import summary as counting
import numpy as np
import pytest
from small_images import SMALL, ready

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("name", SMALL)
def test_an_edition_turns_images_into_finite_logits(name):
    net, x, _ = ready(name, SMALL[name])
    logits = net(x).asnumpy()
    assert logits.shape == (2, 10)
    assert np.isfinite(logits).all()
    assert np.ptp(logits) > 0


@pytest.mark.parametrize("name", [name for name in SMALL if "scratch" not in name])
def test_a_compiled_edition_predicts_what_the_eager_one_predicts(name):
    net, x, _ = ready(name, SMALL[name], batch=2)
    expected = net(x).asnumpy()
    for compiled in (utils.hybridized(net), for_inference(net)):
        for _ in range(2):  # the first call compiles
            assert_close(compiled(x).asnumpy(), expected, terms_of(net))


@pytest.mark.parametrize(("name", "side"), [("alexnet_2012", 67), ("vgg16", 32)])
def test_the_smallest_image_of_the_heavy_editions(name, side):
    """From the arithmetic of their layers: pool 1 <- 3, pool <- 7, pool <- 15, conv@11/4 <- 67; five halvings."""
    assert counting.smallest_input(get_model(name), 3) == side
