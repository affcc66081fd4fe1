"""GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions", arXiv:1409.4842).

Source    `googlenet`: the blog, as printed. `googlenet_tutorial`: the Gluon tutorials of early 2018.
          `googlenet_d2l`: Dive into Deep Learning (D2L). `googlenet_v1`: the paper; layers from table 1 and figure 3,
          auxiliary classifiers and the weight of their losses from section 5, training from section 6, tests with one
          crop from section 7.
Departs   `googlenet`, from the tutorial: the convolutions that the source calls 3x3 and 5x5 are printed with kernel 1
          and no padding, so the pooling path is the only one of an inception block that sees neighboring pixels.
          From the paper, all but `googlenet_v1`: no local response normalization, no dropout, no auxiliary
          classifiers, 1 input channel and 10 classes. `googlenet` and `googlenet_tutorial` also: no ReLU in the second
          stage, pools rounded down, 2x2 average pooling before the classifier (paper: global). `googlenet_d2l`: pools
          padded by 1, which gives the paper's sizes.
          `googlenet_v1`: the paper does not define its local response normalization; here it is AlexNet's.
Open      - `googlenet`: whether the blog ran the 1x1 kernels that it prints is not known.
          - `googlenet_v1`: that local response normalization has AlexNet's settings (k 2, alpha 1e-4) is a guess.
            BVLC's replica (github.com/BVLC/caffe, models/bvlc_googlenet) has k 1 and an alpha of 1e-4 that Caffe
            divides by the 5 channels of the sum: 2e-5 in the paper's formula.
          - `googlenet_v1`: the paper takes photometric distortions from Howard (arXiv:1312.5402) and prints no numbers.
            Brightness, contrast and saturation times .5 to 1.5, then AlexNet's lighting, are Howard's as far as we
            know; his paper was not at hand.
          - `googlenet_v1`: the paper subtracts the mean and does not say whether pixels are scaled. Here they stay in
            0..255, as in the same replica.
          - `googlenet_v1`: the paper prints no batch size, initial rate, weight decay or number of epochs. The same
            replica (commit 9b89154) has 32, .01, 2e-4 and 250, and multiplies the rate by .96 after every 8 epochs too.
"""

from functools import partial
from typing import NamedTuple

from mxnet import gluon
from mxnet.gluon import nn

from ._blocks import ByMode, LocalResponseNorm, chain, print_output_shapes
from ._pixels import CENTERED, RESIZED_CROP, SHORTER_256
from .network import Network
from .objective import Objective
from .registry import register


class Widths(NamedTuple):
    """Channels of an inception block's convolutions, by the columns of table 1."""

    n1_1: int  # "#1x1"
    n2_1: int  # "#3x3 reduce"
    n2_3: int  # "#3x3"
    n3_1: int  # "#5x5 reduce"
    n3_5: int  # "#5x5"
    n4_1: int  # "pool proj"


# table 1                                     # shape after the block at 224
INCEPTION_3A = Widths(64, 96, 128, 16, 32, 32)  # (N, 256, 28, 28)
INCEPTION_3B = Widths(128, 128, 192, 32, 96, 64)  # (N, 480, 28, 28)
INCEPTION_4A = Widths(192, 96, 208, 16, 48, 64)  # (N, 512, 14, 14)
INCEPTION_4B = Widths(160, 112, 224, 24, 64, 64)  # (N, 512, 14, 14)
INCEPTION_4C = Widths(128, 128, 256, 24, 64, 64)  # (N, 512, 14, 14)
INCEPTION_4D = Widths(112, 144, 288, 32, 64, 64)  # (N, 528, 14, 14)
INCEPTION_4E = Widths(256, 160, 320, 32, 128, 128)  # (N, 832, 14, 14)
INCEPTION_5A = Widths(256, 160, 320, 32, 128, 128)  # (N, 832, 7, 7)
INCEPTION_5B = Widths(384, 192, 384, 48, 128, 128)  # (N, 1024, 7, 7)


