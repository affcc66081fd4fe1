"""Recipes of other sources."""

from __future__ import annotations

from gluon_classics.experiment.published_training import published_settings
from gluon_classics.experiment.settings import Settings

from .recipes import PublishedRun, Recipe

MEASURED_DIFFERENTLY = (
    "its train loss, {}, is a moving average and its train accuracy, {}, is measured after the epoch: neither is "
    "comparable with ours"
)


def _straight_dope(settings, loss, train_accuracy, *sources, test_accuracy, notes=(), month="September"):
    runs = [PublishedRun(source, settings.epochs, test_accuracy=test_accuracy, decimals=4) for source in sources]
    notes = (MEASURED_DIFFERENTLY.format(loss, train_accuracy), *notes)
    return Recipe("straight-dope", f"MXNet: the straight dope, {month} 2017", settings, tuple(runs), notes=notes)


def _with_gluon(model):
    return Settings(model, data="mnist", epochs=10, learning_rate=0.1, init="xavier(2.24)")


DOPE = "github.com/zackchase/mxnet-the-straight-dope at"
RECIPES = (
    _straight_dope(_with_gluon("lenet_straight_dope"), 0.012427, 0.998367, f"{DOPE} f4df2cc", test_accuracy=0.9911),
    _straight_dope(_with_gluon("lenet_bn_straight_dope"), 0.003298, 0.999433, f"{DOPE} f4df2cc", test_accuracy=0.9924),
    _straight_dope(
        published_settings("lenet_scratch_straight_dope", data="mnist"),
        0.022775,
        0.992433,
        f"{DOPE} 9a8da57",
        test_accuracy=0.9851,
    ),
    _straight_dope(
        published_settings("lenet_bn_scratch_straight_dope", data="mnist"),
        "0.011892 and 0.010110",
        "0.998917 and 0.998967",
        f"{DOPE} bd09805, on CPUs",
        "the same at 9a8da57, on a GPU",
        test_accuracy=0.9937,
        notes=("its moving statistics also follow the test images; ours follow the training images only",),
    ),
    _straight_dope(
        Settings("vgg_straight_dope", epochs=1, learning_rate=0.05, init="xavier(2.24)"),
        0.796423,
        0.643517,
        f"{DOPE} 95847d1",
        test_accuracy=0.6478,
        month="October",
    ),
    Recipe(
        "paper",
        "LeCun, Bottou, Bengio & Haffner 1998",
        published_settings("lenet5", data="mnist"),
        (
            PublishedRun(
                "the paper, section III, test error .95 % without distortions", 20, test_accuracy=0.9905, decimals=4
            ),
        ),
        notes=("the paper reaches a test error of .8 % with distorted images; this recipe has no distortions",),
    ),
    Recipe(
        "pytorch-cifar10",
        "github.com/icpm/pytorch-cifar10 at 1e49822, main.py",
        published_settings("lenet_cifar10", data="cifar10"),
        (
            PublishedRun(
                "github.com/icpm/pytorch-cifar10 at 1e49822, README.md", 200, test_accuracy=0.6752, decimals=4
            ),
            PublishedRun("an exercise with this code, authors unknown", 200, test_accuracy=0.6605, decimals=4),
        ),
        notes=(
            "the published accuracy is that of the best of 200 epochs, chosen by the test images",
            "the rate is halved at the start of epochs 75 and 150, counted from 1: after 74 and 149 epochs",
            "Adam of PyTorch adds its epsilon after the correction of the bias, MXNet's before it",
        ),
    ),
)
