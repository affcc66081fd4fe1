"""Compare our networks and our training with the blog's way on MXNet of the time, step by step.

    python tools/parity.py                         the blog's six networks and D2L's GoogLeNet on MXNet 1.1.0
    python tools/parity.py resnet --mxnet 1.6.0 --type float32 --steps 3 --free
    python tools/parity.py resnet --rounding       how far float32 is from float64, on both sides
    python tools/parity.py alexnet vgg nin --type float32 --dropout drawn --steps 1 --free
    python tools/parity.py lenet --trace FOLDER    write our traces, eager and compiled, and compare nothing

On both sides the initial weights come from the same seed. Each step starts from the original's parameters, so that
rounding does not add up; with --free the steps follow each other. NumPy draws the dropout masks; with --dropout drawn
MXNet does, as in the blog.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
from pathlib import Path
import sys
import tempfile
from typing import NamedTuple

import era
from gluon_classics import get_model, utils
from gluon_classics.utils.training import Callback, TrainingLoop
import mxnet as mx
from mxnet import gluon, nd
from mxnet.gluon import nn
import numpy as np

ORIGINAL = Path(__file__).parents[1] / "original"
sys.path.insert(0, str(ORIGINAL))

import blog  # noqa: E402  original/blog.py
import tensors  # noqa: E402  original/tensors.py

# height and width of the images: small, but each network keeps all of its layers
SIZES = {"lenet": 28, "alexnet": 67, "vgg": 32, "nin": 67, "googlenet": 96, "resnet": 96, "googlenet_d2l": 64}


WAYS = ("eager", "compiled")


def trace_file(folder: Path, network: str, way: str) -> Path:
    """Return where our trace of a network is written, one of `WAYS`."""
    return folder / f"{network}-{way}.safetensors"


class Settings(NamedTuple):
    """What is traced.

    Attributes:
        network: Name of the network.
        resize: Height and width of the images.
        batch_size: Number of images in a batch.
        steps: Number of steps.
        type: "float32" or "float64".
        dropout: "drawn" by MXNet, "given" by NumPy, or "off".
        lr: Learning rate.
        seed: Seed of MXNet and NumPy.
    """

    network: str
    resize: int
    batch_size: int = 8
    steps: int = 2
    type: str = "float64"
    dropout: str = "given"
    lr: float = 0.01
    seed: int = 0

    def options(self) -> list[str]:
        """Return the options of original/first_steps.py."""
        pairs = self._asdict()
        network = pairs.pop("network")
        return [network, *(f"--{name.replace('_', '-')}={value}" for name, value in pairs.items())]


def theirs(version: str, settings: Settings, folder, start=None) -> tuple[dict, dict]:
    """Return the trace of the blog's way on a version of MXNet."""
    path = str(Path(folder, f"{settings.network}-{version}.safetensors"))
    start = ["--start", str(start)] if start else []
    era.run(version, str(ORIGINAL / "first_steps.py"), *settings.options(), *start, "-o", path, threads=1)
    return tensors.load(path)


class _Restart(Callback):
    """Gives the network a trace's parameters before each step."""

    def __init__(self, net, start):
        self._net, self._start = net, start

    def before_batch(self, loop):
        for name, parameter in blog.named(self._net).items():
            key = f"before/{loop.batches + 1}/{name}"
            if key in self._start:  # all but running statistics, which training does not use
                parameter.set_data(nd.array(self._start[key], dtype=parameter.dtype))


class _Recorder(Callback):
    """Records the gradients of each step and the parameters after it."""

    def __init__(self, net, arrays):
        self._net, self._arrays = net, arrays

    def after_batch(self, loop):
        for name, parameter in blog.named(self._net).items():
            if parameter.grad_req != "null":
                self._arrays[f"gradients/{loop.batches}/{name}"] = parameter.grad().asnumpy()
            self._arrays[f"after/{loop.batches}/{name}"] = parameter.data().asnumpy()


def ours(settings: Settings, start: dict | None = None, *, eager: bool = True) -> tuple[dict, dict]:
    """Return the trace of our network, loader and training loop on the installed MXNet.

    Args:
        settings: What is traced.
        start: A trace whose parameters before each step are taken.
        eager: Do not compile the network.
    """
    blog.seed_both(settings.seed)
    train_data, _ = utils.load_data_fashion_mnist(
        settings.batch_size, settings.resize, resize_in="published", last_batch="discard"
    )
    net = get_model(settings.network)
    if settings.dropout != "drawn":
        _replace_dropout(net, blog.dropout_layer(settings.dropout, settings.seed))
    net.initialize(mx.init.Xavier())
    arrays: dict[str, np.ndarray] = {}
    digests: list[str] = []
    cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()

    def loss(outputs, labels):
        """Return the losses. The loop calls this between a step's forward pass and its update."""
        losses = cross_entropy(outputs, labels)
        arrays[f"outputs/{len(digests)}"], arrays[f"losses/{len(digests)}"] = outputs.asnumpy(), losses.asnumpy()
        for name, parameter in blog.named(net).items():
            if parameter.grad_req != "null":
                arrays[f"before/{len(digests)}/{name}"] = parameter.data().asnumpy()
        return losses

    def batches():
        for images, labels in train_data:
            digests.append(hashlib.sha256(images.asnumpy().tobytes() + labels.asnumpy().tobytes()).hexdigest())
            if len(digests) == 1 and (start or settings.type != "float32"):
                net(images)  # draws the weights, in float32
                net.cast(settings.type)
            yield images.astype(settings.type), labels.astype(settings.type)
            if len(digests) == settings.steps:
                return

    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": settings.lr})
    callbacks = [*([_Restart(net, start)] if start else []), _Recorder(net, arrays)]
    images = nd.zeros((1, 1, settings.resize, settings.resize), dtype=settings.type)
    loop = TrainingLoop(net, loss, trainer, mx.cpu(), callbacks, eager=eager)
    loop.run(batches(), [(images, nd.zeros(1, dtype=settings.type))], num_epochs=1)
    return arrays, {"batches": digests}


