"""LeNet (LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998).

Source    `lenet`: the blog; its network is the one of the Gluon tutorials of early 2018. `lenet_bn_scratch_tutorial`,
          `lenet_bn_tutorial`: the tutorials' chapters on batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167),
          written out and as Gluon's layer (github.com/d2l-ai/d2l-zh at 48207ef1, September 2017, and at 5b3f3497).
          `lenet_slides`: the slides "LeNet, AlexNet, VGG, NiN".
          `lenet_straight_dope`, `lenet_bn_straight_dope`: "MXNet: the straight dope" (2017), the forerunner of D2L,
          without and with batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167). `lenet_scratch_straight_dope`,
          `lenet_bn_scratch_straight_dope`: the chapters of the same book that write everything out, at 9a8da57.
          `lenet_d2l_first`: Dive into Deep Learning (D2L) in Chinese, first edition. `lenet_d2l`: D2L in English, and
          the second edition in Chinese. `lenet_bn_scratch`, `lenet_bn`: D2L in English from 0.16.6 (June 2021) on, with
          batch normalization written out and as Gluon's layer. `lenet_bn_scratch_first`, `lenet_bn_first`: earlier
          versions of these two, with max pooling, as in the Chinese first edition. `lenet_conv3`: teaching material
          whose authors we do not know. `lenet_cifar10`: models/LeNet.py of github.com/icpm/pytorch-cifar10 at 1e49822;
          its training from main.py.
          `lenet_caffe`: examples/mnist/lenet_train_test.prototxt of github.com/BVLC/caffe at 9b89154; its training from
          lenet_solver.prototxt. `lenet_slim`: research/slim/nets/lenet.py of github.com/tensorflow/models at 5440b66;
          its training from research/slim/scripts/train_lenet_on_mnist.sh at d318246. `lenet_pytorch_2017`,
          `lenet_pytorch_2018`, `lenet_pytorch`: mnist/main.py of github.com/pytorch/examples from 32c7386 (January
          2017), d8dd8ca (December 2018) and 0f0c913 (October 2020) on; the file calls its network `Net`.
Departs   From the paper, all: full connections between feature maps (paper: partial), plain pooling (trainable
          subsampling), softmax logits (RBF output), and tanh, sigmoid or ReLU (scaled tanh).
          `lenet`, `lenet_slides`, straight dope: 20 and 50 channels (paper: 6 and 16), one hidden layer. `lenet`: a
          3x3 second convolution. `lenet_d2l_first` and those with batch normalization: 28x28 images without padding,
          which leaves 4x4 feature maps (paper: 5x5). `lenet_cifar10`: 3 input channels. Caffe's, TF-Slim's and
          PyTorch's examples: other widths, and 28x28 images; most of them use dropout.
          From the examples, in training: whole epochs instead of the 10,000 steps of Caffe's and the 20,000 of
          TF-Slim's. Caffe's learning rate falls after every step (policy "inv"), biases learn twice as fast as weights,
          and its Xavier initialization uses the fan-in only. TF-Slim's weights are drawn from a truncated normal
          distribution. MXNet's AdaDelta has no learning rate, which falls from 1 by a factor of .7 per epoch in
          PyTorch's example, and another epsilon.
Open      - `lenet_conv3`: the authors are not known. They name no activation; ReLU after the convolutions is a guess.
"""

from functools import partial
from typing import Callable, NamedTuple, Optional, Tuple

import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn

from ._batch_norm import ScratchBatchNorm
from .network import Network
from .registry import register


class Convolution(NamedTuple):
    """A convolution, then 2x2 pooling with stride 2 unless `pool` is None."""

    channels: int
    kernel: int
    pool: Optional[Callable]
    padding: int = 0


class Table(NamedTuple):
    """A network: its convolutions, the units of its hidden dense layers, and the activation of all of these."""

    convolutions: Tuple[Convolution, ...]
    hidden: Tuple[int, ...]
    activation: str


