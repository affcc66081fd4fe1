"""LeNet-5 (LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998).

Source    `lenet5`: the paper; layers from section II.B, the connections of C3 from table I, codes from figure 3, losses
          from II.C, pixels and training from III, squashing function and initial weights from appendix A, step sizes
          from appendix C (see `utils/levenberg.py`). `lenet5_full`: a later table of the network, in which C3 is
          connected in full and the output is a dense layer.
Departs   `lenet5`: the paper does not print the j of its MAP loss; here it is 1. Codes are transcribed from the figure.
          Biases start as weights do, with the inputs of their unit as fan-in; the paper speaks of weights only. Step
          sizes are safer (see `utils/levenberg.py`); batches of one image are the paper's.
          `lenet5_full`, from the paper: C3, the output, and softmax cross-entropy on it.
Open      - The j of the MAP loss is not printed: that it is 1 is a guess.
          - The codes are a transcription of figure 3; the bars that stand alone on 0, 2, 4 and 5 are not verified.
"""

from itertools import groupby
from math import prod
from typing import NamedTuple, Tuple

import mxnet as mx
from mxnet import gluon, nd
from mxnet.gluon import nn

from .objective import Objective
from .registry import register

KERNEL = 5
J = 1.0  # of the MAP loss

# the maps of S2 that each map of C3 sees: table I
C3 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


def _all(inputs, maps):
    return (tuple(range(inputs)),) * maps


# label, kind, and width: for convolutions what each map sees, else the number of maps or units
PAPER = (
    ("C1", "convolution", _all(1, 6)),
    ("S2", "subsampling", 6),
    ("C3", "convolution", C3),
    ("S4", "subsampling", 16),
    ("C5", "convolution", _all(16, 120)),
    ("F6", "dense", 84),
    ("output", "rbf", 10),
)
FULL = (*PAPER[:2], ("C3", "convolution", _all(6, 16)), *PAPER[3:-1], ("output", "dense", 10))

# 7x12 pixels a digit, # for +1 and . for -1: figure 3
CODES = """
.#####.  ...##..  .#####.  #######  .#####.  .#####.  ..####.  #######  .#####.  .#####.
.......  ..###..  .......  .....##  .......  .......  .##....  .....##  ##...##  ##..###
..###..  .####..  .#####.  ....##.  .......  #######  ##.....  .....##  ##...##  ##...##
.##.##.  ...##..  ##...##  ...##..  .##..##  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  #....##  ..####.  .##..##  ##.....  ######.  ...##..  .#####.  ##..###
##...##  ...##..  ....##.  .....##  ###..##  .####..  ###..##  ...##..  ##...##  .######
##...##  ...##..  ..###..  .....##  ##...##  ..####.  ##...##  ..##...  ##...##  .....##
##...##  ...##..  .##....  .....##  ##...##  .....##  ##...##  ..##...  ##...##  .....##
.##.##.  ...##..  ##.....  ##...##  ##..###  ##...##  ###..##  ..##...  ##...##  ....##.
..###..  .######  #######  .#####.  .######  .#####.  .#####.  ..##...  .#####.  .####..
.......  .......  .......  .......  .....##  .......  .......  .......  .......  .......
.......  .......  .......  .......  .....##  .......  .......  .......  .......  .......
"""


def codes():
    """The ten codes, digits 0 to 9: lists of 84 numbers, +1 or -1, row after row of the 7x12 pixels."""
    rows = [line.split() for line in CODES.split("\n") if line]
    return [[1 if pixel == "#" else -1 for row in rows for pixel in row[digit]] for digit in range(10)]


# --- counting


class Count(NamedTuple):
    """One row of the paper's arithmetic: shape out of the layer, trainable parameters and connections."""

    label: str
    shape: Tuple[int, ...]
    params: int
    connections: int


def count(table=PAPER, side=32):
    """A `Count` for each layer of `table`, for one image of side x side pixels.

    A bias is a parameter, and a connection of each unit that has it. A unit of a subsampling layer has five
    connections, four of which share one coefficient; those of an RBF unit are not trained.
    """
    counts: list = []
    shape: Tuple[int, ...] = (1, side, side)
    for label, kind, width in table:
        inputs, positions = prod(shape), 1
        if kind == "convolution":
            side -= KERNEL - 1
            shape, positions = (len(width), side, side), side * side
            params = connections = sum(len(seen) * KERNEL * KERNEL + 1 for seen in width)
        elif kind == "subsampling":
            side //= 2
            shape, positions = (width, side, side), side * side
            params, connections = 2 * width, 5 * width
        else:
            shape = (width,)
            params, connections = ((inputs + 1) * width,) * 2 if kind == "dense" else (0, inputs * width)
        counts.append(Count(label, shape, params, connections * positions))
    return counts


