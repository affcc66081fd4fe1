"""Grayscale images get more channels where the gradient of the first weights would wait, and nothing else changes."""

from typing import NamedTuple, Tuple

from arrays import assert_all_close, terms_of
from chains import chain, needs_rewriting, ready
from gluon_classics import _runtime, utils
from gluon_classics.compiler import compiled, rewrite
from gluon_classics.compiler.processor import AVX2, AVX512, InstructionSet
import mxnet as mx
from mxnet.gluon import nn
import pytest
from twins import Wired, assert_trains_the_same, nodes, pool2, predicted

pytestmark = needs_rewriting
BATCH = 8


class Start(NamedTuple):
    """A net's first convolution, the shape of an image, and the threads of the process."""

    conv: object
    image: Tuple[int, ...] = (1, 28, 28)
    threads: int = 2
    instructions: InstructionSet = AVX2


def conv(filters=24, kernel=5, **options):
    return lambda: nn.Conv2D(filters, kernel, **options)


STARTS = {
    "lenet's": (Start(conv(20, 5)), True),
    "the smallest maps": (Start(conv(8, 3), (1, 25, 25)), True),  # 23 x 23 = 529 pixels, at least 2 x 256
    "smaller maps": (Start(conv(8, 3), (1, 24, 24)), False),
    "rectangular, with a stride": (Start(conv(8, 3, strides=(1, 2)), (1, 18, 72)), True),  # 16 x 35 = 560
    "smaller maps by a stride": (Start(conv(8, 3, strides=(1, 2)), (1, 18, 40)), False),
    "by padding": (Start(conv(8, 3, padding=1), (1, 24, 24)), True),  # 576
    "smaller maps by dilation": (Start(conv(8, 3, dilation=2), (1, 25, 25)), False),  # 441
    "much work": (Start(conv(64, 5), (1, 40, 40)), False),  # 36 x 36 x 1600 = 2.07 million
    "colors": (Start(conv(), (3, 28, 28)), False),
    "one thread": (Start(conv(), threads=1), False),
    "three threads": (Start(conv(), threads=3), False),  # 576 pixels, fewer than 3 x 256
    "AVX-512": (Start(conv(), instructions=AVX512), False),
}


@pytest.fixture
def machine_of(monkeypatch):
    """Sets the instruction set and the number of threads that the compiler reads."""

    def set_to(start):
        monkeypatch.setattr(rewrite, "instruction_set", lambda: start.instructions)
        monkeypatch.setattr(_runtime, "given_threads", lambda: str(start.threads))

    return set_to


@pytest.mark.parametrize("name", STARTS)
def test_grayscale_images_are_widened_where_their_gradient_would_wait(name, machine_of, graphs):
    start, is_widened = STARTS[name]
    machine_of(start)
    net, x = ready(chain(start.conv(), pool2(), nn.Conv2D(6, 3), pool2(), nn.Dense(3)), BATCH, *start.image)
    twin = utils.hybridized(net)
    assert_trains_the_same(twin, net, x.shape)
    assert len(nodes(graphs[-1], "zeros_like")) == is_widened
    assert_all_close(predicted(twin, x), predicted(net, x), terms_of(net))
    compiled.for_inference(net)(x)
    assert not nodes(graphs[-1], "zeros_like")


def test_each_size_of_image_has_its_own_choice(machine_of, graphs):
    machine_of(Start(None))
    net, x = ready(chain(nn.Conv2D(20, 5), pool2(), nn.GlobalAvgPool2D()), BATCH, 1, 28, 28)
    twin = utils.hybridized(net)
    for images in (x[:, :, :20, :20], x, x[:2], x[:, :, :20, :20]):
        assert_all_close(predicted(twin, images), predicted(net, images), terms_of(net))
    assert [len(nodes(graph, "zeros_like")) for graph in graphs] == [0, 1]


def test_two_convolutions_of_the_same_images_are_both_widened(machine_of, graphs):
    machine_of(Start(None))
    net, x = ready(Wired(lambda F, x, a, b: F.concat(a(x), b(x)), nn.Conv2D(9, 5), nn.Conv2D(7, 5)), BATCH, 1, 28, 28)
    assert_trains_the_same(utils.hybridized(net), net, x.shape)
    assert len(nodes(graphs[-1], "zeros_like")) == 2


@pytest.mark.parametrize("number", [1, 2])
def test_widened_images_work_on_any_context(number, machine_of):
    machine_of(Start(None))
    net, x = ready(chain(nn.Conv2D(20, 5), pool2()), BATCH, 1, 28, 28)
    net.collect_params().reset_ctx(mx.cpu(number))
    x = x.as_in_context(mx.cpu(number))
    assert_all_close(predicted(utils.hybridized(net), x), predicted(net, x), terms_of(net))