# comments give the shapes after the pools
BLOG = Table(
    convolutions=(
        Convolution(20, kernel=5, pool=nn.MaxPool2D),  # (N, 20, 12, 12), from 28x28 images
        Convolution(50, kernel=3, pool=nn.MaxPool2D),  # (N, 50, 5, 5)
    ),
    hidden=(128,),
    activation="relu",
)
SLIDES = Table(
    convolutions=(
        Convolution(20, kernel=5, pool=nn.AvgPool2D),  # (N, 20, 12, 12), from 28x28 images
        Convolution(50, kernel=5, pool=nn.AvgPool2D),  # (N, 50, 4, 4)
    ),
    hidden=(500,),
    activation="tanh",
)
STRAIGHT_DOPE = Table(
    convolutions=(
        Convolution(20, kernel=5, pool=nn.MaxPool2D),  # (N, 20, 12, 12), from 28x28 images
        Convolution(50, kernel=5, pool=nn.MaxPool2D),  # (N, 50, 4, 4)
    ),
    hidden=(512,),
    activation="relu",
)
STRAIGHT_DOPE_SCRATCH = Table(
    convolutions=(
        Convolution(20, kernel=3, pool=nn.AvgPool2D),  # (N, 20, 13, 13), from 28x28 images
        Convolution(50, kernel=5, pool=nn.AvgPool2D),  # (N, 50, 4, 4)
    ),
    hidden=(128,),
    activation="relu",
)
D2L_FIRST = Table(
    convolutions=(
        Convolution(6, kernel=5, pool=nn.MaxPool2D),  # (N, 6, 12, 12), from 28x28 images
        Convolution(16, kernel=5, pool=nn.MaxPool2D),  # (N, 16, 4, 4)
    ),
    hidden=(120, 84),
    activation="sigmoid",
)
D2L = Table(
    convolutions=(
        Convolution(6, kernel=5, pool=nn.AvgPool2D, padding=2),  # (N, 6, 14, 14), from 28x28 images
        Convolution(16, kernel=5, pool=nn.AvgPool2D),  # (N, 16, 5, 5)
    ),
    hidden=(120, 84),
    activation="sigmoid",
)
D2L_BN = Table(
    convolutions=(
        Convolution(6, kernel=5, pool=nn.AvgPool2D),  # (N, 6, 12, 12), from 28x28 images
        Convolution(16, kernel=5, pool=nn.AvgPool2D),  # (N, 16, 4, 4)
    ),
    hidden=(120, 84),
    activation="sigmoid",
)
CONV3 = Table(
    convolutions=(
        Convolution(6, kernel=5, pool=nn.MaxPool2D),  # (N, 6, 14, 14), from 32x32 images
        Convolution(16, kernel=5, pool=nn.MaxPool2D),  # (N, 16, 5, 5)
        Convolution(120, kernel=5, pool=None),  # (N, 120, 1, 1)
    ),
    hidden=(84,),
    activation="relu",
)
CIFAR10 = Table(
    convolutions=(
        Convolution(6, kernel=5, pool=nn.MaxPool2D),  # (N, 6, 14, 14), from 32x32 images
        Convolution(16, kernel=5, pool=nn.MaxPool2D),  # (N, 16, 5, 5)
    ),
    hidden=(120, 84),
    activation="relu",
)


class Reshape(nn.HybridBlock):
    """Turn (N, 784) or (N, 1, 28, 28) into (N, 1, 28, 28). Source: the first layer of D2L's LeNet for PyTorch."""

    def hybrid_forward(self, F, x):
        return F.reshape(x, shape=(-1, 1, 28, 28))


