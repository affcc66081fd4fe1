"""Measure what the compiler chooses from shapes: images with more channels, and predictions on one thread.

    python benchmarks/choices.py [--rounds N] [--seconds N]

First, training of single convolutions of grayscale images: the speed with widened images divided by the speed without.
Then, predictions of networks: the speed on one thread divided by the speed on all. "chosen" is what the compiler does
on this processor with this number of threads. Both ways take turns in one process. Median and range are given.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import gluon_classics
from gluon_classics import _console, utils
from gluon_classics.compiler import compiled
from gluon_classics.compiler.graph_builder import nodes_of
from gluon_classics.compiler.processor import ONE_THREAD_MACS, instruction_set
from gluon_classics.compiler.rewrite import to_widen
from gluon_classics.compiler.work import macs_per_operator
import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn
import turns


class Start(NamedTuple):
    """A first convolution: images in a batch, their side, filters, kernel, stride, padding."""

    batch: int
    side: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0


STARTS = (
    *(Start(256, 22, 24, 5), Start(256, 26, 24, 5), Start(256, 27, 24, 5), Start(256, 28, 24, 5)),  # pixels of the maps
    *(Start(256, 28, 8, 5, padding=2), Start(256, 28, 32, 3, padding=1), Start(128, 28, 64, 3, padding=1)),
    *(Start(64, 36, 32, 5), Start(64, 44, 32, 5), Start(64, 52, 32, 5), Start(64, 48, 64, 3, padding=1)),  # work
    *(
        Start(64, 96, 64, 3, padding=1),
        Start(64, 96, 64, 7, 2, 3),
        Start(16, 224, 96, 11, 4),
    ),  # VGG, GoogLeNet, AlexNet
)
PREDICTIONS = (  # network, side, sizes of batches
    *(("lenet5", 32, (1, 64)), ("lenet", 28, (1, 4, 8, 16, 64)), ("googlenet", 96, (1, 2, 4)), ("resnet", 96, (1, 4))),
    *(("nin", 224, (1,)), ("vgg", 96, (1,)), ("alexnet", 224, (1,))),
)


def widening(start, options):
    """Return the speed with widened images relative to the speed without, and whether the compiler widens."""
    x = nd.random.normal(shape=(start.batch, 1, start.side, start.side))
    net = nn.HybridSequential()
    net.add(
        nn.Conv2D(start.filters, start.kernel, start.stride, start.padding, in_channels=1),
        nn.Activation("relu"),
        nn.Conv2D(8, 1, in_channels=start.filters),  # so that the maps are in oneDNN's layout
    )
    net.initialize()
    graph = net(mx.sym.var("data"))
    arrays = {parameter.name: parameter.data() for parameter in net.collect_params().values()}
    first = next(number for number, node in enumerate(nodes_of(graph)) if node["op"] == "Convolution")
    ways = {}
    for name, widened in (("without", frozenset()), ("with", frozenset([first]))):
        compiled.to_widen = lambda *_, widened=widened: widened
        ways[name] = utils.hybridized(net)
        _step(ways[name], x)
    compiled.to_widen = to_widen
    return _turns(ways, lambda way: _step(way, x), options), bool(to_widen(graph, arrays, x.shape))


def _step(forward, x):
    with autograd.record():
        outputs = forward(x)
    outputs.backward()
    nd.waitall()


def predictions(name, side, batch, options):
    """Return the speed on one thread relative to all, and the work per operator."""
    net = gluon_classics.get_model(name)
    net.initialize()
    x = nd.random.uniform(shape=(batch, 1, side, side))
    net(x)
    ways = {}
    for way, limit in (("without", 0), ("with", float("inf"))):
        compiled.ONE_THREAD_MACS = limit
        ways[way] = utils.for_inference(net)
        ways[way](x).wait_to_read()
    compiled.ONE_THREAD_MACS = ONE_THREAD_MACS
    work = macs_per_operator(net(mx.sym.var("data")), "data", x.shape)
    return _turns(ways, lambda way: way(x).wait_to_read(), options), work


def _turns(ways, run, options):
    speeds = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            speeds[name].append(turns.rate(lambda way=way: run(way), 1, options.seconds))
    return turns.ratio(speeds["with"], speeds["without"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=turns.at_least(1), default=3, help="number of turns (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=turns.at_least(0.1, float), default=0.4, help="of each measurement (default: %(default)s)"
    )
    options = parser.parse_args()
    _console.say(f"{instruction_set().name}, {gluon_classics._runtime.given_threads()} threads")
    rows = []
    for start in STARTS:
        ratio, is_chosen = widening(start, options)
        side = (start.side + 2 * start.padding - start.kernel) // start.stride + 1
        macs = side * side * start.filters * start.kernel**2 / 1e6
        what = f"{start.filters} filters {start.kernel}x{start.kernel}/{start.stride}, batch {start.batch}"
        rows.append((what, f"{side}x{side}", f"{macs:.2f}", *_shown(ratio), "yes" if is_chosen else ""))
    _console.table(["convolution", "maps", "million MACs:", "widened:", "of turns:", "chosen"], rows)
    rows = []
    for name, side, batches in PREDICTIONS:
        for batch in batches:
            ratio, work = predictions(name, side, batch, options)
            rows.append((name, batch, f"{work / 1e6:.2f}", *_shown(ratio), "yes" if work < ONE_THREAD_MACS else ""))
    _console.table(["network", "batch:", "million MACs per operator:", "one thread:", "of turns:", "chosen"], rows)


def _shown(ratio):
    return f"{ratio['median']:.2f}", f"{ratio['low']:.2f} to {ratio['high']:.2f}"


if __name__ == "__main__":
    main()
