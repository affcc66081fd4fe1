"""Stochastic depth of EfficientNet: how often a block is left out, and what is left out then."""

from arrays import assert_close, terms_of
from gluon_blocks import computed, filled, formula, of_kind
from gluon_classics import get_model, utils
from gluon_classics.models import efficientnet
from mxnet import autograd, nd
import numpy as np
import pytest

pytestmark = pytest.mark.numeric


def test_survival_falls_in_equal_steps():
    blocks = of_kind(get_model("efficientnet_b0"), efficientnet.MBConv)
    dropped = {number: block.drop._rate for number, block in enumerate(blocks) if block.drop is not None}
    assert list(dropped) == [2, 4, 6, 7, 9, 10, 12, 13, 14]  # where the shape stays
    assert dropped == pytest.approx({number: 0.2 * number / 16 for number in dropped})


@pytest.fixture(scope="module", params=["eager", "compiled"])
def often_dropped(request):
    """An MBConv that leaves out 0.4 of the examples, 800 examples, and the residual path of each in training."""
    x = formula(800, 8, 3, 3)
    block = filled(efficientnet.MBConv(8, 8, 1, 3, dropped=0.4), x)
    with autograd.train_mode():
        path = block.body(nd.array(x)).asnumpy()
    return block if request.param == "eager" else utils.hybridized(block), block, x, path


def test_stochastic_depth_leaves_out_all_or_nothing_of_an_example(often_dropped):
    run, block, x, path = often_dropped
    added = [computed(run, x, training=True) - x for _ in range(2)]
    survived = [(out != 0).any(axis=(1, 2, 3)) for out in added]
    for out, survives in zip(added, survived):
        assert_close(out[survives], path[survives] / 0.6, terms_of(block))
        assert (out[~survives] == 0).all()
        # a count of 800 draws, within five standard deviations: the mean of what is added is then that of `path`
        assert abs(survives.sum() - 0.6 * 800) < 5 * np.sqrt(800 * 0.6 * 0.4)
    # independent draws agree in 0.52 of the examples
    assert abs((survived[0] == survived[1]).mean() - 0.52) < 5 * np.sqrt(0.52 * 0.48 / 800)


def test_stochastic_depth_does_nothing_in_prediction(often_dropped):
    run, block, x, _ = often_dropped
    x = x[:3]
    expected = x + computed(block.body, x, training=False)
    assert_close(computed(run, x, training=False), expected, terms_of(block))


def test_what_stochastic_depth_leaves_out_gets_no_gradient():
    drop = efficientnet.MBConv(8, 8, 1, 3, dropped=0.4).drop
    x = nd.ones((50, 2, 3, 3))
    x.attach_grad()
    with autograd.record():
        out = drop(x)
    out.backward()
    np.testing.assert_array_equal(x.grad.asnumpy(), out.asnumpy())
    assert set(np.unique(out.asnumpy())) == {np.float32(0), np.float32(1) / np.float32(0.6)}
