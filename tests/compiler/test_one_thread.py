"""Short predictions run on one thread, with the same results, and nothing else does."""

import json
import os
import subprocess
import sys

from arrays import assert_close, terms_of
from chains import chain, needs_rewriting, operators, ready
from gluon_classics import get_model, utils
from gluon_classics.compiler import compiled
from gluon_classics.compiler.processor import ONE_THREAD_MACS
from gluon_classics.compiler.work import macs_per_operator
from gluon_classics.errors import ClassicsError
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import numpy as np
import pytest

THREADS = """
import ctypes, json, os
import gluon_classics
from gluon_classics import utils
from gluon_classics.compiler import one_thread
import mxnet as mx
from mxnet import nd
from mxnet.base import _LIB

def threads_of(context):
    found = []
    read = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(
        lambda _run, _parameter: found.append(_LIB.omp_get_max_threads())
    )
    place = ctypes.byref(one_thread._Context(1, context.device_id))
    _LIB.MXEnginePushSync(read, None, None, place, None, 0, None, 0, None, 0, None)
    nd.waitall()
    return found[0]

net = gluon_classics.get_model("lenet")
net.initialize()
forward = utils.for_inference(net)
forward(nd.ones((1, 1, 28, 28))).wait_to_read()
forward(nd.ones((64, 1, 28, 28))).wait_to_read()
if os.environ.get("FORK"):
    child = os.fork()
    forward(nd.ones((1, 1, 28, 28))).wait_to_read()
alone = one_thread.one_thread_context(mx.cpu())
found = {"alone": str(alone), "threads": threads_of(alone), "others": threads_of(mx.cpu())}
if os.environ.get("FORK") and child == 0:
    os._exit(found != {"alone": "cpu(1000)", "threads": 1, "others": 3})
if os.environ.get("FORK"):
    found["child's status"] = os.waitpid(child, 0)[1]
print(json.dumps(found))
"""


def found_with(**variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "3", **variables}
    done = subprocess.run([sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@needs_rewriting
def test_a_context_of_its_own_has_one_thread_and_the_others_keep_theirs():
    assert found_with() == {"alone": "cpu(1000)", "threads": 1, "others": 3}


@needs_rewriting
def test_it_still_has_one_thread_after_a_fork():
    """MXNet then starts new workers, in both processes."""
    assert found_with(FORK="1") == {"alone": "cpu(1000)", "threads": 1, "others": 3, "child's status": 0}


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"MXNET_ENGINE_TYPE": "NaiveEngine"}, 3),
        ({"MXNET_CPU_WORKER_NTHREADS": "2"}, 3),
    ],
)
def test_other_engines_use_the_same_context(variables, threads):
    assert found_with(**variables) == {"alone": "cpu(0)", "threads": threads, "others": threads}


@pytest.fixture
def contexts(monkeypatch):
    """The contexts in which graphs run, in their order; short work runs in cpu(5)."""
    seen = []

    def note(call, context_of):
        def noted(graph, x):
            seen.append(context_of(graph, x))
            return call(graph, x)

        return noted

    here, elsewhere = compiled._CompiledGraph, compiled._GraphElsewhere
    monkeypatch.setattr(here, "__call__", note(here.__call__, lambda graph, x: x.context))
    monkeypatch.setattr(elsewhere, "__call__", note(elsewhere.__call__, lambda graph, x: graph.context))
    monkeypatch.setattr(compiled, "one_thread_context", lambda context: mx.cpu(5))
    return seen


@needs_rewriting
@pytest.mark.parametrize("context", [mx.cpu(0), mx.cpu(1)], ids=str)
def test_short_predictions_run_elsewhere_and_return(context, contexts):
    net, x = ready(get_model("lenet"), 64, 1, 28, 28)
    net.collect_params().reset_ctx(context)
    x = x.as_in_context(context)
    forward = utils.for_inference(net)
    expected = net(x).asnumpy()
    for count in (1, 64, 8, 1):
        outputs = forward(x[:count])
        assert outputs.context == context
        assert_close(outputs.asnumpy(), expected[:count], terms_of(net))
    assert contexts == [mx.cpu(5), context, mx.cpu(5), mx.cpu(5)]


@needs_rewriting
def test_outputs_keep_their_values_and_their_layout_in_later_calls(contexts):
    """The arrays of the other context are used again in each call. Feature maps are in blocks of channels there."""
    net, x = ready(chain(nn.Conv2D(20, 3), nn.MaxPool2D()), 4, 1, 10, 10)
    forward = utils.for_inference(net)
    images = [x, x[1:3], -x, x * 2]
    outputs = [forward(array) for array in images]
    assert set(contexts) == {mx.cpu(5)}
    for array, output in zip(images, outputs):
        assert_close(output.asnumpy(), net(array).asnumpy(), terms_of(net))
    output = outputs[0]
    output[:] = 0
    assert_close(forward(x).asnumpy(), net(x).asnumpy(), terms_of(net))