class LeNetEdition(Network):
    """LeNet by a table: (N, C, H, W) images to (N, classes) logits.

    Args:
        table: The convolutions, the hidden dense layers and their activation.
        classes: Number of classes.
        norm: Function from the number of features and the number of axes (2 or 4) to a normalization layer, or to None
            for no normalization there. The layer goes between a convolution or hidden dense layer and its activation.
        reshape: Whether a `Reshape` comes first.
    """

    def __init__(self, table, classes, norm=None, reshape=False, **kwargs):
        super().__init__(**kwargs)

        def add(layer, features, dimensions, **settings):
            normalization = norm and norm(features, dimensions)
            if normalization:  # the layer's own activation would come before it
                self.add(layer(features, **settings), normalization, nn.Activation(table.activation))
            else:
                self.add(layer(features, **settings, activation=table.activation))

        with self.name_scope():
            if reshape:
                self.add(Reshape())
            for row in table.convolutions:
                add(nn.Conv2D, row.channels, dimensions=4, kernel_size=row.kernel, padding=row.padding)
                if row.pool:
                    self.add(row.pool(pool_size=2, strides=2))
            self.add(nn.Flatten())
            for units in table.hidden:
                add(nn.Dense, units, dimensions=2)
            self.add(nn.Dense(classes))


class LeNet(LeNetEdition):
    """The blog's LeNet: (N, 1, 28, 28) images, or larger ones, to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes=10, **kwargs):
        super().__init__(BLOG, classes, **kwargs)


def batch_norm(_features, _dimensions):
    """Make Gluon's layer, which infers both arguments from its input."""
    return nn.BatchNorm()


class AroundOne(mx.init.Initializer):
    """Draw from a normal distribution with mean 1 and standard deviation `sigma`."""

    def __init__(self, sigma):
        super().__init__(sigma=sigma)
        self._sigma = sigma

    def _init_weight(self, _name, array):
        array[:] = nd.random.normal(1, self._sigma, array.shape)


def straight_dope_scratch(classes, norm=None, **kwargs):
    """Build a network in which all parameters, also biases, start from N(0, .01), and scales from N(1, .01)."""
    net = LeNetEdition(STRAIGHT_DOPE_SCRATCH, classes, norm, **kwargs)
    for name, parameter in net.collect_params().items():
        if parameter.grad_req != "null":
            parameter.init = AroundOne(0.01) if name.endswith("gamma") else mx.init.Normal(0.01)
    return net


def tutorial_batch_norm(_features, dimensions):
    """Make Gluon's layer for feature maps; the tutorial does not normalize dense layers."""
    return nn.BatchNorm() if dimensions == 4 else None


def tutorial_scratch_batch_norm(features, dimensions):
    """Make the layer that the tutorial writes out, with its initial values, for feature maps only."""
    if dimensions == 2:
        return None
    drawn = {"gamma": mx.init.Normal(0.01), "beta": mx.init.Normal(0.01)}
    return ScratchBatchNorm(features, dimensions, running_var="zeros", **drawn)


# --- examples of other libraries: their layers have names. Comments give the shapes, from 28x28 images