def _replace_dropout(net, layer):
    """Replace all dropout layers of a network by those that `layer` makes."""
    for key, child in net._children.items():
        if isinstance(child, nn.Dropout):
            net._children[key] = layer()
        else:
            _replace_dropout(child, layer)


class Difference(NamedTuple):
    """How far two traces differ.

    Attributes:
        batches: Whether all batches have the same bits.
        weights: Whether all initial weights have the same bits.
        errors: By kind of array and step, such as "gradients/1", the largest error of an array: its largest
            difference, divided by its largest absolute value. A bias is measured by the largest value of its layer's
            weights, too: before batch normalization its gradient is rounding alone.
        mean_losses: By step, the relative difference of the mean losses.
    """

    batches: bool
    weights: bool
    errors: dict[str, float]
    mean_losses: dict[int, float]


def difference(one: tuple[dict, dict], other: tuple[dict, dict]) -> Difference:
    """Return how far two traces with the same settings differ."""
    (arrays, about), (others, about_others) = one, other
    errors: dict[str, float] = collections.defaultdict(float)
    mean_losses: dict[int, float] = {}
    weights = True
    for key in others:
        kind = "/".join(key.split("/")[:2])
        if key.startswith("before/1/"):
            weights &= bool(np.array_equal(arrays[key], others[key]))
        elif not key.startswith("before/") and key != "order":  # the images of the batches show the order
            scale = max(np.abs(arrays[name]).max() for name in _layer(key, arrays)) or 1.0
            errors[kind] = max(errors[kind], float(np.abs(arrays[key] - others[key]).max() / scale))
        if key.startswith("losses/"):
            mean, other_mean = (float(losses[key].mean(dtype=np.float64)) for losses in (arrays, others))
            mean_losses[int(key.split("/")[1])] = abs(other_mean / mean - 1)
    return Difference(about["batches"] == about_others["batches"], weights, dict(errors), mean_losses)


def _layer(key, arrays):
    """Return the array's name and, for a bias, that of its layer's weights."""
    place, _, kind = key.rpartition(".")
    if kind != "bias":
        return [key]
    path, _, number = place.rpartition("/")
    return [key, f"{path}/{int(number) - 1:03d}.weight"]


def compare(version: str, settings: Settings, *, free: bool = False) -> Difference:
    """Return how far our trace differs from the original's on a version of MXNet."""
    with tempfile.TemporaryDirectory() as folder:
        original = theirs(version, settings, folder)
        return difference(original, ours(settings, None if free else original[0]))


def rounding(version: str, settings: Settings) -> dict[str, Difference]:
    """Return how far float32 is from float64: on a version of MXNet, and with our package.

    Each step starts from the parameters of the float64 trace.
    """
    single = settings._replace(type="float32")
    with tempfile.TemporaryDirectory() as folder:
        exact = theirs(version, settings._replace(type="float64"), folder)
        start = Path(folder, "exact.safetensors")
        Path(folder, f"{settings.network}-{version}.safetensors").rename(start)
        sides = {f"MXNet {version}": theirs(version, single, folder, start), "ours": ours(single, exact[0])}
    return {side: difference(exact, trace) for side, trace in sides.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(SIZES)} (default: all)")
    parser.add_argument("--mxnet", default="1.1.0", choices=era.ERAS, help="version (default: 1.1.0)")
    parser.add_argument("--type", default="float64", choices=("float64", "float32"))
    parser.add_argument("--resize", type=int, help="height and width of the images (default: small)")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--dropout", default="given", choices=("drawn", "given", "off"), help="default: given")
    parser.add_argument("--free", action="store_true", help="let each step follow the one before")
    parser.add_argument("--rounding", action="store_true", help="compare float32 with float64 on both sides")
    parser.add_argument("--trace", type=Path, metavar="FOLDER", help="write our traces and compare nothing")
    args = parser.parse_args()
    for network in args.networks or SIZES:
        side = args.resize or SIZES[network]
        settings = Settings(network, side, args.batch_size, args.steps, args.type, args.dropout)
        print(f"{network} {settings.resize}x{settings.resize}, batch {settings.batch_size}")
        if args.trace:
            for way in WAYS:
                tensors.save(str(trace_file(args.trace, network, way)), *ours(settings, eager=way == "eager"))
        elif args.rounding:
            for side, found in rounding(args.mxnet, settings).items():
                print(f"  float32 and float64, {side}: {_words(found)}", flush=True)
        else:
            print(f"  {_words(compare(args.mxnet, settings, free=args.free))}", flush=True)


def _words(found):
    same = (("images", found.batches), ("weights", found.weights))
    bits = [f"{what} {'equal' if equal else 'different'}" for what, equal in same]
    errors = {**found.errors, **{f"mean loss/{step}": error for step, error in found.mean_losses.items()}}
    return ", ".join([*bits, *(f"{kind} {errors[kind]:.1e}" for kind in sorted(errors, key=_kind_and_step))])


def _kind_and_step(key):
    kind, _, step = key.rpartition("/")
    return kind, int(step)


if __name__ == "__main__":
    main()
