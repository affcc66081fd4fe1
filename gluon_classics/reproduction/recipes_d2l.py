"""Recipes of Dive into Deep Learning (D2L): first edition, up to 0.17, and 1.0.

Settings    github.com/d2l-ai/d2l-zh, branch v1 (first edition, in Chinese), and d2l-ai/d2l-en at v0.14.0 to v1.0.3.
Results     the editions' official builds. Those up to 0.17 are in the history of github.com/d2l-ai/d2l-en-colab, to
            2a4d3790 (0.17.5), those of 1.0 there to 9ac8e37d, and those of 1.0 with PyTorch in
            d2l-ai/d2l-pytorch-colab to f854371.
            We do not know a repository with the first edition's.
Left out    build A of the first edition's GoogLeNet: its second stage has no ReLU. This package has no such network.

All keep the last partial batch and resize training and test images in uint8. The first edition divides the gradients of
a partial batch by the full batch size; our recipes `-keep` show the results without that. All use SGD without momentum,
weight decay or schedule, and Xavier initialization, except 1.0's BN-LeNets for MXNet (Gluon's default, Uniform(.07))
and its RegNet (PyTorch's default).
"""

from __future__ import annotations

from dataclasses import replace

from gluon_classics.experiment.settings import Settings

from .recipes import Builds, PublishedRun, Recipe

FIRST, UP_TO_17, ONE = "D2L, first edition", "D2L up to 0.17", "D2L 1.0"
FIRST_BUILDS = ("build A, January 2019", "build B, March 2020", "build C, December 2020")
SHARED_WEIGHTS = (
    "D2L's notebooks do not seed MXNet, whose generators start equally in every process: all builds have the same "
    "initial weights and spread less than runs with different ones"
)
NOT_SCALED = "the source divides the gradients of the last partial batch by the full batch size; this recipe does not"
EPS = "the source adds 1e-12 to the variance, this network 1e-5"
NO_RELU = "build A (.3376, .872, .883) had no ReLU in the second stage and is another network"
XAVIER = (
    "the text for PyTorch draws Xavier's initial weights, the one for MXNet Gluon's default ones; the target is the "
    "results with PyTorch"
)
PYTORCH_BIASES = "PyTorch's initial biases are random, MXNet's are 0"
LAZY = (
    "the text draws Xavier's initial weights, but its call does not reach PyTorch's lazy layers, which keep their "
    "default ones"
)
UNBIASED = "PyTorch's running variance is unbiased, MXNet's is not"
BATCH_MEANS = "the source averages the test accuracy over batches, although the last one is smaller"

SETTINGS = {  # batch size, side of the images in pixels, learning rate: the first edition's and up to 0.17
    "lenet_d2l_first": (256, 28, 0.9),
    "lenet_d2l": (256, 28, 0.9),
    "lenet_bn_scratch_first": (256, 28, 1.0),
    "lenet_bn_scratch": (256, 28, 1.0),
    "lenet_bn_first": (256, 28, 1.0),
    "lenet_bn": (256, 28, 1.0),
    "alexnet": (128, 224, 0.01),
    "vgg11_d2l": (128, 224, 0.05),
    "nin": (128, 224, 0.1),
    "googlenet_d2l": (128, 96, 0.1),
    "resnet18_d2l": (256, 96, 0.05),
    "densenet_d2l": (256, 96, 0.1),
}


def _settings(model, epochs):
    batch_size, resize, learning_rate = SETTINGS[model]
    return Settings(model, epochs=epochs, batch_size=batch_size, resize=resize, learning_rate=learning_rate)


def _first(model, *builds, notes=()):
    """`builds` are the metrics after epoch 5; None for a build of another network."""
    runs = tuple(PublishedRun(name, 5, *metrics) for name, metrics in zip(FIRST_BUILDS, builds) if metrics)
    settings = replace(_settings(model, 5), last_batch="scale")
    return Recipe("d2l-first", FIRST, settings, runs, notes=notes)


def _up_to_17(model, builds, notes=()):
    return Recipe("d2l-0.17", UP_TO_17, _settings(model, 10), builds=builds, notes=notes)