class Example(Network):
    """A network of named stages: (N, C, H, W) images to (N, classes) logits.

    Args:
        stages: Function from the number of classes to the stages by name, in order.
        classes: Number of classes.
    """

    def __init__(self, stages, classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            for name, stage in stages(classes).items():
                setattr(self, name, stage)


def caffe(classes):
    return {
        "conv1": nn.Conv2D(20, kernel_size=5),  # (N, 20, 24, 24)
        "pool1": nn.MaxPool2D(pool_size=2, strides=2, ceil_mode=True),  # (N, 20, 12, 12); Caffe rounds up
        "conv2": nn.Conv2D(50, kernel_size=5),  # (N, 50, 8, 8)
        "pool2": nn.MaxPool2D(pool_size=2, strides=2, ceil_mode=True),  # (N, 50, 4, 4)
        "flatten": nn.Flatten(),
        "ip1": nn.Dense(500, activation="relu"),
        "ip2": nn.Dense(classes),
    }


def slim(classes):
    return {
        "conv1": nn.Conv2D(32, kernel_size=5, padding=2, activation="relu"),  # (N, 32, 28, 28)
        "pool1": nn.MaxPool2D(pool_size=2, strides=2),  # (N, 32, 14, 14)
        "conv2": nn.Conv2D(64, kernel_size=5, padding=2, activation="relu"),  # (N, 64, 14, 14)
        "pool2": nn.MaxPool2D(pool_size=2, strides=2),  # (N, 64, 7, 7)
        "flatten": nn.Flatten(),
        "fc3": nn.Dense(1024, activation="relu"),
        "dropout3": nn.Dropout(0.5),
        "fc4": nn.Dense(classes),
    }


def pytorch_2017(classes):
    return {
        "conv1": nn.Conv2D(10, kernel_size=5),  # (N, 10, 24, 24)
        "pool1": nn.MaxPool2D(pool_size=2, strides=2),  # (N, 10, 12, 12)
        "relu1": nn.Activation("relu"),
        "conv2": nn.Conv2D(20, kernel_size=5),  # (N, 20, 8, 8)
        "conv2_drop": nn.Dropout(0.5, axes=(2, 3)),  # whole feature maps
        "pool2": nn.MaxPool2D(pool_size=2, strides=2),  # (N, 20, 4, 4)
        "relu2": nn.Activation("relu"),
        "flatten": nn.Flatten(),
        "fc1": nn.Dense(50, activation="relu"),
        "dropout": nn.Dropout(0.5),
        "fc2": nn.Dense(classes),
    }


def pytorch_2018(classes):
    return {
        "conv1": nn.Conv2D(20, kernel_size=5, activation="relu"),  # (N, 20, 24, 24)
        "pool1": nn.MaxPool2D(pool_size=2, strides=2),  # (N, 20, 12, 12)
        "conv2": nn.Conv2D(50, kernel_size=5, activation="relu"),  # (N, 50, 8, 8)
        "pool2": nn.MaxPool2D(pool_size=2, strides=2),  # (N, 50, 4, 4)
        "flatten": nn.Flatten(),
        "fc1": nn.Dense(500, activation="relu"),
        "fc2": nn.Dense(classes),
    }


def pytorch(classes):
    return {
        "conv1": nn.Conv2D(32, kernel_size=3, activation="relu"),  # (N, 32, 26, 26)
        "conv2": nn.Conv2D(64, kernel_size=3, activation="relu"),  # (N, 64, 24, 24)
        "pool": nn.MaxPool2D(pool_size=2, strides=2),  # (N, 64, 12, 12)
        "dropout1": nn.Dropout(0.25),
        "flatten": nn.Flatten(),
        "fc1": nn.Dense(128, activation="relu"),
        "dropout2": nn.Dropout(0.5),
        "fc2": nn.Dense(classes),
    }


# --- the editions; most take 28x28 images, and many share departures

PAPER = "(paper: scaled tanh, trainable subsampling, RBF output)"
RELU_MAX = f"ReLU, max pooling and softmax {PAPER}"
SIGMOID_MAX = f"sigmoid, max pooling and softmax {PAPER}"
SIGMOID_AVERAGE = f"sigmoid, average pooling and softmax {PAPER}"
FULL = "full connections between feature maps (paper: partial)"
MORE_CHANNELS = "20 and 50 channels (paper: 6 and 16, partial connections)"
ONE_HIDDEN = "one hidden layer of {} units (paper: C5 of 120 feature maps and F6 of 84 units)"
UNPADDED = "28x28 images without padding, which leaves 4x4 feature maps (paper: 5x5)"
NORMALIZED = "batch normalization (later than the paper)"
BY_HAND = f"{NORMALIZED}, written out, so that the network cannot be compiled"
SMALL_SECOND = "20 and 50 channels (paper: 6 and 16), the second convolution 3x3 (paper: 5x5, partial connections)"
DROPOUT = "dropout (later than the paper)"
OTHER_CHANNELS = "{} and {} channels (paper: 6 and 16, partial connections)"

# PyTorch's initial weights, and the mean and standard deviation of MNIST's pixels
PYTORCH_TRAINING = {
    **{"batch_size": 64, "init": "pytorch"},
    **{"background": -0.1307 / 0.3081, "foreground": (1 - 0.1307) / 0.3081},
}

on_28 = partial(register, input_shape=(1, 28, 28), classes=10)


@on_28(
    source="the blog (March 2018), after the Gluon tutorial",
    params=170_988,
    macs=1_349_280,
    departures=(SMALL_SECOND, RELU_MAX, ONE_HIDDEN.format(128)),
)
def lenet(classes=10, **kwargs):
    """Build the blog's LeNet."""
    return LeNet(classes, **kwargs)


@on_28(
    source="the Gluon tutorial (early 2018)",
    params=171_128,
    macs=1_349_280,
    departures=(BY_HAND, SMALL_SECOND, RELU_MAX, ONE_HIDDEN.format(128)),
)
def lenet_bn_scratch_tutorial(classes=10, **kwargs):
    """Build the tutorial's LeNet with batch normalization by hand; it runs eagerly only (see `ScratchBatchNorm`)."""
    return LeNetEdition(BLOG, classes, norm=tutorial_scratch_batch_norm, **kwargs)


@on_28(
    source="the Gluon tutorial (early 2018)",
    params=171_128,
    macs=1_349_280,
    departures=(NORMALIZED, SMALL_SECOND, RELU_MAX, ONE_HIDDEN.format(128)),
)
def lenet_bn_tutorial(classes=10, **kwargs):
    """Build the tutorial's LeNet with batch normalization of the convolutions."""
    return LeNetEdition(BLOG, classes, norm=tutorial_batch_norm, **kwargs)


@on_28(
    source='the slides "LeNet, AlexNet, VGG, NiN"',
    params=431_080,
    macs=2_293_000,
    departures=(MORE_CHANNELS, f"tanh, average pooling and softmax {PAPER}", ONE_HIDDEN.format(500)),
)
def lenet_slides(classes=10, **kwargs):
    """Build the LeNet of the slides."""
    return LeNetEdition(SLIDES, classes, **kwargs)


@on_28(
    source="MXNet: the straight dope (2017)",
    params=440_812,
    macs=2_302_720,
    departures=(MORE_CHANNELS, RELU_MAX, ONE_HIDDEN.format(512)),
)
def lenet_straight_dope(classes=10, **kwargs):
    """Build the straight dope's LeNet."""
    return LeNetEdition(STRAIGHT_DOPE, classes, **kwargs)


@on_28(
    source="MXNet: the straight dope (2017)",
    params=441_976,
    macs=2_302_720,
    departures=(NORMALIZED, MORE_CHANNELS, RELU_MAX, ONE_HIDDEN.format(512)),
)
def lenet_bn_straight_dope(classes=10, **kwargs):
    """Build the straight dope's LeNet with batch normalization."""
    return LeNetEdition(STRAIGHT_DOPE, classes, norm=batch_norm, **kwargs)


# the book's rates, .01 and .001, multiply the sum of a batch's gradients; ours multiply the sum divided by 64
STRAIGHT_DOPE_TRAINING = {"epochs": 10, "batch_size": 64, "last_batch": "scale", "init": "published"}
SMALL_FIRST = "20 and 50 channels (paper: 6 and 16, partial connections), the first convolution 3x3 (paper: 5x5)"
RELU_AVERAGE = f"ReLU, average pooling and softmax {PAPER}"


@on_28(
    source="MXNet: the straight dope (2017)",
    params=129_068,
    macs=2_250_360,
    departures=(SMALL_FIRST, RELU_AVERAGE, ONE_HIDDEN.format(128)),
    training={**STRAIGHT_DOPE_TRAINING, "learning_rate": 0.64},
)
def lenet_scratch_straight_dope(classes=10, **kwargs):
    """Build the LeNet that the straight dope writes out."""
    return straight_dope_scratch(classes, **kwargs)


@on_28(
    source="MXNet: the straight dope (2017)",
    params=129_464,
    macs=2_250_360,
    departures=(BY_HAND, SMALL_FIRST, RELU_AVERAGE, ONE_HIDDEN.format(128)),
    training={**STRAIGHT_DOPE_TRAINING, "learning_rate": 0.064},
)
def lenet_bn_scratch_straight_dope(classes=10, **kwargs):
    """Build the straight dope's LeNet with batch normalization by hand; it runs eagerly only."""
    return straight_dope_scratch(classes, norm=ScratchBatchNorm, **kwargs)


@on_28(
    source="D2L in Chinese, first edition",
    params=44_426,
    macs=281_640,
    departures=(FULL, UNPADDED, SIGMOID_MAX),
)
def lenet_d2l_first(classes=10, **kwargs):
    """Build the LeNet of D2L's first edition: no padding, max pooling."""
    return LeNetEdition(D2L_FIRST, classes, **kwargs)


@on_28(source="D2L, second edition", params=61_706, macs=416_520, departures=(FULL, SIGMOID_AVERAGE))
def lenet_d2l(classes=10, reshape=False, **kwargs):
    """Build D2L's LeNet; its first convolution pads 28x28 images to 32x32.

    Args:
        classes: Number of classes.
        reshape: Whether it takes images as vectors too, (N, 784), as D2L's network for PyTorch does.
    """
    return LeNetEdition(D2L, classes, reshape=reshape, **kwargs)


@on_28(
    source="D2L in Chinese, first edition; in English to 0.16.5",
    params=44_878,
    macs=281_640,
    departures=(BY_HAND, FULL, UNPADDED, SIGMOID_MAX),
)
def lenet_bn_scratch_first(classes=10, **kwargs):
    """Build the first version of `lenet_bn_scratch`, with max pooling; it runs eagerly only."""
    return LeNetEdition(D2L_FIRST, classes, norm=ScratchBatchNorm, **kwargs)


@on_28(
    source="D2L in Chinese, first edition; in English to 0.16.5",
    params=44_878,
    macs=281_640,
    departures=(NORMALIZED, FULL, UNPADDED, SIGMOID_MAX),
)
def lenet_bn_first(classes=10, **kwargs):
    """Build the first version of `lenet_bn`, with max pooling."""
    return LeNetEdition(D2L_FIRST, classes, norm=batch_norm, **kwargs)


@on_28(
    source="D2L in English, 0.16.6 to 1.0",
    params=44_878,
    macs=281_640,
    departures=(BY_HAND, FULL, UNPADDED, SIGMOID_AVERAGE),
)
def lenet_bn_scratch(classes=10, **kwargs):
    """Build D2L's LeNet with batch normalization by hand; it runs eagerly only (see `ScratchBatchNorm`)."""
    return LeNetEdition(D2L_BN, classes, norm=ScratchBatchNorm, **kwargs)


@on_28(
    source="D2L in English, 0.16.6 to 1.0",
    params=44_878,
    macs=281_640,
    departures=(NORMALIZED, FULL, UNPADDED, SIGMOID_AVERAGE),
)
def lenet_bn(classes=10, **kwargs):
    """Build D2L's LeNet with batch normalization."""
    return LeNetEdition(D2L_BN, classes, norm=batch_norm, **kwargs)


@register(
    source='a "modern LeNet" of teaching material, authors unknown',
    input_shape=(1, 32, 32),
    classes=10,
    params=61_706,
    macs=416_520,
    departures=(FULL, RELU_MAX),
)
def lenet_conv3(classes=10, **kwargs):
    """Build LeNet with C5 as a third convolution, as in the paper."""
    return LeNetEdition(CONV3, classes, **kwargs)


@register(
    source="github.com/icpm/pytorch-cifar10, models/LeNet.py",
    input_shape=(3, 32, 32),
    classes=10,
    params=62_006,
    macs=651_720,
    departures=("3 input channels (paper: 1)", FULL, RELU_MAX),
    training={
        "epochs": 200,
        "batch_size": 100,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "74:0.5 149:0.25",  # the source counts from 1: from epochs 75 and 150 on
        "init": "pytorch",
        "augment": "flip",
        "reported": "best",
    },
)
def lenet_cifar10(classes=10, **kwargs):
    """Build LeNet for the color images of CIFAR-10."""
    return LeNetEdition(CIFAR10, classes, **kwargs)


@on_28(
    source="github.com/BVLC/caffe, examples/mnist/lenet_train_test.prototxt",
    params=431_080,
    macs=2_293_000,
    departures=(
        MORE_CHANNELS,
        UNPADDED,
        f"no activation after convolutions, max pooling, ReLU after the hidden layer, and softmax {PAPER}",
        ONE_HIDDEN.format(500),
    ),
    training={"epochs": 11, "batch_size": 64, "momentum": 0.9, "weight_decay": 5e-4, "foreground": 255 / 256},
    not_done=(
        'a rate that falls after every step, to .59 of it at the end (policy "inv")',
        "biases learn at twice the rate",
        "initial weights: uniform, by fan-in (here: Xavier initialization, by fan-in and fan-out)",
        "10,000 steps (here: 11 epochs, with MNIST 10,318 steps)",
    ),
)
def lenet_caffe(classes=10, **kwargs):
    """Build the LeNet of Caffe's examples."""
    return Example(caffe, classes, **kwargs)


@on_28(
    source="github.com/tensorflow/models, research/slim/nets/lenet.py",
    params=3_274_634,
    macs=13_883_904,
    departures=(
        OTHER_CHANNELS.format(32, 64),
        "both convolutions pad their input, which leaves 7x7 feature maps (paper: 5x5)",
        RELU_MAX,
        ONE_HIDDEN.format("1,024"),
        DROPOUT,
    ),
    training={"epochs": 17, "batch_size": 50, "background": -1.0, "foreground": 127 / 128},
    not_done=(
        "initial weights: truncated normal, with a standard deviation of .1 (here: Xavier initialization)",
        "20,000 steps (here: 17 epochs, with MNIST 20,400 steps)",
    ),
)
def lenet_slim(classes=10, **kwargs):
    """Build the LeNet of TF-Slim."""
    return Example(slim, classes, **kwargs)


@on_28(
    source="github.com/pytorch/examples, mnist/main.py (January 2017 to December 2018)",
    params=21_840,
    macs=480_500,
    departures=(OTHER_CHANNELS.format(10, 20), UNPADDED, RELU_MAX, ONE_HIDDEN.format(50), DROPOUT),
    training={**PYTORCH_TRAINING, "epochs": 10, "learning_rate": 0.01, "momentum": 0.5},
)
def lenet_pytorch_2017(classes=10, **kwargs):
    """Build PyTorch's example for MNIST as it was in 2017 and 2018, with dropout of whole feature maps."""
    return Example(pytorch_2017, classes, **kwargs)


@on_28(
    source="github.com/pytorch/examples, mnist/main.py (December 2018 to November 2019)",
    params=431_080,
    macs=2_293_000,
    departures=(MORE_CHANNELS, UNPADDED, RELU_MAX, ONE_HIDDEN.format(500)),
    training={**PYTORCH_TRAINING, "epochs": 10, "learning_rate": 0.01, "momentum": 0.5},
)
def lenet_pytorch_2018(classes=10, **kwargs):
    """Build PyTorch's example for MNIST as it was in 2019."""
    return Example(pytorch_2018, classes, **kwargs)


@on_28(
    source="github.com/pytorch/examples, mnist/main.py (since October 2020)",
    params=1_199_882,
    macs=11_992_448,
    departures=(
        "32 and 64 channels of 3x3 convolutions with a single pool (paper: 6 and 16 of 5x5, partial connections)",
        RELU_MAX,
        ONE_HIDDEN.format(128),
        DROPOUT,
    ),
    training={**PYTORCH_TRAINING, "epochs": 14, "optimizer": "adadelta"},
    not_done=(
        "a rate of 1 that falls by a factor of .7 after each epoch (MXNet's AdaDelta has none, as if it stayed 1)",
        "AdaDelta's epsilon of 1e-6 (here: MXNet's 1e-5)",
    ),
)
def lenet_pytorch(classes=10, **kwargs):
    """Build PyTorch's example for MNIST."""
    return Example(pytorch, classes, **kwargs)
