"""What the base class of all networks refuses and warns about."""

from pathlib import Path
import re
import subprocess
import sys
import textwrap
import warnings

from gluon_classics import get_model, utils
from gluon_classics.errors import InputError, MemoryTooSmall
from gluon_classics.models.network import ExplainedCalls
from gluon_classics.models.registry import registered
import mxnet as mx
from mxnet import autograd, nd
import pytest

WARNING = "wrong gradients through max pooling in prediction mode"


ALL = registered()
FIRST = {info.family: info for info in reversed(ALL)}.values()  # of each family
OTHERS = [pytest.param(info, marks=pytest.mark.slow) for info in ALL if info not in FIRST]


@pytest.mark.parametrize("info", [*FIRST, *OTHERS], ids=lambda info: info.name)
def test_every_network_explains_its_errors(info):
    assert isinstance(get_model(info.name), ExplainedCalls)
    assert isinstance(get_model(info.name, **info.trained_as), ExplainedCalls)


def input_gradients(name, way):
    """Return the gradients of an image in training and in prediction mode, which differ in nothing but the mode."""
    net = get_model(name)
    net.initialize(mx.init.Xavier())
    image = nd.random.uniform(shape=(4, 1, 28, 28))
    net(image)
    gradients = []
    for train_mode in (True, False):
        image.attach_grad()
        with autograd.record(train_mode=train_mode):
            score = way(net)(image)[:, 0].sum()
        score.backward(train_mode=train_mode)
        gradients.append(image.grad.copy())
    return gradients


@pytest.mark.parametrize("way", [lambda net: net, utils.hybridized], ids=["eager", "compiled"])
def test_wrong_gradients_through_max_pooling_are_warned_about(way):
    with pytest.warns(RuntimeWarning, match=WARNING):
        right, wrong = input_gradients("lenet", way)
    assert (right - wrong).norm() > 0.5 * right.norm()  # if this fails, MXNet is right and the warning can go


def test_the_program_in_the_documentation_shows_that_nothing_of_the_gradient_is_right(capsys):
    page = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
    with pytest.warns(RuntimeWarning, match=WARNING):
        exec(page.partition("```python\n")[2].partition("```")[0], {})
    shown = float(re.search(r"\[([\d.]+)\]", capsys.readouterr().out)[1])
    assert shown > 0.5


@pytest.mark.parametrize("way", [lambda net: net, utils.hybridized], ids=["eager", "compiled"])
def test_gradients_through_average_pooling_are_right_and_not_warned_about(way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right, also = input_gradients("lenet_d2l", way)
    # the graph is the same in both modes, so that only the order of sums may differ: 784 terms of about equal size
    assert (right - also).norm() < 784 * 2**-23 * right.norm()


@pytest.mark.parametrize("way", [lambda net: net, utils.hybridized, utils.for_inference])
def test_float16_on_the_cpu_is_refused_at_the_first_call(way):
    net = get_model("lenet")
    net.initialize()
    net.cast("float16")
    with pytest.raises(InputError, match="does not compute float16 on the CPU"):
        way(net)(nd.zeros((1, 1, 28, 28), dtype="float16"))


def test_missing_memory_is_not_called_a_wrong_shape():
    net = get_model("lenet")
    net.initialize()

    def hook(*_):
        raise mx.base.MXNetError("Memory allocate failed")

    net.register_forward_hook(hook)
    with pytest.raises(MemoryTooSmall, match="not enough memory"):
        net(nd.zeros((1, 1, 28, 28)))


NUMPY_MODE = """
    from gluon_classics import get_model, utils
    from gluon_classics.errors import ClassicsError
    from gluon_classics.inspection.diff import compare
    import mxnet as mx
    from mxnet import gluon
    import numpy as np

    mx.npx.set_np()
    X, Y = mx.np.ones((4, 1, 28, 28)), mx.np.array([0, 1, 2, 2])
    net = get_model("lenet", 3)
    net.initialize()
    assert net(X).shape == (4, 3)  # it consists of Gluon's own layers
    calls = {
        "other layers": lambda: get_model("se_resnet18")(mx.np.ones((1, 3, 64, 64))),
        "loader": lambda: utils.DataLoader((np.zeros((4, 5, 5, 1), "uint8"), np.arange(4)), 2, False),
        "data": lambda: utils.load_data_fashion_mnist(2),
        "train": lambda: utils.train(
            [(X, Y)], [(X, Y)], net, gluon.loss.SoftmaxCrossEntropyLoss(), gluon.Trainer(net.collect_params(), "sgd"),
            mx.cpu(), 1,
        ),
        "evaluate": lambda: utils.evaluate_accuracy([(X, Y)], net),
        "accuracy": lambda: utils.accuracy(mx.np.ones((4, 3)), Y),
        "summarize": lambda: utils.summarize(net, (1, 28, 28)),
        "compare": lambda: compare("lenet", "lenet_d2l"),
        "hybridized": lambda: utils.hybridized(net),
        "for_inference": lambda: utils.for_inference(net),
        "do_exp": utils.do_exp,
    }
    for name, call in calls.items():
        try:
            call()
        except ClassicsError as error:
            assert "call npx.reset_np()" in str(error), (name, error)
        else:
            raise AssertionError(name)
    mx.npx.reset_np()
    try:
        net(mx.nd.ones((4, 1, 28, 28)))
    except ClassicsError as error:
        assert "made in MXNet's NumPy mode" in str(error), error
    else:
        raise AssertionError("a network that was made in NumPy mode")
"""


def test_numpy_mode_is_refused_in_one_line():
    """The mode is global, so a new process tries it."""
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(NUMPY_MODE)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
