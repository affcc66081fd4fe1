"""Several threads can call one compiled network."""

from concurrent.futures import ThreadPoolExecutor
import os
import subprocess
import sys
import threading
import time

from arrays import assert_close, terms_of
from chains import chain, needs_rewriting, ready
from gluon_classics import get_model, utils
import mxnet as mx
from mxnet.gluon import nn
import pytest

MANY_CALLS = """
from concurrent.futures import ThreadPoolExecutor
import gluon_classics
from gluon_classics import utils
from mxnet import nd

net = gluon_classics.get_model("lenet")
net.initialize()
call = utils.{function}(net)
images = nd.random.normal(shape=({count}, 1, 28, 28))

def predict(_thread):
    for _ in range({calls}):
        outputs = call(images).asnumpy()
    return outputs.tolist()

with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(predict, range(4)))
print(found.count(call(images).asnumpy().tolist()), "threads have the right outputs")
"""


def in_threads(function, count=4):
    """Call the function with 0, 1, ... at the same time, in one thread each. Return the results in this order."""
    start = threading.Barrier(count)

    def started(number):
        start.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(started, range(count)))


@pytest.fixture(params=[utils.hybridized, utils.for_inference], ids=["hybridized", "for_inference"])
def compile_net(request):
    return request.param


def test_the_first_calls_can_be_in_several_threads(compile_net):
    net, x = ready(get_model("lenet"), 4, 1, 28, 28)
    expected = net(x).asnumpy()
    for _ in range(5):
        call = compile_net(net)
        for output in in_threads(lambda _, call=call: call(x).asnumpy()):
            assert_close(output, expected, terms_of(net))


def test_threads_do_not_mix_their_images(compile_net):
    net, x = ready(chain(nn.Conv2D(3, 3), nn.Dense(2)), 64, 1, 6, 6)
    call, expected = compile_net(net), net(x).asnumpy()
    found = in_threads(lambda number: [call(x[number : number + 1]).asnumpy() for _ in range(50)])
    for number, outputs in enumerate(found):
        for output in outputs:
            assert_close(output, expected[number : number + 1], terms_of(net))


@pytest.fixture
def slow_starts(monkeypatch):
    """Make each graph start its operators slowly. Return how many threads did so at a time, in each call."""
    compile_graph, running, seen = mx.nd.CachedOp, [], []

    def slow(graph, flags):
        run = compile_graph(graph, flags)

        def started(*arguments, **options):
            running.append(None)
            seen.append(len(running))
            time.sleep(0.05)
            running.pop()
            return run(*arguments, **options)

        return started

    monkeypatch.setattr(mx.nd, "CachedOp", slow)
    return seen


@needs_rewriting
def test_one_thread_at_a_time_starts_operators(compile_net, slow_starts):
    net, x = ready(chain(nn.Dense(2)), 2, 3)
    call = compile_net(net)
    in_threads(lambda _: call(x).wait_to_read())
    assert slow_starts == [1, 1, 1, 1]


@needs_rewriting
def test_a_forked_process_can_predict_while_another_thread_starts_operators(compile_net, slow_starts):
    """MXNet itself must not be used by two threads during a fork, so the operators do not start here."""
    net, x = ready(chain(nn.Dense(2)), 2, 3)
    call = compile_net(net)
    call(x).wait_to_read()
    thread = threading.Thread(target=lambda: call(x))
    thread.start()
    while len(slow_starts) < 2:
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        call(x).wait_to_read()
        os._exit(0)
    thread.join()
    for _ in range(600):
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            assert status == 0
            return
        time.sleep(0.1)
    os.kill(child, 9)
    pytest.fail("the forked process waits")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "count", "calls"),
    [("for_inference", 1, 4000), ("for_inference", 64, 400), ("hybridized", 1, 4000)],
)
def test_many_calls_end(function, count, calls):
    """Without the lock, some of these processes wait for ever."""
    program = MANY_CALLS.format(function=function, count=count, calls=calls)
    done = subprocess.run([sys.executable, "-c", program], timeout=300, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "4 threads have the right outputs\n"