def _unseeded(recipe, weights="unseeded"):
    """The recipe with the initial weights that all its builds share."""
    settings = replace(recipe.settings, weights=weights)
    return replace(recipe, variant=f"{recipe.variant}-unseeded", settings=settings)


def _keep(recipe):
    """The first edition's recipe without scaling the step on the last partial batch."""
    settings = replace(recipe.settings, last_batch="keep")
    return replace(recipe, variant=f"{recipe.variant}-keep", settings=settings, notes=(*recipe.notes, NOT_SCALED))


def _builds(n, loss=None, train=None, test=None, test_range=None, failed=0, which=""):
    source = f"{n} official builds{which}, d2l-ai/d2l-en-colab to 2a4d3790"
    return Builds(source, n, loss, train, test, test_range, failed)


def _one(model, resize, learning_rate, mean, sd, init="xavier", notes=()):
    settings = Settings(model, epochs=10, batch_size=128, resize=resize, learning_rate=learning_rate, init=init)
    builds = Builds("11 official builds, d2l-ai/d2l-en-colab to 9ac8e37d", 11, test_accuracy=(mean, sd))
    return Recipe("d2l-1.0", ONE, settings, builds=builds, notes=(BATCH_MEANS, *notes))


def _for_pytorch(version, settings, test_accuracy, notes):
    """Return a recipe of 1.0 whose target is PyTorch's builds."""
    builds = Builds("11 official builds, d2l-ai/d2l-pytorch-colab to f854371", 11, test_accuracy=test_accuracy)
    return Recipe(version, f"{ONE}, PyTorch", settings, (), builds, (BATCH_MEANS, *notes))


def _bn_for_pytorch(model, test_accuracy, *notes):
    """Return a recipe for a BN-LeNet of 1.0 as its PyTorch text initializes it."""
    settings = Settings(model, epochs=10, batch_size=128, resize=28, learning_rate=0.1)
    return _for_pytorch("d2l-1.0-xavier", settings, test_accuracy, (XAVIER, PYTORCH_BIASES, *notes))


