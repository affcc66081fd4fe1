"""Recipes of other sources."""

from __future__ import annotations

from gluon_classics.experiment.settings import Settings

from .recipes import PublishedRun, Recipe

MEASURED_DIFFERENTLY = (
    "its train loss, {}, is a moving average and its train accuracy, {}, is measured after the epoch: neither is "
    "comparable with ours"
)


def _straight_dope(model, loss, train_accuracy, test_accuracy):
    return Recipe(
        "straight-dope",
        "MXNet: the straight dope, September 2017",
        Settings(model, data="mnist", epochs=10, learning_rate=0.1, init="xavier(2.24)"),
        (
            PublishedRun(
                "github.com/zackchase/mxnet-the-straight-dope at f4df2cc", 10, test_accuracy=test_accuracy, decimals=4
            ),
        ),
        notes=(MEASURED_DIFFERENTLY.format(loss, train_accuracy),),
    )


RECIPES = (
    _straight_dope("lenet_straight_dope", 0.012427, 0.998367, 0.9911),
    _straight_dope("lenet_bn_straight_dope", 0.003298, 0.999433, 0.9924),
    Recipe(
        "straight-dope",
        "MXNet: the straight dope, September 2017",
        Settings.of("lenet_scratch_straight_dope", data="mnist"),
        (
            PublishedRun(
                "github.com/zackchase/mxnet-the-straight-dope at 9a8da57", 10, test_accuracy=0.9851, decimals=4
            ),
        ),
        notes=(MEASURED_DIFFERENTLY.format(0.022775, 0.992433),),
    ),
    Recipe(
        "straight-dope",
        "MXNet: the straight dope, September 2017",
        Settings.of("lenet_bn_scratch_straight_dope", data="mnist"),
        (
            PublishedRun(
                "github.com/zackchase/mxnet-the-straight-dope at bd09805, on CPUs", 10, test_accuracy=0.9937, decimals=4
            ),
            PublishedRun("the same at 9a8da57, on a GPU", 10, test_accuracy=0.9937, decimals=4),
        ),
        notes=(
            MEASURED_DIFFERENTLY.format("0.011892 and 0.010110", "0.998917 and 0.998967"),
            "its moving statistics also follow the test images; ours follow the training images only",
        ),
    ),
    Recipe(
        "straight-dope",
        "MXNet: the straight dope, October 2017",
        Settings("vgg_straight_dope", epochs=1, learning_rate=0.05, init="xavier(2.24)"),
        (PublishedRun("github.com/zackchase/mxnet-the-straight-dope at 95847d1", 1, test_accuracy=0.6478, decimals=4),),
        notes=(MEASURED_DIFFERENTLY.format(0.796423, 0.643517),),
    ),
    Recipe(
        "paper",
        "LeCun, Bottou, Bengio & Haffner 1998",
        Settings.of("lenet5", data="mnist"),
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
        Settings.of("lenet_cifar10", data="cifar10"),
        (
            PublishedRun(
                "github.com/icpm/pytorch-cifar10 at 1e49822, README.md", 200, test_accuracy=0.6752, decimals=4
            ),
            PublishedRun("an exercise with this code, authors unknown", 200, test_accuracy=0.6605, decimals=4),
        ),
        notes=(
            "the published accuracy is that of the best of 200 epochs, chosen by the test images",
            "Adam of PyTorch adds its epsilon after the correction of the bias, MXNet's before it",
        ),
    ),
)
