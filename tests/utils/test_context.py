"""The choice of devices on machines with and without GPUs."""

from gluon_classics import utils
from gluon_classics.errors import ClassicsError
from gluon_classics.utils import context
from gluon_classics.utils.context import parse_contexts
import mxnet as mx
import pytest


class GPUs:
    """Simulated GPUs: replaces `mx.nd.zeros` and MXNet's number of GPUs. Creating an array elsewhere raises `error`."""

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch
        self._zeros = mx.nd.zeros

    def pretend(self, usable, counted=None, error=None):
        def zeros(shape, ctx=None, **options):
            if ctx is None or ctx.device_type != "gpu":
                return self._zeros(shape, ctx=ctx, **options)
            if ctx.device_id not in usable:
                raise error or mx.base.MXNetError("CUDA: invalid device ordinal")
            return self._zeros(shape, **options)

        counted = max(usable, default=-1) + 1 if counted is None else counted
        self._monkeypatch.setattr(mx.nd, "zeros", zeros)
        self._monkeypatch.setattr(mx.context, "num_gpus", lambda: counted)


@pytest.fixture
def gpus(monkeypatch):
    return GPUs(monkeypatch)


def test_without_gpus_the_cpu_is_used(gpus):
    gpus.pretend(usable=[])
    assert utils.try_gpu() == mx.cpu()
    assert utils.try_all_gpus() == [mx.cpu()]


def test_all_usable_gpus_are_found(gpus):
    gpus.pretend(usable=[0, 1, 2])
    assert utils.try_gpu() == mx.gpu(0)
    assert utils.try_all_gpus() == [mx.gpu(0), mx.gpu(1), mx.gpu(2)]


def test_a_gpu_on_which_no_array_can_be_created_is_not_used(gpus):
    gpus.pretend(usable=[0], counted=2)
    assert utils.try_all_gpus() == [mx.gpu(0)]
    gpus.pretend(usable=[], counted=2)
    assert utils.try_gpu() == mx.cpu()


def test_without_a_driver_the_cpu_is_used(gpus, monkeypatch):
    """As with mxnet-cu112 on a machine without a GPU."""

    def num_gpus():
        raise mx.base.MXNetError("CUDA: no CUDA-capable device is detected")

    gpus.pretend(usable=[])
    monkeypatch.setattr(mx.context, "num_gpus", num_gpus)
    assert utils.try_all_gpus() == [mx.cpu()]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), MemoryError(), KeyboardInterrupt()])
def test_errors_other_than_mxnets_are_raised(gpus, error):
    gpus.pretend(usable=[], counted=1, error=error)
    for call in (utils.try_gpu, utils.try_all_gpus):
        with pytest.raises(type(error)):
            call()


def test_looking_for_gpus_prints_nothing(capfd):
    """MXNet's CPU build prints to standard error if an array is created on a GPU."""
    utils.try_all_gpus()
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize(
    ("text", "contexts"),
    [
        ("cpu", [mx.cpu(0)]),
        ("cpu:1", [mx.cpu(1)]),
        ("cpu:0,cpu:1", [mx.cpu(0), mx.cpu(1)]),
        (" cpu:2 , cpu ", [mx.cpu(2), mx.cpu(0)]),
        ("gpu", [mx.gpu(0)]),
        ("gpu:1", [mx.gpu(1)]),
        ("gpu:1,gpu:0", [mx.gpu(1), mx.gpu(0)]),
        ("auto", [mx.gpu(0), mx.gpu(1)]),
    ],
)
def test_device_names_are_converted_to_contexts(text, contexts, gpus):
    gpus.pretend(usable=[0, 1])
    assert parse_contexts(text) == contexts


def test_auto_means_the_cpu_without_gpus(gpus):
    gpus.pretend(usable=[])
    assert parse_contexts("auto") == [mx.cpu()]


@pytest.mark.parametrize(
    "text", ["", "tpu", "cpu0", "cpu:x", "cpu:-1", "cpu:1.5", "cpu:²", "gpu,", "auto,cpu", "cpu:0:1"]
)
def test_the_error_of_an_unknown_device_lists_the_choices(text):
    message = r"^unknown device .*: use auto, cpu, gpu, gpu:1, or a list such as cpu:0,cpu:1$"
    with pytest.raises(ClassicsError, match=message):
        parse_contexts(text)


@pytest.mark.parametrize("text", ["cpu,cpu", "cpu:0,cpu", "gpu:1,gpu:0,gpu:1"])
def test_a_device_listed_twice_is_rejected(text, gpus):
    """Else its gradients would be counted twice."""
    gpus.pretend(usable=[0, 1])
    with pytest.raises(ClassicsError, match="lists a device twice"):
        parse_contexts(text)


def test_the_error_of_a_missing_gpu_says_what_to_do(gpus):
    gpus.pretend(usable=[0])
    with pytest.raises(ClassicsError, match=r"gpu\(1\) cannot be used: .*doctor.*--ctx cpu$"):
        parse_contexts("gpu:0,gpu:1")


def test_one_or_several_contexts_become_a_list():
    assert context.as_contexts(mx.cpu(1)) == [mx.cpu(1)]
    assert context.as_contexts((mx.cpu(0), mx.cpu(1))) == [mx.cpu(0), mx.cpu(1)]