class Inception(nn.HybridBlock):
    """Four paths, concatenated: (N, C, H, W) to (N, n1_1 + n2_3 + n3_5 + n4_1, H, W).

    Args:
        n1_1: Channels of path 1, a 1x1 convolution.
        n2_1: Channels of the 1x1 convolution of path 2.
        n2_3: Channels of the second convolution of path 2.
        n3_1: Channels of the 1x1 convolution of path 3.
        n3_5: Channels of the second convolution of path 3.
        n4_1: Channels of path 4, 3x3 max pooling and a 1x1 convolution.
        kernels: Kernels of the second convolutions of paths 2 and 3. The blog prints (1, 1), the other sources (3, 5).
    """

    def __init__(self, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, kernels=(1, 1), **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.p1_conv_1 = _conv(n1_1, 1)
            self.p2_conv_1 = _conv(n2_1, 1)
            self.p2_conv_3 = _conv(n2_3, kernels[0])
            self.p3_conv_1 = _conv(n3_1, 1)
            self.p3_conv_5 = _conv(n3_5, kernels[1])
            self.p4_pool_3 = nn.MaxPool2D(pool_size=3, padding=1, strides=1)
            self.p4_conv_1 = _conv(n4_1, 1)

    def hybrid_forward(self, F, x):
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return F.concat(p1, p2, p3, p4, dim=1)


def _conv(channels, kernel_size, activation="relu", strides=1):
    return nn.Conv2D(channels, kernel_size, strides, padding=kernel_size // 2, activation=activation)


# --- the blog, the tutorial, D2L


class GoogLeNetEdition(Network):
    """GoogLeNet in the six blocks of the blog, the tutorial and D2L: (N, C, H, W) images to (N, classes) logits.

    Args:
        classes: Number of classes.
        kernels: Kernels of the inception blocks; see `Inception`.
        activation: Activation of both convolutions of block 2, or None.
        padding: Padding of the pools that halve the feature maps, in pixels.
        last_pool: Function that makes the pool before the classifier.
        verbose: Whether each eager forward pass prints the output shape of each block.
    """

    def __init__(self, classes, kernels, activation, padding, last_pool, verbose=False, **kwargs):
        super().__init__(**kwargs)
        inception = partial(Inception, kernels=kernels)
        pool = partial(nn.MaxPool2D, pool_size=3, strides=2, padding=padding)
        with self.name_scope():  # shapes after the blocks: the blog's at 224
            self.b1 = chain(conv1=_conv(64, 7, strides=2), pool1=pool())  # (N, 64, 55, 55)
            self.b2 = chain(  # (N, 192, 27, 27)
                conv2_reduce=_conv(64, 1, activation),
                conv2=_conv(192, 3, activation),
                pool2=pool(),
            )
            self.b3 = chain(  # (N, 480, 13, 13)
                inception_3a=inception(*INCEPTION_3A),
                inception_3b=inception(*INCEPTION_3B),
                pool3=pool(),
            )
            self.b4 = chain(  # (N, 832, 6, 6)
                inception_4a=inception(*INCEPTION_4A),
                inception_4b=inception(*INCEPTION_4B),
                inception_4c=inception(*INCEPTION_4C),
                inception_4d=inception(*INCEPTION_4D),
                inception_4e=inception(*INCEPTION_4E),
                pool4=pool(),
            )
            self.b5 = chain(  # (N, 1024, 3, 3)
                inception_5a=inception(*INCEPTION_5A),
                inception_5b=inception(*INCEPTION_5B),
                pool5=last_pool(),
            )
            self.b6 = chain(flatten=nn.Flatten(), linear=nn.Dense(classes))
        if verbose:
            print_output_shapes(self)


half_pool = partial(nn.AvgPool2D, pool_size=2)
PRINTED = {"kernels": (1, 1), "activation": None, "padding": 0, "last_pool": half_pool}
TUTORIAL = {"kernels": (3, 5), "activation": None, "padding": 0, "last_pool": half_pool}
D2L = {"kernels": (3, 5), "activation": "relu", "padding": 1, "last_pool": nn.GlobalAvgPool2D}


class GoogLeNet(GoogLeNetEdition):
    """The blog's GoogLeNet: (N, 1, 224, 224) images to (N, num_class) logits.

    Args:
        num_class: Number of classes.
        verbose: Whether each eager forward pass prints the output shape of each block.
    """

    def __init__(self, num_class=10, verbose=False, **kwargs):
        super().__init__(num_class, **PRINTED, verbose=verbose, **kwargs)


# --- the paper


def _add_paper_layers(net, classes):
    """Make the layers of table 1 attributes of `net`, in order."""
    inception = partial(Inception, kernels=(3, 5))
    pool = partial(nn.MaxPool2D, pool_size=3, strides=2, ceil_mode=True)  # the sizes of table 1 are rounded up
    net.conv1 = _conv(64, 7, strides=2)  # (N, 64, 112, 112)
    net.pool1 = pool()  # (N, 64, 56, 56)
    net.norm1 = LocalResponseNorm()
    net.conv2_reduce = _conv(64, 1)  # (N, 64, 56, 56)
    net.conv2 = _conv(192, 3)  # (N, 192, 56, 56)
    net.norm2 = LocalResponseNorm()
    net.pool2 = pool()  # (N, 192, 28, 28)
    net.inception_3a = inception(*INCEPTION_3A)
    net.inception_3b = inception(*INCEPTION_3B)
    net.pool3 = pool()  # (N, 480, 14, 14)
    net.inception_4a = inception(*INCEPTION_4A)
    net.inception_4b = inception(*INCEPTION_4B)
    net.inception_4c = inception(*INCEPTION_4C)
    net.inception_4d = inception(*INCEPTION_4D)
    net.inception_4e = inception(*INCEPTION_4E)
    net.pool4 = pool()  # (N, 832, 7, 7)
    net.inception_5a = inception(*INCEPTION_5A)
    net.inception_5b = inception(*INCEPTION_5B)
    net.pool5 = nn.GlobalAvgPool2D()  # (N, 1024, 1, 1)
    net.flatten = nn.Flatten()
    net.dropout = nn.Dropout(0.4)
    net.linear = nn.Dense(classes)


def _auxiliary_classifier(classes):
    """Build the classifier that follows inception 4a and 4d: (N, C, 14, 14) to (N, classes)."""
    head = nn.HybridSequential()
    with head.name_scope():
        head.pool = nn.AvgPool2D(pool_size=5, strides=3)  # (N, C, 4, 4)
        head.conv = _conv(128, 1)  # (N, 128, 4, 4)
        head.flatten = nn.Flatten()
        head.fc = nn.Dense(1024, activation="relu")
        head.dropout = nn.Dropout(0.7)
        head.linear = nn.Dense(classes)
    return head


class GoogLeNetV1(Network):
    """The paper's network without auxiliary classifiers: (N, 3, 224, 224) images to (N, classes) logits.

    Args:
        classes: Number of classes.
    """

    # parameters that only files of `GoogLeNetV1Auxiliary` have begin with one of these
    only_in_training = ("auxiliary_",)

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            _add_paper_layers(self, classes)


class _InTraining(nn.HybridBlock):
    """(N, 3, 224, 224) images to three (N, classes) logits: the network's, then those after 4a and 4d."""

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            _add_paper_layers(self, classes)
            self.paper_layers = dict(self._children)
            self.auxiliary_4a = _auxiliary_classifier(classes)
            self.auxiliary_4d = _auxiliary_classifier(classes)
        self.classifiers = {"inception_4a": self.auxiliary_4a, "inception_4d": self.auxiliary_4d}

    def hybrid_forward(self, F, x):
        auxiliary = []
        for name, layer in self.paper_layers.items():
            x = layer(x)
            if name in self.classifiers:
                auxiliary.append(self.classifiers[name](x))
        return (x, *auxiliary)


class AuxiliaryLoss(gluon.loss.Loss):
    """Softmax cross-entropy of the logits, plus `weight` times that of each auxiliary classifier's logits.

    It maps (N, classes) logits, or a list or tuple of the network's and the auxiliary classifiers' ones, and (N,)
    labels to (N,) losses. Source: section 5 of the paper.

    Args:
        weight: Weight of each auxiliary classifier's loss.
    """

    def __init__(self, weight=0.3, **kwargs):
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self._auxiliary_weight = weight
        with self.name_scope():
            self.cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()

    def hybrid_forward(self, F, outputs, labels):
        logits, *auxiliary = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
        loss = self.cross_entropy(logits, labels)
        for other in auxiliary:
            loss = loss + self._auxiliary_weight * self.cross_entropy(other, labels)
        return loss


class GoogLeNetV1Auxiliary(ByMode):
    """`GoogLeNetV1` with its auxiliary classifiers: (N, 3, 224, 224) images to (N, classes) logits.

    In training mode the output is a tuple of three such logits: the network's, and those of the auxiliary classifiers
    after inception 4a and 4d. In prediction mode it is the network's logits.

    Layers have the same names in both networks. `GoogLeNetV1` loads a parameter file of this network with
    `ignore_extra=True`, and this network loads one of `GoogLeNetV1` with `allow_missing=True`.

    Args:
        classes: Number of classes.
    """

    objective = Objective(loss=AuxiliaryLoss)

    def __init__(self, classes=1000, **kwargs):
        training = _InTraining(classes, **kwargs)
        prediction = nn.HybridSequential(prefix=training.prefix, params=training.params)
        for name, layer in training.paper_layers.items():
            prediction.register_child(layer, name)
        super().__init__(training, prediction, training._children, prefix=training.prefix, params=training.params)
        self.auxiliary_4a, self.auxiliary_4d = training.auxiliary_4a, training.auxiliary_4d


# --- the editions


@register(
    source="the blog (March 2018), as printed",
    input_shape=(1, 224, 224),
    classes=10,
    params=2_829_754,
    macs=758_419_712,
    departures=(
        "the 3x3 and 5x5 convolutions of the inception blocks are 1x1, as the blog prints them",
        "no ReLU after the two convolutions of the second stage",
        "2x2 average pooling, so that 9216 features reach the classifier (paper: global, 1024, with dropout)",
        "no local response normalization, no auxiliary classifiers, pools rounded down",
    ),
)
def googlenet(classes=10, **kwargs):
    """Build the blog's GoogLeNet; `verbose=True` prints output shapes."""
    return GoogLeNet(classes, **kwargs)


@register(
    source="the Gluon tutorial (early 2018)",
    input_shape=(1, 96, 96),
    classes=10,
    params=5_977_530,
    macs=214_706_432,
    departures=(
        "no ReLU after the two convolutions of the second stage",
        "2x2 average pooling before the classifier (paper: global, with dropout)",
        "no local response normalization, no auxiliary classifiers, pools rounded down",
    ),
)
def googlenet_tutorial(classes=10, **kwargs):
    """Build the tutorial's GoogLeNet: the blog's with true 3x3 and 5x5 convolutions."""
    return GoogLeNetEdition(classes, **TUTORIAL, **kwargs)


@register(
    source="D2L",
    input_shape=(1, 96, 96),
    classes=10,
    params=5_977_530,
    macs=276_066_304,
    departures=(
        "no local response normalization, no auxiliary classifiers, no dropout",
        "pools padded by 1 (paper: rounded up, to the same sizes)",
        "1 input channel, 96x96 images and 10 classes (paper: 3, 224x224 and 1000)",
    ),
)
def googlenet_d2l(classes=10, **kwargs):
    """Build D2L's GoogLeNet."""
    return GoogLeNetEdition(classes, **D2L, **kwargs)


@register(
    source="arXiv:1409.4842, table 1, figure 3 and section 5",
    input_shape=(3, 224, 224),
    classes=1000,
    params=6_998_552,
    macs=1_582_671_872,
    departures=(
        "local response normalization with the settings of AlexNet's paper (this one prints none)",
        "auxiliary classifiers only on request (auxiliary=True), as in `train`",
    ),
    # section 6
    training={
        **{"momentum": 0.9, "schedule": "decay:0.96:8"},
        "augment": f"{RESIZED_CROP} color:0.5:0.5:0.5 lighting:0.1",
        **SHORTER_256,
        **CENTERED,
    },
    trained_as={"auxiliary": True},
    not_done=(
        "batch size, initial rate and number of epochs, which the paper does not print (the blog's are used)",
        "asynchronous updates, and averaged parameters for prediction",
        "random interpolation methods for resizing",
    ),
)
def googlenet_v1(classes=1000, auxiliary=False, **kwargs):
    """Build the paper's GoogLeNet.

    Args:
        classes: Number of classes.
        auxiliary: Whether to build the two auxiliary classifiers; see `GoogLeNetV1Auxiliary`.
    """
    return (GoogLeNetV1Auxiliary if auxiliary else GoogLeNetV1)(classes, **kwargs)
