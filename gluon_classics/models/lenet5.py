"""LeNet-5 (LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998).

Source    `lenet5`: the paper; layers from section II.B, the connections of C3 from table I, codes from figure 3, losses
          from II.C, pixels and training from III, squashing function and initial weights from appendix A, step sizes
          from appendix C (see `experiment/diagonal_lm.py`). The learning rates and the 20 passes were compared with an
          independent transcription (LeNet5_train.ipynb of github.com/mattwang44/LeNet-from-Scratch at 399c0a9), the mu
          of .02 with its version at 543a9e5. `lenet5_full`: a later table of the network, with full connections in C3
          and a dense output layer.
Departs   `lenet5`: the paper does not print the j of its MAP loss; here it is 1. The codes are transcribed from the
          figure; the same transcription is equal in all 840 pixels. Biases start as weights do, with the inputs of
          their unit as fan-in; the paper describes weights only.
          Step sizes are smaller (see `experiment/diagonal_lm.py`). Batches of one image are the paper's.
          `lenet5_full`, from the paper: C3, the output layer, and softmax cross-entropy.
Open      - `lenet5`: the paper does not print the constant j of its MAP loss; 1 is a guess.
"""

from itertools import groupby
from math import prod
from typing import NamedTuple, Tuple

import mxnet as mx
from mxnet import gluon, nd
from mxnet.gluon import nn

from .network import Network
from .objective import Objective
from .registry import register

KERNEL = 5
J = 1.0  # of the MAP loss


class Layer(NamedTuple):
    """A row of a layer table.

    `kind` is "convolution", "subsampling", "dense" or "rbf"; `width` is the number of feature maps or units. `seen`
    has the input feature maps that each feature map of a convolution is connected to.
    """

    label: str
    kind: str
    width: int
    seen: Tuple[Tuple[int, ...], ...] = ()


def convolution_row(label, seen):
    """Return the row of a convolution; `seen` as in `Layer`."""
    return Layer(label, "convolution", len(seen), seen)


def fully_connected(inputs, width):
    """Connect each of `width` feature maps to all `inputs`."""
    return (tuple(range(inputs)),) * width


# table I: the feature maps of S2 that each feature map of C3 is connected to
C3 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# section II.B
PAPER = (
    convolution_row("C1", fully_connected(1, 6)),  # (N, 6, 28, 28)
    Layer("S2", "subsampling", 6),  # (N, 6, 14, 14)
    convolution_row("C3", C3),  # (N, 16, 10, 10)
    Layer("S4", "subsampling", 16),  # (N, 16, 5, 5)
    convolution_row("C5", fully_connected(16, 120)),  # (N, 120, 1, 1)
    Layer("F6", "dense", 84),  # (N, 84)
    Layer("output", "rbf", 10),  # (N, 10)
)
FULL = (*PAPER[:2], convolution_row("C3", fully_connected(6, 16)), *PAPER[3:-1], Layer("output", "dense", 10))

# figure 3: 7x12 pixels for each digit, # for +1 and . for -1
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
    """Return the codes of the digits 0 to 9.

    Returns:
        Ten lists of 84 numbers, +1 or -1: the 7x12 pixels row by row.
    """
    rows = [line.split() for line in CODES.split("\n") if line]
    return [[1 if pixel == "#" else -1 for row in rows for pixel in row[digit]] for digit in range(10)]


# --- counting


class Count(NamedTuple):
    """A row of the paper's arithmetic: output shape, trainable parameters and connections of a layer."""

    label: str
    shape: Tuple[int, ...]
    params: int
    connections: int


def count(table=PAPER, side=32):
    """Count the parameters and connections of a network for one image.

    A bias is a parameter, and a connection of each unit that has it. A unit of a subsampling layer has five
    connections, four of which share one coefficient. The connections of an RBF unit are not trained.

    Args:
        table: `Layer` rows.
        side: Height and width of the image, in pixels.

    Returns:
        A list with a `Count` for each row.
    """
    counts: list = []
    shape: Tuple[int, ...] = (1, side, side)
    for layer in table:
        inputs, positions, width = prod(shape), 1, layer.width
        if layer.kind == "convolution":
            side -= KERNEL - 1
            shape, positions = (width, side, side), side * side
            params = connections = sum(len(seen) * KERNEL * KERNEL + 1 for seen in layer.seen)
        elif layer.kind == "subsampling":
            side //= 2
            shape, positions = (width, side, side), side * side
            params, connections = 2 * width, 5 * width
        else:
            shape = (width,)
            params, connections = ((inputs + 1) * width,) * 2 if layer.kind == "dense" else (0, inputs * width)
        counts.append(Count(layer.label, shape, params, connections * positions))
    return counts


# --- layers