# --- layers


class FanInUniform(mx.init.Initializer):
    """Uniform between -2.4 / F and 2.4 / F, F being the number of inputs of the unit that has the weight.

    `fan_in` is F, or a list with one F for each row of the array; by default each row holds the weights of one unit.
    Source: appendix A.
    """

    def __init__(self, fan_in=None):
        super().__init__(fan_in=fan_in)
        self._fan_in = fan_in

    def _init_weight(self, _name, array):
        fan_in = self._fan_in or prod(array.shape[1:])
        limits = 2.4 / nd.array(fan_in if isinstance(fan_in, list) else [fan_in]).reshape(-1, *[1] * (array.ndim - 1))
        array[:] = nd.broadcast_mul(nd.random.uniform(-1, 1, array.shape), limits)


class Squash(nn.HybridBlock):
    """1.7159 tanh(2a/3) of every number, in any shape: 1 and -1 stay as they are. Source: appendix A."""

    def hybrid_forward(self, F, x):
        return 1.7159 * F.tanh(x * (2 / 3))


class Subsampling(nn.HybridBlock):
    """(N, maps, H, W) to (N, maps, H/2, W/2): sums of 2x2 pixels, times a coefficient, plus a bias; one of each a map.

    The squashing function is not included.
    """

    def __init__(self, maps, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.coefficient = self.params.get("coefficient", shape=(maps,), init=FanInUniform(4))
            self.bias = self.params.get("bias", shape=(maps,), init=FanInUniform(4))

    def hybrid_forward(self, F, x, coefficient, bias):
        means = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")  # faster than sums
        by_map = (F.reshape(parameter, (1, -1, 1, 1)) for parameter in (4 * coefficient, bias))
        return F.broadcast_add(F.broadcast_mul(means, next(by_map)), next(by_map))


class PartialConvolution(nn.HybridBlock):
    """(N, C, H, W) to (N, maps, H-4, W-4): 5x5 convolution in which map i sees the maps `seen[i]` only.

    `weight` has one kernel for each pair of maps that are connected, in the order of `seen`, and no others.
    """

    def __init__(self, seen, **kwargs):
        super().__init__(**kwargs)
        self.maps, self._inputs = len(seen), 1 + max(map(max, seen))
        self._connected = [source in row for row in seen for source in range(self._inputs)]
        fan_in = [len(row) * KERNEL * KERNEL for row in seen]
        by_kernel = [number for number, row in zip(fan_in, seen) for _ in row]
        with self.name_scope():
            shape = (sum(self._connected), KERNEL, KERNEL)
            self.weight = self.params.get("weight", shape=shape, init=FanInUniform(by_kernel))
            self.bias = self.params.get("bias", shape=(self.maps,), init=FanInUniform(fan_in))

    def hybrid_forward(self, F, x, weight, bias):
        pieces, start = [], 0  # zeros stand where there is no connection: groups of convolutions are slower
        for connected, run in groupby(self._connected):
            length = len(list(run))
            if connected:
                pieces.append(F.slice_axis(weight, axis=0, begin=start, end=start + length))
                start += length
            else:
                pieces.append(F.zeros_like(F.slice_axis(weight, axis=0, begin=0, end=length)))
        kernels = F.reshape(F.concat(*pieces, dim=0), (self.maps, self._inputs, KERNEL, KERNEL))
        return F.Convolution(x, kernels, bias, kernel=(KERNEL, KERNEL), num_filter=self.maps)


class EuclideanRBF(nn.HybridBlock):
    """(N, 84) to (N, classes): squared distances to the codes of the first `classes` digits; the smallest one wins.

    The codes are a parameter that is not trained.
    """

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        table = codes()[:classes]
        if classes > len(table):
            raise ValueError(
                f"lenet5 has codes for {len(table)} classes, not for {classes}: lenet5_full takes any number"
            )
        with self.name_scope():
            shape = (classes, len(table[0]))
            fixed = {"grad_req": "null", "differentiable": False}
            self.codes = self.params.get("codes", shape=shape, init=_Rows(table), **fixed)

    def hybrid_forward(self, F, x, codes):
        differences = F.broadcast_sub(F.expand_dims(x, axis=1), F.expand_dims(codes, axis=0))
        return F.sum(F.square(differences), axis=2)


class _Rows(mx.init.Initializer):
    """The rows themselves, whatever else a network is initialised with."""

    def __init__(self, rows):
        super().__init__(rows=rows)
        self._rows = rows

    def _init_weight(self, _name, array):
        array[:] = nd.array(self._rows)


# --- losses


class TargetDistanceLoss(gluon.loss.Loss):
    """Squared distances, (N, classes), and labels, (N,), to the distances of the labels' classes, (N,).

    What the paper calls mean squared error: equation 8.
    """

    def __init__(self, **kwargs):
        super().__init__(weight=None, batch_axis=0, **kwargs)

    def hybrid_forward(self, F, distances, labels):
        return F.pick(distances, labels, axis=1)


class MAPLoss(gluon.loss.Loss):
    """Squared distances y, (N, classes), and labels D, (N,), to y_D + log(exp(-j) + sum_i exp(-y_i)), (N,).

    It is minus the logarithm of the posterior probability of the class, beside a class of its own for what is no
    character, whose distance is always `j` > 0. Equation 9; the paper does not print its j.
    """

    def __init__(self, j=J, **kwargs):
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self.j = j

    def hybrid_forward(self, F, distances, labels):
        others = F.ones_like(F.slice_axis(distances, axis=1, begin=0, end=1)) * self.j
        return -F.pick(F.log_softmax(-F.concat(distances, others, dim=1), axis=1), labels, axis=1)


# --- the networks


class LeNet5(nn.Sequential):
    """(N, 1, 32, 32) images to what the last row of `table` gives, for so many `classes`.

    Parameters carry the paper's initial values, and Gluon lets a parameter's own initialiser win: see `AlexNet2012`.
    """

    def __init__(self, table, classes, **kwargs):
        super().__init__(**kwargs)
        *hidden, (_, output, _) = table
        inputs = {after.label: before.shape[0] for before, after in zip(count(table), count(table)[1:])}
        with self.name_scope():
            for label, kind, width in hidden:
                self.add(_layer(kind, width, inputs.get(label)), Squash())
            self.add(EuclideanRBF(classes) if output == "rbf" else _layer(output, classes, inputs["output"]))


class LeNet5Distances(LeNet5):
    """(N, 1, 32, 32) images to (N, classes) squared distances to the classes' codes, of which the smallest wins."""

    objective = Objective(loss=MAPLoss, scores=lambda distances: -distances)

    def __init__(self, classes=10, **kwargs):
        super().__init__(PAPER, classes, **kwargs)


class LeNet5Full(LeNet5):
    """(N, 1, 32, 32) images to (N, classes) logits."""

    def __init__(self, classes=10, **kwargs):
        super().__init__(FULL, classes, **kwargs)


def _layer(kind, width, inputs):
    """The layer of one row of a table, without its squashing function, after `inputs` maps or units."""
    if kind == "subsampling":
        return Subsampling(width)
    if kind == "dense":
        return nn.Dense(width, weight_initializer=FanInUniform(), bias_initializer=FanInUniform(inputs))
    if len(set(width)) > 1:
        return PartialConvolution(width)
    bias = FanInUniform(len(width[0]) * KERNEL * KERNEL)
    return nn.Conv2D(len(width), KERNEL, weight_initializer=FanInUniform(), bias_initializer=bias)


# --- the editions

PIXELS = {"fit": "pad", "background": -0.1, "foreground": 1.175, "init": "published"}


@register(
    source="the paper (Proceedings of the IEEE, 1998), section II.B and appendices A and C",
    input_shape=(1, 32, 32),
    classes=10,
    params=60_000,
    macs=325_680,
    departures=(
        "the paper does not print the constant j of its MAP loss: here it is 1",
        "training: mu = .2 and curvature estimated after every 500 images (paper: .02, and before each pass)",
    ),
    training={
        **PIXELS,
        "epochs": 20,
        "batch_size": 1,
        "optimizer": "diagonallm",
        "learning_rate": 0.0005,
        "schedule": "2:0.4 5:0.2 8:0.1 12:0.02",  # .0002, .0001, .00005, .00001
    },
)
def lenet5(classes=10, **kwargs):
    """LeNet-5 as published in 1998."""
    return LeNet5Distances(classes, **kwargs)


@register(
    source="a later table of LeNet-5",
    input_shape=(1, 32, 32),
    classes=10,
    params=61_750,
    macs=416_520,
    departures=(
        "each map of C3 sees all maps of S2 (paper: some of them)",
        "dense output layer (paper: distances to fixed codes)",
    ),
    training=PIXELS,
)
def lenet5_full(classes=10, **kwargs):
    """LeNet-5 with full connections and a dense output."""
    return LeNet5Full(classes, **kwargs)
