"""Recipes of other sources."""

from __future__ import annotations

from gluon_classics.experiment.settings import Settings

from .recipes import PublishedRun, Recipe, Widening


def _straight_dope(model, loss, train_accuracy, test_accuracy):
    return Recipe(
        "straight-dope",
        "MXNet: the straight dope, September 2017",
        Settings(model, data="mnist", epochs=10, learning_rate=0.1, init="xavier(2.24)"),
        (PublishedRun("github.com/zackchase/mxnet-the-straight-dope at f4df2cc", 10, test_accuracy=test_accuracy),),
        widening=Widening(0.0, 0.002, "one run: two standard deviations of the share of 10,000 images, at 99 %"),
        notes=(
            f"its train loss, {loss}, is a moving average and its train accuracy, {train_accuracy}, is measured after "
            "the epoch: neither is comparable with ours",
        ),
    )


RECIPES = (
    _straight_dope("lenet_straight_dope", 0.012427, 0.998367, 0.9911),
    _straight_dope("lenet_bn_straight_dope", 0.003298, 0.999433, 0.9924),
    Recipe(
        "paper",
        "LeCun, Bottou, Bengio & Haffner 1998",
        Settings.of("lenet5", data="mnist"),
        (PublishedRun("the paper, section III, test error .95 % without distortions", 20, test_accuracy=0.9905),),
        widening=Widening(0.0, 0.001, "the paper gives about .1 % as the uncertainty of its error rates"),
        notes=("the paper reaches a test error of .8 % with distorted images; this recipe has no distortions",),
    ),
    Recipe(
        "pytorch-cifar10",
        "github.com/icpm/pytorch-cifar10 at 1e49822, main.py",
        Settings.of("lenet_cifar10", data="cifar10"),
        (
            PublishedRun("github.com/icpm/pytorch-cifar10 at 1e49822, README.md", 200, test_accuracy=0.6752),
            PublishedRun("an exercise with this code, authors unknown", 200, test_accuracy=0.6605),
        ),
        widening=Widening(0.0, 0.0147, "what the two runs span"),
        notes=(
            "the published accuracy is that of the best of 200 epochs, chosen by the test images",
            "Adam of PyTorch adds its epsilon after the correction of the bias, MXNet's before it",
        ),
    ),
)