class FanInUniform(mx.init.Initializer):
    """Draw weights uniformly between -2.4 / F and 2.4 / F, where F is the number of inputs of a unit.

    Source: appendix A.

    Args:
        fan_in: F, or a list with one F for each row of the array. By default each row holds the weights of one unit.
    """

    def __init__(self, fan_in=None):
        super().__init__(fan_in=fan_in)
        self._fan_in = fan_in

    def _init_weight(self, _name, array):
        fan_in = self._fan_in or prod(array.shape[1:])
        limits = 2.4 / nd.array(fan_in if isinstance(fan_in, list) else [fan_in]).reshape(-1, *[1] * (array.ndim - 1))
        array[:] = nd.broadcast_mul(nd.random.uniform(-1, 1, array.shape), limits)


class Squash(nn.HybridBlock):
    """Compute 1.7159 tanh(2a/3) elementwise, which maps 1 to 1 and -1 to -1. Source: appendix A."""

    def hybrid_forward(self, F, x):
        return 1.7159 * F.tanh(x * (2 / 3))


class Subsampling(nn.HybridBlock):
    """Sum 2x2 pixels, multiply by a coefficient and add a bias: (N, maps, H, W) to (N, maps, H/2, W/2).

    The squashing function is not included.

    Args:
        maps: Number of feature maps. Each has one coefficient and one bias.
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
    """5x5 convolution with partial connections: (N, C, H, W) to (N, len(seen), H-4, W-4) if the stride is 1.

    `weight` has one kernel for each connected pair of feature maps, in the order of `seen`.

    Args:
        seen: For each output feature map, the numbers of the input feature maps that it is connected to, in order.
        strides: Stride in both directions.
        use_bias: Whether each output feature map has a bias.
    """

    def __init__(self, seen, strides=1, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.maps, self.strides, self._inputs = len(seen), strides, 1 + max(map(max, seen))
        self._connected = [source in row for row in seen for source in range(self._inputs)]
        fan_in = [len(row) * KERNEL * KERNEL for row in seen]
        by_kernel = [number for number, row in zip(fan_in, seen) for _ in row]
        with self.name_scope():
            shape = (sum(self._connected), KERNEL, KERNEL)
            self.weight = self.params.get("weight", shape=shape, init=FanInUniform(by_kernel))
            self.bias = self.params.get("bias", shape=(self.maps,), init=FanInUniform(fan_in)) if use_bias else None

    def hybrid_forward(self, F, x, weight, bias=None):
        pieces, start = [], 0  # unconnected pairs get zeros: separate convolutions are slower
        for connected, run in groupby(self._connected):
            length = len(list(run))
            if connected:
                pieces.append(F.slice_axis(weight, axis=0, begin=start, end=start + length))
                start += length
            else:
                pieces.append(F.zeros_like(F.slice_axis(weight, axis=0, begin=0, end=length)))
        kernels = F.reshape(F.concat(*pieces, dim=0), (self.maps, self._inputs, KERNEL, KERNEL))
        settings = {"kernel": (KERNEL, KERNEL), "num_filter": self.maps}
        if self.strides > 1:
            settings["stride"] = (self.strides, self.strides)
        if bias is None:
            return F.Convolution(x, kernels, no_bias=True, **settings)
        return F.Convolution(x, kernels, bias, **settings)


class EuclideanRBF(nn.HybridBlock):
    """Compute squared distances to the codes of the digits: (N, 84) to (N, classes).

    The smallest distance is the predicted class. The codes are a parameter that is not trained.

    Args:
        classes: Number of classes: the first digits, at most 10.

    Raises:
        ValueError: There are more classes than codes.
    """

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        table = codes()[:classes]
        if classes > len(table):
            known = f"lenet5 has codes for {len(table)} classes, not for {classes}."
            raise ValueError(f"{known} Use lenet5_full, which takes any number.")
        with self.name_scope():
            shape = (classes, len(table[0]))
            fixed = {"grad_req": "null", "differentiable": False}
            self.codes = self.params.get("codes", shape=shape, init=_Rows(table), **fixed)

    def hybrid_forward(self, F, x, codes):
        differences = F.broadcast_sub(F.expand_dims(x, axis=1), F.expand_dims(codes, axis=0))
        return F.sum(F.square(differences), axis=2)


class _Rows(mx.init.Initializer):
    """Set the array to fixed rows, whichever initializer the network is given."""

    def __init__(self, rows):
        super().__init__(rows=rows)
        self._rows = rows

    def _init_weight(self, _name, array):
        array[:] = nd.array(self._rows)


# --- losses


class TargetDistanceLoss(gluon.loss.Loss):
    """Pick the distance of each label's class: (N, classes) squared distances and (N,) labels to (N,) losses.

    The paper calls it mean squared error: equation 8.
    """

    def __init__(self, **kwargs):
        super().__init__(weight=None, batch_axis=0, **kwargs)

    def hybrid_forward(self, F, distances, labels):
        return F.pick(distances, labels, axis=1)


class MAPLoss(gluon.loss.Loss):
    """Compute y_D + log(exp(-j) + sum_i exp(-y_i)): (N, classes) squared distances y and (N,) labels D to (N,) losses.

    It is the negative log posterior probability of the label, with an additional class for images that show no
    character; the distance of that class is always j. Equation 9.

    Args:
        j: Positive constant, which the paper does not print.
    """

    def __init__(self, j=J, **kwargs):
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self.j = j

    def hybrid_forward(self, F, distances, labels):
        others = F.ones_like(F.slice_axis(distances, axis=1, begin=0, end=1)) * self.j
        return -F.pick(F.log_softmax(-F.concat(distances, others, dim=1), axis=1), labels, axis=1)


# --- the networks


class LeNet5(Network):
    """LeNet-5 by a table: (N, 1, side, side) images to (N, classes) outputs of the table's last row.

    Layers are attributes with the paper's labels; `C1_squash` is the squashing function after C1.

    The parameters carry the paper's initial values, and Gluon prefers a parameter's own initializer: see `AlexNet2012`.

    Args:
        table: `Layer` rows.
        classes: Number of classes, which replaces the width of the last row.
        side: Height and width of the image, in pixels.
    """

    def __init__(self, table, classes, side=32, **kwargs):
        super().__init__(**kwargs)
        *hidden, output = table
        counts = count(table, side)
        inputs = {after.label: prod(before.shape) for before, after in zip(counts, counts[1:])}
        with self.name_scope():
            for layer in hidden:
                setattr(self, layer.label, _block(layer, inputs.get(layer.label)))
                setattr(self, f"{layer.label}_squash", Squash())
            self.output = _block(output._replace(width=classes), inputs[output.label])


class LeNet5Distances(LeNet5):
    """LeNet-5 of the paper: (N, 1, 32, 32) images to (N, classes) squared distances to the codes of the classes.

    The smallest distance is the predicted class.

    Args:
        classes: Number of classes, at most 10.
    """

    objective = Objective(loss=MAPLoss, scores=lambda distances: -distances)

    def __init__(self, classes=10, **kwargs):
        super().__init__(PAPER, classes, **kwargs)


class LeNet5Full(LeNet5):
    """LeNet-5 with full connections and a dense output layer: (N, 1, 32, 32) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(FULL, classes, **kwargs)


