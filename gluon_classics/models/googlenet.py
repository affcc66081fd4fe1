"""GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions", arXiv:1409.4842).

Source    `googlenet`: the blog, as printed. `googlenet_tutorial`: the Gluon tutorials of early 2018, which it follows.
          `googlenet_d2l`: Dive into Deep Learning (D2L). `googlenet_v1`: the paper; layers from table 1 and figure 3,
          auxiliary classifiers and the weight of their losses from section 5.
Departs   `googlenet`, from the tutorial: the convolutions that the source calls 3x3 and 5x5 are printed with kernel 1
          and no padding, so no inception block sees a neighbourhood except through its pooling path.
          From the paper, all but `googlenet_v1`: 64 maps in the second stage's 1x1 convolution without local response
          normalisation, no dropout, no auxiliary classifiers, 1 input channel and 10 classes. `googlenet` and
          `googlenet_tutorial` also: no ReLU in the second stage, pools rounded down, 2x2 average pooling before the
          classifier (paper: global). `googlenet_d2l`: pools padded by 1, with which sizes are the paper's.
          `googlenet_v1`: the paper does not say what its local response normalisation computes; here it is AlexNet's.
Open      - `googlenet`: whether the blog ran the 1x1 kernels that it prints is not known.
          - `googlenet_v1`: that local response normalisation has AlexNet's settings is a guess.
"""

from functools import partial
from itertools import chain as joined

from mxnet import gluon
from mxnet.gluon import nn

from ._blocks import ByMode, LocalResponseNorm, chain, print_output_shapes
from .objective import Objective
from .registry import register

# Widths of the paths of inception blocks 3a to 5b:
# 1x1, then 1x1 before "3x3", "3x3", 1x1 before "5x5", "5x5", 1x1 after the pool    # out
INCEPTION_3 = (
    (64, 96, 128, 16, 32, 32),  # 256
    (128, 128, 192, 32, 96, 64),  # 480
)
INCEPTION_4 = (
    (192, 96, 208, 16, 48, 64),  # 512
    (160, 112, 224, 24, 64, 64),  # 512
    (128, 128, 256, 24, 64, 64),  # 512
    (112, 144, 288, 32, 64, 64),  # 528
    (256, 160, 320, 32, 128, 128),  # 832
)
INCEPTION_5 = (
    (256, 160, 320, 32, 128, 128),  # 832
    (384, 192, 384, 48, 128, 128),  # 1024
)


class Inception(nn.HybridBlock):
    """Four paths joined on the channels: (N, C, H, W) to (N, n1_1 + n2_3 + n3_5 + n4_1, H, W).

    `kernels` are those of the second convolution in paths 2 and 3: the blog prints (1, 1), all others (3, 5).
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


def _conv(channels, kernel_size, activation="relu"):
    return nn.Conv2D(channels, kernel_size, padding=kernel_size // 2, activation=activation)


# --- the blog, the tutorial, D2L


class GoogLeNetEdition(nn.Sequential):
    """(N, C, H, W) images to (N, classes) logits in six blocks; `verbose` prints their output shapes (eagerly only).

    `kernels` are those of the inception blocks, `activation` the second stage's, `padding` that of the pools that
    halve, and `last_pool` is the layer before the classifier.
    """

    def __init__(self, classes, kernels, activation, padding, last_pool, verbose=False, **kwargs):
        super().__init__(**kwargs)
        inception = partial(Inception, kernels=kernels)
        pool = partial(nn.MaxPool2D, pool_size=3, strides=2, padding=padding)
        with self.name_scope():
            self.add(
                chain(nn.Conv2D(64, kernel_size=7, strides=2, padding=3, activation="relu"), pool()),
                chain(_conv(64, 1, activation), _conv(192, 3, activation), pool()),
                chain(*(inception(*widths) for widths in INCEPTION_3), pool()),
                chain(*(inception(*widths) for widths in INCEPTION_4), pool()),
                chain(*(inception(*widths) for widths in INCEPTION_5), last_pool()),
                chain(nn.Flatten(), nn.Dense(classes)),
            )
        if verbose:
            print_output_shapes(self)


half_pool = partial(nn.AvgPool2D, pool_size=2)
PRINTED = {"kernels": (1, 1), "activation": None, "padding": 0, "last_pool": half_pool}
TUTORIAL = {"kernels": (3, 5), "activation": None, "padding": 0, "last_pool": half_pool}
D2L = {"kernels": (3, 5), "activation": "relu", "padding": 1, "last_pool": nn.GlobalAvgPool2D}


class GoogLeNet(GoogLeNetEdition):
    """(N, 1, 224, 224) images to (N, num_class) logits; `verbose` prints each block's output shape (eagerly only)."""

    def __init__(self, num_class=10, verbose=False, **kwargs):
        super().__init__(num_class, **PRINTED, verbose=verbose, **kwargs)


# --- the paper