LENET = _up_to_17(
    "lenet_d2l",
    _builds(87, (0.472, 0.002), (0.822, 0.001), (0.812, 0.024), (0.700, 0.836)),
    notes=(SHARED_WEIGHTS,),
)
LENET_FIRST = _first(
    "lenet_d2l_first", (0.6704, 0.733, 0.754), (0.6757, 0.732, 0.747), (0.6723, 0.733, 0.756), notes=(SHARED_WEIGHTS,)
)
BN_FIRST = _first("lenet_bn_first", (0.3071, 0.889, 0.881), (0.2984, 0.891, 0.890), (0.3008, 0.890, 0.873))
BN_BY_HAND_FIRST = _first(
    "lenet_bn_scratch_first", (0.3051, 0.890, 0.870), (0.3043, 0.889, 0.867), (0.3011, 0.890, 0.863)
)
# by the pool in the notebook's code: max pooling until 0.16.5 (June 2021), and in a build of December 2021
WITH_MAX_POOLS, WITH_AVERAGE_POOLS = " with max pooling", " with average pooling"
BN_UP_TO_17 = (
    _up_to_17(
        "lenet_bn_scratch_first",
        _builds(80, (0.2456, 0.0025), (0.9095, 0.0013), (0.857, 0.039), (0.679, 0.898), which=WITH_MAX_POOLS),
        notes=(EPS,),
    ),
    _up_to_17(
        "lenet_bn_scratch",
        _builds(12, (0.2677, 0.0050), (0.9015, 0.0022), (0.854, 0.022), (0.825, 0.894), which=WITH_AVERAGE_POOLS),
        notes=(EPS,),
    ),
    _up_to_17(
        "lenet_bn_first",
        _builds(80, (0.2520, 0.0033), (0.9075, 0.0015), (0.841, 0.038), (0.683, 0.898), which=WITH_MAX_POOLS),
    ),
    _up_to_17(
        "lenet_bn",
        _builds(12, (0.2773, 0.0040), (0.8975, 0.0016), (0.819, 0.038), (0.749, 0.857), which=WITH_AVERAGE_POOLS),
    ),
)
RECIPES = (
    LENET_FIRST,
    _keep(LENET_FIRST),
    _unseeded(LENET_FIRST),
    _keep(_unseeded(LENET_FIRST)),
    BN_BY_HAND_FIRST,
    _unseeded(BN_BY_HAND_FIRST),
    BN_FIRST,
    _keep(BN_FIRST),
    _unseeded(BN_FIRST),
    _first("alexnet", (0.4256, 0.845, 0.867), (0.4259, 0.844, 0.871), (0.4241, 0.845, 0.867)),
    _first("vgg11_d2l", (0.2649, 0.902, 0.909), (0.2610, 0.905, 0.911), (0.2646, 0.902, 0.913)),
    _first("nin", (0.5713, 0.791, 0.812), (0.5592, 0.796, 0.832), (0.5387, 0.803, 0.819)),
    _first("googlenet_d2l", None, (0.3442, 0.870, 0.870), (0.3361, 0.874, 0.881), notes=(NO_RELU,)),
    _first("resnet18_d2l", (0.1093, 0.961, 0.913), (0.1080, 0.962, 0.912), (0.1080, 0.962, 0.905)),
    _first("densenet_d2l", (0.2100, 0.923, 0.879), (0.2132, 0.923, 0.857), (0.2107, 0.923, 0.923)),
    LENET,
    _unseeded(LENET, "unseeded-numpy"),  # D2L uses the NumPy mode since 0.7
    *BN_UP_TO_17,
    *(_unseeded(recipe, "unseeded-numpy") for recipe in BN_UP_TO_17),
    _up_to_17("alexnet", _builds(89, (0.334, 0.001), (0.878, 0.001), (0.887, 0.004), (0.865, 0.895))),
    _up_to_17(
        "vgg11_d2l",
        _builds(68, (0.1755, 0.006), (0.935, None), (0.925, 0.003), (0.914, 0.930)),
        notes=("the published mean of the train loss is .174 to .177; the target is the middle",),
    ),
    _up_to_17(
        "nin",
        _builds(62, (0.408, None), (0.848, None), (0.840, None), failed=5),
        notes=("the published values are medians of all builds, without a spread",),
    ),
    _up_to_17("googlenet_d2l", _builds(61, (0.255, 0.054), (0.904, 0.019), (0.896, 0.011), failed=2)),
    _up_to_17("resnet18_d2l", _builds(79, (0.012, 0.003), (0.997, 0.001), (0.908, 0.029), (0.766, 0.930))),
    _up_to_17("densenet_d2l", _builds(67, (0.144, 0.002), (0.947, 0.001), (0.882, 0.042), (0.707, 0.926))),
    _one("lenet_d2l", 28, 0.1, 0.7228, 0.0046),
    _one("lenet_bn_scratch", 28, 0.1, 0.8761, 0.0125, init="uniform(0.07)", notes=(EPS,)),
    _one("lenet_bn", 28, 0.1, 0.8678, 0.0217, init="uniform(0.07)"),
    _bn_for_pytorch("lenet_bn_scratch", (0.8622, 0.0200)),
    _bn_for_pytorch("lenet_bn", (0.8598, 0.0204), UNBIASED),
    _one("alexnet", 224, 0.01, 0.8874, 0.0033),
    _one("vgg11_d2l", 224, 0.01, 0.9028, 0.0017),
    _one("nin", 224, 0.05, 0.8598, 0.0289),
    _one("googlenet_d2l", 96, 0.01, 0.8326, 0.0177),
    _one("resnet18_d2l", 96, 0.01, 0.9127, 0.0154),
    _one("densenet_d2l", 96, 0.01, 0.8982, 0.0136),
    _for_pytorch(
        "d2l-1.0",
        Settings("regnetx32_d2l", epochs=10, batch_size=128, resize=96, learning_rate=0.05, init="pytorch"),
        (0.8929, 0.0098),
        ("the book's network for MXNet has a bug; the target is the results with PyTorch", LAZY, UNBIASED),
    ),
)