def _block(layer, inputs):
    """Build the layer of one row, without its squashing function, for `inputs` feature maps or units."""
    if layer.kind == "subsampling":
        return Subsampling(layer.width)
    if layer.kind == "rbf":
        return EuclideanRBF(layer.width)
    if layer.kind == "dense":
        return nn.Dense(layer.width, weight_initializer=FanInUniform(), bias_initializer=FanInUniform(inputs))
    if len(set(layer.seen)) > 1:
        return PartialConvolution(layer.seen)
    bias = FanInUniform(len(layer.seen[0]) * KERNEL * KERNEL)
    return nn.Conv2D(layer.width, KERNEL, weight_initializer=FanInUniform(), bias_initializer=bias)


# --- the editions

PIXELS = {"fit": "pad", "background": -0.1, "foreground": 1.175, "init": "published"}


@register(
    source="the paper (Proceedings of the IEEE, 1998), section II.B and appendices A and C",
    input_shape=(1, 32, 32),
    classes=10,
    params=60_000,
    macs=325_680,
    departures=("the constant j of the MAP loss is 1 (the paper does not print it)",),
    training={
        **PIXELS,
        "epochs": 20,
        "batch_size": 1,
        "optimizer": "diagonallm",
        "learning_rate": 0.0005,
        "schedule": "2:0.4 5:0.2 8:0.1 12:0.02",  # .0002, .0001, .00005, .00001
    },
    not_done=(
        "a mu of .02, which is added to the curvature in the step size (here: .2)",
        "the curvature is estimated before each pass (here: after every 500 images)",
    ),
)
def lenet5(classes=10, **kwargs):
    """Build LeNet-5 as published in 1998."""
    return LeNet5Distances(classes, **kwargs)


@register(
    source="a later table of LeNet-5",
    input_shape=(1, 32, 32),
    classes=10,
    params=61_750,
    macs=416_520,
    departures=(
        "each feature map of C3 is connected to all of S2 (paper: to some)",
        "dense output layer (paper: distances to fixed codes)",
    ),
    training=PIXELS,
)
def lenet5_full(classes=10, **kwargs):
    """Build LeNet-5 with full connections and a dense output layer."""
    return LeNet5Full(classes, **kwargs)
