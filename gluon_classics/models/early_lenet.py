"""Early LeNets (LeCun, Boser, Denker, Henderson, Howard, Hubbard & Jackel, two papers of 1989).

Source    `lenet_1989`: "Backpropagation applied to handwritten zip code recognition", Neural Computation 1.
          `lenet1`: "Handwritten digit recognition with a back-propagation network", NIPS 2. Later papers of the authors
          call it LeNet-1 ("Learning algorithms for classification", 1995) and place its 16x16 images in 28x28 pixels.
Departs   Biases start as weights do, with the inputs of their unit as fan-in; the papers describe weights only.
          Both papers train with a Newton method; the settings here are plain gradient descent, with the learning rate
          of github.com/karpathy/lecun1989-repro.
Open      - `lenet_1989`: the paper does not say which eight feature maps of H1 each one of H2 is connected to. Here it
            is the scheme of github.com/karpathy/lecun1989-repro: three groups of four feature maps.
          - `lenet_1989`: where the 5x5 windows lie on 16x16 pixels is not printed. Here, as in the same repository, two
            pixels of background are around the image, and the last window extends one pixel beyond it.
          - Both papers name a scaled hyperbolic tangent or "squashing function" without its constants. Those of the
            paper of 1998 are used: 1.7159 tanh(2a/3). The targets are then 1 and -1.
          - `lenet1`: that the units of H2, H4 and the output are squashed is not said; those of LeNet-5's subsampling
            layers are.
          - `lenet1`: table 1 was compared with another project's transcription, not with the printed page. The paper's
            totals confirm its number of connections, 20, but not which ones.
          - There is no LeNet-4: the authors' papers of 1994 to 1998 print its 4 and 16 feature maps, 120 and 10 units,
            about 260,000 connections and about 17,000 parameters, but not the connections. Connected to all of 16
            feature maps of 5x5, the 120 units alone would have 48,120 parameters.
"""

from mxnet import gluon
from mxnet.gluon import nn

from ._blocks import chain
from .lenet5 import (
    KERNEL,
    FanInUniform,
    Layer,
    LeNet5,
    PartialConvolution,
    Squash,
    convolution_row,
    fully_connected,
)
from .network import Network
from .objective import Objective
from .registry import register

BACKGROUND = -1.0  # value of the pixels beyond the border
BORDER = 2  # pixels
STRIDES = 2

# H2 of `lenet_1989`: four feature maps for each group, which is connected to eight of the twelve feature maps of H1
GROUPS = (tuple(range(8)), tuple(range(4, 12)), (*range(4), *range(8, 12)))
H2 = tuple(group for group in GROUPS for _ in range(4))

# table 1 of the second paper: the feature maps of H2 that each feature map of H3 is connected to
H3 = (
    *((0,), (0, 1), (0, 1), (1,), (0, 1), (0, 1)),
    *((2,), (2, 3), (2, 3), (3,), (2, 3), (2, 3)),
)

LENET1 = (
    convolution_row("H1", fully_connected(1, 4)),  # (N, 4, 24, 24)
    Layer("H2", "subsampling", 4),  # (N, 4, 12, 12)
    convolution_row("H3", H3),  # (N, 12, 8, 8)
    Layer("H4", "subsampling", 12),  # (N, 12, 4, 4)
    Layer("output", "dense", 10),  # (N, 10)
)


class Border(nn.HybridBlock):
    """Surround feature maps with two pixels of background: (N, C, H, W) to (N, C, H+4, W+4)."""

    def hybrid_forward(self, F, x):
        widths = (0, 0, 0, 0, BORDER, BORDER, BORDER, BORDER)
        return F.pad(x, mode="constant", constant_value=BACKGROUND, pad_width=widths)