@needs_rewriting
def test_images_may_still_be_in_computation(contexts):
    net, x = ready(chain(nn.Dense(4)), 8, 200)
    forward, expected = utils.for_inference(net), net(x).asnumpy()
    forward(x)
    for _ in range(3):
        slow = nd.random.normal(shape=(1500, 1500))
        for _ in range(5):
            slow = nd.dot(slow, slow) * 0
        assert_close(forward(x + slow[0, 0]).asnumpy(), expected, terms_of(net))
    assert set(contexts) == {mx.cpu(5)}


@needs_rewriting
def test_the_calling_thread_copies(contexts, monkeypatch):
    net, x = ready(chain(nn.Dense(2)), 2, 3)
    forward, expected = utils.for_inference(net), net(x).asnumpy()
    forward(x)
    for name in ("copyto", "as_in_context"):
        monkeypatch.setattr(nd.NDArray, name, None)
    assert_close(forward(x).asnumpy(), expected, terms_of(net))


@needs_rewriting
def test_an_error_in_the_computation_of_the_images_is_not_blamed_on_their_shape(contexts):
    class Broken(mx.operator.CustomOp):
        def forward(self, is_train, req, in_data, out_data, aux):
            raise ValueError("it is broken")

    @mx.operator.register("broken_images")
    class BrokenImages(mx.operator.CustomOpProp):
        def create_operator(self, *_):
            return Broken()

    net, x = ready(chain(nn.Dense(2)), 2, 3)
    forward = utils.for_inference(net)
    forward(x)
    with pytest.raises(ClassicsError, match="the images could not be computed") as caught:
        forward(nd.Custom(x, op_type="broken_images"))
    assert "shape" not in str(caught.value)


@needs_rewriting
def test_large_images_are_not_copied(contexts):
    """A network without multiplications is short work at any size."""
    net, x = ready(chain(nn.MaxPool2D()), 1, 4, 256, 256)
    forward = utils.for_inference(net)
    forward(x)
    forward(nd.concat(x, x, dim=0))
    assert contexts == [mx.cpu(5), mx.cpu(0)]


@needs_rewriting
def test_outputs_may_have_another_type(contexts):
    class Codes(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.cast(x * 100, "uint8")

    net, x = ready(chain(nn.Flatten(), Codes()), 3, 1, 5, 5)
    codes = utils.for_inference(net)(x.abs())
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes.asnumpy(), net(x.abs()).asnumpy())
    assert contexts == [mx.cpu(5)]


@needs_rewriting
def test_training_and_gradients_stay_where_they_are(contexts):
    net, x = ready(chain(nn.Conv2D(3, 3), nn.Dense(2)), 1, 1, 6, 6)
    utils.hybridized(net)(x)
    forward = utils.for_inference(net)
    with autograd.record(train_mode=False):
        forward(x)
    forward(x)
    assert contexts == [mx.cpu(0), mx.cpu(0), mx.cpu(5)]


@needs_rewriting
def test_a_new_call_copies_the_new_weights(contexts):
    net, x = ready(chain(nn.Conv2D(3, 3), nn.Dense(2)), 1, 1, 6, 6)
    utils.for_inference(net)(x)
    for parameter in net.collect_params().values():
        parameter.set_data(parameter.data() * 2)
    assert_close(utils.for_inference(net)(x).asnumpy(), net(x).asnumpy(), terms_of(net))
    assert set(contexts) == {mx.cpu(5)}


@pytest.mark.parametrize(("name", "side"), [("lenet", 28), ("googlenet", 96), ("mobilenet_v1", 64)])
def test_the_work_is_that_of_the_summary(name, side):
    net, x = _ready(name, side)
    graph = net(mx.sym.var("data"))
    expected = 2 * utils.summarize(net, x.shape[1:]).macs / len(operators(graph))
    assert macs_per_operator(graph, "data", x.shape) == pytest.approx(expected, rel=1e-9)


def _ready(name, side):
    net = get_model(name)
    return ready(net, 2, 3 if name.startswith("mobilenet") else 1, side, side)


def test_single_images_of_small_networks_are_short_work():
    for name, side, is_short in (("lenet", 28, True), ("googlenet", 96, True), ("resnet", 96, False)):
        net, x = _ready(name, side)
        assert (macs_per_operator(net(mx.sym.var("data")), "data", (1, *x.shape[1:])) < ONE_THREAD_MACS) == is_short