def _stages_v1(classes):
    """The paper's layers in three parts: to inception 4a, to 4d, to the logits."""
    inception = partial(Inception, kernels=(3, 5))
    pool = partial(nn.MaxPool2D, pool_size=3, strides=2, ceil_mode=True)  # the sizes of table 1 are rounded up
    blocks_3 = [inception(*widths) for widths in INCEPTION_3]
    blocks_4 = [inception(*widths) for widths in INCEPTION_4]
    blocks_5 = [inception(*widths) for widths in INCEPTION_5]
    to_4a = (
        nn.Conv2D(64, kernel_size=7, strides=2, padding=3, activation="relu"),  # (N, 64, 112, 112)
        *(pool(), LocalResponseNorm()),  # (N, 64, 56, 56)
        *(_conv(64, 1), _conv(192, 3)),  # (N, 192, 56, 56)
        *(LocalResponseNorm(), pool()),  # (N, 192, 28, 28)
        *(*blocks_3, pool()),  # (N, 480, 14, 14)
        blocks_4[0],  # (N, 512, 14, 14)
    )
    to_4d = blocks_4[1:4]  # (N, 528, 14, 14)
    to_logits = (
        *(blocks_4[4], pool()),  # (N, 832, 7, 7)
        *(*blocks_5, nn.GlobalAvgPool2D()),  # (N, 1024, 1, 1)
        *(nn.Flatten(), nn.Dropout(0.4), nn.Dense(classes)),  # (N, classes)
    )
    return to_4a, to_4d, to_logits


def _auxiliary_classifier(classes):
    """Behind 4a and 4d: (N, C, 14, 14) to (N, classes)."""
    head = nn.HybridSequential()
    with head.name_scope():
        head.add(
            nn.AvgPool2D(pool_size=5, strides=3),  # (N, C, 4, 4)
            _conv(128, 1),  # (N, 128, 4, 4)
            *(nn.Flatten(), nn.Dense(1024, activation="relu"), nn.Dropout(0.7), nn.Dense(classes)),
        )
    return head


class GoogLeNetV1(nn.Sequential):
    """(N, 3, 224, 224) images to (N, classes) logits: the paper's network as it predicts."""

    only_in_training = ("auxiliary_",)  # how the parameters begin that files of `GoogLeNetV1Auxiliary` have besides

    def __init__(self, classes=1000, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.add(*joined(*_stages_v1(classes)))


class _InTraining(nn.HybridBlock):
    """(N, 3, 224, 224) images to three times (N, classes) logits: the network's, and those behind 4a and 4d."""

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            stages = _stages_v1(classes)
            for layer in joined(*stages):
                self.register_child(layer)
            self.auxiliary_4a = _auxiliary_classifier(classes)
            self.auxiliary_4d = _auxiliary_classifier(classes)
        self._after_4a = len(stages[0])
        self._after_4d = self._after_4a + len(stages[1])

    def hybrid_forward(self, F, x):
        *layers, auxiliary_4a, auxiliary_4d = self._children.values()
        outputs = []
        for number, layer in enumerate(layers, start=1):
            x = layer(x)
            if number == self._after_4a:
                outputs.append(auxiliary_4a(x))
            elif number == self._after_4d:
                outputs.append(auxiliary_4d(x))
        return (x, *outputs)


class AuxiliaryLoss(gluon.loss.Loss):
    """(logits, auxiliary logits, ...) and labels, (N,), to losses, (N,).

    Softmax cross-entropy of the logits plus `weight` times that of each of the auxiliary ones. Logits that come
    alone, as in prediction, have their cross-entropy. Source: section 5 of the paper.
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
    """`GoogLeNetV1` as it is trained: (N, 3, 224, 224) images to three times (N, classes) logits in training mode.

    The first are the network's, then come those of the auxiliary classifiers behind inception 4a and 4d. In prediction
    mode these two are left out, and the network's logits come alone. What both networks have bears the same names in
    parameter files, so that `GoogLeNetV1` loads the files of this one with `ignore_extra=True`, and this one those of
    `GoogLeNetV1` with `allow_missing=True`.
    """

    objective = Objective(loss=AuxiliaryLoss)

    def __init__(self, classes=1000, **kwargs):
        training = _InTraining(classes, **kwargs)
        prediction = nn.HybridSequential(prefix=training.prefix, params=training.params)
        prediction.add(*list(training._children.values())[:-2])
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
        "no local response normalisation, no auxiliary classifiers, pools rounded down",
    ),
)
def googlenet(classes=10, **kwargs):
    """The blog's GoogLeNet."""
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
        "no local response normalisation, no auxiliary classifiers, pools rounded down",
    ),
)
def googlenet_tutorial(classes=10, **kwargs):
    """The tutorial's GoogLeNet: the blog's with true 3x3 and 5x5 convolutions."""
    return GoogLeNetEdition(classes, **TUTORIAL, **kwargs)


@register(
    source="D2L",
    input_shape=(1, 96, 96),
    classes=10,
    params=5_977_530,
    macs=276_066_304,
    departures=(
        "no local response normalisation, no auxiliary classifiers, no dropout",
        "pools padded by 1 (paper: rounded up, to the same sizes)",
        "1 input channel, 96x96 images and 10 classes (paper: 3, 224x224 and 1000)",
    ),
)
def googlenet_d2l(classes=10, **kwargs):
    """D2L's GoogLeNet."""
    return GoogLeNetEdition(classes, **D2L, **kwargs)


@register(
    source="arXiv:1409.4842, table 1, figure 3 and section 5",
    input_shape=(3, 224, 224),
    classes=1000,
    params=6_998_552,
    macs=1_582_671_872,
    departures=(
        "local response normalisation with the settings of AlexNet's paper (this one prints none)",
        "the auxiliary classifiers are there on request only (auxiliary=True), as `train` makes it",
    ),
    trained_as={"auxiliary": True},
)
def googlenet_v1(classes=1000, auxiliary=False, **kwargs):
    """The paper's GoogLeNet; with `auxiliary` its two auxiliary classifiers too (see `GoogLeNetV1Auxiliary`)."""
    return (GoogLeNetV1Auxiliary if auxiliary else GoogLeNetV1)(classes, **kwargs)