class UnitBias(nn.HybridBlock):
    """Add a bias to each unit: (N, C, H, W) to the same shape.

    Args:
        shape: (C, H, W).
        fan_in: Number of inputs of a unit.
    """

    def __init__(self, shape, fan_in, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.bias = self.params.get("bias", shape=shape, init=FanInUniform(fan_in))

    def hybrid_forward(self, F, x, bias):
        return F.broadcast_add(x, F.expand_dims(bias, axis=0))


def subsampled_convolution(seen, side):
    """Build a 5x5 convolution with stride 2 and a bias for each unit: (N, C, H, W) to (N, len(seen), H/2, W/2).

    Connections beyond the border of a feature map see the background.

    Args:
        seen: For each output feature map, the numbers of the input feature maps that it is connected to, as many for
            each.
        side: Height and width of an output feature map.
    """
    settings = {"strides": STRIDES, "use_bias": False}
    if len(set(seen)) > 1:
        convolution = PartialConvolution(seen, **settings)
    else:
        convolution = nn.Conv2D(len(seen), KERNEL, weight_initializer=FanInUniform(), **settings)
    bias = UnitBias((len(seen), side, side), fan_in=len(seen[0]) * KERNEL * KERNEL)
    return chain(border=Border(), convolution=convolution, bias=bias)


class SquaredErrorLoss(gluon.loss.Loss):
    """Compute the mean squared difference to the targets: (N, classes) outputs and (N,) labels to (N,) losses.

    The target is 1 for the label and -1 for all other classes. The mean is over the classes.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes, **kwargs):
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self.classes = classes

    def hybrid_forward(self, F, outputs, labels):
        picked = F.pick(outputs, labels, axis=1)
        without_label = F.mean(F.square(outputs + 1), axis=1)
        return without_label + (F.square(picked - 1) - F.square(picked + 1)) / self.classes


class LeNet1989(Network):
    """The network of the first paper: (N, 1, 16, 16) images to (N, classes) outputs between -1.7159 and 1.7159.

    Layers are attributes with the paper's labels. The parameters carry the paper's initial values, and Gluon prefers a
    parameter's own initializer: see `AlexNet2012`.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(**kwargs)
        self.objective = Objective(loss=lambda: SquaredErrorLoss(classes))
        with self.name_scope():
            self.H1 = subsampled_convolution(fully_connected(1, 12), side=8)  # (N, 12, 8, 8)
            self.H1_squash = Squash()
            self.H2 = subsampled_convolution(H2, side=4)  # (N, 12, 4, 4)
            self.H2_squash = Squash()
            self.H3 = nn.Dense(30, weight_initializer=FanInUniform(), bias_initializer=FanInUniform(12 * 4 * 4))
            self.H3_squash = Squash()
            self.output = nn.Dense(classes, weight_initializer=FanInUniform(), bias_initializer=FanInUniform(30))
            self.output_squash = Squash()


class LeNet1(LeNet5):
    """LeNet-1: (N, 1, 28, 28) images to (N, classes) outputs between -1.7159 and 1.7159.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(LENET1, classes, side=28, **kwargs)
        self.objective = Objective(loss=lambda: SquaredErrorLoss(classes))
        with self.name_scope():
            self.output_squash = Squash()


PIXELS = {"background": BACKGROUND, "foreground": 1.0, "init": "published"}
NEWTON = "a Newton method with a diagonal Hessian (here: gradient descent)"


@register(
    source="Neural Computation 1 (1989), pages 541 to 551",
    input_shape=(1, 16, 16),
    classes=10,
    params=9_760,
    macs=63_660,
    departures=(
        "the feature maps of H1 that each one of H2 is connected to are a guess (the paper does not print them)",
        "the constants of the squashing function are those of 1998 (the paper does not print them)",
    ),
    training={**PIXELS, "epochs": 23, "batch_size": 1, "learning_rate": 0.03},
    not_done=(NEWTON,),
)
def lenet_1989(classes=10, **kwargs):
    """Build the network of 1989 for handwritten zip codes."""
    return LeNet1989(classes, **kwargs)


@register(
    source="NIPS 2 (1989), pages 396 to 404",
    input_shape=(1, 28, 28),
    classes=10,
    params=2_578,
    macs=91_520,
    departures=(
        "the constants of the squashing function are those of 1998 (the paper does not print them)",
        "images of 28x28 pixels (paper: of 16x16, within 28x28)",
    ),
    training={**PIXELS, "epochs": 30, "batch_size": 1, "learning_rate": 0.03},
    not_done=(NEWTON,),
)
def lenet1(classes=10, **kwargs):
    """Build LeNet-1."""
    return LeNet1(classes, **kwargs)
